"""Releases of one study to one project are safe together, not only one by one."""

import base64
import csv
import io
import json
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gateway.actions import datasets
from gateway.client import package
from gateway.crypto import at_rest
from gateway.domain.event import Event, EventKind
from gateway.domain.release import Step
from gateway.errors import NotAllowed
from gateway.formats import FileSource
from pseudonymization.pseudonyms import ProjectKey, subject_pseudonyms

MANIFEST = "manifest.json"


def opened(world, release, tmp_path):
    _, files = package.open_release(world.folder(release), world.identities["researcher"], tmp_path / release.id)
    return pd.concat([pd.read_parquet(f).set_index("USUBJID") for f in files if f.name == "DM.parquet"])


def alone(frame):
    """How many subjects nobody else is like, an empty cell being like empty cells only."""
    rows = frame.astype(object).fillna("").astype(str).agg("|".join, axis=1)
    return sum(count == 1 for count in Counter(rows).values())


@pytest.fixture
def two(fresh, tmp_path):
    """The same subjects twice, in one project, with other columns each time."""
    first = fresh.released(tables={"DM": ["AGE", "SEX"]})
    second = fresh.released(tables={"DM": ["SEX", "RACE", "COUNTRY"]})
    return fresh, first, second, tmp_path


def test_two_releases_joined_leave_nobody_alone_and_the_second_names_the_first(two):
    world, first, second, folder = two
    one, other = opened(world, first, folder), opened(world, second, folder)
    joint = pd.concat([one, other.add_suffix("_2")], axis=1)
    assert len(joint) == len(one) == len(other)
    assert alone(one) == alone(other) == alone(joint) == 0
    plan = json.loads((world.folder(second) / MANIFEST).read_bytes())["plan"]
    assert first.id in plan["search"]["chosen"]


def test_it_is_the_guard_that_made_the_second_coarser(two):
    """Asked under another project, where nobody can join it to the first, the second extract keeps more."""
    world, _, second, folder = two
    free = world.released(tables={"DM": ["SEX", "RACE", "COUNTRY"]}, project="elsewhere")
    mine, theirs = opened(world, second, folder), opened(world, free, folder)
    assert theirs.nunique().sum() > mine.nunique().sum()
    assert not set(mine.index) & set(theirs.index)


def test_the_same_request_again_gets_the_same_cells(two):
    world, first, _, folder = two
    again = world.released(tables={"DM": ["AGE", "SEX"]})
    pd.testing.assert_frame_equal(opened(world, first, folder), opened(world, again, folder))


def as_it_was_stored(world, release):
    """The release with its view as it was kept in the days of project pseudonyms, without whom was blanked."""
    gateway = world.gateway
    key = gateway.keys.derive("at-rest")
    sealed = base64.b64decode(release.values["view"])
    with np.load(io.BytesIO(at_rest.unseal(sealed, key, f"view/{release.id}"))) as held:
        view = {name: held[name] for name in held.files if name != "withheld"}
    source = FileSource(world.study)
    ids = pa.concat_arrays([batch.column(0) for batch in source.batches("DM", ["USUBJID"])]).cast("string").to_pylist()
    own = ProjectKey.derive(gateway.keys.derive("views"), "trial")
    old = ProjectKey.derive(gateway.keys.derive("projects"), "hypertension-2026")
    renamed = dict(zip(subject_pseudonyms(own, ids), subject_pseudonyms(old, ids), strict=True))
    view["subjects"] = np.array([renamed[name] for name in view["subjects"].tolist()])
    out = io.BytesIO()
    np.savez_compressed(out, **view)
    stored = base64.b64encode(at_rest.seal(out.getvalue(), key, f"view/{release.id}")).decode()
    changed = replace(gateway.store.release(release.id), values={**release.values, "view": stored})
    event = Event(EventKind.RELEASE_STEP, "system", about={"release": release.id}, facts={"step": "delivered"})
    gateway.store.save(changed, event=event, now=gateway.now())


def test_a_view_stored_under_the_projects_pseudonyms_is_joined_as_before(fresh, tmp_path):
    first = fresh.released(tables={"DM": ["AGE", "SEX"]})
    as_it_was_stored(fresh, first)
    second = fresh.released(tables={"DM": ["SEX", "RACE", "COUNTRY"]})
    one, other = opened(fresh, first, tmp_path), opened(fresh, second, tmp_path)
    joint = pd.concat([one, other.add_suffix("_2")], axis=1)
    assert len(joint) == len(one) == len(other)
    assert alone(joint) == 0
    assert first.id in json.loads((fresh.folder(second) / MANIFEST).read_bytes())["plan"]["search"]["chosen"]


AGES, RACES = range(60, 68), [f"RACE {at}" for at in range(8)]


