from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.columns import Column, Handling, Role
from pseudonymization.faults import Unreadable, Unresolved
from pseudonymization.hierarchies import builders, ladder_for
from pseudonymization.hierarchies.given import from_csv, from_parents, to_csv
from pseudonymization.safeguards import GeographyRule, Safeguards


def ladder(hierarchy, domain, safeguards=None, counts=None, name="Q", **more):
    column = Column(name, Role.QUASI, hierarchy=hierarchy, handling=more.pop("handling", None))
    return ladder_for(column, domain, counts or [20] * len(domain), safeguards or Safeguards(), **more)


def labels(made, value):
    return [made.labels_of(level)[made.domain.index(value)] for level in range(made.height + 1)]


def test_ages_above_the_top_code_are_one_class_on_every_level():
    made = ladder("age", ["", "4", "63", "64", "65", "85", "89", "90", "101"], Safeguards(age_top=89))
    assert labels(made, "63") == ["63", "60-64", "55-64", "45-64", "<65", "*"]
    assert labels(made, "65") == ["65", "65-69", "65-74", "65-84", ">=65", "*"]
    assert labels(made, "90") == labels(made, "101") == [">89", ">89", ">=85", ">=85", ">=65", "*"]
    assert labels(made, "89") == ["89", "85-89", ">=85", ">=85", ">=65", "*"]
    assert labels(made, "") == ["", "", "", "", "", "*"]


@given(st.lists(st.integers(0, 120).map(str), min_size=1, unique=True), st.one_of(st.none(), st.integers(1, 110)))
def test_any_ages_under_any_top_code_make_a_valid_ladder_that_shows_no_age_above_it(ages, top):
    made = ladder("age", ages, Safeguards(age_top=top))
    above = [age for age in ages if top is not None and int(age) > top]
    shown = {label for level in range(made.height + 1) for label in made.labels_of(level)}
    assert not shown & set(above)
    assert len({tuple(labels(made, age)) for age in above}) <= 1


def test_an_age_that_is_no_number_stops_and_is_not_told():
    with pytest.raises(Unreadable) as caught:
        ladder("age", ["63", "canary-7"])
    assert "canary" not in str(caught.value) + caught.value.cure


def test_countries_climb_to_their_m49_region_and_continent_whatever_their_spelling():
    made = ladder("country", ["DEU", "FR", "Japan", "", "Atlantis"])
    assert labels(made, "DEU") == ["DEU", "Western Europe", "Europe", "*"]
    assert labels(made, "FR")[1:] == ["Western Europe", "Europe", "*"]
    assert labels(made, "Japan")[1:] == ["Eastern Asia", "Asia", "*"]
    assert labels(made, "Atlantis")[1:] == ["OTHER", "OTHER", "*"]
    assert labels(made, "")[1:] == ["", "", "*"]


@pytest.mark.parametrize(("rule", "floor"), [("site", 0), ("country", 0), ("region", 1), ("none", 3)])
def test_the_geography_rule_floors_the_country(rule, floor):
    assert ladder("country", ["DEU"], Safeguards(geography=GeographyRule(rule))).floor == floor


def test_a_recoded_site_shows_its_code_only_and_leaves_no_higher_than_the_rule_allows():
    made = ladder("", ["701", "702"], handling=Handling.RECODE, relabel=lambda text: f"S{len(text)}{text[::-1]}")
    assert made.labels_of(0) == ("S3107", "S3207")
    shut = ladder("", ["701"], Safeguards(geography=GeographyRule.COUNTRY), handling=Handling.RECODE)
    assert shut.floor == shut.height == 1


def test_a_recoded_column_shows_no_original_on_any_level():
    counts = [50, 40, 3, 9]
    made = ladder(
        "pool", ["a", "b", "c", "d"], counts=counts, handling=Handling.RECODE, relabel=lambda text: "x" + text
    )
    assert made.labels_of(1) == ("xa", "xb", "OTHER", "OTHER")
    with pytest.raises(Unresolved, match="recoded"):
        ladder("prefix:1", ["701"], handling=Handling.RECODE)


