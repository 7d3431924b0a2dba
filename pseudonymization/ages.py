"""Ages and their units: 18 with the unit MONTHS is spelled `18 MONTHS` until it leaves, and is a year and a half.

An age in years is its plain number. Ladders and the top-code work on years (CDISC codelist AGEU: YEARS, MONTHS, WEEKS,
DAYS, HOURS; SDTMIG 3.2 §5.2, DM.AGEU). An age that leaves exact leaves in its own unit, a band in years.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import cells
from pseudonymization.columns import Column, Role, Source, Study, Table
from pseudonymization.faults import Place, Unresolved

YEARS = "YEARS"
IN_A_YEAR = {"MONTHS": 12.0, "WEEKS": 365.2425 / 7, "DAYS": 365.2425, "HOURS": 365.2425 * 24}
"""How many of a unit are a year, of 365.2425 days."""

_SINGULAR = {"YEAR": YEARS, "MONTH": "MONTHS", "WEEK": "WEEKS", "DAY": "DAYS", "HOUR": "HOURS"}
_AGE = re.compile(r"A?AGE\w*", re.IGNORECASE)
_UNITED = re.compile(r"^(.+) (MONTHS|WEEKS|DAYS|HOURS)$")
Flags = npt.NDArray[np.bool_]


def unit_of(text: str) -> str:
    """The unit that a cell names, whatever its case; a blank is years; "" where it names none."""
    word = text.strip().upper()
    word = _SINGULAR.get(word, word or YEARS)
    return word if word == YEARS or word in IN_A_YEAR else ""


def parts(text: str) -> tuple[str, str]:
    """(number, unit) of an age as it is spelled here."""
    found = _UNITED.match(text)
    return (found[1], found[2]) if found else (text, YEARS)


def in_years(text: str) -> str:
    """An age as a text in years: `18 MONTHS` is `1.5`. What is no number stays, and is told as such by who reads it."""
    number, unit = parts(text)
    if unit == YEARS:
        return text
    try:
        return cells.canonical(float(number) / IN_A_YEAR[unit])
    except ValueError:
        return text


def unit_column(table: Table, column: Column) -> str:
    """The name of the column that holds the units of a column of ages; empty if it is none or has none."""
    unit = f"{column.name}U"
    ages = column.role is Role.QUASI and (column.hierarchy == "age" or _AGE.fullmatch(column.name))
    return unit if ages and any(held.name == unit for held in table.columns) else ""


def is_unit(name: str) -> bool:
    """Whether a column is named as one that holds the units of ages (AGEU, AAGEU)."""
    return name[-1:] in {"U", "u"} and _AGE.fullmatch(name[:-1]) is not None


def other_units(array: pa.Array) -> Flags:
    """Rows whose unit is none of years."""
    units = cells.encode(array)
    return np.append(np.array([unit_of(text) != YEARS for text in units.texts()], dtype=np.bool_), False)[units.codes]


def unknown_units(array: pa.Array) -> Flags:
    """Rows whose unit nobody knows."""
    units = cells.encode(array)
    return np.append(np.array([unit_of(text) == "" for text in units.texts()], dtype=np.bool_), False)[units.codes]


def spelled_out(array: pa.Array, units: pa.Array) -> pa.Array:
    """Ages with their units: a plain number whose unit is none of years gets it. The column is text afterwards."""
    named, numbers = cells.encode(units), cells.encode(array)
    words = [unit_of(text) for text in named.texts()]
    texts = numbers.texts()
    both = numbers.codes.astype(np.int64) * (len(words) + 1) + named.codes + 1
    pairs, at = np.unique(both, return_inverse=True)
    labels: list[str | None] = []
    for pair in pairs.tolist():
        number, word = divmod(pair, len(words) + 1)
        text = texts[number] if number >= 0 else None
        unit = words[word - 1] if word else YEARS
        bare = text is not None and parts(text)[1] == YEARS
        labels.append(f"{text} {unit}" if bare and unit in IN_A_YEAR else text)
    return pa.array(labels, pa.string()).take(pa.array(at)).dictionary_encode()


def united(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch whose ages have their units spelled out, by the columns' names; the same if all are in years."""
    for name in batch.schema.names:
        if f"{name}U" in batch.schema.names and _AGE.fullmatch(name):
            unit = batch.column(batch.schema.get_field_index(f"{name}U"))
            if other_units(unit).any():
                batch = _with(batch, name, spelled_out(batch.column(batch.schema.get_field_index(name)), unit))
    return batch