@pytest.fixture
def crossed(fresh, tmp_path):
    """A world with a study of 64 subjects: each age and each race eight times, each pair of them once.

    Two subjects have an arm of their own.
    """
    folder = tmp_path / "crossed"
    folder.mkdir()
    with (folder / "dm.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["STUDYID", "DOMAIN", "USUBJID", "RFSTDTC", "AGE", "SEX", "RACE", "COUNTRY", "ARMCD"])
        for at, (age, race) in enumerate(product(AGES, range(8))):
            arm = "Z" if at in (9, 42) else "A"
            writer.writerow(["S", "DM", f"S-{at:04d}", "2021-03-04", age, "FM"[race % 2], RACES[race], "USA", arm])
    datasets.add(fresh.gateway, fresh.people["steward"], folder, key="crossed", accept=True)
    return fresh


def crossed_release(world, *columns, **changes):
    return world.released(dataset="crossed", tables={"DM": list(columns)}, **changes)


def manifest_of(world, release):
    return json.loads((world.folder(release) / MANIFEST).read_bytes())


def test_the_third_of_three_safe_releases_is_refused_by_the_name_of_the_second_and_leaves_under_a_plan_that_passes(
    crossed, tmp_path
):
    first, second = crossed_release(crossed, "SEX"), crossed_release(crossed, "SEX", "RACE")
    third, alone_ = crossed_release(crossed, "AGE", "SEX"), crossed_release(crossed, "AGE", "SEX", project="elsewhere")
    assert manifest_of(crossed, alone_)["composition"]["joined_with"] == 0
    assert opened(crossed, alone_, tmp_path)["AGE"].nunique() == 8, "the cheapest plan, safe by itself"
    assert opened(crossed, second, tmp_path)["RACE"].nunique() == 8, "beside which each pair of age and race is one"
    told = manifest_of(crossed, third)["composition"]
    assert (told["joined_with"], told["because_of"]) == (2, [f"release {second.id}"])
    assert told["reasons"] == ["subjects would stand in classes smaller than allowed"]
    assert told["chosen"]
    joint = opened(crossed, third, tmp_path)
    for at, one in enumerate((first, second)):
        joint = joint.join(opened(crossed, one, tmp_path / "joint").add_suffix(f"_{at}"))
    rows = Counter(map(tuple, joint.astype(object).fillna("").astype(str).to_numpy().tolist()))
    assert min(rows.values()) >= 2
    assert 0.27 * len(rows) / 64 <= 0.09
    assert joint["AGE"].nunique() > 1, "and something of the age is left"


def test_the_guard_says_so_in_the_log(crossed):
    second = crossed_release(crossed, "SEX", "RACE")
    third = crossed_release(crossed, "AGE", "SEX")
    (step,) = [e for e in crossed.events(about=third.id) if e.facts.get("step") == "prepared"]
    assert step.facts["because_of"] == [f"release {second.id}"]
    assert step.facts["chosen"]


def test_projects_of_one_circle_are_joined_and_others_are_not(crossed, tmp_path, cli):
    second = crossed_release(crossed, "SEX", "RACE", project="here")
    apart = crossed_release(crossed, "AGE", "SEX", project="there")
    assert opened(crossed, apart, tmp_path)["AGE"].nunique() == 8
    made = cli(crossed.home, "datasets", "circles", "crossed", "here", "beside", "--json")
    assert (made.code, made.answer) == (0, [["beside", "here"]])
    joined = crossed_release(crossed, "AGE", "SEX", project="beside")
    assert manifest_of(crossed, joined)["composition"]["because_of"] == [f"release {second.id}"]
    assert opened(crossed, joined, tmp_path)["AGE"].nunique() < 8
    assert not set(opened(crossed, joined, tmp_path / "x").index) & set(opened(crossed, second, tmp_path).index)
    ended = cli(crossed.home, "datasets", "circles", "crossed", "here", "beside", "--end", "--json")
    assert ended.answer == []
    assert [e.facts["ended"] for e in crossed.events(kind=EventKind.DATASET_CIRCLED)] == [True, False]


def test_only_a_steward_makes_or_sees_circles(crossed):
    for who in ("researcher", "operator"):
        with pytest.raises(NotAllowed):
            datasets.circle(crossed.gateway, crossed.people[who], "crossed", ["a", "b"])
        with pytest.raises(NotAllowed):
            datasets.circles(crossed.gateway, crossed.people[who], "crossed")


def test_new_content_of_a_study_keeps_its_circles(crossed):
    steward = crossed.people["steward"]
    datasets.circle(crossed.gateway, steward, "trial", ["a", "b"])
    datasets.circle(crossed.gateway, steward, "trial", ["b", "c"])
    datasets.add(crossed.gateway, steward, crossed.study, key="trial")
    assert crossed.gateway.store.dataset("trial").beside("a") == {"a", "b", "c"}
    assert crossed.gateway.store.dataset("trial").beside("d") == {"d"}


def only(arm):
    return [{"table": "DM", "column": "ARMCD", "in": [arm]}]


def test_rows_that_differ_from_an_earlier_release_by_two_subjects_are_refused_by_its_name(crossed):
    first = crossed_release(crossed, "SEX", "ARMCD")
    release = crossed.run(crossed.approved(dataset="crossed", tables={"DM": ["SEX", "ARMCD"]}, rows=only("A")))
    assert release.step is Step.QUEUED
    assert f"release {first.id}" in release.fault
    assert "fewer than may be released together" in release.fault
    assert "very rows" in release.fault
    assert crossed_release(crossed, "SEX", "ARMCD", rows=only("A"), project="elsewhere")


def test_a_row_filter_that_leaves_two_subjects_is_refused_with_a_cure(crossed):
    release = crossed.run(crossed.approved(dataset="crossed", tables={"DM": ["SEX", "ARMCD"]}, rows=only("Z")))
    assert release.step is Step.QUEUED
    assert "fewer subjects than may be released together" in release.fault
    assert "widen the row filter" in release.fault