def test_sites_climb_over_their_country_where_it_is_known():
    made = ladder("site", ["701", "9"], regions={"701": "DEU", "9": "USA"})
    assert labels(made, "701") == ["701", "DEU", "Western Europe", "Europe", "*"]
    assert labels(made, "9")[1] == "USA"


def test_two_sites_with_one_code_are_refused():
    with pytest.raises(Unresolved, match="same code"):
        ladder("flat", ["1", "2"], handling=Handling.RECODE, relabel=lambda text: "same")


def test_rare_values_are_pooled_until_the_pool_itself_is_not_rare():
    made = ladder("pool", ["WHITE", "BLACK", "ASIAN", "OTHER2", ""], counts=[273, 29, 2, 2, 1])
    assert made.labels_of(1) == ("WHITE", "OTHER", "OTHER", "OTHER", "")


def test_bands_double_until_one_holds_all():
    made = ladder("interval:5", ["1", "4", "7", "12", "19"])
    assert [len(set(made.labels_of(level))) for level in range(made.height + 1)] == [5, 4, 2, 1, 1]
    assert labels(made, "7") == ["7", "5-9", "0-9", "0-19", "*"]
    assert labels(ladder("interval:0.5", ["1.2", "1.4", "3.0"]), "1.4")[1] == "[1, 1.5)"


def test_prefix_codes_get_shorter():
    made = ladder("prefix:5,3,1", ["N02BE01", "N02BE51", "C07AB02"])
    assert labels(made, "N02BE01") == ["N02BE01", "N02BE", "N02", "N", "*"]


def test_quantiles_hold_about_equally_many_subjects():
    made = ladder("quantile:4", [str(at) for at in range(100)], counts=[1] * 100)
    assert sorted(np.bincount(made.codes[1]).tolist()) == [25, 25, 25, 25]
    assert sorted(np.bincount(made.codes[2]).tolist()) == [50, 50]


@pytest.mark.parametrize("sign", [";", ","])
def test_a_stewards_file_is_read_as_arx_writes_it(sign):
    text = "\n".join(sign.join(row) for row in (["a", "ab", "*"], ["b", "ab", "*"], ["c", "c", "*"]))
    made = from_csv("Q", text, ["b", ""])
    assert labels(made, "b") == ["b", "ab", "*"]
    assert labels(made, "") == ["", "", "*"]
    assert made.size == 4
    assert made.loss(1)[made.codes[1][0]] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a;x;*\nb;x", "line 2"),
        ("a;x;*\na;y;*", "twice"),
        ("a;x;1;*\nb;x;2;*", "level 2"),
        ("zz;*", "cover"),
    ],
)
def test_a_stewards_file_with_a_fault_is_refused_with_its_place(text, reason):
    with pytest.raises(Unresolved, match=reason):
        from_csv("Q", text, ["a", "b"])


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(Unresolved, match="cannot be read"):
        ladder("nowhere.csv", ["a"], folder=Path("/nonexistent"))


def test_dates_climb_from_day_to_decade_and_partial_ones_stay_partial():
    made = ladder("date", ["2014-03-05", "2014-03", "2014", "", "2011-12-31T08:15"])
    assert labels(made, "2014-03-05") == ["2014-03-05"] * 2 + ["2014-03", "2014-Q1", "2014", "2010-2019", "*"]
    assert labels(made, "2014-03") == ["2014-03"] * 3 + ["2014-Q1", "2014", "2010-2019", "*"]
    assert labels(made, "2014")[:5] == ["2014"] * 5
    assert labels(made, "") == [""] * 6 + ["*"]
    assert labels(made, "2011-12-31T08:15")[1] == "2011-12-31"
    with pytest.raises(Unreadable, match="no ISO 8601 date"):
        ladder("date", ["2014-13-05"])


def test_custom_cuts_have_as_many_levels_as_are_given_and_each_must_coarsen():
    made = ladder("cuts:18,40,65/40", ["17", "18", "39", "40", "70"])
    assert labels(made, "39") == ["39", "[18, 40)", "<40", "*"]
    assert labels(made, "70") == ["70", ">=65", ">=40", "*"]
    with pytest.raises(Unresolved, match="level 2"):
        ladder("cuts:18,40,65/50", ["17", "18", "39", "40", "55", "70"])


def test_intervals_may_be_anchored():
    assert labels(ladder("interval:10,5", ["14", "15", "24", "25"]), "15")[1] == "15-24"


