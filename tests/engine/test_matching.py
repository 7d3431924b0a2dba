"""What an attacker with true records finds, against a plain one who goes through everybody."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization import matching
from pseudonymization.matching import RESULTS, TERMS, TIMES, VISITS, Traces

PEOPLE = ["A", "B", "C", "D"]
PLACE = {name: at for at, name in enumerate(PEOPLE)}


def traces(rows, *, grain=matching.DAY, clock=matching.MINUTE, key=b"k"):
    """rows: (subject, date text, term)."""
    found = Traces(key)
    who, dates, terms = (pa.array(list(column)).dictionary_encode() for column in zip(*rows, strict=True))
    found.days(who, dates, grain)
    found.times(who, dates, clock)
    found.items(TERMS, who, [terms])
    found.items(RESULTS, who, [terms, dates])
    return found


TRUE = [
    ("A", "2014-01-01T08:00", "HEADACHE"), ("A", "2014-01-05T09:30", "RASH"),
    ("B", "2014-02-01T08:00", "HEADACHE"), ("B", "2014-02-05T09:30", "HEADACHE"),
    ("C", "2014-03-01T08:15", "HEADACHE"), ("C", "2014-03-09T08:15", "HEADACHE"),
]  # fmt: skip


def shifted(rows, by):
    return [(who, str(np.datetime64(text[:10]) + by[who]) + text[10:], term) for who, text, term in rows]


def test_gaps_and_times_survive_a_shift_and_days_do_not():
    before, after = traces(TRUE), traces(shifted(TRUE, {"A": 3650, "B": 3651, "C": 3652}))
    true, told = before.of(VISITS, PLACE), after.of(VISITS, PLACE)
    gaps = told.prints(gaps=True)
    assert true.prints(gaps=True).tolist() == gaps.tolist()
    assert (true.prints(gaps=False) != told.prints(gaps=False))[:3].all()
    assert gaps[0] == gaps[1] != gaps[2]
    assert gaps[3] == 0
    assert matching.alone(gaps) == 0.25
    targets = np.arange(4)
    found = matching.by_print(true.prints(gaps=True), gaps, targets)
    assert [None if one is None else one.tolist() for one in found] == [[0, 1], [0, 1], [2], None]
    assert matching.rate(found, targets, 4) == pytest.approx((0.5 + 0.5 + 1 + 0.25) / 4)
    assert before.of(TIMES, PLACE).prints(gaps=False).tolist() == after.of(TIMES, PLACE).prints(gaps=False).tolist()


def test_two_days_are_found_by_their_distance_where_dates_were_moved_and_by_themselves_where_not():
    before, after = traces(TRUE), traces(shifted(TRUE, {"A": 3650, "B": 3651, "C": 3652}))
    known = [before.of(VISITS, PLACE).of(at) for at in range(4)]
    moved = matching.by_two_days(known, after.of(VISITS, PLACE), absolute=False)
    assert [None if one is None else one.tolist() for one in moved] == [[0, 1], [0, 1], [2], None]
    same = matching.by_two_days(known, before.of(VISITS, PLACE), absolute=True)
    assert [None if one is None else one.tolist() for one in same] == [[0], [1], [2], None]


def test_cut_dates_and_times_are_compared_as_they_were_cut():
    cut = [(who, text[:7], term) for who, text, term in TRUE]
    after = traces(cut, grain=matching.MONTH)
    told, true = after.of(VISITS, PLACE), traces(TRUE).of(VISITS, PLACE)
    assert true.as_fine_as(matching.MONTH).what.tolist() == told.what.tolist()
    hours = traces([(who, f"{text[:13]}", term) for who, text, term in TRUE], clock=matching.HOUR).of(TIMES, PLACE)
    own = traces(TRUE).of(TIMES, PLACE).as_fine_as(matching.HOUR)
    assert (own.who.tolist(), own.what.tolist()) == (hours.who.tolist(), hours.what.tolist())
    assert traces(cut, grain=matching.MONTH).of(TIMES, PLACE) is None


def test_a_term_that_was_taken_away_leaves_a_wrong_guess_or_a_blind_one():
    before = traces(TRUE).of(TERMS, PLACE)
    blanked = traces([(who, text, "" if term == "RASH" else term) for who, text, term in TRUE]).of(TERMS, PLACE)
    rash = [np.setdiff1d(before.of(0), before.of(2))]
    assert matching.rate(matching.by_items(rash, before), np.array([0]), 4) == 1.0
    assert matching.rate(matching.by_items(rash, blanked), np.array([0]), 4) == 0.25
    assert matching.rate(matching.by_items(rash, None), np.array([0]), 4) == 0.25
    assert matching.rate([before.of(0)[:0] + 2], np.array([0]), 4) == 0.25
    assert matching.rate([np.array([1, 2])], np.array([0]), 4) == 0.0


def test_what_is_stored_between_steps_is_what_was_gathered_and_holds_no_value():
    first, second, whole = traces(TRUE[:3]), traces(TRUE[3:]), traces(TRUE)
    stored = [one.to_bytes() for one in (first, second)]
    assert not any(b"HEADACHE" in one or b"2014" in one for one in stored)
    together = Traces(b"k")
    for one in stored:
        together.absorb(one)
    for kind in (VISITS, TIMES, RESULTS, TERMS):
        mine, theirs = together.of(kind, PLACE), whole.of(kind, PLACE)
        assert (mine.who.tolist(), mine.what.tolist()) == (theirs.who.tolist(), theirs.what.tolist())
    assert traces(TRUE, key=b"other").of(TERMS, PLACE).what.tolist() != whole.of(TERMS, PLACE).what.tolist()


days = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=14)


@settings(max_examples=150, deadline=None)
@given(days, st.lists(st.integers(100, 120), min_size=4, max_size=4))
def test_gap_matching_is_what_a_plain_loop_finds(rows, moved):
    true = [(PEOPLE[who], f"2014-01-{day:02d}", "X") for who, day in rows]
    after = shifted(true, dict(zip(PEOPLE, moved, strict=True)))

    def gaps(table, who):
        held = sorted({np.datetime64(text[:10]) for name, text, _ in table if name == who})
        return tuple(int((b - a).astype(int)) for a, b in pairwise(held)) if held else None

    mine = matching.by_print(
        traces(true).of(VISITS, PLACE).prints(gaps=True),
        traces(after).of(VISITS, PLACE).prints(gaps=True),
        np.arange(4),
    )
    for at, found in enumerate(mine):
        own = gaps(true, PEOPLE[at])
        plain = [] if own is None else [other for other in range(4) if gaps(after, PEOPLE[other]) == own]
        assert (found.tolist() if found is not None else []) == plain


def test_the_blanked_are_guessed_when_no_class_fits():
    told, released = np.array([1, 1, 2, 3]), np.array([1, 1, 0, 0])
    found = matching.by_classes(told, released, np.array([2, 3]), np.arange(4))
    assert [one.tolist() for one in found] == [[0, 1], [0, 1], [2, 3], [2, 3]]
    assert matching.rate(found, np.arange(4), 4) == 0.5


def test_all_that_is_known_together_leaves_whoever_fits_each():
    one, other = [np.array([0, 1]), None, None], [np.array([1, 2]), np.array([3]), None]
    found = matching.both(one, other)
    assert [None if fits is None else fits.tolist() for fits in found] == [[1], [3], None]
