"""Errors: every leaf has a status and an exit code, engine and rule faults are told, foreign texts stay inside."""

import pytest

from gateway import errors
from gateway.actions.guard import translate
from gateway.api.problems import problem, status_of
from gateway.audit import LogBroken
from gateway.errors import Broken, GatewayError, Invalid, NotAllowed, NotFound, NotPossible, Refused
from policies.faults import RuleFault
from pseudonymization.faults import DataFault, Leak, Place, Unreachable, Unreadable, Unresolved


def family(kind):
    return {kind, *(leaf for child in kind.__subclasses__() for leaf in family(child))}


def test_every_error_has_a_status_and_an_exit_code():
    kinds = family(GatewayError) - {GatewayError}
    assert len(kinds) > 6
    for table in (errors.STATUS, errors.EXIT):
        assert all(any(parent in table for parent in kind.__mro__) for kind in kinds)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotAllowed("no", rule="r"), 403),
        (NotAllowed("no", rule="sign-in"), 401),
        (NotPossible("no", rule="r"), 409),
        (Refused("no", rule="r"), 403),
        (Invalid("wrong"), 422),
        (NotFound("none"), 404),
        (Broken("ours"), 500),
        (LogBroken("ours"), 500),
    ],
)
def test_statuses(error, status):
    assert status_of(error) == status == problem(error)["status"]


def test_a_broken_thing_tells_the_outside_only_its_incident():
    told = problem(Broken("the table of Mrs Smith", incident="abc123"))
    assert "Smith" not in str(told)
    assert told["incident"] == "abc123"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Unreachable("not met", cure="k 5 can be met"), NotPossible),
        (Leak("still there", places=(Place("DM", "SITEID"),)), NotPossible),
        (Unreadable("no date", places=(Place("AE", "AESTDTC", (3,)),)), Invalid),
        (Unresolved("no role"), Invalid),
        (RuleFault("wrong fact"), Invalid),
    ],
)
def test_faults_of_engine_and_rules_become_ours(fault, kind):
    told = translate(fault)
    assert type(told) is kind
    assert fault.reason in told.reason or fault.reason in str(told)


def test_every_fault_of_the_engine_is_translated():
    for kind in family(DataFault):
        assert not isinstance(translate(kind("why")), Broken)


def test_a_foreign_exception_becomes_an_incident_without_its_text(capsys):
    told = translate(ValueError("cell value 1234-SECRET"))
    assert isinstance(told, Broken)
    assert told.incident
    assert "SECRET" not in str(told) + told.reason + capsys.readouterr().err


def test_a_place_names_table_column_and_rows_and_stops_at_five():
    assert str(Place("DM", "AGE", (1, 2, 3, 4, 5, 6, 7))) == "`DM.AGE` rows 1, 2, 3, 4, 5 …"
    assert str(Place("DM")) == "`DM`"