def test_parents_in_the_study_are_a_hierarchy_and_a_missing_one_is_stood_for_by_the_next():
    rows = [
        ("Flu", "Virus", "Infect"),
        ("Flu", "Virus", "Infect"),
        ("Burn", "", "Injury"),
        ("Odd", "", ""),
        ("", "", ""),
    ]
    made = from_parents("AEDECOD", ["", "Burn", "Flu", "Odd"], rows, ["AEHLT", "AESOC"])
    assert labels(made, "Flu") == ["Flu", "Virus", "Infect", "*"]
    assert labels(made, "Burn") == ["Burn", "Injury", "Injury", "*"]
    assert labels(made, "Odd") == ["Odd", "OTHER", "OTHER", "*"]
    assert labels(made, "") == ["", "", "", "*"]
    with pytest.raises(Unresolved, match="two parents"):
        from_parents("AEDECOD", ["Flu"], [("Flu", "a", "x"), ("Flu", "b", "x")], ["AEHLT", "AESOC"])
    with pytest.raises(Unresolved, match="splits"):
        from_parents("AEDECOD", ["Flu", "Ill"], [("Flu", "a", "x"), ("Ill", "a", "y")], ["AEHLT", "AESOC"])


@given(st.lists(st.text('ab;," \n', max_size=4), min_size=1, unique=True))
def test_a_hierarchy_that_is_written_is_read_again_as_it_was(values):
    made = ladder("prefix:2,1", values)
    again = from_csv("Q", to_csv(made), values)
    assert [again.labels_of(at) for at in range(again.height + 1)] == [
        made.labels_of(at) for at in range(made.height + 1)
    ]


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ([f"2014-{month:02}-11" for month in range(1, 13)] + ["2015-01-01"], "month"),
        ([f"N02BE{at:02}" for at in range(13)], "first 5 signs"),
        ([f"J{at}.1" for at in range(10, 23)], "first 3 signs"),
    ],
)
def test_dates_and_codes_are_known_by_their_looks(values, title):
    assert title in ladder("", values).titles


def test_an_unknown_hierarchy_is_refused():
    with pytest.raises(Unresolved, match="does not exist"):
        ladder("nonsense", ["a"])


def test_without_a_name_the_data_propose():
    assert ladder("", [str(a) for a in range(20, 60)], name="AGE").titles[1] == "5-year bands"
    assert ladder("", ["DEU", "FRA", "USA"], name="COUNTRY").titles[1] == "region"
    assert ladder("", [str(a / 2) for a in range(100, 300)], name="WEIGHTBL").titles[1].startswith("bands of")
    assert ladder("", ["M", "F"], name="SEX").height == 1


def test_a_set_is_generalised_element_by_element():
    made = from_csv("Q", "a;ab;*\nb;ab;*\nc;c;*", ["a", "b", "c"]).over([(0,), (1,), (2,), (0, 1), (1, 2)])
    assert made.labels_of(1) == ("ab", "ab", "c", "ab", "ab|c")
    assert made.labels_of(2) == ("*",) * 5
    assert made.leaves[1][made.codes[1][4]] == 3


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(st.just(""), st.integers(-50, 400).map(str), st.decimals(-9, 99, places=2).map(str)), unique=True
    ),
    st.sampled_from([0.5, 1.0, 7.0]),
)
def test_numbers_read_at_once_fall_in_the_bands_of_those_read_one_by_one(domain, width):
    if not domain:
        return
    with pytest.MonkeyPatch.context() as patch:
        at_once = builders.interval("Q", domain, width)
        patch.setattr(builders, "_plain", lambda _: None)
        one_by_one = builders.interval("Q", domain, width)
    assert at_once.labels == one_by_one.labels
    assert [codes.tolist() for codes in at_once.codes] == [codes.tolist() for codes in one_by_one.codes]
    read = [None if text == "" else float(text) for text in domain]
    whole = width.is_integer() and all(value is None or value.is_integer() for value in read)
    for level in range(1, at_once.height):
        spelled = ["" if v is None else builders._band(v, width * 2 ** (level - 1), whole=whole) for v in read]
        assert list(at_once.labels_of(level)) == spelled
