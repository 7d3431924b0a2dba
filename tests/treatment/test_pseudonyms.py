"""Pseudonyms: one subject, one id, per project; nothing of the original in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudonymization import pseudonyms
from pseudonymization.faults import Unresolved
from pseudonymization.pseudonyms import ALPHABET, ProjectKey, recode, subject_pseudonyms

ROOT = bytes(range(32))
KEY = ProjectKey.derive(ROOT, "p1")
ids = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), min_size=1, max_size=20, unique=True)


@given(ids, ids)
def test_a_subject_keeps_its_id_whoever_else_is_in_the_study(first: list[str], second: list[str]) -> None:
    alone = dict(zip(first, subject_pseudonyms(KEY, first), strict=True))
    together = list(dict.fromkeys([*second, *first]))
    assert alone.items() <= dict(zip(together, subject_pseudonyms(KEY, together), strict=True)).items()


@given(ids)
def test_no_two_projects_share_an_id(originals: list[str]) -> None:
    here = subject_pseudonyms(KEY, originals)
    there = subject_pseudonyms(ProjectKey.derive(ROOT, "p2"), originals)
    elsewhere = subject_pseudonyms(ProjectKey.derive(bytes(32), "p1"), originals)
    assert not set(here) & set(there)
    assert not set(here) & set(elsewhere)


def test_an_id_is_short_readable_and_its_order_tells_nothing() -> None:
    originals = [f"01-{site}-{subject}" for site in range(701, 720) for subject in range(1000, 1100)]
    names = subject_pseudonyms(KEY, originals)
    assert all(len(name) == 16 and name.startswith("S-") for name in names)
    assert set("".join(name[2:] for name in names)) == {*ALPHABET, "-"}
    assert not set("AEIOU01") & set(ALPHABET)
    order = np.argsort(np.argsort(names))
    assert abs(np.corrcoef(order, np.arange(len(names)))[0, 1]) < 0.1


def test_an_id_is_pinned_so_that_later_releases_agree() -> None:
    assert subject_pseudonyms(KEY, ["01-701-1015"]) == ["S-G559-BQ9N-SX5V"]
    assert recode(KEY, "SITEID", ["701", ""]) == ["C-FC5H-TR8W-5C2R", ""]


def test_codes_of_two_namespaces_differ_and_equal_those_of_the_same() -> None:
    assert recode(KEY, "SITEID", ["701"]) == recode(KEY, "SITEID", ["702", "701"])[1:]
    assert recode(KEY, "SITEID", ["701"]) != recode(KEY, "INVID", ["701"])
    assert recode(KEY, "SITEID", ["701"])[0][2:] != subject_pseudonyms(KEY, ["701"])[0][2:]


def test_two_subjects_that_would_meet_stop_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms, "LETTERS", 1)
    with pytest.raises(Unresolved, match="meet in one pseudonym"):
        subject_pseudonyms(KEY, [f"id-{at}" for at in range(40)])


def test_a_pseudonym_that_is_an_original_id_stops_the_release() -> None:
    taken = subject_pseudonyms(KEY, ["a"])[0]
    with pytest.raises(Unresolved):
        subject_pseudonyms(KEY, ["a", taken])


def test_a_key_hides_its_bytes_and_refuses_a_short_root() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
    with pytest.raises(ValueError, match="32 bytes"):
        ProjectKey.derive(b"short", "p1")
    with pytest.raises(ValueError, match="name"):
        ProjectKey.derive(ROOT, "")


def test_keys_of_two_purposes_are_different_and_stable() -> None:
    assert KEY.subkey("subject") != KEY.subkey("date shift")
    assert KEY.subkey("subject") == ProjectKey.derive(ROOT, "p1").subkey("subject")
