"""What is proposed for real and invented studies: nothing identifying is kept, and what is doubtful waits."""

from collections.abc import Callable

import pytest

from gateway.catalogue.columnfile import accept, unresolved
from gateway.catalogue.profile import profile_study
from gateway.catalogue.propose import propose
from gateway.catalogue.rules import parse, variable_rules
from gateway.catalogue.shapes import DATE_INSIDE, EMAIL, ISO_DATE, PHONE, IdSet, is_country
from gateway.errors import Broken
from gateway.formats import Folder
from pseudonymization.columns import Column, ColumnRef, Handling, Kind, Role, Study

REQUESTED = ("DM", "AE", "LB", "CM", "MH", "DS", "SV", "RELREC", "SUPPAE", "SUPPDM")
Written = Callable[..., Folder]


@pytest.fixture(scope="session")
def proposed(pilot: Folder) -> Study:
    return propose(profile_study(pilot), name="pilot")


@pytest.fixture(scope="session")
def proposed_adam(pilot_adam: Folder) -> Study:
    return propose(profile_study(pilot_adam), name="pilot-adam", country="USA")


def of(folder: Folder, table: str, column: str) -> Column:
    return propose(profile_study(folder), name="s")[table][column]


def test_the_requested_pilot_tables_have_nothing_unresolved(proposed: Study) -> None:
    assert [at for at, _ in unresolved(accept(proposed)) if at.table in REQUESTED] == []


def test_elsewhere_in_the_pilot_only_subject_characteristics_wait(proposed: Study, proposed_adam: Study) -> None:
    waiting = {(at.table, at.column) for at, _ in unresolved(accept(proposed))}
    assert waiting == {("SC", "SCORRES"), ("SC", "SCSTRESC"), ("SC", "SCSTRESN")}
    assert unresolved(accept(proposed_adam)) == []


def test_country_and_baseline_are_found_or_said_to_be_missing(proposed: Study, pilot_adam: Folder) -> None:
    assert proposed.country == ColumnRef("DM", "COUNTRY")
    assert proposed.baseline == ColumnRef("DM", "RFSTDTC")
    without = propose(profile_study(pilot_adam), name="pilot-adam")
    assert [at for at, _ in unresolved(without)] == [ColumnRef("", "country")]


@pytest.mark.parametrize(
    ("table", "column", "role", "handling", "hierarchy"),
    [
        ("DM", "USUBJID", Role.SUBJECT_KEY, None, ""), ("DM", "SUBJID", Role.DIRECT, Handling.REMOVE, ""),
        ("DM", "SITEID", Role.QUASI, Handling.RECODE, "site"), ("DM", "AGE", Role.QUASI, None, "age"),
        ("DM", "SEX", Role.QUASI, None, "flat"), ("DM", "COUNTRY", Role.QUASI, None, "country"),
        ("DM", "RACE", Role.QUASI, None, "pool"), ("DM", "ARM", Role.KEPT, None, ""),
        ("DM", "DTHFL", Role.SENSITIVE, None, ""),
        ("DM", "RFICDTC", Role.DATE, None, ""), ("AE", "AETERM", Role.FREE_TEXT, None, ""),
        ("AE", "AEDECOD", Role.SENSITIVE, None, ""), ("AE", "AESPID", Role.DIRECT, Handling.RECODE, ""),
        ("AE", "AESTDTC", Role.DATE, None, ""), ("AE", "AESTDY", Role.KEPT, None, ""),
        ("CM", "CMTRT", Role.FREE_TEXT, None, ""),
        ("EX", "EXTRT", Role.KEPT, None, ""), ("DS", "DSTERM", Role.FREE_TEXT, None, ""),
        ("MH", "MHTERM", Role.FREE_TEXT, None, ""),
        ("RELREC", "RELID", Role.DIRECT, Handling.EMBEDDED, ""), ("RELREC", "IDVARVAL", Role.KEPT, None, ""),
        ("SUPPAE", "QVAL", Role.QUALIFIER, None, ""), ("LB", "LBORRES", Role.KEPT, None, ""),
        ("TS", "TSVAL", Role.KEPT, None, ""),
    ],
)  # fmt: skip
def test_pilot_columns_play_their_part(
    proposed: Study, table: str, column: str, role: Role, handling: Handling | None, hierarchy: str
) -> None:
    found = proposed[table][column]
    assert (found.role, found.handling, found.hierarchy) == (role, handling, hierarchy)
    assert found.certain
    assert found.because


