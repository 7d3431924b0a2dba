"""Studies to treat: the CDISC pilot where it is at hand, and small invented ones."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyreadstat
import pytest

from pseudonymization.columns import Column, ColumnRef, Handling, Kind, Role, Study, Table
from pseudonymization.lookups import LabelMap, Lookups, look_up
from pseudonymization.plan import Act, ColumnPlan, Plan
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import DateRule, Safeguards
from pseudonymization.subjects import Subjects, collect
from pseudonymization.treat import treat

PILOT = Path(__file__).resolve().parents[2] / "../shared/data/cdiscpilot01-sdtm.zip"
ROOT = bytes(range(32))
TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Held:
    """A source whose tables are in memory, cut into batches of `size` rows."""

    tables: Mapping[str, pa.Table]
    size: int = 1000

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        whole = self.tables[table]
        yield from (whole.select(list(columns)) if columns is not None else whole).to_batches(self.size)


DEFAULT_ACTS = {
    Role.SUBJECT_KEY: Act.PSEUDONYM,
    Role.DIRECT: Act.REMOVE,
    Role.QUASI: Act.GENERALIZE,
    Role.SENSITIVE: Act.KEEP,
    Role.DATE: Act.SHIFT,
    Role.FREE_TEXT: Act.REMOVE,
    Role.KEPT: Act.KEEP,
    Role.UNRESOLVED: Act.REMOVE,
}
HANDLED = {
    Handling.RECODE: Act.RECODE,
    Handling.EMBEDDED: Act.EMBEDDED,
    Handling.SURROGATE: Act.SURROGATE,
    Handling.KEEP: Act.KEEP,
    Handling.REDACT: Act.REDACT,
    Handling.REMOVE: Act.REMOVE,
}


def plan_for(study: Study, safeguards: Safeguards | None = None, date_act: Act = Act.SHIFT) -> Plan:
    """The plan that the roles and handlings of the columns suggest."""
    columns = []
    for table in study.tables:
        for column in table.columns:
            act = DEFAULT_ACTS[column.role]
            if column.handling is not None and column.role is not Role.QUASI:
                act = HANDLED[column.handling]
            if column.role is Role.DATE:
                act = date_act
            columns.append(ColumnPlan(table.name, column.name, act, str(column.role)))
    return Plan(tuple(columns), {}, safeguards or Safeguards(dates=DateRule.SHIFT))


def raw_labels(study: Study, source: Held) -> dict[str, LabelMap]:
    """Level 0 for every quasi-identifier; recoded ones become `code N`."""
    labels: dict[str, LabelMap] = {}
    for name, places in study.quasi_identifiers().items():
        values: set[str] = set()
        number = False
        recoded = False
        for ref in places:
            array = source.tables[ref.table].column(ref.column)
            number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
            recoded = study[ref.table][ref.column].handling is Handling.RECODE
            values |= {f"{v:.0f}" if isinstance(v, float) else str(v) for v in array.to_pylist() if v not in (None, "")}
        spelled = {v: f"code {at}" if recoded else v for at, v in enumerate(sorted(values))}
        labels[name] = LabelMap(spelled, Kind.NUMBER if number else Kind.TEXT)
    return labels


@dataclass(frozen=True)
class Release:
    """A study treated from end to end."""

    study: Study
    source: Held
    subjects: Subjects
    plan: Plan
    lookups: Lookups
    tables: Mapping[str, pa.Table]


def release_of(
    study: Study,
    source: Held,
    *,
    project: str = "p1",
    safeguards: Safeguards | None = None,
    date_act: Act = Act.SHIFT,
    labels: Mapping[str, LabelMap] | None = None,
    blanked: Any = None,
    plan: Plan | None = None,
) -> Release:
    """The study treated with default choices where none are given."""
    subjects = collect(study, source)
    plan = plan or plan_for(study, safeguards, date_act)
    blanked = np.zeros(len(subjects), dtype=bool) if blanked is None else blanked
    labels = raw_labels(study, source) if labels is None else labels
    lookups = look_up(plan, study, subjects, blanked, labels, ProjectKey.derive(ROOT, project))
    tables = {}
    for table in study.tables:
        first, out = 0, []
        for batch in source.batches(table.name):
            out.append(treat(lookups, table.name, batch, first))
            first += batch.num_rows
        tables[table.name] = pa.Table.from_batches(out)
    return Release(study, source, subjects, plan, lookups, tables)


@pytest.fixture
def release() -> Callable[..., Release]:
    return release_of


@pytest.fixture
def held() -> Callable[..., Held]:
    return Held


@pytest.fixture
def small() -> tuple[Study, Held]:
    """Three subjects, two tables, every kind of column."""
    dm = Table(
        "dm",
        (
            Column("USUBJID", Role.SUBJECT_KEY),
            Column("SUBJID", Role.DIRECT, handling=Handling.EMBEDDED),
            Column("SITEID", Role.QUASI, handling=Handling.RECODE),
            Column("INVNAM", Role.DIRECT, handling=Handling.SURROGATE, surrogate="name"),
            Column("NAME", Role.DIRECT),
            Column("COUNTRY", Role.QUASI),
            Column("AGE", Role.QUASI, Kind.NUMBER),
            Column("RFSTDTC", Role.DATE),
            Column("NOTE", Role.FREE_TEXT, handling=Handling.REDACT, label="Investigator's note"),
        ),
        "DM",
    )
    ae = Table(
        "ae",
        (
            Column("USUBJID", Role.SUBJECT_KEY),
            Column("AESEQ", Role.KEPT, Kind.NUMBER),
            Column("AETERM", Role.SENSITIVE),
            Column("AELNKID", Role.DIRECT, handling=Handling.EMBEDDED),
            Column("AESTDTC", Role.DATE),
            Column("AEENDTC", Role.DATE),
            Column("AEDT", Role.DATE, Kind.DATE),
            Column("AEDTM", Role.DATE, Kind.TIMESTAMP),
        ),
        "AE",
    )
    study = Study("S1", (ae, dm), ColumnRef("dm", "COUNTRY"), ColumnRef("dm", "RFSTDTC"))
    tables = {
        "dm": pa.table(
            {
                "USUBJID": pa.array(["S1-104-20031", "S1-103-20012", "S1-103-20011"]).dictionary_encode(),
                "SUBJID": ["20031", "20012", "20011"],
                "SITEID": ["104", "103", "103"],
                "INVNAM": ["Ada Quill", "Bo Marsh", "Bo Marsh"],
                "NAME": ["Carla Stone", "Dirk Oldfield", "Eve Winter"],
                "COUNTRY": ["DEU", "FR", "Narnia"],
                "AGE": [61.0, 45.0, None],
                "RFSTDTC": ["2013-07-19", "2013-05-02T09:30", ""],
                "NOTE": [
                    "Carla Stone (20031) was seen on 19JUL2013 by Dr Quill",
                    "nothing to report",
                    "see 103/20011",
                ],
            }
        ),
        "ae": pa.table(
            {
                "USUBJID": pa.array(["S1-103-20011", "S1-104-20031", "S1-104-20031"]).dictionary_encode(),
                "AESEQ": [1, 1, 2],
                "AETERM": ["HEADACHE", "NAUSEA", "FALL"],
                "AELNKID": ["S1-103-20011-E01", "103-20011.2", "E03"],
                "AESTDTC": ["2013", "2013-07", "2013-07-20T08:15"],
                "AEENDTC": ["2013-02-01", "2013-07-03", "2013-08"],
                "AEDT": pa.array([None, date(2013, 7, 20), date(2012, 2, 29)], pa.date32()),
                "AEDTM": pa.array([1374307200000000, None, 0], pa.timestamp("us")),
            }
        ),
    }
    return study, Held(tables, 2)


ROLES: Mapping[str, tuple[Role, Handling | None]] = {
    "USUBJID": (Role.SUBJECT_KEY, None),
    "SUBJID": (Role.DIRECT, Handling.EMBEDDED),
    "SITEID": (Role.QUASI, Handling.RECODE),
    "RELID": (Role.DIRECT, Handling.EMBEDDED),
    "QVAL": (Role.SENSITIVE, Handling.EMBEDDED),
    "DSTERM": (Role.FREE_TEXT, Handling.REDACT),
    "AETERM": (Role.FREE_TEXT, None),
    "AGE": (Role.QUASI, None),
    "SEX": (Role.QUASI, None),
    "RACE": (Role.QUASI, None),
    "ETHNIC": (Role.QUASI, None),
    "COUNTRY": (Role.QUASI, None),
}
DOMAINS = ("dm", "ae", "lb", "cm", "mh", "ds", "sv", "relrec", "suppae", "suppdm")


def _pilot_table(name: str, frame: Any) -> tuple[Table, pa.Table]:
    columns, arrays = [], []
    for column in frame.columns:
        role, handling = ROLES.get(column, (Role.KEPT, None))
        if column.endswith("DTC"):
            role = Role.DATE
        text = not np.issubdtype(frame[column].to_numpy().dtype, np.number)
        array = pa.array(frame[column].tolist(), pa.string() if text else pa.float64(), from_pandas=True)
        arrays.append(array.dictionary_encode() if text else array)
        columns.append(Column(column, role, Kind.TEXT if text else Kind.NUMBER, handling=handling))
    return Table(name, tuple(columns), name.upper()), pa.table(arrays, names=list(frame.columns))


@pytest.fixture(scope="session")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Held]:
    """Ten domains of the CDISC pilot study, read with pyreadstat."""
    if not PILOT.exists():
        pytest.skip("the CDISC pilot study is not at hand (cdiscpilot01-sdtm.zip)")
    folder = tmp_path_factory.mktemp("pilot")
    with zipfile.ZipFile(io.BytesIO(PILOT.read_bytes())) as packed:
        packed.extractall(folder)
    tables, held = [], {}
    for domain in DOMAINS:
        frame, _ = pyreadstat.read_xport(next(folder.rglob(f"{domain}.xpt")))
        table, held[domain] = _pilot_table(domain, frame)
        tables.append(table)
    study = Study("CDISCPILOT01", tuple(tables), ColumnRef("dm", "COUNTRY"), ColumnRef("dm", "RFSTDTC"))
    return study, Held(held, 20_000)


@pytest.fixture(scope="session")
def pilot_release(pilot: tuple[Study, Held]) -> Release:
    return release_of(*pilot)
