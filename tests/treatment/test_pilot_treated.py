"""The CDISC pilot study, treated: nothing original is left, and everything still joins and counts as before."""

import re
from collections import Counter
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from pseudonymization.leaks import Scanner
from pseudonymization.treat import Tally, treat_counted

DATES = re.compile(r"\d{4}-\d\d-\d\d")
JOINS = {
    "ae": ("dm", ["USUBJID"]),
    "lb": ("sv", ["USUBJID", "VISITNUM"]),
    "suppdm": ("dm", ["USUBJID"]),
}


def texts(table: pa.Table) -> dict[str, set[str]]:
    return {
        name: {value for value in table.column(name).unique().to_pylist() if value}
        for name in table.column_names
        if pa.types.is_dictionary(table.schema.field(name).type)
    }


def day_number(start: str, baseline: str) -> int:
    apart = (date.fromisoformat(start[:10]) - date.fromisoformat(baseline[:10])).days
    return apart + (apart >= 0)


def test_no_original_id_or_date_is_left_in_any_cell(pilot_release: Any) -> None:
    original = pilot_release.source.tables["dm"]
    wholes = set(original.column("USUBJID").to_pylist())
    pieces = set(original.column("SUBJID").to_pylist()) | set(original.column("SITEID").to_pylist())
    days = {
        match[0]
        for table in pilot_release.source.tables.values()
        for values in texts(table).values()
        for value in values
        for match in DATES.finditer(value)
    }
    assert (len(wholes), len(days) > 500) == (306, True)
    for name, table in pilot_release.tables.items():
        for column, values in texts(table).items():
            for value in values:
                assert not any(whole in value for whole in wholes), (name, column)
                assert not days & set(DATES.findall(value)), (name, column)
                if not re.fullmatch(r"[<>]?[\d.]+", value.strip()):
                    assert not pieces & set(re.findall(r"\w+", value)), (name, column)


def test_the_scan_finds_nothing_in_the_release_and_everything_in_the_source(pilot_release: Any) -> None:
    clean = Scanner(pilot_release.study, pilot_release.subjects, pilot_release.plan)
    for name, table in pilot_release.tables.items():
        for batch in table.to_batches():
            clean.scan(name, batch)
    assert clean.hits == ()
    assert clean.unsearched == frozenset()
    dirty = Scanner(pilot_release.study, pilot_release.subjects, pilot_release.plan)
    for name, table in pilot_release.source.tables.items():
        for batch in table.to_batches():
            dirty.scan(name, batch)
    found = {(hit.place.table, hit.place.column) for hit in dirty.hits}
    assert {(name, "USUBJID") for name in pilot_release.tables} | {("relrec", "RELID"), ("dm", "SUBJID")} <= found
    assert {("lb", "LBDTC"), ("cm", "CMSTDTC"), ("dm", "SITEID")} <= found


def test_every_date_cell_keeps_its_precision(pilot_release: Any) -> None:
    checked = 0
    for name, table in pilot_release.source.tables.items():
        for column in (c for c in table.column_names if c.endswith("DTC")):
            before = table.column(column).to_pylist()
            after = pilot_release.tables[name].column(column).to_pylist()
            assert [re.sub(r"\d", "9", text or "") for text in before] == [
                re.sub(r"\d", "9", text or "") for text in after
            ]
            checked += len(before)
    assert checked > 70_000


def test_intervals_within_a_subject_are_exact_in_all_tables(pilot_release: Any) -> None:
    steps: dict[str, set[int]] = {}
    for name, table in pilot_release.source.tables.items():
        for column in (c for c in table.column_names if c.endswith("DTC")):
            cells = zip(
                pilot_release.tables[name].column("USUBJID").to_pylist(),
                table.column(column).to_pylist(),
                pilot_release.tables[name].column(column).to_pylist(),
                strict=True,
            )
            for subject, before, after in set(cells):
                if before and len(before) >= 10:
                    apart = date.fromisoformat(after[:10]) - date.fromisoformat(before[:10])
                    steps.setdefault(subject, set()).add(apart.days)
    assert len(steps) == 306
    assert all(len(found) == 1 for found in steps.values())
    assert len({step for found in steps.values() for step in found}) > 290