def test_every_numeric_date_of_the_pilot_analysis_data_is_a_date(proposed_adam: Study) -> None:
    stored = [c for t in proposed_adam.tables for c in t.columns if c.kind is Kind.DATE]
    assert len(stored) > 15
    assert {c.role for c in stored} == {Role.DATE}


def test_numeric_twins_of_quasi_identifiers_go(proposed_adam: Study) -> None:
    for name in ("AGEGR1N", "RACEN"):
        assert proposed_adam["ADSL"][name].role is Role.DIRECT
    assert proposed_adam["ADSL"]["SITEGR1"].namespace == proposed_adam["ADSL"]["SITEID"].namespace == "SITEID"


def test_no_column_with_a_subject_id_inside_is_kept_as_it_is(pilot: Folder, proposed: Study) -> None:
    for table in profile_study(pilot):
        for column in table.columns:
            role = proposed[table.name][column.name]
            if column.ids > 0:
                assert role.role in {Role.SUBJECT_KEY, Role.DIRECT}, (table.name, column.name)


DM = "STUDYID,DOMAIN,USUBJID,SUBJID,{}\n" + "".join(f"S,DM,S-DE1-{i},{i},{{}}\n" for i in range(1001, 1031))


def with_dm(column: str, value: str) -> str:
    return DM.replace("{}", column, 1).replace("{}", value)


@pytest.mark.parametrize("name", ["AEOUT", "AEDECOD", "VISIT", "LBORRES", "XYZ", "AGEU", "AESEQ"])
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("see S-DE1-1001", "ids"), ("write to a@example.org", "email"), ("on 2014-03-05", "date"),
        ("call +44 20 7946 0000", "phone"),
    ],
)  # fmt: skip
def test_content_speaks_against_a_harmless_name(study: Written, name: str, value: str, fault: str) -> None:
    rows = "".join(f"S,AE,S-DE1-{i},{value if i == 1007 else 'MILD'}\n" for i in range(1001, 1031))
    folder = study(dm=with_dm("AGE", "40"), ae=f"STUDYID,DOMAIN,USUBJID,{name}\n{rows}")
    found = of(folder, "AE", name)
    leaves = found.certain and found.role in {Role.KEPT, Role.SENSITIVE, Role.QUASI} and found.handling is None
    assert not leaves, fault


SUPP = "STUDYID,RDOMAIN,USUBJID,IDVAR,IDVARVAL,QNAM,QLABEL,QVAL,QORIG,QEVAL\n"


@pytest.mark.parametrize(
    ("qnam", "values", "role", "certain"),
    [
        ("AETRTEM", ["Y", "N"], Role.KEPT, True), ("COMPLT16", ["Y", "Y"], Role.KEPT, True),
        ("TOXICITY", ["GRADE 1", "GRADE 2"], Role.KEPT, True), ("AEXDAY", ["2014-01-02", "2014-01"], Role.DATE, True),
        ("RACE1", ["WHITE", "ASIAN"], Role.QUASI, True), ("AEDTC", ["2014-01-02", "2014-01"], Role.DATE, True),
        ("AEFLAG", ["Y", "see S-DE1-1001"], Role.FREE_TEXT, False),
        ("AEFLAG", ["Y", "seen by Dr. Smith"], Role.FREE_TEXT, False),
        ("AEFLAG", ["Y", "2014-01-02"], Role.FREE_TEXT, False),
        ("AEX", ["the patient fell down the stairs", "woke up in the night again"], Role.FREE_TEXT, False),
    ],
)  # fmt: skip
def test_a_qualifier_value_is_kept_only_if_short_and_coded(
    study: Written, qnam: str, values: list[str], role: Role, certain: bool
) -> None:
    rows = "".join(f"S,AE,S-DE1-{i},AESEQ,{i - 1000},{qnam},Label,{values[i % 2]},CRF,\n" for i in range(1001, 1031))
    column = of(study(dm=with_dm("AGE", "40"), suppae=SUPP + rows), "SUPPAE", "QVAL")
    assert (column.role, column.by) == (Role.QUALIFIER, "QNAM")
    (found,) = column.qualifiers
    assert (found.name, found.role, found.certain) == (qnam, role, certain)


