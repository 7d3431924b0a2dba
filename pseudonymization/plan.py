"""The plan: per column, the treatment chosen. Frozen, readable, serialisable; holds no cell value and no subject."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from pseudonymization.safeguards import DateRule, GeographyRule, Safeguards, TextRule, TimeOfDay


class Act(StrEnum):
    """What is done to a column."""

    KEEP = "keep"
    REMOVE = "remove"
    PSEUDONYM = "pseudonym"
    EMBEDDED = "embedded"
    RECODE = "recode"
    GENERALIZE = "generalize"
    SHIFT = "shift"
    ANCHOR = "anchor"
    TRUNCATE_MONTH = "truncate_month"
    TRUNCATE_YEAR = "truncate_year"
    STUDY_DAY = "study_day"
    SURROGATE = "surrogate"
    REDACT = "redact"
    BY_QUALIFIER = "by_qualifier"


DATE_ACTS: Mapping[DateRule, Act] = {
    DateRule.KEEP: Act.KEEP,
    DateRule.SHIFT: Act.SHIFT,
    DateRule.ANCHOR: Act.ANCHOR,
    DateRule.MONTH: Act.TRUNCATE_MONTH,
    DateRule.YEAR: Act.TRUNCATE_YEAR,
    DateRule.STUDY_DAY: Act.STUDY_DAY,
    DateRule.DROP: Act.REMOVE,
}


_WORDS = frozenset({"dates", "text", "geography", "time_of_day"})
"""The safeguards that are words of a list."""


def _clock(value: str | bool) -> TimeOfDay:
    """The word for what is left of clock times; plans stored before there were words say true or false."""
    if isinstance(value, bool):
        return TimeOfDay.KEEP if value else TimeOfDay.DROP
    return TimeOfDay(value)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """The treatment of one column.

    `detail` says it in words ("5-year bands"), `why` names the role and the rule that asked for it. `level` and
    `levels` (of the ladder) are set for generalized columns only. `parts` are the treatments of a column of qualifier
    values (QVAL), one for each qualifier: their `column` is its name (RACE1).
    """

    table: str
    column: str
    act: Act
    role: str
    why: str = ""
    detail: str = ""
    level: int | None = None
    levels: int | None = None
    parts: tuple["ColumnPlan", ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All treatments of one release, and the safeguards they were chosen to meet.

    `levels` holds the chosen ladder level per quasi-identifier. Which subjects' cells are blanked is not listed:
    it follows from the levels and the class table, and is derived again when the plan is run.
    """

    columns: tuple[ColumnPlan, ...]
    levels: Mapping[str, int]
    safeguards: Safeguards
    proven_optimal: bool = True
    search: Mapping[str, Any] | None = None

    def of(self, table: str) -> tuple[ColumnPlan, ...]:
        """The column plans of one table, in table order."""
        return tuple(column for column in self.columns if column.table == table)

    def acts(self) -> frozenset[Act]:
        """What is done anywhere, to a column or to a qualifier."""
        return frozenset(planned.act for column in self.columns for planned in (column, *column.parts))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it back."""
        content = asdict(self)
        content["levels"] = dict(self.levels)
        content["search"] = dict(self.search) if self.search is not None else None
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Plan":
        """The plan that `to_dict` wrote.

        Raises:
            KeyError, ValueError: the content is no plan.
        """
        demanded = dict(content["safeguards"])
        safeguards = replace(
            Safeguards(**{name: value for name, value in demanded.items() if name not in _WORDS}),
            dates=DateRule(demanded["dates"]),
            text=TextRule(demanded["text"]),
            geography=GeographyRule(demanded["geography"]),
            time_of_day=_clock(demanded["time_of_day"]),
        )
        columns = tuple(_column_plan(column) for column in content["columns"])
        return cls(columns, dict(content["levels"]), safeguards, content["proven_optimal"], content["search"])


def _column_plan(content: Mapping[str, Any]) -> ColumnPlan:
    parts = tuple(_column_plan(part) for part in content.get("parts", ()))
    return ColumnPlan(**{**content, "act": Act(content["act"]), "parts": parts})
