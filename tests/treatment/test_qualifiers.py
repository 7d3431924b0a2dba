"""Supplemental qualifiers: each value is treated as its QNAM wants it, climbing with its parent."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pseudonymization import classes
from pseudonymization.columns import Column, ColumnRef, Handling, Role, Study, Table
from pseudonymization.deidentify import label_maps, lookups, prepare
from pseudonymization.faults import Unreadable, Unresolved
from pseudonymization.leaks import Scanner
from pseudonymization.plan import Act, Plan
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import DateRule, Safeguards, TextRule
from pseudonymization.treat import treat_counted

KEY = ProjectKey.derive(bytes(range(32)), "p1")
WHO = [f"S-10-{at}" for at in range(1001, 1041)]
PARTS = (
    Column("RACE1", Role.QUASI, hierarchy="pool", follows="RACE"),
    Column("RACE2", Role.QUASI, hierarchy="pool", follows="RACE"),
    Column("AEXDTC", Role.DATE),
    Column("FLAG", Role.KEPT),
    Column("SITENAM", Role.DIRECT),
    Column("LABREF", Role.DIRECT, handling=Handling.RECODE),
    Column("NOTE", Role.FREE_TEXT, handling=Handling.REDACT),
)


def rows_of(subject: str, at: int) -> list[tuple[str, str, str]]:
    mixed = [("RACE1", "WHITE"), ("RACE2", "ASIAN")] if at == 0 else []
    told = [
        ("AEXDTC", "2014-03" if at % 2 else f"2014-03-{at % 28 + 1:02d}"),
        ("FLAG", "Y"),
        ("LABREF", f"ref{at % 5}"),
    ]
    hidden = [("SITENAM", "Aldergrove Clinic"), ("NOTE", f"seen again, {subject}, on 2014-03-05")]
    return [(subject, name, value) for name, value in [*mixed, *told, *hidden]]


class Held:
    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self.tables = tables

    def batches(self, table: str, columns: Any = None) -> Any:
        whole = self.tables[table]
        yield from (whole if columns is None else whole.select(list(columns))).to_batches(50)


def study(parts: tuple[Column, ...] = PARTS, more: tuple[tuple[str, str, str], ...] = ()) -> tuple[Study, Held]:
    dm = Table("DM", (Column("USUBJID", Role.SUBJECT_KEY), Column("RACE", Role.QUASI, hierarchy="pool"),
                      Column("RFSTDTC", Role.DATE)), "DM")  # fmt: skip
    supp = Table(
        "SUPPDM",
        (Column("USUBJID", Role.SUBJECT_KEY), Column("QNAM", Role.KEPT),
         Column("QVAL", Role.QUALIFIER, by="QNAM", qualifiers=parts)),
        "SUPPDM",
    )  # fmt: skip
    races = ["MULTIPLE" if at == 0 else "ASIAN" if at < 15 else "WHITE" for at in range(len(WHO))]
    lines = [line for at, subject in enumerate(WHO) for line in rows_of(subject, at)] + list(more)
    tables = {
        "DM": pa.table({"USUBJID": WHO, "RACE": races, "RFSTDTC": ["2014-01-10"] * len(WHO)}),
        "SUPPDM": pa.table(dict(zip(("USUBJID", "QNAM", "QVAL"), map(list, zip(*lines, strict=True)), strict=True))),
    }
    return Study("S", (dm, supp), "USA", ColumnRef("DM", "RFSTDTC")), Held(tables)


def released(safeguards: Safeguards, **changes: Any) -> tuple[Plan, dict[str, pa.Table]]:
    whole, source = study(**changes)
    prepared = prepare(whole, whole, source, safeguards, KEY)
    plan = Plan.from_dict(prepared.plan.to_dict())
    assert plan == prepared.plan
    looked_up = lookups(prepared, whole, whole, KEY)
    scanner = Scanner(looked_up.study, prepared.subjects, plan)
    out = {}
    for table in whole.tables:
        first, batches = 0, []
        for batch in source.batches(table.name):
            batches.append(treat_counted(looked_up, table.name, batch, first).batch)
            scanner.scan(table.name, batches[-1])
            first += batch.num_rows
        out[table.name] = pa.Table.from_batches(batches)
    scanner.verdict()
    return plan, out


STRICT = Safeguards(dates=DateRule.SHIFT, text=TextRule.REDACT)


def values(tables: dict[str, pa.Table], qualifier: str) -> list[str | None]:
    supp = tables["SUPPDM"]
    pairs = zip(supp["QNAM"].to_pylist(), supp["QVAL"].to_pylist(), strict=True)
    return [value for name, value in pairs if name == qualifier]


def test_each_qualifier_is_treated_by_its_own_line() -> None:
    plan, tables = released(STRICT)
    (column,) = [planned for planned in plan.of("SUPPDM") if planned.column == "QVAL"]
    assert {part.column: part.act for part in column.parts} == {
        "RACE1": Act.GENERALIZE, "RACE2": Act.GENERALIZE, "AEXDTC": Act.SHIFT, "FLAG": Act.KEEP,
        "SITENAM": Act.REMOVE, "LABREF": Act.RECODE, "NOTE": Act.REDACT,
    }  # fmt: skip
    assert set(values(tables, "FLAG")) == {"Y"}
    assert len(set(values(tables, "LABREF"))) == 5
    assert not {f"ref{at}" for at in range(5)} & set(values(tables, "LABREF"))
    assert all("S-10" not in str(text) and "2014" not in str(text) for text in values(tables, "NOTE"))


def test_rows_of_a_removed_qualifier_leave_with_it_and_no_others() -> None:
    _, tables = released(STRICT)
    assert values(tables, "SITENAM") == []
    assert "SITENAM" not in tables["SUPPDM"]["QNAM"].combine_chunks().dictionary_encode().dictionary.to_pylist()
    assert tables["SUPPDM"].num_rows == 40 * 4 + 2


def test_case_01_dates_among_qualifiers_move_with_the_subject_and_keep_their_precision() -> None:
    _, tables = released(STRICT)
    starts = dict(zip(tables["DM"]["USUBJID"].to_pylist(), tables["DM"]["RFSTDTC"].to_pylist(), strict=True))
    supp = tables["SUPPDM"].to_pylist()
    full = [row for row in supp if row["QNAM"] == "AEXDTC" and len(row["QVAL"]) == 10]
    gaps = {(np.datetime64(row["QVAL"]) - np.datetime64(starts[row["USUBJID"]])).astype(int) for row in full}
    original = {(np.datetime64(f"2014-03-{at % 28 + 1:02d}") - np.datetime64("2014-01-10")).astype(int)
                for at in range(0, 40, 2)}  # fmt: skip
    assert gaps == original
    assert sorted(map(len, values(tables, "AEXDTC"))) == [7] * 20 + [10] * 20  # type: ignore[arg-type]


def test_case_22_the_races_behind_multiple_climb_with_race() -> None:
    whole, source = study()
    table = classes.build(whole, source)
    assert table.names == ("RACE",)
    at = table.codes[table.subjects.index(WHO[0]), 0]
    held = {table.domains[0][member] for member in table.sets[0][at]}
    assert held == {"MULTIPLE", "WHITE", "ASIAN"}
    prepared = prepare(whole, whole, source, Safeguards(k=11, dates=DateRule.SHIFT, blank_limit=0.0), KEY)
    labels = label_maps(prepared, whole)["RACE"].labels
    _, tables = released(Safeguards(k=11, dates=DateRule.SHIFT, blank_limit=0.0))
    assert labels["WHITE"] != "WHITE"
    assert values(tables, "RACE1") == [labels["WHITE"] or None]
    assert values(tables, "RACE2") == [labels["ASIAN"] or None]


def test_a_blanked_subject_has_no_race_among_the_qualifiers_either() -> None:
    _, tables = released(Safeguards(k=11, dates=DateRule.SHIFT))
    assert "MULTIPLE" not in tables["DM"]["RACE"].to_pylist()
    assert values(tables, "RACE1") == values(tables, "RACE2") == []
    assert set(values(tables, "FLAG")) == {"Y"}


def test_a_qualifier_that_the_column_file_does_not_name_stops_the_release() -> None:
    with pytest.raises(Unresolved, match="does not say what a qualifier in `QNAM` is") as caught:
        released(STRICT, more=((WHO[0], "SURPRISE", "unseen"),))
    assert str(caught.value.places[0]) == "`SUPPDM.QVAL` row 203"
    assert "unseen" not in str(caught.value)
    with pytest.raises(Unresolved, match="QNAM"):
        released(STRICT, more=((WHO[0], "", "unseen"),))


def test_an_unsettled_qualifier_stops_the_plan() -> None:
    parts = (*PARTS[:-1], Column("NOTE", Role.UNRESOLVED))
    with pytest.raises(Unresolved, match="settled role"):
        released(STRICT, parts=parts)


def test_a_qualifier_date_that_no_rule_reads_stops_the_release_with_its_row() -> None:
    with pytest.raises(Unreadable) as caught:
        released(STRICT, more=((WHO[0], "AEXDTC", "sty-91"),))
    assert caught.value.places[0].rows == (203,)
    assert "sty" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "lengths"),
    [(DateRule.MONTH, {7}), (DateRule.YEAR, {4}), (DateRule.STUDY_DAY, {2}), (DateRule.DROP, set())],
)
def test_every_date_rule_reaches_qualifiers(rule: DateRule, lengths: set[int]) -> None:
    _, tables = released(Safeguards(dates=rule, text=TextRule.REDACT))
    assert {len(text) for text in values(tables, "AEXDTC") if text} == lengths
