"""A steward's override changes the line it names and no other, is logged, and never lets a person be known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import audit
from gateway.actions import accounts, datasets
from gateway.actions.overrides import override
from gateway.catalogue import columnfile
from gateway.context import Gateway, open_gateway
from gateway.domain.actor import Actor
from gateway.errors import Invalid, NotAllowed, NotPossible
from gateway.formats import Folder
from gateway.settings import Settings
from pseudonymization.columns import ColumnRef, Handling, Role, Study

Written = Callable[..., Folder]
WHO = [f"S-10-{at}" for at in range(1001, 1031)]
DM = "STUDYID,DOMAIN,USUBJID,SITEID,AGE,AGEGR1,SEX,RFSTDTC,DTHFL,DTHDTC,INVNAM\n" + "".join(
    f"S,DM,{who},10,{50 + at},{'<65' if at < 15 else '>=65'},{'MF'[at % 2]},2014-01-{at % 28 + 1:02d},,,Ann Quill\n"
    for at, who in enumerate(WHO)
)
AE = "STUDYID,DOMAIN,USUBJID,AESEQ,AETERM,AEDECOD,AESDTH,AEOUT,AEREL,SEEN\n" + "".join(
    f"S,AE,{who},1,felt sick after lunch,NAUSEA,N,RECOVERED,NONE,{'2014-02-03' if at == 3 else 'later'}\n"
    for at, who in enumerate(WHO)
)
SUPPAE = "STUDYID,RDOMAIN,USUBJID,IDVAR,IDVARVAL,QNAM,QLABEL,QVAL\n" + "".join(
    f"S,AE,{who},AESEQ,1,{name},L,{value}\n" for who in WHO for name, value in (("AETRTEM", "Y"), ("AELLTX", "sick"))
)


@pytest.fixture
def world(study: Written, tmp_path: Path) -> tuple[Gateway, Actor]:
    folder = study(dm=DM, ae=AE, suppae=SUPPAE)
    gateway = open_gateway(Settings(home=tmp_path / "home"))
    accounts.found(gateway, steward="local", name="a steward")
    actor = accounts.local_actor(gateway, "local")
    datasets.add(gateway, actor, folder.path, key="s", country="US", accept=True)
    return gateway, actor


def held(gateway: Gateway) -> Study:
    return columnfile.loads(gateway.store.dataset("s").version.column_file)


def overridings(gateway: Gateway) -> tuple[Any, ...]:
    with gateway.store.reading() as connection:
        return tuple(audit.events(connection, kind="dataset.overridden", personal=True).events)


def differing(before: Study, after: Study) -> set[str]:
    lines: list[dict[ColumnRef, Any]] = []
    for study in (before, after):
        found = {ColumnRef(t.name, c.name): replace(c, qualifiers=()) for t in study.tables for c in t.columns}
        parts = {ColumnRef(t.name, c.name, p.name): p for t in study.tables for c in t.columns for p in c.qualifiers}
        lines.append({**found, **parts})
    return {str(at) for at in lines[0] if lines[0][at] != lines[1][at]}


@pytest.mark.parametrize(
    ("variable", "treat", "role", "handling"),
    [
        ("AE.AETERM", "review_and_redact", Role.FREE_TEXT, Handling.REDACT),
        ("AE.AEOUT", "remove", Role.SENSITIVE, Handling.REMOVE),
        ("DM.INVNAM", "recode_id", Role.DIRECT, Handling.RECODE),
        ("DM.RFSTDTC", "remove", Role.DATE, Handling.REMOVE),
        ("SUPPAE.QVAL:AELLTX", "remove", Role.SENSITIVE, Handling.REMOVE),
    ],
)
def test_an_override_changes_exactly_its_line(
    world: tuple[Gateway, Actor], variable: str, treat: str, role: Role, handling: Handling
) -> None:
    gateway, actor = world
    before, version = held(gateway), gateway.store.dataset("s").version.id
    dataset, _ = override(gateway, actor, "s", variable, treat, "the trial team asked for it")
    after = held(gateway)
    assert differing(before, after) == {variable}
    table, _, rest = variable.partition(".")
    column = after.at(ColumnRef(table, *rest.split(":")))
    assert (column.role, column.handling, column.override) == (role, handling, treat)
    assert column.because.startswith(f"overridden by steward: {treat} instead of ")
    assert dataset.version.id != version


def test_an_override_is_an_event_whose_reason_is_personal_text(world: tuple[Gateway, Actor]) -> None:
    gateway, actor = world
    override(gateway, actor, "s", "AE.AEOUT", "remove", "Dr Quill asked for it")
    (event,) = overridings(gateway)
    assert event.facts["variable"] == "AE.AEOUT"
    assert (event.facts["rule"], event.facts["was"]) == ("remove", "sensitive")
    assert "Quill" not in str(event.facts)
    assert "Quill" not in gateway.store.dataset("s").version.column_file.replace("Ann Quill", "")


@pytest.mark.parametrize(
    ("variable", "treat", "rule"),
    [
        ("DM.USUBJID", "keep", "subject-key-stays"), ("DM.USUBJID", "remove", "subject-key-stays"),
        ("DM.INVNAM", "keep", "direct-identifier"), ("DM.INVNAM", "no_further", "direct-identifier"),
        ("DM.SITEID", "keep", "direct-identifier"), ("DM.RFSTDTC", "keep", "true-dates"),
        ("DM.RFSTDTC", "no_further", "true-dates"), ("AE.SEEN", "keep", "true-dates"),
        ("AE.AETERM", "remove_dataset", "not-offered"), ("DM.AGE", "aggregate_age", "not-offered"),
    ],
)  # fmt: skip
def test_what_would_let_a_person_be_known_is_refused_even_with_the_risk_accepted(
    world: tuple[Gateway, Actor], variable: str, treat: str, rule: str
) -> None:
    gateway, actor = world
    before = held(gateway)
    with pytest.raises(NotPossible) as caught:
        override(gateway, actor, "s", variable, treat, "because", accept_risk=True)
    assert caught.value.rule == rule
    assert caught.value.cure
    assert held(gateway) == before
    assert overridings(gateway) == ()


@pytest.mark.parametrize(("variable", "treat"), [("DM.SEX", "no_further"), ("AE.AETERM", "keep")])
def test_less_care_than_proposed_must_be_accepted_in_so_many_words(
    world: tuple[Gateway, Actor], variable: str, treat: str
) -> None:
    gateway, actor = world
    with pytest.raises(NotPossible) as caught:
        override(gateway, actor, "s", variable, treat, "because")
    assert caught.value.rule == "less-than-proposed"
    override(gateway, actor, "s", variable, treat, "because", accept_risk=True)
    table, column = variable.split(".")
    assert held(gateway)[table][column].override == treat


@pytest.mark.parametrize(
    ("variable", "treat", "reason"),
    [("AE", "remove", "x"), ("AE.NOPE", "remove", "x"), ("AE.AEOUT", "burn", "x"), ("AE.AEOUT", "remove", "  "),
     ("SUPPAE.QVAL", "remove", "x"), ("SUPPAE.QVAL:NOPE", "remove", "x")],
)  # fmt: skip
def test_what_is_no_override_is_named(world: tuple[Gateway, Actor], variable: str, treat: str, reason: str) -> None:
    gateway, actor = world
    with pytest.raises(Invalid) as caught:
        override(gateway, actor, "s", variable, treat, reason)
    assert caught.value.cure


def test_only_a_steward_overrides(world: tuple[Gateway, Actor]) -> None:
    gateway, actor = world
    stranger = replace(actor, roles={"*": frozenset({"researcher"})})
    with pytest.raises(NotAllowed):
        override(gateway, stranger, "s", "AE.AEOUT", "remove", "because")


@pytest.mark.parametrize("line", ["role: kept", "role: sensitive", "role: quasi, hierarchy: flat"])
def test_a_date_that_is_kept_by_hand_is_not_taken(world: tuple[Gateway, Actor], line: str) -> None:
    gateway, actor = world
    file = datasets.column_file(gateway, "s")
    text = file.read_text("utf-8").replace("RFSTDTC: {role: date", f"RFSTDTC: {{{line}")
    file.write_text(text, "utf-8")
    with pytest.raises(NotPossible) as caught:
        datasets.check(gateway, actor, "s")
    assert caught.value.rule == "true-dates"
    assert held(gateway)["DM"]["RFSTDTC"].role is Role.DATE


@pytest.mark.parametrize(
    ("variable", "waiting"),
    [("DM.AGE", {"DM.AGEGR1"}), ("DM.AGEGR1", {"DM.AGE"}), ("DM.DTHFL", {"DM.DTHDTC", "AE.AESDTH"})],
)
def test_case_14_derived_twins_fall_together(world: tuple[Gateway, Actor], variable: str, waiting: set[str]) -> None:
    gateway, actor = world
    already = {str(ref) for ref, _ in columnfile.unresolved(held(gateway))}
    _, told = override(gateway, actor, "s", variable, "remove", "because")
    assert {str(ref) for ref, _ in told} - already == waiting
    for twin in sorted(waiting):
        _, told = override(gateway, actor, "s", twin, "remove", "its twin is gone")
    assert {str(ref) for ref, _ in told} <= already
