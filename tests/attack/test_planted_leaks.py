"""One leak of every kind, planted in a finished release: each is found, with kind and place, and told without a value.

Nothing is found in the releases into which nothing was planted.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest

from gateway.actions import datasets
from gateway.catalogue import columnfile
from gateway.demo.trial import write_trial
from gateway.domain.release import Step
from gateway.formats import writer
from gateway.release import scanning
from pseudonymization.columns import Column, ColumnRef, Handling, Role, Study, Table
from pseudonymization.faults import Leak, Place
from pseudonymization.leaks import Narratives, Scanner, moves
from pseudonymization.leaks.narratives import phrases
from pseudonymization.leaks.numbers import OwnNumbers
from tests.integration.conftest import World, found_world
from tests.treatment import conftest as treatment
from tests.treatment.conftest import Held, Release, release_of

ARCHIVE = treatment.PILOT
DOMAINS = ("dm", "ae", "lb", "ds", "relrec", "suppdm")
Found = set[tuple[str, str, str]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Six domains of the CDISC pilot, treated; DSTERM is dropped."""
    if not ARCHIVE.exists():
        pytest.skip("the CDISC pilot study is not at hand (cdiscpilot01-sdtm.zip)")
    folder = tmp_path_factory.mktemp("pilot")
    with zipfile.ZipFile(io.BytesIO(ARCHIVE.read_bytes())) as packed:
        packed.extractall(folder)
    tables, held = [], {}
    for domain in DOMAINS:
        frame, _ = pyreadstat.read_xport(next(folder.rglob(f"{domain}.xpt")))
        table, held[domain] = treatment._pilot_table(domain, frame)
        columns = [replace(c, handling=None) if c.name == "DSTERM" else c for c in table.columns]
        tables.append(replace(table, columns=tuple(columns)))
    study = Study("CDISCPILOT01", tuple(tables), ColumnRef("dm", "COUNTRY"), ColumnRef("dm", "RFSTDTC"))
    return release_of(study, Held(held, 20_000))


@pytest.fixture(scope="module")
def told(done: Release) -> Narratives:
    return Narratives.of(done.study, done.source, done.plan)


@pytest.fixture
def scanner(done: Release, told: Narratives) -> Scanner:
    return scanner_of(done, told)


def scanner_of(done: Release, told: Narratives | None = None) -> Scanner:
    return Scanner(
        done.study,
        done.subjects,
        done.plan,
        pseudonyms=done.lookups.pseudonyms,
        source=done.source,
        told=told or Narratives.of(done.study, done.source, done.plan),
    )


def found(scanner: Scanner) -> Found:
    return {(hit.kind, hit.place.table, hit.place.column) for hit in scanner.hits}


def planted(done: Release, table: str, column: str, value: Any, row: int = 0) -> pa.RecordBatch:
    """A released table with one cell overwritten."""
    whole = done.tables[table].unify_dictionaries().combine_chunks()
    at = whole.schema.get_field_index(column)
    values = whole.column(column).to_pylist()
    values[row] = value
    array = pa.array(values, pa.string() if isinstance(value, str) else pa.float64())
    field = pa.field(column, array.type, metadata=whole.schema.field(column).metadata)
    return whole.set_column(at, field, array).to_batches()[0]


def released_row(done: Release, table: str, original: str) -> int:
    """A row of the subject in a released table: the order is still that of the source."""
    return done.source.tables[table].column("USUBJID").to_pylist().index(original)


def test_the_label_of_a_qualifier_is_no_narrative_but_a_story_in_its_place_is(done: Release) -> None:
    told = Narratives()
    told._phrases = set(phrases("primary reason for leaving the study then she told the nurse of the fall"))
    label, story = "Primary Reason for Leaving the Study", "then she told the nurse of the fall in the garden"
    for text, expected in ((label, set()), (story, {("a phrase of dropped free text", "suppdm", "QLABEL")})):
        scanner = scanner_of(done, told)
        scanner.scan("suppdm", planted(done, "suppdm", "QLABEL", text))
        assert found(scanner) == expected


def test_a_column_that_a_steward_cleared_is_not_searched_and_any_other_is(done: Release) -> None:
    batch = planted(done, "suppdm", "QLABEL", f"seen on {np.datetime64(int(done.subjects.days[0]), 'D')}")
    for column, hits in (("QLABEL", 0), ("QORIG", 1)):
        scanner = Scanner(done.study, done.subjects, done.plan, allowed={ColumnRef("suppdm", column)})
        scanner.scan("suppdm", batch)
        assert len(found(scanner)) == hits


