"""Phrases of free text that was dropped, to be found again wherever else they stand.

A phrase is five words in a row; fewer are common speech. Phrases that a coding dictionary or a test catalogue of the
study has too ("malignant neoplasm of left breast" as a preferred term) are nobody's own words and are not searched.
Texts in scripts that put no space between words have no such phrases; they are not found again.
"""

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization.columns import Column, ColumnRef, Role, Source, Study, Table
from pseudonymization.plan import Act, Plan
from pseudonymization.tokens import spelling

WORDS = 5
"""So many words in a row make a phrase that is told again, not met by chance."""

MOST_PHRASES = 5_000_000
"""Phrases held in memory, eight bytes and a set's slot each; columns beyond it are listed as not held."""

_LONG_ENOUGH = r"(?:[^\s[:punct:]]+[\s[:punct:]]+){4}[^\s[:punct:]]"
_CODED = re.compile(r"(?:DECOD|BODSYS|SOC|HLT|HLGT|LLT|CLAS|TEST|PARAM|CAT|QLABEL)$")
_LABEL = re.compile(r"^(?:QLABEL|PARAM|..TEST)$")
_LABEL_SIGNS = 40
"""A label of SDTM has at most so many characters (SDTMIG 3.2, QLABEL and --TEST); what is longer may be a story."""


def is_label(column: str, text: str) -> bool:
    """Whether a text only names what is told beside it: the label of a qualifier, a test or a parameter."""
    return len(text) <= _LABEL_SIGNS and _LABEL.match(column.upper()) is not None


class Narratives:
    """The phrases of a study's dropped free text, as hashes; no text is held."""

    def __init__(self) -> None:
        self._phrases: set[int] = set()
        self.not_held: list[ColumnRef] = []

    @classmethod
    def of(cls, study: Study, source: Source, plan: Plan) -> "Narratives":
        """The phrases of every free-text column of `study` that `plan` does not release, by one pass over them.

        `study`: as registered, for a table nobody asked for may be told in one that leaves.
        """
        found, coded = cls(), set[int]()
        leaves = {(planned.table, planned.column) for planned in plan.columns if planned.act is not Act.REMOVE}
        dropped = [
            (table, tuple(c for c in table.columns if c.role is Role.FREE_TEXT and (table.name, c.name) not in leaves))
            for table in study.tables
        ]
        if not any(columns for _, columns in dropped):
            return found
        for table, columns in dropped:
            vocabulary = [column for column in table.columns if _CODED.search(column.name.upper())]
            if columns or (vocabulary and table.subject_key):
                found._take(table, columns, vocabulary if columns else [], source, coded)
        found._phrases -= coded
        return found

    def __len__(self) -> int:
        return len(self._phrases)

    def _take(
        self, table: Table, columns: tuple[Column, ...], vocabulary: list[Column], source: Source, coded: set[int]
    ) -> None:
        names = [column.name for column in (*columns, *vocabulary)]
        if not names:
            return
        held = [set[str]() for _ in names]
        for batch in source.batches(table.name, names):
            for at, array in enumerate(batch.columns):
                held[at].update(long_texts(array))
        for at, (name, texts) in enumerate(zip(names, held, strict=True)):
            for text in sorted(texts):
                (self._phrases if at < len(columns) else coded).update(phrases(text))
            if len(self._phrases) > MOST_PHRASES:
                self.not_held.append(ColumnRef(table.name, name))
                return

    def told_in(self, text: str) -> bool:
        """Whether a phrase of the dropped text stands in this one."""
        return bool(self._phrases) and any(phrase in self._phrases for phrase in phrases(text))


def long_texts(array: pa.Array) -> list[str]:
    """The distinct texts of a column that have as many words as a phrase; nothing of a column without text."""
    values = array.dictionary if pa.types.is_dictionary(array.type) else array
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return []
    texts: list[str] = values.filter(pc.match_substring_regex(values, _LONG_ENOUGH)).drop_null().unique().to_pylist()
    return texts


def phrases(text: str) -> Iterator[int]:
    """Every five words in a row, case folded and without punctuation, as a hash that holds inside this process."""
    runs = spelling(text).split()
    for at in range(len(runs) - WORDS + 1):
        yield hash(" ".join(runs[at : at + WORDS]))
