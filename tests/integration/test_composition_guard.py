"""Releases of one study to one project are safe together, not only one by one."""

import json
from collections import Counter

import pandas as pd
import pytest

from gateway.client import package

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
