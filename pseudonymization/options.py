"""What a steward chooses for one study where the rules leave a choice: more than they ask for, never less.

The choices stand in the study's column file. A release joins them with the safeguards that bind it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from pseudonymization.safeguards import DateRule, Safeguards, TimeOfDay, join_dates


class Copies(StrEnum):
    """What happens where a table repeats a variable of the subject table and says something else.

    `stop`: the release stops and names the rows. `source`: what the subject table says is released in its place.
    """

    STOP = "stop"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of one study. The default asks for nothing beyond what the rules demand.

    dates: what happens to calendar dates; joined with the rules' own demand (`anchor` and a demand for `shift` is
      `anchor`, `month` and a demand for `shift` is `study_day`).
    time_of_day: what is left of clock times.
    snap_to_visits: dates of a planned visit leave as the day that the protocol planned (VISITDY counted from the
      subject's reference start), and study days with them: gaps between visits no longer tell subjects apart.
    copies: what is done where a copy of a subject's variable disagrees with its source.
    """

    dates: DateRule = DateRule.KEEP
    time_of_day: TimeOfDay = TimeOfDay.KEEP
    snap_to_visits: bool = False
    copies: Copies = Copies.STOP


DEFAULT = Options()


def joined(options: Options, safeguards: Safeguards) -> Safeguards:
    """Safeguards that meet both what the rules demand and what the steward chose."""
    order = tuple(TimeOfDay)
    return replace(
        safeguards,
        dates=join_dates(options.dates, safeguards.dates),
        time_of_day=max(options.time_of_day, safeguards.time_of_day, key=order.index),
    )
