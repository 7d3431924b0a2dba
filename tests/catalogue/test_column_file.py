"""The column file says what the study is, comes back the same, keeps a steward's comments, and names its faults."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue import columnfile
from gateway.catalogue.columnfile import accept, canonical, differences, dumps, loads, unresolved, version_id
from gateway.catalogue.profile import profile_study
from gateway.catalogue.propose import propose
from gateway.errors import Invalid
from gateway.formats import Folder
from pseudonymization.columns import Column, ColumnRef, Handling, Kind, Role, Study, Table

TEXT = """\
# a comment at the top
format: 1
study: pilot
accepted: true
subject_key: USUBJID
country: {column: DM.COUNTRY}
baseline: DM.RFSTDTC
tables:
  DM:
    domain: DM
    label: Demographics
    columns:
      USUBJID: {role: subject_key}
      COUNTRY: {role: quasi, hierarchy: country}   # asked the sponsor
      AGE: {role: quasi, hierarchy: age, kind: number, label: Age}
      RFSTDTC: {role: date}
      # the steward's own line
      RELID: {role: direct, handling: embedded}
      ODD: {role: kept, certain: false, because: a number nobody has named}
"""


def small() -> Study:
    return loads(TEXT)


def test_a_column_file_is_read() -> None:
    study = small()
    assert (study.name, study.country, study.baseline) == (
        "pilot", ColumnRef("DM", "COUNTRY"), ColumnRef("DM", "RFSTDTC"),
    )  # fmt: skip
    assert study["DM"]["AGE"] == Column("AGE", Role.QUASI, Kind.NUMBER, "Age", hierarchy="age")
    assert study["DM"]["RELID"].handling is Handling.EMBEDDED


def test_what_is_not_settled_is_unresolved_and_seen_as_a_proposal_only_on_request() -> None:
    assert small()["DM"]["ODD"].role is Role.UNRESOLVED
    assert [at for at, _ in unresolved(small())] == [ColumnRef("DM", "ODD")]
    assert loads(TEXT, proposals=True)["DM"]["ODD"].role is Role.KEPT
    settled = TEXT.replace("certain: false, ", "")
    assert unresolved(loads(settled)) == []


def test_nothing_of_an_unaccepted_file_is_resolved() -> None:
    study = loads(TEXT.replace("accepted: true", "accepted: false"))
    assert {column.role for column in study["DM"].columns} == {Role.UNRESOLVED}


def test_the_real_study_comes_back_the_same(pilot: Folder) -> None:
    study = propose(profile_study(pilot), name="pilot")
    text = dumps(study)
    assert loads(text, proposals=True) == study
    assert loads(text) == accept(study)
    assert loads(dumps(accept(study))) == accept(study)
    assert dumps(study, previous=text) == text
    assert differences(study, pilot) == []


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=15)
columns = st.builds(
    Column,
    st.text("ABCXYZ_0123456789 :#'\"é", min_size=1, max_size=8).filter(str.strip),
    st.sampled_from([Role.KEPT, Role.SENSITIVE, Role.DATE, Role.FREE_TEXT, Role.QUASI, Role.UNRESOLVED]),
    st.sampled_from(Kind),
    label=words, hierarchy=words, namespace=words, because=words,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(columns, min_size=1, max_size=5, unique_by=lambda c: c.name), words, words)
def test_any_study_comes_back_the_same(parts: list[Column], label: str, name: str) -> None:
    study = Study(name, (Table("NO", tuple(parts), "LB", label),), "USA")
    assert loads(dumps(study)) == study


def test_comments_stay_when_the_file_is_written_again() -> None:
    study = loads(TEXT, proposals=True)
    text = dumps(study, previous=TEXT)
    for comment in ("# a comment at the top", "# asked the sponsor", "# the steward's own line"):
        assert comment in text
    assert loads(text, proposals=True) == study


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("role: date", "role: dat", 16, "`RFSTDTC` has an unknown role"),
        ("role: date", "rol: date", 16, "unknown field `rol`"),
        ("kind: number", "kind: numeric", 15, "`AGE` has an unknown kind"),
        ("handling: embedded", "handling: kep", 18, "`RELID` has an unknown handling"),
        ("role: direct, handling: embedded", "role: direct, handling: redact", 18, "cannot be handled by `redact`"),
        ("{role: date}", "{hierarchy: age}", 16, "the field `role` is missing"),
        ("{role: date}", "date", 16, "not a map"),
        ("format: 1", "format: 2", 2, "not known"),
        ("accepted: true", "accepted: perhaps", 4, "neither true nor false"),
        ("COUNTRY: {", "AGE: {", 15, "not valid YAML, or names a thing twice"),
        ("{role: date}", "{role: date", 18, "not valid YAML"),
        ("column: DM.COUNTRY", "column: DM.NOPE", 6, "not in the file"),
        ("baseline: DM.RFSTDTC", "baseline: DM.X", 7, "not in the file"),
        ("{role: subject_key}", "{role: kept}", 13, "is the subject key"),
        ("{role: date}", "{role: subject_key}", 16, "two subject keys"),
        ("label: Age", "label: 5", 15, "not a text"),
        ("{column: DM.COUNTRY}", "USA", 6, "names a column or a constant"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line(old: str, new: str, line: int, reason: str) -> None:
    assert old in TEXT
    with pytest.raises(Invalid, match=reason) as caught:
        loads(TEXT.replace(old, new, 1), place="pilot.yaml")
    assert caught.value.place == f"pilot.yaml:{line}"
    assert caught.value.cure


@pytest.mark.parametrize("text", ["", "[]", "just words", "a: {"])
def test_what_is_no_column_file_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        loads(text)


def test_columns_that_the_data_or_the_file_lack_are_named(study: Callable[..., Folder]) -> None:
    folder = study(dm="USUBJID,COUNTRY,AGE,RFSTDTC,NEW\nA,DE,old,2014-01-02,1\n")
    found = {at.column: why for at, why in differences(small(), folder)}
    assert found == {
        "NEW": "in the data, not in the column file", "RELID": "in the column file, not in the data",
        "ODD": "in the column file, not in the data", "AGE": "stored as text, the column file says number",
    }  # fmt: skip


def test_layout_and_comments_do_not_change_the_version() -> None:
    one = loads(TEXT, proposals=True)
    two = loads(TEXT.replace("   # asked the sponsor", "").replace("format: 1\n", "\n\nformat: 1\n"), proposals=True)
    assert canonical(one) == canonical(two)
    assert version_id("c" * 64, one) == version_id("c" * 64, two)
    assert version_id("d" * 64, one) != version_id("c" * 64, one)
    changed = loads(TEXT.replace("hierarchy: age", "hierarchy: flat"), proposals=True)
    assert version_id("c" * 64, changed) != version_id("c" * 64, one)
    again = loads(canonical(one).decode(), proposals=True)
    assert canonical(again) == canonical(one)


def test_the_head_of_a_new_file_tells_the_steward_what_to_do() -> None:
    assert columnfile.dumps(small()).startswith("# Column file: what each column of the study is")


QUALIFIED = """\
format: 1
study: s
country: {constant: US}
tables:
  SUPPDM:
    columns:
      USUBJID: {role: subject_key}
      QNAM: {role: kept}
      QVAL:
        role: qualifier
        by: QNAM
        qualifiers:
          RACE1: {role: quasi, hierarchy: pool, follows: RACE}
          ODD: {role: kept, certain: false, because: nobody knows}
