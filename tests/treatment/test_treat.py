"""The kernel: every column treated as planned, nothing that nobody planned."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pseudonymization import treat as kernel
from pseudonymization.cells import canonical
from pseudonymization.classes import spelled
from pseudonymization.columns import Column, Handling, Kind, Role, Study, Table
from pseudonymization.faults import Unreadable, Unresolved
from pseudonymization.lookups import LabelMap
from pseudonymization.plan import Act, ColumnPlan, Plan
from pseudonymization.safeguards import DateRule, Safeguards, TimeOfDay

Small = tuple[Study, Any]


def rows(table: pa.Table) -> list[dict[str, object]]:
    found: list[dict[str, object]] = table.to_pylist()
    return found


def test_every_column_is_treated_as_its_role_asks(small: Small, release: Callable[..., Any]) -> None:
    done = release(*small)
    names = dict(zip(done.subjects.ids.to_pylist(), done.lookups.pseudonyms.to_pylist(), strict=True))
    first, second, third = rows(done.tables["dm"])
    assert "NAME" not in first
    assert [row["USUBJID"] for row in (first, second, third)] == [
        names[i] for i in ("S1-104-20031", "S1-103-20012", "S1-103-20011")
    ]
    assert [row["SUBJID"] for row in (first, second)] == [first["USUBJID"], second["USUBJID"]]
    assert [row["SITEID"] for row in (first, second, third)] == ["code 1", "code 0", "code 0"]
    assert second["INVNAM"] == third["INVNAM"] != first["INVNAM"]
    assert not {"Ada Quill", "Bo Marsh"} & {first["INVNAM"], second["INVNAM"]}
    assert [row["AGE"] for row in (first, second, third)] == [61.0, 45.0, None]
    assert first["NOTE"] == "--redacted-- (--redacted--) was seen on --redacted-- by Dr --redacted--"
    assert second["NOTE"] == "nothing to report"
    assert third["NOTE"] == "see --redacted--/--redacted--"


def test_ids_inside_ids_follow_the_subject(small: Small, release: Callable[..., Any]) -> None:
    done = release(*small)
    first, second, third = rows(done.tables["ae"])
    assert first["AELNKID"] == f"{first['USUBJID']}-E01"
    assert second["AELNKID"] == f"{first['USUBJID']}.2"
    assert third["AELNKID"] == "E03"


def test_all_dates_of_a_subject_move_together_in_every_kind_of_column(
    small: Small, release: Callable[..., Any]
) -> None:
    done = release(*small)
    shift = dict(zip(done.subjects.ids.to_pylist(), done.lookups.shifts.tolist(), strict=False))["S1-104-20031"]
    start = date.fromisoformat(rows(done.tables["dm"])[0]["RFSTDTC"])
    _, second, third = rows(done.tables["ae"])
    assert (start - date(2013, 7, 19)).days == shift
    assert (date.fromisoformat(third["AESTDTC"][:10]) - start).days == 1
    assert third["AESTDTC"][10:] == "T08:15"
    assert (second["AEDT"] - start).days == 1
    assert (third["AEDTM"] - datetime(1970, 1, 1)).days == shift  # noqa: DTZ001
    assert done.tables["ae"].schema.field("AEDT").type == pa.date32()


def test_blanked_subjects_lose_their_quasi_identifiers_in_every_table(
    small: Small, release: Callable[..., Any]
) -> None:
    study, source = small
    ids = ["S1-103-20011", "S1-103-20012", "S1-104-20031"]
    done = release(study, source, blanked=np.array([False, False, True]))
    assert done.subjects.ids.to_pylist() == ids
    first, second, _ = rows(done.tables["dm"])
    assert (first["AGE"], first["COUNTRY"], first["SITEID"]) == (None, None, None)
    assert (second["AGE"], second["COUNTRY"]) == (45.0, "FR")
    assert first["RFSTDTC"] is not None


def test_labels_replace_values_and_a_missing_one_may_have_its_own(small: Small, release: Callable[..., Any]) -> None:
    labels = {
        "AGE": LabelMap({"61": "60-69", "45": "40-49", "": "*"}),
        "COUNTRY": LabelMap({"DEU": "Europe", "FR": "Europe", "Narnia": "elsewhere"}),
        "SITEID": LabelMap({"104": "*", "103": "*"}),
    }
    done = release(*small, labels=labels)
    assert done.tables["dm"].column("AGE").to_pylist() == ["60-69", "40-49", "*"]
    assert done.tables["dm"].column("COUNTRY").to_pylist() == ["Europe", "Europe", "elsewhere"]
    assert done.tables["dm"].column("SITEID").to_pylist() == ["*", "*", "*"]


def test_a_value_without_a_label_stops_with_its_row(small: Small, release: Callable[..., Any]) -> None:
    labels = {
        "AGE": LabelMap({"61": "61"}, Kind.NUMBER),
        "COUNTRY": LabelMap({"DEU": "a", "FR": "b", "Narnia": "c"}),
        "SITEID": LabelMap({"104": "*", "103": "*"}),
    }
    with pytest.raises(Unresolved, match=r"`dm.AGE` row 2") as caught:
        release(*small, labels=labels)
    assert "45" not in str(caught.value)


def test_the_schema_is_known_before_the_rows(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    for name, table in source.tables.items():
        promised = kernel.schema(done.lookups, name, table.schema)
        assert promised == done.tables[name].schema
        empty = kernel.treat(done.lookups, name, pa.RecordBatch.from_pylist([], schema=table.schema))
        assert empty.schema == promised
        assert empty.num_rows == 0


def test_labels_of_columns_stay_and_all_other_metadata_goes(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    table = source.tables["dm"]
    marked = [field.with_metadata({"label": "A label", "codelist": "103=Mercy"}) for field in table.schema]
    schema = kernel.schema(done.lookups, "dm", pa.schema(marked, metadata={"pandas": "index of originals"}))
    assert schema.metadata is None
    assert all(field.metadata == {b"label": b"A label"} for field in schema)
    assert kernel.schema(done.lookups, "dm", table.schema).field("NOTE").metadata == {b"label": b"Investigator's note"}


def test_only_a_column_that_is_kept_is_not_null_if_the_original_is(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    full = pa.schema([field.with_nullable(nullable=False) for field in source.tables["ae"].schema])
    found = kernel.schema(done.lookups, "ae", full)
    kept = {planned.column for planned in done.plan.of("ae") if planned.act is Act.KEEP}
    assert kept
    assert {field.name for field in found if not field.nullable} == kept
    assert all(field.nullable for field in kernel.schema(done.lookups, "ae", source.tables["ae"].schema))


def test_a_column_that_nobody_planned_never_passes(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    batch = next(source.batches("ae"))
    more = batch.append_column("SECRET", pa.array(["x"] * batch.num_rows))
    with pytest.raises(Unresolved, match=r"`ae.SECRET`"):
        kernel.treat(done.lookups, "ae", more)
    with pytest.raises(Unresolved, match=r"`ae.AESEQ`"):
        kernel.treat(done.lookups, "ae", batch.drop_columns(["AESEQ"]))


def test_a_subject_that_nobody_collected_stops_with_its_row(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    batch = next(source.batches("ae"))
    strange = batch.set_column(0, "USUBJID", pa.array(["S1-103-20011", "S1-999-99999"]).dictionary_encode())
    with pytest.raises(Unresolved, match=r"`ae.USUBJID` row 12") as caught:
        kernel.treat(done.lookups, "ae", strange, first_row=10)
    assert "99999" not in str(caught.value)


def test_a_bad_date_stops_and_a_date_of_nobody_too(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    batch = next(source.batches("ae"))
    with pytest.raises(Unreadable, match=r"`ae.AESTDTC` row 2"):
        kernel.treat(done.lookups, "ae", batch.set_column(4, "AESTDTC", pa.array(["2013", "04JUL2013"])))
    nobody = batch.set_column(0, "USUBJID", pa.array(["S1-103-20011", ""]))
    with pytest.raises(Unresolved, match=r"without a subject .`ae.AESTDTC` row 2"):
        kernel.treat(done.lookups, "ae", nobody)


def test_plain_numbers_are_no_dates(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    batch = next(source.batches("ae"))
    with pytest.raises(Unresolved, match="from which day they count"):
        kernel.treat(done.lookups, "ae", batch.set_column(4, "AESTDTC", pa.array([19725.0, 1.0])))


@pytest.mark.parametrize(
    ("column", "act", "says"),
    [
        ("NAME", Act.KEEP, "may not be kept"),
        ("USUBJID", Act.KEEP, "may not be kept"),
        ("USUBJID", Act.RECODE, "nothing else, gets a pseudonym"),
        ("NOTE", Act.PSEUDONYM, "nothing else, gets a pseudonym"),
        ("RFSTDTC", Act.GENERALIZE, "no labels"),
        ("NOSUCH", Act.KEEP, "lacks"),
    ],
)
def test_a_plan_that_lets_an_identifier_through_is_refused(
    small: Small, release: Callable[..., Any], column: str, act: Act, says: str
) -> None:
    plan = release(*small).plan
    wrong = tuple(c for c in plan.columns if (c.table, c.column) != ("dm", column))
    with pytest.raises(Unresolved, match=says):
        release(*small, plan=replace(plan, columns=(*wrong, ColumnPlan("dm", column, act, "kept"))))


def test_dates_that_span_a_lifetime_of_the_shift_are_refused(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    old = source.tables["ae"].set_column(4, "AESTDTC", pa.array(["1870-01-01", "2013", "2013"]))
    with pytest.raises(Unresolved, match="span as many years"):
        release(study, replace(source, tables={**source.tables, "ae": old}))


def test_dates_can_be_cut_counted_or_dropped(small: Small, release: Callable[..., Any]) -> None:
    cut = release(*small, date_act=Act.TRUNCATE_MONTH).tables["ae"]
    assert cut.column("AESTDTC").to_pylist() == ["2013", "2013-07", "2013-07"]
    assert cut.column("AEDTM").to_pylist() == ["2013-07", None, "1970-01"]
    counted = release(*small, date_act=Act.STUDY_DAY).tables["ae"]
    assert counted.column("AESTDTC").to_pylist() == [None, None, 2]
    assert counted.column("AEENDTC").to_pylist() == [1, -16, None]  # without RFSTDTC: from the earliest complete date
    assert counted.column("AEDT").to_pylist() == [None, 2, -506]
    assert "AESTDTC" not in release(*small, date_act=Act.REMOVE).tables["ae"].column_names


def test_time_of_day_can_be_dropped(small: Small, release: Callable[..., Any]) -> None:
    done = release(*small, safeguards=Safeguards(dates=DateRule.SHIFT, time_of_day=TimeOfDay.DROP)).tables["ae"]
    assert [len(text) for text in done.column("AESTDTC").to_pylist()] == [4, 7, 10]
    assert done.column("AEDTM").cast(pa.int64()).to_pylist()[0] % 86_400_000_000 == 0


def test_a_dictionary_never_lists_what_no_row_uses(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    batch = next(source.batches("ae"))
    crowded = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int32()), pa.array(["ELSEWHERE", "FALL", "SECRET"]))
    treated = kernel.treat(done.lookups, "ae", batch.set_column(2, "AETERM", crowded))
    assert treated.column("AETERM").dictionary.to_pylist() == ["FALL"]
    one = kernel.treat(done.lookups, "ae", batch.slice(0, 1))
    assert one.column("USUBJID").dictionary.to_pylist() == rows(done.tables["ae"])[0]["USUBJID"].split()


def test_batches_of_any_size_give_the_same_rows(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    whole = release(study, replace(source, size=100))
    for size in (1, 2):
        parts = release(study, replace(source, size=size))
        assert all(rows(parts.tables[name]) == rows(whole.tables[name]) for name in whole.tables)


def test_flips_and_redactions_are_counted(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    lookups = release(study, source).lookups
    total = kernel.Tally()
    for name in ("dm", "ae"):
        first = 0
        for batch in source.batches(name):
            total += kernel.treat_counted(lookups, name, batch, first).tally
            first += batch.num_rows
    assert total.redacted["dm", "NOTE", "subject id"] == 2
    assert total.redacted["dm", "NOTE", "date"] == 1
    assert total.redacted["dm", "NOTE", "identifier"] == 3
    assert total.flips["ae", "AESTDTC"].partial == 2
    assert total.flips["ae", "AEENDTC"].partial == 1


def test_a_code_of_what_is_generalized_does_not_stay_inside_an_id(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    link = pa.array(["103-E01", "104", "x"])
    ae = source.tables["ae"].set_column(3, "AELNKID", link)
    done = release(study, replace(source, tables={**source.tables, "ae": ae}))
    assert done.tables["ae"].column("AELNKID").to_pylist() == ["--redacted---E01", "--redacted--", "x"]


def test_findings_that_are_numbers_are_not_taken_for_ids(release: Callable[..., Any]) -> None:
    from_dm = Table("dm", (Column("ID", Role.SUBJECT_KEY), Column("SUBJID", Role.DIRECT)), "DM")
    results = Table(
        "lb",
        (Column("ID", Role.SUBJECT_KEY), Column("QVAL", Role.SENSITIVE, handling=Handling.EMBEDDED)),
        "LB",
    )
    study = Study("S", (from_dm, results), "DE")
    held = {
        "dm": pa.table({"ID": ["01-1015", "01-1016"], "SUBJID": ["1015", "1016"]}),
        "lb": pa.table({"ID": ["01-1015", "01-1016"], "QVAL": ["1015", "as 1015"]}),
    }
    done = release(study, _held(held))
    name = done.lookups.pseudonyms[0].as_py()
    assert done.tables["lb"].column("QVAL").to_pylist() == ["1015", f"as {name}"]


def _held(tables: dict[str, pa.Table]) -> object:
    class Source:
        def __init__(self) -> None:
            self.tables = tables

        def batches(self, table: str, columns: list[str] | None = None) -> object:
            return (tables[table].select(columns) if columns else tables[table]).to_batches()

    return Source()


def test_trial_level_dates_have_no_shift(release: Callable[..., Any]) -> None:
    dm = Table("dm", (Column("ID", Role.SUBJECT_KEY),), "DM")
    ts = Table("ts", (Column("TSDTC", Role.DATE),), "TS")
    held = _held({"dm": pa.table({"ID": ["a1"]}), "ts": pa.table({"TSDTC": ["2013-07-04"]})})
    with pytest.raises(Unresolved, match="without a subject"):
        release(Study("S", (dm, ts), "DE"), held)
    done = release(Study("S", (dm, ts), "DE"), held, date_act=Act.TRUNCATE_YEAR)
    assert done.tables["ts"].column("TSDTC").to_pylist() == ["2013"]


def test_values_are_spelled_as_the_class_table_spells_them() -> None:
    for value in (
        None,
        float("nan"),
        "",
        61,
        61.0,
        0.1,
        -0.0,
        1e20,
        True,
        date(2013, 7, 4),
        "61.0",
        datetime(2013, 7, 4),  # noqa: DTZ001
    ):
        assert spelled(pa.array([value]))[1] == [canonical(value)]


def test_a_plan_read_back_treats_the_same(small: Small, release: Callable[..., Any]) -> None:
    done = release(*small)
    again = release(*small, plan=Plan.from_dict(done.plan.to_dict()))
    assert {name: rows(table) for name, table in again.tables.items()} == {
        name: rows(table) for name, table in done.tables.items()
    }


def test_blanked_subjects_lose_a_quasi_identifier_that_is_kept_as_it_is(
    small: Small, release: Callable[..., Any]
) -> None:
    plan = release(*small).plan
    kept = tuple(replace(c, act=Act.KEEP) if c.column == "COUNTRY" else c for c in plan.columns)
    done = release(*small, plan=replace(plan, columns=kept), blanked=np.array([False, False, True]))
    assert done.tables["dm"].column("COUNTRY").to_pylist() == [None, "FR", "Narnia"]


def test_recoded_columns_share_their_codes_by_namespace(release: Callable[..., Any]) -> None:
    def site(name: str) -> Column:
        return Column(name, Role.DIRECT, handling=Handling.RECODE, namespace="site")

    dm = Table("dm", (Column("ID", Role.SUBJECT_KEY), site("SITEID")), "DM")
    ds = Table(
        "ds", (Column("ID", Role.SUBJECT_KEY), site("NEWSITE"), Column("REF", Role.KEPT, handling=Handling.RECODE))
    )
    held = {
        "dm": pa.table({"ID": ["a1", "a2", "a3"], "SITEID": ["701", "702", ""]}),
        "ds": pa.table({"ID": ["a1", "a2"], "NEWSITE": ["702", "703"], "REF": ["R1", None]}),
    }
    done = release(Study("S", (dm, ds), "DE"), _held(held))
    first, second, third = done.tables["dm"].column("SITEID").to_pylist()
    moved = done.tables["ds"].column("NEWSITE").to_pylist()
    assert (moved[0], third) == (second, None)
    assert len({first, second, moved[1]}) == 3
    assert all(code.startswith("C-") for code in (first, second, *moved))
    assert done.tables["ds"].column("REF").to_pylist()[0].startswith("C-")


def test_an_id_that_could_be_two_subjects_is_redacted(release: Callable[..., Any]) -> None:
    link = Column("LINK", Role.DIRECT, handling=Handling.EMBEDDED)
    dm = Table("dm", (Column("ID", Role.SUBJECT_KEY), Column("SUBJID", Role.DIRECT)), "DM")
    ae = Table("ae", (Column("ID", Role.SUBJECT_KEY), link), "AE")
    held = {
        "dm": pa.table({"ID": ["A-701-11", "B-701-11", "B-702-12"], "SUBJID": ["11", "11", "12"]}),
        "ae": pa.table({"ID": ["A-701-11"] * 3, "LINK": ["701-11-E1", "11-E1", "702-12-E1"]}),
    }
    done = release(Study("S", (dm, ae), "DE"), _held(held))
    last = done.lookups.pseudonyms[2].as_py()
    assert done.tables["ae"].column("LINK").to_pylist() == ["--redacted---E1", "--redacted---E1", f"{last}-E1"]


def test_a_date_beyond_the_year_9999_stops(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    lookups = release(study, source).lookups
    batch = next(source.batches("ae"))
    with pytest.raises(Unreadable, match=r"`ae.AESTDTC` row 1"):
        kernel.treat(lookups, "ae", batch.set_column(4, "AESTDTC", pa.array(["9990-01-01", "2013"])))
    late = pa.array([None, date(9990, 1, 1)], pa.date32())
    with pytest.raises(Unreadable, match=r"`ae.AEDT` row 2"):
        kernel.treat(lookups, "ae", batch.set_column(6, "AEDT", late))


def test_the_dictionary_of_pseudonyms_does_not_tell_the_order_of_the_ids(pilot_release: Any) -> None:
    batch = kernel.treat(pilot_release.lookups, "dm", next(pilot_release.source.batches("dm")))
    listed = batch.column("USUBJID").dictionary.to_pylist()
    assert len(listed) == 306
    assert listed == sorted(listed)


def test_a_format_goes_with_the_values_it_described(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    table = source.tables["ae"]
    schema = pa.schema([field.with_metadata({"format": "DATE9.", "width": "9"}) for field in table.schema])
    moved, cut = (release(study, source, date_act=act).lookups for act in (Act.SHIFT, Act.TRUNCATE_YEAR))
    assert kernel.schema(moved, "ae", schema).field("AEDT").metadata == {b"format": b"DATE9.", b"width": b"9"}
    assert kernel.schema(cut, "ae", schema).field("AEDT").metadata is None