def test_nothing_is_found_in_the_pilot_release(done: Release, scanner: Scanner) -> None:
    for name, table in done.tables.items():
        before = done.source.tables[name].to_batches()
        for old, new in zip(before, table.to_batches(max_chunksize=before[0].num_rows), strict=False):
            scanner.see_moves(name, old, new)
        for batch in table.to_batches():
            scanner.scan(name, batch)
    scanner.judge_moves(done.lookups.shifts[:-1])
    assert found(scanner) == set()
    assert len(Narratives.of(done.study, done.source, done.plan)) > 0
    assert {str(place) for place in scanner.near_misses} >= {"`lb.LBORRES`"}


def test_an_id_in_relrec(done: Release, scanner: Scanner) -> None:
    scanner.scan("relrec", planted(done, "relrec", "RELID", "01-701-1023-E09"))
    assert ("subject id", "relrec", "RELID") in found(scanner)
    assert {hit.place for hit in scanner.hits} == {Place("relrec", "RELID")}


def test_a_site_in_a_label(done: Release, scanner: Scanner) -> None:
    batch = done.tables["lb"].to_batches()[0]
    fields = [f.with_metadata({"label": "Result at site 701"}) if f.name == "LBORRES" else f for f in batch.schema]
    scanner.scan("lb", pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema(fields)))
    assert found(scanner) == {("recoded id", "lb", "LBORRES")}


def test_a_date_in_qval(done: Release, scanner: Scanner) -> None:
    own = done.source.tables["dm"].column("RFSTDTC").to_pylist()[0]
    scanner.scan("suppdm", planted(done, "suppdm", "QVAL", own))
    assert found(scanner) == {("date", "suppdm", "QVAL")}


@pytest.mark.parametrize("words", ["as Dr Quill agreed", "seen by ADA QUILL, at noon", "(Marsh)"])
def test_an_investigator_in_free_text(words: str) -> None:
    done = release_of(*_invented())
    scanner = scanner_of(done)
    for name, table in done.tables.items():
        scanner.scan(name, table.to_batches()[0])
    assert found(scanner) == set()
    scanner.scan("dm", planted(done, "dm", "NOTE", words))
    assert found(scanner) == {("direct identifier", "dm", "NOTE")}


def _invented() -> tuple[Study, Held]:
    columns = (
        Column("USUBJID", Role.SUBJECT_KEY),
        Column("INVNAM", Role.DIRECT),
        Column("RFSTDTC", Role.DATE),
        Column("NOTE", Role.FREE_TEXT, handling=Handling.REDACT),
    )
    rows = {
        "USUBJID": ["S1-103-20011", "S1-103-20012", "S1-104-20031"],
        "INVNAM": ["Ada Quill", "Bo Marsh", "Bo Marsh"],
        "RFSTDTC": ["2013-05-02", "2013-07-19", "2013-07-20"],
        "NOTE": ["nothing to report", "well", "Dr Quill was told"],
    }
    dm = Table("dm", columns, "DM")
    return Study("S1", (dm,), "DE", ColumnRef("dm", "RFSTDTC")), Held({"dm": pa.table(rows)})


def test_a_fragment_of_a_dropped_narrative(done: Release, scanner: Scanner) -> None:
    words = "stopped because Caregiver was hospitalized; see comments of March"
    scanner.scan("ae", planted(done, "ae", "AEACN", words))
    assert found(scanner) == {("a phrase of dropped free text", "ae", "AEACN")}


def test_four_words_of_a_narrative_are_common_speech(done: Release, scanner: Scanner) -> None:
    scanner.scan("ae", planted(done, "ae", "AEACN", "the caregiver was hospitalized; see over"))
    assert found(scanner) == set()


def test_a_coded_term_is_nobodys_own_words(done: Release, told: Narratives) -> None:
    verbatim, coded = (done.source.tables["ae"].column(name).to_pylist() for name in ("AETERM", "AEDECOD"))
    both = [text for text in set(verbatim) & set(coded) if len(text.split()) >= 5]
    assert both
    assert not any(told.told_in(text) for text in both)


def test_a_file_name(scanner: Scanner) -> None:
    scanner.scan_text("lb_01-701-1015.parquet.age", Place("lb"))
    scanner.scan_text("site701.parquet.age LB site_701", Place("lb"))
    assert {("subject id", "lb", ""), ("part of a subject id", "lb", ""), ("recoded id", "lb", "")} == found(scanner)


def test_a_columns_name(done: Release, scanner: Scanner) -> None:
    scanner.scan_text("VISIT_701", Place("sv", "VISIT_701"))
    assert found(scanner) == {("recoded id", "sv", "VISIT_701")}


def test_the_metadata_of_a_parquet_file(scanner: Scanner) -> None:
    edges: Any = scanning.Edges(io.BytesIO())
    table = pa.table({"A": ["x" * 100] * 50_000}).replace_schema_metadata({"source": "export of 01-701-1015"})
    pq.write_table(
        table, pa.PythonFile(edges, mode="w"), compression="none", use_dictionary=False, write_statistics=False
    )
    text = edges.metadata("parquet")
    assert "export of" in text
    assert "xxxx" not in text
    scanner.scan_document(text, Place("lb"))
    assert found(scanner) == {("subject id", "lb", "")}


