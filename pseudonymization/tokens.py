"""Whole tokens in text: finds known ids and names wherever they stand, however they are punctuated or cased.

A text is read as runs of letters and digits; a known value is a sequence of such runs. So `01-701-1015` is found in
`01-701-1015-E09` and `(01/701/1015)`, and `1015` is not found in `110150`. An underscore joins: `1015` alone is not
found in `TERM_1015`, unless asked for (`loose`: file names are written so).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff66-\uff9f"
"""Japanese, Chinese and Korean signs: no blank parts them from an id that stands among them."""
_RUN = re.compile(rf"[^\W_{_UNSPACED}]+|[{_UNSPACED}]+")
_GAP = 3
"""At most so many signs stand between two runs of one value."""


@dataclass(frozen=True, slots=True)
class Found:
    """A known value in a text: where it starts and ends, and what it was entered with."""

    start: int
    end: int
    entry: str


def spelling(value: str) -> str:
    """The runs of a value, case folded, one blank between: two values spelled alike are one token."""
    return " ".join(run.casefold() for run in _RUN.findall(value))


def _sizes(spelled: Iterable[str]) -> list[int]:
    return sorted({value.count(" ") + 1 for value in spelled}, reverse=True)


class Tokens:
    """Known values and what each stands for. Longer values win over shorter ones that start at the same place."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries: dict[str, str] = {}
        for value, entry in entries.items():
            if spelled := spelling(value):
                self._entries.setdefault(spelled, entry)
        self._sizes = _sizes(self._entries)

    @classmethod
    def of_spelled(cls, entries: Mapping[str, str]) -> "Tokens":
        """Tokens of values that stand as `spelling` writes them."""
        tokens = cls({})
        tokens._entries, tokens._sizes = dict(entries), _sizes(entries)
        return tokens

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, value: str) -> bool:
        return spelling(value) in self._entries

    def find(self, text: str, *, loose: bool = False) -> Iterator[Found]:
        """Every known value in the text, left to right, none overlapping another."""
        runs = [(match.start(), match.end(), match.group().casefold()) for match in _RUN.finditer(text)]
        at = 0
        while at < len(runs):
            size = self._longest(runs, at)
            start, end = runs[at][0], runs[at + max(size, 1) - 1][1]
            joined = size == 1 and not loose and "_" in text[max(0, start - 1) : start] + text[end : end + 1]
            if not size or joined:
                at += 1
                continue
            spelled = " ".join(run for _, _, run in runs[at : at + size])
            yield Found(start, end, self._entries[spelled])
            at += size

    def _longest(self, runs: list[tuple[int, int, str]], at: int) -> int:
        for size in self._sizes:
            window = runs[at : at + size]
            if len(window) < size or " ".join(run for _, _, run in window) not in self._entries:
                continue
            if all(right[0] - left[1] <= _GAP for left, right in pairwise(window)):
                return size
        return 0

    def replace(self, text: str) -> str:
        """The text with each known value replaced by what it was entered with."""
        pieces, done = [], 0
        for found in self.find(text):
            pieces += [text[done : found.start], found.entry]
            done = found.end
        return "".join([*pieces, text[done:]])