@pytest.mark.parametrize(
    ("qnam", "role", "handling", "follows"),
    [
        ("RACE2", Role.QUASI, None, "RACE"), ("RACEOTH", Role.DIRECT, Handling.REMOVE, ""),
        ("DMREFID", Role.DIRECT, Handling.RECODE, ""), ("EDUCLVL", Role.QUASI, None, ""),
        ("SITENAM", Role.DIRECT, Handling.REMOVE, ""), ("SAFETY", Role.KEPT, None, ""),
    ],
)  # fmt: skip
def test_a_qualifier_has_the_rule_of_its_name_in_the_parent_domain(
    study: Written, qnam: str, role: Role, handling: Handling | None, follows: str
) -> None:
    rows = "".join(f"S,DM,S-DE1-{i},,,{qnam},L,V{i % 2},CRF,\n" for i in range(1001, 1031))
    found = of(study(dm=with_dm("AGE", "40"), suppdm=SUPP + rows), "SUPPDM", "QVAL").qualifier(qnam)
    assert (found.role, found.handling, found.follows) == (role, handling, follows)


@pytest.mark.parametrize("values", [["E07", "E08"], ["1", "S-DE1-1001"]])
def test_a_join_that_is_no_sequence_number_is_not_kept(study: Written, values: list[str]) -> None:
    rows = "".join(f"S,AE,S-DE1-{i},AESPID,{values[i % 2]},F,L,Y,CRF,\n" for i in range(1001, 1031))
    found = of(study(dm=with_dm("AGE", "40"), suppae=SUPP + rows), "SUPPAE", "IDVARVAL")
    assert found.role is not Role.KEPT


@pytest.mark.parametrize(
    ("column", "value", "role"),
    [
        ("BRTHDTC", "1950-01-02", Role.DIRECT), ("INVNAM", "Dr. House", Role.DIRECT), ("INVID", "77", Role.DIRECT),
        ("DMREFID", "7", Role.DIRECT), ("LBNAM", "City Lab", Role.DIRECT), ("AGEGR1", "<65", Role.QUASI),
        ("DTHDTC", "", Role.DATE), ("DMXFN", "2", Role.KEPT),
    ],
)  # fmt: skip
def test_named_variables_of_the_subject_table(study: Written, column: str, value: str, role: Role) -> None:
    assert of(study(dm=with_dm(column, value)), "DM", column).role is role


def test_comments_are_dropped(study: Written) -> None:
    rows = "".join(f"S,CO,S-DE1-{i},1,was hospitalised for long\n" for i in range(1001, 1012))
    folder = study(dm=with_dm("AGE", "40"), co="STUDYID,DOMAIN,USUBJID,COSEQ,COVAL\n" + rows)
    comments = propose(profile_study(folder), name="s")["CO"]
    assert {(c.role, c.handling) for c in comments.columns} == {(Role.SENSITIVE, Handling.REMOVE)}


def test_split_domains_follow_the_domain_not_the_file(study: Written) -> None:
    rows = "".join(f"S,EX,S-DE1-{i},DRUG\n" for i in range(1001, 1012))
    folder = study(dm=with_dm("AGE", "40"), doses="STUDYID,DOMAIN,USUBJID,EXTRT\n" + rows)
    assert of(folder, "DOSES", "EXTRT").role is Role.KEPT


def test_a_date_about_no_subject_waits(study: Written) -> None:
    folder = study(dm=with_dm("AGE", "40"), ts="STUDYID,DOMAIN,TSDTC\nS,TS,2014-01-02\n")
    assert not of(folder, "TS", "TSDTC").certain
    folder = study(ts="STUDYID,DOMAIN,TSVAL\nS,TS,2014-01-02\n")
    assert not of(folder, "TS", "TSVAL").certain


HEADER = "patient_id,full_name,dob,sex,age,city,hospital,country,visit_date,note,score,grade,badge,email,shade\n"
GENERIC = HEADER + "".join(
    f"P{i:05d},Jane Doe,1950-01-0{i % 9 + 1},F,{40 + i % 30},Bonn,H{i % 3},DE,2020-01-{i % 28 + 1:02d},"
    f"felt rather unwell all day {i},{i}.5,mild,{90000 + i},p{i}@example.org,{'red' if i % 2 else 'blue'}\n"
    for i in range(120)
)  # fmt: skip


@pytest.mark.parametrize(
    ("column", "role", "certain"),
    [
        ("patient_id", Role.SUBJECT_KEY, True), ("full_name", Role.DIRECT, True), ("dob", Role.DIRECT, True),
        ("sex", Role.QUASI, True), ("age", Role.QUASI, True), ("city", Role.QUASI, True),
        ("hospital", Role.QUASI, True),
        ("country", Role.QUASI, True), ("visit_date", Role.DATE, True), ("note", Role.FREE_TEXT, True),
        ("score", Role.KEPT, False), ("grade", Role.QUASI, False), ("badge", Role.DIRECT, False),
        ("email", Role.DIRECT, True),
        ("shade", Role.QUASI, False),
    ],
)  # fmt: skip
def test_a_table_of_no_standard_is_read_by_content(study: Written, column: str, role: Role, certain: bool) -> None:
    found = of(study(registry=GENERIC), "REGISTRY", column)
    assert (found.role, found.certain) == (role, certain)