class UnitedAges:
    """A source whose ages have their units spelled out, in the tables that hold other units than years."""

    def __init__(self, source: Source, whole: Study) -> None:
        self._source, self._whole = source, whole
        self._mixed: dict[tuple[str, str], bool] = {}

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Stream one table.

        Raises:
            Unresolved: a unit of no kind; names the rows.
        """
        described = self._whole[table]
        units = {
            column.name: unit
            for column in described.columns
            if (columns is None or column.name in columns) and (unit := unit_column(described, column))
        }
        units = {name: unit for name, unit in units.items() if self._is_mixed(table, unit)}
        if not units:
            yield from self._source.batches(table, columns)
            return
        asked = None if columns is None else [*dict.fromkeys([*columns, *units.values()])]
        for batch in self._source.batches(table, asked):
            made = batch
            for name, unit in units.items():
                held = [batch.column(batch.schema.get_field_index(each)) for each in (name, unit)]
                made = _with(made, name, spelled_out(*held))
            yield made if columns is None else made.select(list(columns))

    def _is_mixed(self, table: str, unit: str) -> bool:
        """Whether a column of units holds others than years; they are looked at once."""
        if (table, unit) not in self._mixed:
            first, other = 0, False
            for batch in self._source.batches(table, [unit]):
                array = batch.column(0)
                unknown = unknown_units(array)
                if unknown.any():
                    raise Unresolved(
                        "a unit of age is none of years, months, weeks, days and hours",
                        places=(Place(table, unit, cells.rows_where(unknown, first)),),
                        cure="correct the unit in the source data, or remove the column of ages",
                    )
                other |= bool(other_units(array).any())
                first += batch.num_rows
            self._mixed[table, unit] = other
        return self._mixed[table, unit]


def check_united(place: Place, array: pa.Array, units: pa.Array) -> None:
    """Nothing, if no plain number stands in a row whose unit is none of years: 1,100 months are no 1,100 years.

    Raises:
        Unresolved: one does.
    """
    other = other_units(units)
    if not other.any():
        return
    values = cells.encode(array)
    bare = np.array([parts(text)[1] == YEARS for text in values.texts()] + [False], dtype=np.bool_)[values.codes]
    if (other & bare).any():
        raise Unresolved(
            "ages stand in other units than years, and are banded and top-coded as years",
            places=(place,),
            cure="convert the ages to years, or remove the column of ages",
        )


def left_units(units: pa.Array, ages: pa.Array | None, exact: Sequence[str], blank: Flags) -> pa.Array:
    """The units that leave: an age's own where it leaves exact, else years, so that no unit tells of a newborn.

    `ages` as they are spelled here (None: none leaves), `exact` those that leave exact, `blank` rows whose age is not
    told.
    """
    other = other_units(units)
    if not other.any():
        return cells.pruned(units)
    named = cells.encode(units)
    codes = named.codes.copy()
    told = np.zeros(len(units), dtype=np.bool_)
    if ages is not None:
        found = pc.is_in(_plain(ages), value_set=pa.array(exact, pa.string()))
        told = np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_) & ~blank
    codes[other & ~told] = len(named.values)
    return cells.relabel(cells.Coded(codes, named.values), [*named.texts(), YEARS])


def _plain(array: pa.Array) -> pa.Array:
    coded = cells.encode(array)
    return coded.values.take(pa.array(coded.codes, mask=coded.codes < 0))


def _with(batch: pa.RecordBatch, name: str, array: pa.Array) -> pa.RecordBatch:
    held = batch.schema.field(name).with_type(array.type)
    return batch.set_column(batch.schema.get_field_index(name), held, array)
