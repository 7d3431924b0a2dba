"""What a steward chooses for one study where the rules leave a choice: more than they ask for, never less.

The choices stand in the study's column file. A release joins them with the safeguards that bind it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from pseudonymization.safeguards import DateRule, Safeguards, TimeOfDay, join_dates
from pseudonymization.tokens import spelling
from pseudonymization.wordings import RareTerms, Replacement, Uncoded


class Copies(StrEnum):
    """What happens where a table repeats a variable of the subject table and says something else.

    `stop`: the release stops and names the rows. `source`: what the subject table says is released in its place.
    """

    STOP = "stop"
    SOURCE = "source"


class Unfit(StrEnum):
    """What happens to rows that do not fit the rest of the study.

    `stop`: the release stops and names them. `drop`: they are left out of every release.
    """

    STOP = "stop"
    DROP = "drop"


class MixedIds(StrEnum):
    """What happens where some subject ids are numbers and others are not: 0012 may have become 12 on the way.

    `stop`: the release stops. `as_text`: each id is the text that it is.
    """

    STOP = "stop"
    AS_TEXT = "as_text"


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of one study. The default asks for nothing beyond what the rules demand.

    dates: what happens to calendar dates; joined with the rules' own demand (`anchor` and a demand for `shift` is
      `anchor`, `month` and a demand for `shift` is `study_day`).
    time_of_day: what is left of clock times.
    snap_to_visits: dates of a planned visit leave as the day that the protocol planned (VISITDY counted from the
      subject's reference start), and study days with them: gaps between visits no longer tell subjects apart.
    copies: what is done where a copy of a subject's variable disagrees with its source.
    orphans: rows of subjects that the subject table lacks. duplicates: all rows of a subject that it holds twice.
    parents: supplemental qualifiers whose record is not there.
    mixed_ids: subject ids of two forms. encodings: tables whose text is not UTF-8, each with the encoding that it is
      read in (`TS=windows-1252`); one that is not listed stops the release.
    cleared: columns in which the leak scan found what is no identifier, each with the reason (`DS.DSTERM=the word is a
      ward, not a name`); they are not searched.
    text_replacement: what stands where free text was redacted. text_allow: words that redaction lets stand, for all
      texts (`Mercy General`) or for one column (`DS.DSTERM=Mercy General`); a subject id is never let stand.
    rare_terms: what happens to medical terms that few subjects hold, or that are sensitive. rare_below: fewer subjects
      than this are few; 0 takes the smallest class that the rules demand, at least 2, and 11 where they demand none.
      sensitive_terms: starts of words that make a term sensitive, beside the list that is shipped; `-name` takes an
      entry of that list out.
    uncoded: what happens to reported terms that would be removed though fewer than `coded_at_least` percent of the
      rows are coded.
    """

    dates: DateRule = DateRule.KEEP
    time_of_day: TimeOfDay = TimeOfDay.KEEP
    snap_to_visits: bool = False
    copies: Copies = Copies.STOP
    orphans: Unfit = Unfit.STOP
    duplicates: Unfit = Unfit.STOP
    parents: Unfit = Unfit.STOP
    mixed_ids: MixedIds = MixedIds.STOP
    encodings: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    text_replacement: Replacement = Replacement.MARK
    text_allow: tuple[str, ...] = ()
    rare_terms: RareTerms = RareTerms.BY_MODE
    rare_below: int = 0
    sensitive_terms: tuple[str, ...] = ()
    uncoded: Uncoded = Uncoded.STOP
    coded_at_least: int = 95

    def allowed(self, table: str, column: str) -> frozenset[str]:
        """The words that redaction lets stand in a column, spelled as tokens are."""
        named = [word.rpartition("=") for word in self.text_allow]
        return frozenset(spelling(word) for place, _, word in named if place in {"", f"{table}.{column}"})

    def reads(self, table: str, encoding: str) -> bool:
        """Whether a table may be read in this encoding, which is none of UTF-8."""
        return f"{table}={encoding}" in self.encodings

    def reasons(self) -> dict[str, str]:
        """Each cleared column as TABLE.COLUMN, and why."""
        pairs = (entry.partition("=") for entry in self.cleared)
        return {place.strip(): reason.strip() for place, _, reason in pairs}


DEFAULT = Options()


def joined(options: Options, safeguards: Safeguards) -> Safeguards:
    """Safeguards that meet both what the rules demand and what the steward chose."""
    order = tuple(TimeOfDay)
    return replace(
        safeguards,
        dates=join_dates(options.dates, safeguards.dates),
        time_of_day=max(options.time_of_day, safeguards.time_of_day, key=order.index),
    )