def test_the_header_of_an_xport_file(scanner: Scanner) -> None:
    schema = pa.schema([pa.field("A", pa.string(), metadata={"label": "see 01-701-1015 of 2014-01-02"})])
    edges: Any = scanning.Edges(io.BytesIO())
    out = writer("xport", schema, edges, name="LB", label="Results")
    out.write(pa.RecordBatch.from_arrays([pa.array(["cell"])], schema=schema))
    out.close()
    assert "cell" not in edges.metadata("xport")
    scanner.scan_document(edges.metadata("xport"), Place("lb"))
    assert found(scanner) == {("subject id", "lb", ""), ("date", "lb", "")}


@pytest.mark.parametrize("where", ["manifest", "report"])
@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("asked for by 01-701-1015", "subject id"),
        ("seen on 2 January 2014", "date"),
        ("caregiver was hospitalized; see comments", "a phrase of dropped free text"),
    ],
)
def test_the_pages_beside_the_tables(scanner: Scanner, where: str, words: str, kind: str) -> None:
    when = datetime(2014, 1, 3, tzinfo=UTC)
    content = {"policy": {}, "decision": {"id": "d"}, "created": when.isoformat(), "project": "alz"}
    page = "<style>.s701{}</style><p>made 2014-01-03, 701 rows</p>"
    scanning.documents(scanner, content, page.encode(), ["LB.parquet.age"], [when])
    if where == "manifest":
        content["project"] = words
    else:
        page += f"<td>{words}</td>"
    with pytest.raises(Leak) as caught:
        scanning.documents(scanner, content, page.encode(), ["LB.parquet.age"], [when])
    assert {(hit.kind, hit.place.table) for hit in scanner.hits} == {(kind, where)}
    assert "1015" not in str(caught.value)


def moved(done: Release, shifts: Callable[[np.ndarray[Any, Any]], Any]) -> Found:
    """What is found in a release whose secret shifts are others, read off its cells alone."""
    changed = replace(done.lookups, shifts=np.append(shifts(done.lookups.shifts[:-1]), 0))
    scanner = scanner_of(done, Narratives())
    for name in ("dm", "ae"):
        batch = done.source.tables[name].combine_chunks().to_batches()[0]
        scanner.see_moves(name, batch, treatment.treat(changed, name, batch))
    scanner.judge_moves(done.lookups.shifts[:-1])
    return found(scanner)


def test_one_shift_for_all_subjects(done: Release) -> None:
    assert moved(done, lambda shifts: shifts) == set()
    assert moved(done, lambda shifts: np.full_like(shifts, 50_000)) == {(moves.ALL, "dates", "")}


def test_one_shift_for_one_site(done: Release) -> None:
    ids = done.subjects.ids.to_pylist()
    of_site = np.array([text.startswith("01-701-") for text in ids])
    assert moved(done, lambda shifts: np.where(of_site, 50_000, shifts)) == {(moves.SITE, "dates", "")}
    but_one = of_site & (np.array(ids) != "01-701-1015")
    assert moved(done, lambda shifts: np.where(but_one, 50_000, shifts)) == set()


def test_the_shifts_of_another_project(done: Release, scanner: Scanner) -> None:
    own = done.lookups.shifts[:-1]
    scanner.scan_moves(own, [np.roll(own, 1)])
    assert found(scanner) == set()
    scanner.scan_moves(own, [np.roll(own, 1), own.copy()])
    assert found(scanner) == {(moves.TWICE, "dates", "")}


SCALES = {
    "SAS days": lambda day: day + 3653,
    "Unix days": lambda day: day,
    "SAS seconds": lambda day: (day + 3653) * 86_400 + 3600,
    "Unix milliseconds": lambda day: day * 86_400_000,
    "a spreadsheet's days": lambda day: day + 25_569,
    "digits": lambda day: float(f"{date.fromordinal(day + 719_163):%Y%m%d}"),
}


@pytest.mark.parametrize("scale", SCALES)
def test_a_subjects_own_date_as_a_number(done: Release, scanner: Scanner, scale: str) -> None:
    lb = done.source.tables["lb"]
    row = next(at for at, text in enumerate(lb.column("LBDTC").to_pylist()) if text > "2013-06")
    day = (date.fromisoformat(lb.column("LBDTC").to_pylist()[row][:10]) - date(1970, 1, 1)).days
    scanner.scan("lb", planted(done, "lb", "VISITDY", float(SCALES[scale](day)), row))
    assert found(scanner) == {("date", "lb", "VISITDY")}