def test_the_one_native_study_day_mismatch_is_there_before_and_after(pilot_release: Any) -> None:
    def mismatches(tables: Any) -> set[int]:
        start = dict(
            zip(tables["dm"].column("USUBJID").to_pylist(), tables["dm"].column("RFSTDTC").to_pylist(), strict=True)
        )
        ae = tables["ae"]
        wrong = set()
        for row, (subject, begun, day) in enumerate(
            zip(*(ae.column(name).to_pylist() for name in ("USUBJID", "AESTDTC", "AESTDY")), strict=True)
        ):
            if begun and len(begun) >= 10 and day is not None and day_number(begun, start[subject]) != day:
                wrong.add(row)
        return wrong

    before = mismatches(pilot_release.source.tables)
    assert len(before) == 1
    assert mismatches(pilot_release.tables) == before


@pytest.mark.parametrize("name", JOINS)
def test_joins_give_the_same_counts(pilot_release: Any, name: str) -> None:
    other, keys = JOINS[name]

    def count(tables: Any) -> int:
        right = Counter(zip(*(tables[other].column(key).to_pylist() for key in keys), strict=True))
        return sum(right[key] for key in zip(*(tables[name].column(key).to_pylist() for key in keys), strict=True))

    assert count(pilot_release.tables) == count(pilot_release.source.tables) > 1000


def test_relrec_still_relates_the_same_rows(pilot_release: Any) -> None:
    def related(tables: Any) -> Counter[tuple[Any, ...]]:
        relrec, groups = tables["relrec"].to_pylist(), {}
        rows = {
            domain: {
                (row["USUBJID"], row[f"{domain}SEQ"]): at for at, row in enumerate(tables[domain.lower()].to_pylist())
            }
            for domain in ("AE", "CM", "DS", "LB")
        }
        for row in relrec:
            place = rows.get(row["RDOMAIN"], {}).get((row["USUBJID"], float(row["IDVARVAL"])))
            groups.setdefault(row["RELID"], []).append((row["RDOMAIN"], place))
        return Counter(tuple(sorted(group, key=str)) for group in groups.values())

    before = related(pilot_release.source.tables)
    assert sum(before.values()) == 95
    assert sum(place is not None for group in before for _, place in group) > 150
    assert related(pilot_release.tables) == before


def test_every_relid_holds_its_own_subjects_pseudonym(pilot_release: Any) -> None:
    for row in pilot_release.tables["relrec"].to_pylist():
        assert row["RELID"].startswith(f"{row['USUBJID']}-")


def test_findings_and_study_days_are_untouched(pilot_release: Any) -> None:
    for name, columns in {"lb": ["LBSTRESN", "LBORRES", "LBDY", "VISIT"], "ae": ["AESTDY", "AEDECOD"]}.items():
        for column in columns:
            assert (
                pilot_release.tables[name].column(column).to_pylist()
                == pilot_release.source.tables[name].column(column).to_pylist()
            )


def test_flips_by_imputation_are_counted_and_few(pilot_release: Any) -> None:
    tally = Tally()
    for name in ("cm", "mh", "ds"):
        first = 0
        for batch in pilot_release.source.batches(name):
            tally += treat_counted(pilot_release.lookups, name, batch, first).tally
            first += batch.num_rows
    assert tally.flips["cm", "CMSTDTC"].partial == 5454
    assert tally.flips["mh", "MHSTDTC"].partial == 648
    assert 0 < tally.flips["cm", "CMSTDTC"].flipped < 60
    assert tally.flips["cm", "CMSTDTC"].clamped >= 0


def test_no_start_comes_after_its_end_unless_it_did_before(pilot_release: Any) -> None:
    def wrong(tables: Any, name: str, stem: str) -> list[int]:
        pairs = zip(*(tables[name].column(f"{stem}{end}DTC").to_pylist() for end in ("ST", "EN")), strict=True)
        cut = [(a, b, min(len(a), len(b), 10)) for a, b in ((a or "", b or "") for a, b in pairs)]
        return [at for at, (a, b, width) in enumerate(cut) if width and a[:width] > b[:width]]

    for name, stem in (("ae", "AE"), ("cm", "CM"), ("sv", "SV")):
        assert wrong(pilot_release.tables, name, stem) == wrong(pilot_release.source.tables, name, stem)


def test_two_projects_cannot_be_joined(pilot: Any, pilot_release: Any, release: Any) -> None:
    other = release(*pilot, project="p2")
    for name in ("dm", "relrec"):
        for column in ("USUBJID", "RELID"):
            if column in other.tables[name].column_names:
                here, there = pilot_release.tables[name].column(column), other.tables[name].column(column)
                assert not set(here.to_pylist()) & set(there.to_pylist())
    dates_here, dates_there = (r.tables["dm"].column("DMDTC").to_pylist() for r in (pilot_release, other))
    assert sum(a == b for a, b in zip(dates_here, dates_there, strict=True)) < 5
    assert release(*pilot).tables["lb"].equals(pilot_release.tables["lb"])