"""


def test_a_column_of_qualifiers_has_a_line_for_each_and_comes_back_the_same() -> None:
    study = loads(QUALIFIED, proposals=True)
    column = study["SUPPDM"]["QVAL"]
    assert (column.role, column.by, [part.name for part in column.qualifiers]) == (
        Role.QUALIFIER, "QNAM", ["RACE1", "ODD"],
    )  # fmt: skip
    assert study.quasi_identifiers() == {"RACE": (ColumnRef("SUPPDM", "QVAL", "RACE1"),)}
    text = dumps(study)
    assert "          RACE1: {" in text
    assert loads(text, proposals=True) == study


def test_each_qualifier_is_settled_by_itself() -> None:
    study = loads(QUALIFIED)
    assert unresolved(study) == [(ColumnRef("SUPPDM", "QVAL", "ODD"), "proposed as kept: nobody knows")]
    assert study.at(ColumnRef("SUPPDM", "QVAL", "RACE1")).role is Role.QUASI
    waiting = loads(QUALIFIED.replace("study: s", "study: s\naccepted: false"))
    assert waiting["SUPPDM"]["QVAL"].role is Role.UNRESOLVED


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("        by: QNAM\n", "", 10, "needs `by` and `qualifiers`"),
        ("by: QNAM", "by: NAME", 9, "goes by a column that is not there"),
        ("role: quasi,", "role: subject_key,", 13, "cannot be a subject_key"),
        ("{role: kept}", "{role: kept, by: QVAL}", 8, "needs `by` and `qualifiers`"),
        ("follows: RACE", "folows: RACE", 13, "unknown field `folows`"),
    ],
)  # fmt: skip
def test_a_fault_among_qualifiers_is_named_with_its_line(old: str, new: str, line: int, reason: str) -> None:
    assert old in QUALIFIED
    with pytest.raises(Invalid, match=reason) as caught:
        loads(QUALIFIED.replace(old, new, 1), place="s.yaml")
    assert caught.value.place == f"s.yaml:{line}"