def test_a_number_that_is_another_subjects_date_is_a_finding(done: Release, scanner: Scanner) -> None:
    lb = done.source.tables["lb"]
    own = {text[:10] for who, text in zip(*(lb.column(c).to_pylist() for c in ("USUBJID", "LBDTC")), strict=True)
           if who == lb.column("USUBJID")[0].as_py()}  # fmt: skip
    other = next(text[:10] for text in lb.column("LBDTC").to_pylist() if text[:10] not in own and len(text) >= 10)
    day = (date.fromisoformat(other) - date(1970, 1, 1)).days
    scanner.scan("lb", planted(done, "lb", "VISITDY", float(day + 3653), 0))
    assert found(scanner) == set()


def test_a_subjects_own_number_as_a_number(done: Release, scanner: Scanner) -> None:
    numbers = [float(text[-4:]) for text in done.source.tables["lb"].column("USUBJID").to_pylist()]
    whole = done.tables["lb"].combine_chunks()
    at = whole.schema.get_field_index("VISITDY")
    scanner.scan("lb", whole.set_column(at, "VISITDY", pa.array(numbers)).to_batches()[0])
    assert found(scanner) == {("part of a subject id", "lb", "VISITDY")}


def test_chance_is_measured_in_the_column_itself() -> None:
    dm = Table("dm", (Column("ID", Role.SUBJECT_KEY), Column("D", Role.DATE)), "DM")
    rows = {"ID": [f"S-{at:05}" for at in range(800)], "D": ["2014-01-02"] * 800}
    done = release_of(Study("S", (dm,), "DE"), Held({"dm": pa.table(rows)}))
    who = np.arange(800, dtype=np.int32)
    everybody = OwnNumbers(done.study, done.subjects, done.source)
    assert list(everybody.look(pa.array([16_072.0] * 800), lambda: who, Place("lb", "A"))) == []


def test_a_kept_column_of_true_dates_is_stopped_though_no_other_column_has_them() -> None:
    for array, form in (
        (pa.array(["2013-05-02", None]), ""),
        (pa.array([date(2013, 5, 2), None]), ""),
        (pa.array([19_480.0, None]), "DATE9."),
    ):
        columns = (Column("ID", Role.SUBJECT_KEY), Column("D", Role.KEPT), Column("E", Role.DATE))
        study = Study("S", (Table("dm", columns, "DM"),), "DE")
        source = Held({"dm": pa.table({"ID": ["A-1", "A-2"], "D": array, "E": ["2001-01-01", ""]})})
        done = release_of(study, source)
        scanner = scanner_of(done)
        table = done.tables["dm"]
        field = table.schema.field("D").with_metadata({"format": form})
        scanner.scan("dm", table.set_column(1, field, table.column("D")).to_batches()[0])
        assert found(scanner) == {("date", "dm", "D")}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    trial = write_trial(tmp_path_factory.mktemp("trial"), subjects=60, fmt="csv")
    built = found_world(tmp_path_factory.mktemp("world"), trial)
    yield built
    built.gateway.store.engine.dispose()


def rewritten(original: str, table: str, column: str, change: dict[str, Any]) -> str:
    """The column file with one column's line changed."""
    study = columnfile.loads(original, place="trial")
    tables = tuple(
        replace(t, columns=tuple(replace(c, **change) if (t.name, c.name) == (table, column) else c for c in t.columns))
        for t in study.tables
    )
    return columnfile.dumps(replace(study, tables=tables), previous=original)


STOPPED: dict[str, tuple[str, str, dict[str, str], str]] = {
    "a label": ("LB", "LBTEST", {"label": "Test at {site}"}, "recoded id (`LB.LBTEST`)"),
    "a reason that goes into the manifest": ("LB", "LBTEST", {"because": "see {id}"}, "subject id (`manifest.plan`"),
}


@pytest.mark.parametrize("case", STOPPED)
def test_a_leak_stops_the_whole_line_and_tells_no_value(world: World, case: str) -> None:
    table, column, change, told = STOPPED[case]
    with (world.study / "dm.csv").open(newline="") as rows:
        first = next(csv.DictReader(rows))
    spelled = {"site": first["SITEID"], "id": first["USUBJID"]}
    file = datasets.column_file(world.gateway, "trial")
    original = file.read_text("utf-8")
    change = {k: v.format(**spelled) for k, v in change.items()}
    file.write_text(rewritten(original, table, column, change), "utf-8")
    try:
        datasets.check(world.gateway, world.people["steward"], "trial")
        release = world.run(world.approved(tables=["DM", "LB"], project=case.replace(" ", "-")))
        assert release.step is not Step.DELIVERED
        assert told in release.fault
        assert not any(value in release.fault for value in (first["USUBJID"], first["SITEID"]))
        assert not world.folder(release).exists()
    finally:
        file.write_text(original, "utf-8")
        datasets.check(world.gateway, world.people["steward"], "trial")