def test_accepting_turns_doubt_into_unresolved_and_keeps_the_reason(study: Written) -> None:
    accepted = accept(propose(profile_study(study(registry=GENERIC)), name="r"))
    assert accepted["REGISTRY"]["score"].role is Role.UNRESOLVED
    assert accepted["REGISTRY"]["score"].because == "proposed as kept: a number nobody has named"
    assert accepted["REGISTRY"]["age"].role is Role.QUASI


def test_a_profile_shows_no_value_and_no_small_count(study: Written) -> None:
    folder = study(dm=with_dm("CANARYCOL", "CANARY-7731"))
    (table,) = profile_study(folder)
    shown = repr(table["CANARYCOL"]) + repr(table["CANARYCOL"].shown())
    assert "7731" not in shown
    assert table["CANARYCOL"].shown()["distinct"] == "fewer than 11"
    assert table["USUBJID"].shown()["distinct"] == "30"
    assert table["CANARYCOL"].per_subject


def test_per_subject_constancy_sees_a_change_in_a_later_batch(study: Written) -> None:
    rows = "".join(f"S-{i % 50},{i % 50},{i}\n" for i in range(500))
    (table,) = profile_study(study(lb="USUBJID,SAME,OTHER\n" + rows))
    assert (table["SAME"].per_subject, table["OTHER"].per_subject) == (True, False)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("01-701-1023", True), ("01-701-1023-E09", True), ("see 01-701-1023.", True), ("01/701/1023", True),
        ("01-701-10234", False), ("1-701-1023", False), ("701-1023", False), ("1023", False), ("", False),
        ("X01-701-1023", False),
    ],
)  # fmt: skip
def test_ids_are_found_as_whole_tokens(text: str, inside: bool) -> None:
    assert IdSet({"01-701-1023", "1015"}).inside(text) is inside


def test_short_ids_count_only_as_a_whole_text() -> None:
    ids = IdSet({"1015", "ABC123"})
    assert ids.is_id("1015")
    assert not ids.inside("dose 1015")
    assert ids.inside("dose ABC123")


@pytest.mark.parametrize(
    "text", ["2014-01-02", "2014-01", "2014", "2014-01-02T11:45", "2014---15", "2014-01-02T11:45:10.5"]
)
def test_iso_dates_are_known(text: str) -> None:
    assert ISO_DATE.match(text)


@pytest.mark.parametrize(
    "text",
    ["02JAN2014", "2 January 2014", "01/02/2014", "1.2.2014", "on 2014-01", "Jan. 2, 2014", "2014/01/02", "02-Jan-14"],
)
def test_dates_inside_texts_are_known(text: str) -> None:
    assert DATE_INSIDE.search(text)


@pytest.mark.parametrize(
    "text", ["2-84", "140/90", "1.5", "0.9655172413793104", "MAYBE 5", "TABLET 10", "3.10.1", "12-13"]
)
def test_what_is_no_date_is_not_taken_for_one(text: str) -> None:
    assert not DATE_INSIDE.search(text)
    assert not ISO_DATE.match(text)


def test_addresses_phones_and_countries_are_known() -> None:
    assert EMAIL.search("write a.b@example.org now")
    assert PHONE.search("+44 20 7946 0000")
    assert not PHONE.search("12345678")
    assert is_country("DEU")
    assert is_country("germany")
    assert not is_country("WHITE")


def test_the_rule_file_is_sound_and_each_rule_has_a_reason_and_a_source() -> None:
    rules = variable_rules()
    assert len(rules) > 50
    for rule in rules:
        assert rule.because
        assert rule.source in {"PHUSE", "SDTMIG", "ADaMIG", "own"}


@pytest.mark.parametrize(
    "line",
    ["{match: [A], role: kept, source: own}", "{match: [A], role: kept, because: x, source: own, wen: [text]}",
     "{match: [A], role: kept, because: x, source: own, when: [not-a-word]}"],
)  # fmt: skip
def test_a_faulty_rule_is_named(line: str) -> None:
    with pytest.raises(Broken, match="rule 1"):
        parse(f"rules:\n  - {line}\n")
