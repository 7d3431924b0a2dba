"""What a cart would give: the verdict and the recoding that the release then has, and nothing more than may be told."""

import pytest

from gateway.actions import outlook
from gateway.actions.outlook import Outlook
from gateway.errors import Invalid, Refused
from gateway.formats import FileSource


def cart(world, **changes):
    document = world.document(**changes)
    del document["keys"]
    return document


def ask(world, who="researcher", **changes) -> Outlook:
    return outlook.outlook(world.gateway, world.people[who], cart(world, **changes))


def test_the_outlook_is_what_the_release_then_gives(world):
    seen = ask(world)
    release = world.released()
    acts = {(c["table"], c["column"]): (c["act"], c["detail"]) for c in release.values["plan"]["columns"]}
    assert {(v.table, v.name): (v.act, v.detail) for v in seen.recoding.variables} == acts
    assert seen.verdict["decision"] == release.values["verdict"]["decision"]
    assert seen.recoding.blanked == round(release.values["utility"]["blanked"], 2)


def test_more_variables_leave_less_of_each(world):
    few = ask(world, tables={"DM": ["AGE"]}).recoding
    many = ask(world, tables={"DM": ["AGE", "SEX", "RACE", "ETHNIC", "COUNTRY", "SITEID"]}).recoding
    age = {
        name: next(v.precision for v in r.variables if v.name == "AGE") for name, r in (("few", few), ("many", many))
    }
    assert age["few"] > age["many"]


def test_no_count_below_eleven_and_no_long_fraction_is_told(world):
    seen = ask(world, tables={"DM": ["AGE", "SEX"]}).recoding
    for told in (seen.k, seen.subjects):
        assert told == "<11" or told >= 11
    for told in (seen.blanked, seen.average_risk, seen.granularity):
        assert told == round(told, 2)


def test_a_verdict_that_stops_comes_with_its_cure(world):
    # Genomic records of subjects in the United States to a country of concern: 28 CFR part 202.
    seen = ask(world, destination="CN", recipient={"org": "Elsewhere Ltd", "country": "CN"})
    reasons = [*seen.verdict["denials"], *seen.verdict["reviews"], *seen.verdict["licences"]]
    assert seen.verdict["decision"] not in {"permit", "permit_with_conditions"}
    assert all(reason["cure"] for reason in reasons)


def test_thresholds_that_cannot_be_met_are_an_obstacle_with_a_cure(world):
    few = next(FileSource(world.study).batches("DM", ["USUBJID"])).column(0).to_pylist()[:3]
    seen = ask(world, mode="public", rows=[{"table": "DM", "column": "USUBJID", "in": few}])
    assert seen.recoding is None
    assert isinstance(seen.obstacle, Refused)
    assert seen.obstacle.cure
    assert not set(few) & set(str(seen.obstacle).split())


def test_a_filter_that_leaves_nobody_is_said(world):
    with pytest.raises(Invalid, match="nobody"):
        ask(world, rows=[{"table": "DM", "column": "SEX", "in": ["no such value"]}])


def test_a_column_that_does_not_exist_is_named(world):
    with pytest.raises(Invalid, match="NOPE"):
        ask(world, tables={"DM": ["NOPE"]})


def test_each_outlook_is_logged_without_what_was_asked(world):
    ask(world)
    event = next(e for e in world.events() if e.kind == "decision.made")
    assert event.facts["what"] == "outlook"
    assert "Maple" not in str(dict(event.facts))
