"""Dates stored as plain numbers: released only where somebody said from which day they count."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from gateway.catalogue.columnfile import dumps, loads
from gateway.errors import Invalid
from pseudonymization import dates
from pseudonymization.columns import Column, ColumnRef, Epoch, Kind, Role, Study, Table
from pseudonymization.faults import Unresolved

DAY = (date(2013, 7, 4) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("epoch", "number", "kind"),
    [
        (Epoch.SAS_DAYS, DAY + 3653, "date32[day]"),
        (Epoch.UNIX_DAYS, DAY, "date32[day]"),
        (Epoch.SAS_SECONDS, (DAY + 3653) * 86_400 + 3600, "timestamp[s]"),
        (Epoch.UNIX_SECONDS, DAY * 86_400 + 3600, "timestamp[s]"),
    ],
)
def test_a_number_means_the_day_its_epoch_says(epoch: Epoch, number: int, kind: str) -> None:
    for array in (pa.array([number, None]), pa.array([float(number), float("nan")])):
        made = dates.counted(array, epoch)
        days, present = dates.arrow_days(made)
        assert (str(made.type), made.type, days[0]) == (kind, dates.counted_as(epoch), DAY)
        assert present.tolist() == [True, False]


def trial(epoch: Epoch | None) -> tuple[Study, dict[str, pa.Table]]:
    dm = Table("dm", (Column("USUBJID", Role.SUBJECT_KEY), Column("RFSTDTC", Role.DATE)), "DM")
    lb = Table("lb", (Column("USUBJID", Role.SUBJECT_KEY), Column("ADT", Role.DATE, Kind.NUMBER, epoch=epoch)), "LB")
    tables = {
        "dm": pa.table({"USUBJID": ["S-1"], "RFSTDTC": ["2013-07-01"]}),
        "lb": pa.table({"USUBJID": ["S-1", "S-1"], "ADT": [float(DAY + 3653), None]}),
    }
    return Study("S", (dm, lb), "USA", ColumnRef("dm", "RFSTDTC")), tables


def test_counted_dates_move_with_the_subjects_others_and_leave_as_dates(release: Callable[..., Any], held: Any) -> None:
    study, tables = trial(Epoch.SAS_DAYS)
    done = release(study, held(tables, 10)).tables
    start = date.fromisoformat(done["dm"].column("RFSTDTC").to_pylist()[0])
    moved = done["lb"].column("ADT").to_pylist()
    assert (moved[1], (moved[0] - start).days) == (None, 3)


def test_a_plain_number_without_an_epoch_stops_the_release(release: Callable[..., Any], held: Any) -> None:
    study, tables = trial(None)
    with pytest.raises(Unresolved, match="from which day they count"):
        release(study, held(tables, 10))


def test_an_epoch_stands_in_the_column_file_of_a_date_stored_as_a_number_only() -> None:
    study = replace(trial(Epoch.UNIX_DAYS)[0], country="USA")
    text = dumps(study)
    assert "epoch: unix_days" in text
    assert loads(text) == study
    with pytest.raises(Invalid, match="no date stored as a number"):
        loads(text.replace("role: date, kind: number", "role: kept, kind: number"))
    with pytest.raises(Invalid, match="unknown epoch"):
        loads(text.replace("unix_days", "stardates"))
