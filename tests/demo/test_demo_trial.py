"""The synthetic trial holds each hard case, and the same seed gives the same bytes."""

import re
from datetime import date

import pandas as pd
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pyreadstat
import pytest

from gateway.demo.people import FEWEST_SUBJECTS
from gateway.demo.shapes import SHAPES
from gateway.demo.trial import trial_rows, write_trial

SUBJECTS = 120
FULL = re.compile(r"\d{4}-\d\d-\d\d")
NUMBERED_DATE = re.compile(r"\d{1,2}[./-]\d\d[./-]\d{4}|\d{1,2} ?[A-Z]{3,9} ?\d{4}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_trial(tmp_path_factory.mktemp("trial"), subjects=SUBJECTS)


@pytest.fixture(scope="module")
def trial(folder):
    return {name: pyreadstat.read_xport(folder / f"{name.lower()}.xpt")[0] for name in SHAPES}


@pytest.fixture(scope="module")
def meta(folder):
    return {name: pyreadstat.read_xport(folder / f"{name.lower()}.xpt", metadataonly=True)[1] for name in SHAPES}


def test_same_seed_gives_the_same_bytes(folder, tmp_path):
    again = write_trial(tmp_path / "again", subjects=SUBJECTS)
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(f"{name.lower()}.xpt" for name in SHAPES)
    assert [name for name in files if (folder / name).read_bytes() != (again / name).read_bytes()] == []


def test_another_seed_gives_other_people():
    ids = [{row["USUBJID"] for row in trial_rows(SUBJECTS, seed)["DM"]} for seed in (1, 2)]
    assert ids[0] != ids[1]


def test_headers_say_nothing_of_when_or_where_they_were_written(folder):
    header = (folder / "dm.xpt").read_bytes()[:640]
    assert set(re.findall(rb"\d\d[A-Z]{3}\d\d:\d\d:\d\d:\d\d", header)) == {b"01JAN70:00:00:00"}


def test_every_table_has_labels_and_all_its_variables(meta):
    for name, shape in SHAPES.items():
        assert meta[name].column_names == [variable.name for variable in shape.variables]
        assert meta[name].column_labels == [variable.label for variable in shape.variables]
        assert (meta[name].table_name, meta[name].file_label) == (name, shape.label)


def test_three_formats_hold_the_same_rows(trial, tmp_path):
    write_trial(tmp_path / "csv", subjects=SUBJECTS, fmt="csv")
    write_trial(tmp_path / "parquet", subjects=SUBJECTS, fmt="parquet")
    for name in SHAPES:
        stored = pq.read_table(tmp_path / "parquet" / f"{name.lower()}.parquet")
        read = pa_csv.read_csv(tmp_path / "csv" / f"{name.lower()}.csv")
        assert len(trial[name]) == stored.num_rows == read.num_rows
        assert list(trial[name]["USUBJID"]) == stored["USUBJID"].to_pylist() == read["USUBJID"].to_pylist()
    assert stored.schema.field("VSTESTCD").metadata[b"label"] == b"Vital Signs Test Short Name"


def test_one_row_per_subject_and_no_row_without_one(trial):
    assert len(trial["DM"]) == SUBJECTS == trial["DM"]["USUBJID"].nunique()
    for name in SHAPES:
        assert set(trial[name]["USUBJID"]) <= set(trial["DM"]["USUBJID"])


def test_row_counts_are_those_of_a_trial(trial):
    assert len(trial["LB"]) > 50 * SUBJECTS
    assert len(trial["AE"]) > SUBJECTS
    assert len(trial["CM"]) > 3 * SUBJECTS


def test_people_come_from_eight_countries_one_of_them_very_small(trial):
    counts = trial["DM"]["COUNTRY"].value_counts()
    assert set(counts.index) == {"USA", "DEU", "FRA", "POL", "ESP", "NLD", "CAN", "GBR"}
    assert counts["GBR"] < 5 < counts["DEU"]


def test_some_sites_have_a_single_patient(trial):
    assert (trial["DM"]["SITEID"].value_counts() == 1).sum() >= 2


def test_site_codes_spell_the_country_and_stand_inside_the_subject_id(trial):
    for row in trial["DM"].itertuples():
        assert row.SITEID.startswith(row.COUNTRY)
        assert row.USUBJID.endswith(f"-{row.SITEID}-{row.SUBJID}")
        assert row.INVID.startswith(row.SITEID)


def test_investigators_have_names(trial):
    assert trial["DM"].groupby("SITEID")["INVNAM"].nunique().eq(1).all()
    assert all(len(name.split()) > 1 for name in trial["DM"]["INVNAM"])


def test_ages_go_over_89_and_stand_at_89(trial):
    ages = trial["DM"]["AGE"]
    assert (ages > 89).sum() >= 3
    assert (ages == 89).sum() >= 2


def test_birth_dates_are_as_precise_as_the_country_allows(trial):
    lengths = trial["DM"].groupby("COUNTRY")["BRTHDTC"].agg(lambda dates: set(map(len, dates)))
    assert lengths["DEU"] == {4}
    assert lengths["NLD"] == {7}
    assert lengths["USA"] == {10}


def test_someone_has_an_event_before_and_the_birthday_to_90_behind_it(trial):
    people = trial["DM"][(trial["DM"]["AGE"] == 89) & (trial["DM"]["BRTHDTC"].str.len() == 10)]
    events = trial["AE"].merge(people[["USUBJID", "BRTHDTC", "RFICDTC"]], on="USUBJID")
    events = events[events["AESTDTC"].str.len() == 10]
    birthday = (events["BRTHDTC"].str[:4].astype(int) + 90).astype(str) + events["BRTHDTC"].str[4:]
    assert ((events["RFICDTC"] < birthday) & (birthday <= events["AESTDTC"])).any()


def test_screening_failures_have_no_reference_start(trial):
    failed = trial["DM"][trial["DM"]["ARMCD"] == "SCRNFAIL"]
    assert len(failed) >= 2
    assert (failed["RFSTDTC"] == "").all()
    assert (failed["DMDTC"].str.fullmatch(FULL.pattern)).all()
    assert set(failed["USUBJID"]) <= set(trial["SV"]["USUBJID"]) & set(trial["DS"]["USUBJID"])
    assert (trial["DM"]["RFSTDTC"] == "").sum() == len(failed)


def test_the_dead_have_a_date_of_death_everywhere_it_belongs(trial):
    dead = trial["DM"][trial["DM"]["DTHFL"] == "Y"]
    assert len(dead) == 2
    assert 89 in set(dead["AGE"])
    fatal = trial["AE"][trial["AE"]["AESDTH"] == "Y"]
    assert dict(zip(dead["USUBJID"], dead["DTHDTC"], strict=True)) == dict(
        zip(fatal["USUBJID"], fatal["AEENDTC"], strict=True)
    )
    assert set(trial["DS"][trial["DS"]["DSDECOD"] == "DEATH"]["USUBJID"]) == set(dead["USUBJID"])


def test_multiple_races_are_spelled_out_in_suppdm(trial):
    multiple = set(trial["DM"][trial["DM"]["RACE"] == "MULTIPLE"]["USUBJID"])
    races = trial["SUPPDM"][trial["SUPPDM"]["QNAM"].str.match(r"RACE\d")]
    assert len(multiple) == 2
    assert multiple == set(races["USUBJID"])
    assert {"RACE1", "RACE2", "RACE3"} == set(races["QNAM"])


@pytest.mark.parametrize(("table", "column"), [("CM", "CMSTDTC"), ("MH", "MHSTDTC")])
def test_about_seventy_in_a_hundred_start_dates_are_partial(trial, table, column):
    dates = trial[table][column]
    given = dates[dates != ""]
    assert len(given) < len(dates)
    assert set(given.str.len()) == {4, 7, 10}
    assert 0.62 < (given.str.len() < 10).mean() < 0.78


def test_free_text_holds_names_and_dates_in_several_languages(trial):
    events = trial["AE"][trial["AE"]["AETERM"] != trial["AE"]["AEDECOD"]]["AETERM"]
    assert events.str.contains(NUMBERED_DATE).sum() > 10
    assert events.str.contains("LAUT DR|TOCHTER").any()
    assert events.str.contains("SELON|HOSPITALISATION").any()
    assert not events.map(str.isascii).all()
    leaving = trial["DS"]["DSTERM"]
    assert leaving.str.contains(NUMBERED_DATE).sum() > 3


def test_ids_stand_inside_relid_and_both_ends_of_each_link_exist(trial):
    links = trial["RELREC"]
    assert len(links) > 20
    assert all(re.fullmatch(re.escape(r.USUBJID) + r"-E\d\d", r.RELID) for r in links.itertuples())
    for domain in ("AE", "CM"):
        known = set(zip(trial[domain]["USUBJID"], trial[domain][f"{domain}SEQ"], strict=True))
        ends = links[links["RDOMAIN"] == domain]
        assert len(ends) == len(links) / 2
        assert set(zip(ends["USUBJID"], ends["IDVARVAL"].astype(float), strict=True)) <= known


def test_suppae_finds_its_parents_and_hides_dates_and_comments(trial):
    events = set(zip(trial["AE"]["USUBJID"], trial["AE"]["AESEQ"], strict=True))
    extra = trial["SUPPAE"]
    assert set(zip(extra["USUBJID"], extra["IDVARVAL"].astype(float), strict=True)) == events
    assert extra[extra["QNAM"] == "AEHOSPDT"]["QVAL"].str.fullmatch(FULL.pattern).sum() > 3
    assert extra[extra["QNAM"] == "AECOMM"]["QVAL"].str.contains(NUMBERED_DATE).sum() > 3


def test_most_medicines_are_not_coded_and_no_primary_diagnosis_is(trial):
    assert 0.6 < (trial["CM"]["CMDECOD"] == "UNCODED").mean() < 0.9
    primary = trial["MH"][trial["MH"]["MHCAT"] == "PRIMARY DIAGNOSIS"]
    assert len(primary) == SUBJECTS
    assert (primary["MHDECOD"] == "").all()


def test_an_old_illness_tells_the_age_of_those_over_89(trial):
    old = set(trial["DM"][trial["DM"]["AGE"] > 89]["USUBJID"])
    assert old == set(trial["MH"][trial["MH"]["MHTERM"].str.contains("AT AGE")]["USUBJID"])


def test_rare_terms_are_in_one_subject_each_and_some_are_sensitive(trial):
    subjects = trial["AE"].groupby("AEDECOD")["USUBJID"].nunique()
    assert (subjects == 1).sum() >= 12
    assert subjects["HIV TEST POSITIVE"] == subjects["SUICIDAL IDEATION"] == 1
    assert subjects.max() > 10


def _study_day(start, day):
    distance = (date.fromisoformat(day) - date.fromisoformat(start)).days
    return distance + 1 if distance >= 0 else distance


def test_every_study_day_follows_from_its_date_but_one(trial):
    started = dict(zip(trial["DM"]["USUBJID"], trial["DM"]["RFSTDTC"], strict=True))
    pairs = [("AE", "AEST"), ("AE", "AEEN"), ("CM", "CMST"), ("EX", "EXST"), ("EX", "EXEN"), ("SV", "SVST")]
    pairs += [("LB", "LB"), ("VS", "VS"), ("MH", "MH"), ("DS", "DSST"), ("DM", "DM")]
    wrong, checked = [], 0
    for table, stem in pairs:
        for subject, text, said in trial[table][["USUBJID", f"{stem}DTC", f"{stem}DY"]].itertuples(index=False):
            if len(text) >= 10 and started[subject]:
                checked += 1
                if _study_day(started[subject], text[:10]) != said:
                    wrong.append((table, stem, said))
            else:
                assert pd.isna(said)
    assert checked > 1000
    assert wrong == [("AE", "AEST", 366)]


def test_laboratory_dates_have_times_of_day(trial):
    assert trial["LB"]["LBDTC"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d").all()
    assert trial["LB"].groupby("USUBJID")["LBDTC"].apply(lambda t: tuple(sorted({x[11:] for x in t}))).is_unique


@pytest.mark.parametrize(("table", "column"), [("AE", "AEENTPT"), ("CM", "CMENTPT")])
def test_dates_stand_outside_dtc_columns(trial, table, column):
    given = trial[table][trial[table][column] != ""]
    assert len(given) > 10
    assert given[column].str.fullmatch(FULL.pattern).all()
    assert (given[column.replace("TPT", "RTPT")] == "ONGOING").all()


def test_one_honest_lab_result_reads_like_a_subject_number(trial):
    kinase = trial["LB"][trial["LB"]["LBTESTCD"] == "CK"]
    assert kinase["LBORRES"].isin(set(trial["DM"]["SUBJID"])).sum() == 1


def test_no_date_runs_backwards(trial):
    for table, stem in (("AE", "AE"), ("CM", "CM"), ("EX", "EX")):
        dates = trial[table][[f"{stem}STDTC", f"{stem}ENDTC"]]
        both = dates[(dates != "").all(axis=1)]
        assert len(both) > 10
        assert all(end[: len(start)] >= start for start, end in both.itertuples(index=False))


@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_trial_holds_its_cases_and_fits_xport(seed, tmp_path):
    write_trial(tmp_path, subjects=FEWEST_SUBJECTS, seed=seed)
    people, _ = pyreadstat.read_xport(tmp_path / "dm.xpt")
    assert len(people) == FEWEST_SUBJECTS
    assert (people["AGE"] > 89).sum() == 3
    assert (people["RACE"] == "MULTIPLE").sum() == 2
    assert (people["DTHFL"] == "Y").sum() == 2


def test_too_few_subjects_are_refused_with_the_number_needed(tmp_path):
    with pytest.raises(ValueError, match=f"at least {FEWEST_SUBJECTS}"):
        write_trial(tmp_path, subjects=FEWEST_SUBJECTS - 1)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`sas7bdat` is no format"):
        write_trial(tmp_path, subjects=FEWEST_SUBJECTS, fmt="sas7bdat")
