"""Derived twins fall together: what one variable no longer tells, no other may tell either, in whatever table."""

import pytest

from gateway.catalogue import columnfile, overriding
from gateway.catalogue.profile import profile_study
from gateway.catalogue.propose import propose
from gateway.catalogue.twins import fall_together
from gateway.catalogue.vocabulary import Treatment
from gateway.formats import scan
from pseudonymization.columns import ColumnRef, Handling, Role, Study

WHO = [f"S-10-{at}" for at in range(1001, 1031)]
DM = "STUDYID,DOMAIN,USUBJID,SITEID,AGE,BRTHDTC,RFSTDTC,COUNTRY\n" + "".join(
    f"S,DM,{who},{10 + at % 3},{50 + at},1960-01-{at % 28 + 1:02d},2014-01-02,USA\n" for at, who in enumerate(WHO)
)
ADSL = "STUDYID,USUBJID,SITEID,SITEGR1,AGE,AGEGR1,TRTSDT,TRTEDT,TRTDUR\n" + "".join(
    f"S,{who},{10 + at % 3},{'10' if at % 3 else '900'},{50 + at},{'<65' if at < 15 else '>=65'},"
    f"2014-01-02,2014-03-{at % 28 + 1:02d},{59 + at % 28}\n"
    for at, who in enumerate(WHO)
)


@pytest.fixture(scope="module")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("twins")
    (folder / "dm.csv").write_text(DM, "utf-8")
    (folder / "adsl.csv").write_text(ADSL, "utf-8")
    return columnfile.accept(propose(profile_study(scan(folder)), name="s"))


def waiting(study: Study) -> set[str]:
    return {f"{t.name}.{c.name}" for t in study.tables for c in t.columns if c.role is Role.UNRESOLVED}


def fallen(study: Study, *variables: str) -> Study:
    for variable in variables:
        ref = ColumnRef(*variable.split("."))
        study = overriding.overridden(study, ref, Treatment.REMOVE, None, accept_risk=False)
    return fall_together(study)


@pytest.mark.parametrize(
    ("variables", "twins"),
    [
        (("DM.SITEID", "ADSL.SITEID"), {"ADSL.SITEGR1"}),
        (("ADSL.SITEGR1",), {"DM.SITEID", "ADSL.SITEID"}),
        (("ADSL.TRTDUR",), {"ADSL.TRTSDT", "ADSL.TRTEDT"}),
        (("ADSL.TRTEDT",), {"ADSL.TRTDUR"}),
        (("DM.BRTHDTC",), {"DM.AGE", "ADSL.AGE", "ADSL.AGEGR1"}),
    ],
)
def test_case_14_no_twin_of_a_removed_variable_leaves_undecided(
    proposed: Study, variables: tuple[str, ...], twins: set[str]
) -> None:
    assert not twins & waiting(proposed)
    after = fallen(proposed, *variables)
    assert waiting(after) - waiting(proposed) >= twins
    assert not (waiting(fallen(proposed, *variables, *sorted(twins)))) & twins


def test_case_14_a_date_of_birth_never_leaves_beside_an_age(proposed: Study) -> None:
    born = proposed["DM"]["BRTHDTC"]
    assert (born.role, born.handling) in {(Role.DIRECT, None), (Role.DIRECT, Handling.REMOVE)}


def test_case_14_pooled_sites_share_the_codes_of_sites(proposed: Study) -> None:
    site, pool = proposed["ADSL"]["SITEID"], proposed["ADSL"]["SITEGR1"]
    assert site.handling is pool.handling is Handling.RECODE
    assert site.namespace == pool.namespace == "SITEID"


def test_case_15_an_age_at_an_event_climbs_the_ladder_of_ages(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("aage")
    rows = "".join(f"S,{who},1,{89 + at % 2},HEADACHE\n" for at, who in enumerate(WHO))
    (folder / "dm.csv").write_text(DM, "utf-8")
    (folder / "adae.csv").write_text("STUDYID,USUBJID,AESEQ,AAGE,AEDECOD\n" + rows, "utf-8")
    column = propose(profile_study(scan(folder)), name="s")["ADAE"]["AAGE"]
    assert (column.role, column.hierarchy) == (Role.QUASI, "age")
