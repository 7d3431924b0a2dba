"""A study as the engine sees it: tables, columns and the role each column plays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from pseudonymization.options import DEFAULT, Options


class Role(StrEnum):
    """What a column is to an attacker and to an analyst."""

    SUBJECT_KEY = "subject_key"
    DIRECT = "direct"
    QUASI = "quasi"
    SENSITIVE = "sensitive"
    DATE = "date"
    FREE_TEXT = "free_text"
    QUALIFIER = "qualifier"
    KEPT = "kept"
    UNRESOLVED = "unresolved"


class Handling(StrEnum):
    """The treatment a column file may choose where a role leaves a choice.

    Direct identifiers: `remove` (default), `recode` (keyed code, same value same code inside the project),
    `embedded` (a text that holds subject ids, such as RELREC.RELID: each id inside is replaced by its
    pseudonym), `surrogate` (keyed realistic stand-in). Free text: `remove` (default), `keep`, `redact`.
    Kept and sensitive columns: `keep` (default) or `embedded`. Quasi-identifiers: none, or `recode` (values
    are codes, such as SITEID: level 0 of the ladder is the keyed code, never the original).
    """

    REMOVE = "remove"
    RECODE = "recode"
    EMBEDDED = "embedded"
    SURROGATE = "surrogate"
    KEEP = "keep"
    REDACT = "redact"


class Kind(StrEnum):
    """How values are stored: text, number, Arrow date, Arrow timestamp."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Epoch(StrEnum):
    """From which day a column of plain numbers counts, and in what unit: SAS from 1960-01-01, Unix from 1970-01-01."""

    SAS_DAYS = "sas_days"
    SAS_SECONDS = "sas_seconds"
    UNIX_DAYS = "unix_days"
    UNIX_SECONDS = "unix_seconds"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, role and, where the role leaves a choice, how it is handled.

    `hierarchy` names the ladder of a quasi-identifier: `age`, `country`, `flat` (value or nothing), `pool` (rare
    values pooled), `interval:WIDTH`, or a steward's CSV file. `surrogate` names a kind of stand-in (`name`,
    `city`, `street`, `organisation`, `phone`, `email`). `namespace` groups recoded columns that share their codes
    (SITEID in DM and in ADSL); empty means the column's own name.

    A column of qualifier values (QVAL of a SUPP-- table, role `qualifier`) holds several variables: `by` is the column
    that names them (QNAM), `qualifiers` has one entry for each, named as `by` names it, with a role of its own.
    `follows` names the quasi-identifier whose values a qualifier's are: RACE1 of SUPPDM follows RACE, so that both
    climb one ladder together. `override` is the rule that a steward chose instead of the proposal; empty without one.

    `epoch` makes a column of numbers with the role `date` a column of dates; without it nobody knows which days it
    means, and it is never released.
    """

    name: str
    role: Role
    kind: Kind = Kind.TEXT
    label: str = ""
    handling: Handling | None = None
    hierarchy: str = ""
    surrogate: str = ""
    namespace: str = ""
    certain: bool = True
    because: str = ""
    by: str = ""
    qualifiers: tuple["Column", ...] = ()
    follows: str = ""
    override: str = ""
    epoch: Epoch | None = None

    @property
    def attribute(self) -> str:
        """The quasi-identifier that the values belong to: the column's own name, or the one that it follows."""
        return self.follows or self.name

    def qualifier(self, name: str) -> "Column":
        """The entry of one qualifier.

        Raises:
            KeyError: the column has none of this name.
        """
        for part in self.qualifiers:
            if part.name == name:
                return part
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a study. `domain` is the SDTM DOMAIN value (`AE`), or the table's own name."""

    name: str
    columns: tuple[Column, ...]
    domain: str = ""
    label: str = ""

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def with_role(self, *roles: Role) -> tuple[Column, ...]:
        """The columns that play one of these roles, in table order."""
        return tuple(column for column in self.columns if column.role in roles)

    @property
    def subject_key(self) -> str | None:
        """The name of the column that says whose row it is; None for trial-level tables (TS, TA)."""
        keys = self.with_role(Role.SUBJECT_KEY)
        return keys[0].name if keys else None


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column by table and name; with `qualifier`, one variable in it (SUPPDM.QVAL where QNAM is RACE1)."""

    table: str
    column: str
    qualifier: str = ""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" + (f":{self.qualifier}" if self.qualifier else "")


@dataclass(frozen=True, slots=True)
class Study:
    """Tables about the same subjects.

    `country` is where each subject's country stands (a column), or one ISO 3166-1 alpha-2/alpha-3 code for all;
    `baseline` is the reference start date (DM.RFSTDTC) that study days are counted from; `options` is what the steward
    chose for this study.
    """

    name: str
    tables: tuple[Table, ...]
    country: ColumnRef | str
    baseline: ColumnRef | None = None
    options: Options = DEFAULT

    def __getitem__(self, name: str) -> Table:
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def at(self, ref: ColumnRef) -> Column:
        """The column, or the qualifier in it, that a reference names.

        Raises:
            KeyError: the study has none.
        """
        column = self[ref.table][ref.column]
        return column.qualifier(ref.qualifier) if ref.qualifier else column

    def quasi_identifiers(self) -> dict[str, tuple[ColumnRef, ...]]:
        """Each quasi-identifier by name, with every place it stands in, columns of its own before qualifiers.

        One name is one attribute.
        """
        found: dict[str, list[ColumnRef]] = {}
        for table in self.tables:
            for column in table.columns:
                if column.role is Role.QUASI:
                    found.setdefault(column.attribute, []).append(ColumnRef(table.name, column.name))
                for part in column.qualifiers:
                    if part.role is Role.QUASI:
                        found.setdefault(part.attribute, []).append(ColumnRef(table.name, column.name, part.name))
        return {name: tuple(sorted(places, key=lambda ref: ref.qualifier != "")) for name, places in found.items()}


class Source(Protocol):
    """Where the rows of a study come from. Batches are Arrow record batches, streamed, in file order.

    Text columns come as `string` or `dictionary<int32, string>`, numbers as `int64` or `double`, dates as
    `date32` or `timestamp`. A missing text may be null or the empty string.
    """

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Stream one table, all columns or those named, as `pyarrow.RecordBatch`."""
        ...
