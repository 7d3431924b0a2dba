"""Rows that do not fit: each is named with table, variable and row numbers, never a value, and a steward chooses."""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from gateway.catalogue.profile import profile_study
from gateway.catalogue.propose import propose
from gateway.formats import FileSource, Folder
from gateway.release.extract import FilteredSource
from gateway.release.sound import check_encodings, check_ids, faults
from pseudonymization.columns import Study
from pseudonymization.faults import DataFault, Unresolved
from pseudonymization.options import DEFAULT, MixedIds, Options, Unfit
from pseudonymization.subjects import collect

Written = Callable[..., Folder]
WHO = [f"S-10-{at}" for at in range(1001, 1013)]
DM = "STUDYID,DOMAIN,USUBJID,AGE,RFSTDTC\n" + "".join(f"S,DM,{who},50,2014-01-02\n" for who in WHO)
AE = "STUDYID,DOMAIN,USUBJID,AESEQ,AESTDTC\n" + "".join(f"S,AE,{who},1,2014-02\n" for who in WHO)
SUPP = "STUDYID,RDOMAIN,USUBJID,IDVAR,IDVARVAL,QNAM,QLABEL,QVAL\n" + "".join(
    f"S,AE,{who},AESEQ,1,AETRTEM,L,Y\n" for who in WHO
)
LOST = "S,AE,S-10-9999,1,2014-02\n"
CHILD = "S,AE,S-10-1003,AESEQ,7,AETRTEM,L,Y\n"


def told(folder: Folder, options: Options = DEFAULT) -> tuple[Study, FilteredSource, set[tuple[str, str, str]]]:
    study = replace(propose(profile_study(folder), name="s", country="US"), options=options)
    files = FileSource(folder.path)
    encodings = [(table.name, table.encoding) for table in folder]
    found = {(f.kind, str(f.place), f.choices) for f in faults(study, files, encodings)}
    return study, FilteredSource(files, (), study), found


def rows(source: FilteredSource, table: str) -> int:
    return sum(batch.num_rows for batch in source.batches(table))


def test_a_sound_study_has_no_fault(study: Written) -> None:
    whole, source, found = told(study(dm=DM, ae=AE, suppae=SUPP))
    assert found == set()
    assert len(collect(whole, source)) == len(WHO)
    assert rows(source, "SUPPAE") == len(WHO)


BAD = [
    ({"dm": DM, "ae": AE + LOST}, ("a subject that DM lacks", "`AE.USUBJID` row 13", "orphans")),
    ({"dm": DM + "S,DM,S-10-1002,61,2014-01-05\n", "ae": AE},
     ("two rows of one subject", "`DM.USUBJID` rows 2, 13", "duplicates")),
    ({"dm": DM, "ae": AE, "suppae": SUPP + CHILD},
     ("a qualifier without its record", "`SUPPAE.IDVARVAL` row 13", "parents")),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "fault"), BAD)
def test_a_row_that_does_not_fit_is_named_and_stops_the_release(
    study: Written, tables: dict[str, str], fault: tuple[str, str, str]
) -> None:
    whole, source, found = told(study(**tables))
    assert fault in found

    def read() -> None:
        collect(whole, source)
        rows(source, "SUPPAE")

    with pytest.raises(DataFault) as caught:
        read()
    assert "row" in str(caught.value)
    assert "9999" not in str(caught.value) + str(found)


@pytest.mark.parametrize(
    ("at", "option", "left"),
    [(0, "orphans", {"DM": 12, "AE": 12}), (1, "duplicates", {"DM": 11, "AE": 11}),
     (2, "parents", {"DM": 12, "AE": 12, "SUPPAE": 12})],
)  # fmt: skip
def test_the_steward_may_have_it_left_out(study: Written, at: int, option: str, left: dict[str, int]) -> None:
    whole, source, _ = told(study(**BAD[at][0]), replace(DEFAULT, **{option: Unfit.DROP}))
    assert {table: rows(source, table) for table in left} == left
    collect(whole, source)


def test_a_date_that_no_rule_can_read_is_named(study: Written) -> None:
    _, _, found = told(study(dm=DM, ae=AE + "S,AE,S-10-1001,2,sty-91\n"))
    assert {("a date that no rule can read", "`AE.AESTDTC` row 13", "")} <= found
    assert "sty" not in str(found)


def test_an_id_column_of_mixed_types_is_named(study: Written) -> None:
    _, _, found = told(study(dm=DM + "S,DM,1077,50,2014-01-02\n"))
    assert ("ids of mixed types", "`DM.USUBJID` row 13", "mixed_ids") in found


def test_ids_of_mixed_types_stop_until_the_steward_takes_them_as_text(study: Written) -> None:
    whole, source, _ = told(study(dm=DM + "S,DM,1077,50,2014-01-02\n"))
    ids = collect(whole, source).ids
    with pytest.raises(Unresolved, match="others are not") as caught:
        check_ids(whole, source, ids)
    assert [str(place) for place in caught.value.places] == ["`DM.USUBJID` row 13"]
    assert "1077" not in f"{caught.value} {caught.value.cure}"
    check_ids(replace(whole, options=Options(mixed_ids=MixedIds.AS_TEXT)), source, ids)
    check_ids(whole, source, ids.slice(1))


def test_text_that_is_not_utf_8_stops_until_the_steward_names_its_encoding(study: Written) -> None:
    whole, _, _ = told(study(dm=DM))
    read = [("DM", "utf-8"), ("TS", "windows-1252")]
    with pytest.raises(Unresolved, match="not UTF-8") as caught:
        check_encodings(whole, read)
    assert [str(place) for place in caught.value.places] == ["`TS`"]
    assert "encodings: [TS=windows-1252]" in caught.value.cure
    check_encodings(replace(whole, options=Options(encodings=("TS=windows-1252",))), read)
    with pytest.raises(Unresolved):
        check_encodings(replace(whole, options=Options(encodings=("TS=latin-1",))), read)


def test_a_table_that_is_not_utf_8_is_named(pilot: Folder) -> None:
    (ts,) = [table for table in pilot if table.name == "TS"]
    whole = propose(profile_study([ts]), name="s", country="US")
    found = faults(whole, FileSource(pilot.path), [(ts.name, ts.encoding)])
    assert [(f.kind, str(f.place), f.choices) for f in found] == [
        ("not UTF-8: read as windows-1252", "`TS`", "encodings")
    ]


def test_sequence_numbers_join_whatever_their_type(study: Written) -> None:
    folder = study(dm=DM, ae=AE.replace(",1,2014", ",1.0,2014"), suppae=SUPP)
    _, source, found = told(folder)
    assert found == set()
    assert rows(source, "SUPPAE") == len(WHO)


def test_a_whole_missing_parent_table_is_no_parent(study: Written) -> None:
    _, source, _ = told(study(dm=DM, suppae=SUPP))
    with pytest.raises(Unresolved, match="no record that it belongs to"):
        rows(source, "SUPPAE")


def test_only_the_columns_asked_for_come_back(study: Written) -> None:
    _, source, _ = told(study(dm=DM, ae=AE, suppae=SUPP), replace(DEFAULT, orphans=Unfit.DROP))
    (batch,) = source.batches("SUPPAE", ["QVAL"])
    assert isinstance(batch, pa.RecordBatch)
    assert batch.schema.names == ["QVAL"]
