"""The table of moves: what it allows, what it refuses, and that the drawing in the docs is drawn from it."""

import re
from pathlib import Path

import pytest

from gateway.domain.request import MOVES, Move, Status, move
from gateway.errors import NotPossible

ROOT = Path(__file__).resolve().parents[2]
ENDS = {Status.REFUSED, Status.EXPIRED, Status.REVOKED, Status.WITHDRAWN}


def test_every_state_is_in_the_table_and_only_final_ones_lead_nowhere():
    assert set(MOVES) == set(Status)
    assert {status for status, moves in MOVES.items() if not moves} == ENDS


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("act", Move)
def test_a_move_goes_where_the_table_says_or_is_refused_with_what_is_possible(status, act):
    if act in MOVES[status]:
        assert move(status, act) is MOVES[status][act]
        return
    with pytest.raises(NotPossible) as refused:
        move(status, act)
    assert refused.value.rule == "request-moves"
    assert all(possible.value in refused.value.cure for possible in MOVES[status])


def test_every_state_can_be_reached_from_a_draft():
    seen, waiting = set(), [Status.DRAFT]
    while waiting:
        status = waiting.pop()
        if status not in seen:
            seen.add(status)
            waiting.extend(MOVES[status].values())
    assert seen == set(Status)


def test_the_diagram_in_the_architecture_is_the_table():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    drawn = set(re.findall(r"^  (\w+) --> (\w+): (\w+)$", text, re.MULTILINE))
    table = {(before.value, after.value, act.value) for before, moves in MOVES.items() for act, after in moves.items()}
    assert drawn == table
