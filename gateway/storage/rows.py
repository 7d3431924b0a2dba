"""Between the domain's values and rows: how each thing is written, how each is read back."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import singledispatch
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.domain.account import Account, Credential, Decision, Grant, Session, Token
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset, DatasetVersion
from gateway.domain.rare_term import RareTerm
from gateway.domain.release import Obligation, Release, ReleaseTable, Step
from gateway.domain.request import Approval, Request, RowFilter, Status, Terms
from gateway.domain.rule_draft import DraftState, RuleDraft
from gateway.errors import NotPossible
from gateway.storage import tables as t

Thing = (
    Account
    | Grant
    | Token
    | Credential
    | Session
    | Dataset
    | DatasetVersion
    | Request
    | Decision
    | Release
    | ReleaseTable
    | Obligation
    | RareTerm
    | RuleDraft
)


def plain(value: Any) -> Any:
    """A JSON-ready copy of a domain value."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _put(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Update the row with this key, or insert it."""
    matches = [table.c[name] == value for name, value in key.items()]
    changed = connection.execute(update(table).where(*matches).values(**values))
    if changed.rowcount == 0:
        connection.execute(insert(table).values(**key, **values))


@singledispatch
def write(thing: Thing, connection: Connection) -> None:  # noqa: ARG001 - what the registered ones take
    """Write one thing inside a transaction."""
    raise TypeError(f"nothing is known about storing {type(thing).__name__}")


@write.register
def _(thing: Account, connection: Connection) -> None:
    values = asdict(thing)
    _put(connection, t.accounts, {"id": values.pop("id")}, values)


@write.register
def _(thing: Grant, connection: Connection) -> None:
    g = t.grants.c
    connection.execute(delete(t.grants).where(g.account == thing.account, g.study == thing.study, g.role == thing.role))
    if thing.held:
        connection.execute(insert(t.grants).values(account=thing.account, study=thing.study, role=thing.role))


@write.register
def _(thing: Token, connection: Connection) -> None:
    values = asdict(thing)
    values["scopes"] = list(thing.scopes)
    _put(connection, t.tokens, {"id": values.pop("id")}, values)


@write.register
def _(thing: Credential, connection: Connection) -> None:
    values = asdict(thing)
    _put(connection, t.credentials, {"account": values.pop("account")}, values)


@write.register
def _(thing: Session, connection: Connection) -> None:
    values = asdict(thing)
    _put(connection, t.sessions, {"id": values.pop("id")}, values)


@write.register
def _(thing: Dataset, connection: Connection) -> None:
    values = {
        "title": thing.title,
        "categories": list(thing.categories),
        "approvers": thing.approvers,
        "version": thing.version.id,
        "circles": [list(circle) for circle in thing.circles],
    }
    write(thing.version, connection)
    _put(connection, t.datasets, {"id": thing.id}, values)


@write.register
def _(thing: DatasetVersion, connection: Connection) -> None:
    values = asdict(thing)
    _put(connection, t.dataset_versions, {"id": values.pop("id")}, values)


@write.register
def _(thing: Request, connection: Connection) -> None:
    """Insert, or update if nobody saved it meanwhile."""
    values = {
        "requester": thing.requester,
        "dataset": thing.terms.dataset,
        "terms": plain(asdict(thing.terms)),
        "status": thing.status.value,
        "created": thing.created,
        "updated": thing.updated,
        "decision": thing.decision,
        "approvals": plain([asdict(a) for a in thing.approvals]),
        "note": thing.note,
        "release": thing.release,
        "revision": thing.revision + 1,
    }
    if thing.revision == 0:
        try:
            connection.execute(insert(t.requests).values(id=thing.id, **values))
        except IntegrityError:
            raise NotPossible(
                "this request was drafted already", rule="request-key", cure="look at your requests"
            ) from None
        return
    r = t.requests.c
    changed = connection.execute(
        update(t.requests).where(r.id == thing.id, r.revision == thing.revision).values(**values)
    )
    if changed.rowcount != 1:
        raise NotPossible(
            "someone else changed this request meanwhile",
            rule="request-revision",
            cure="look at it again and repeat what you meant to do",
        )


@write.register
def _(thing: Decision, connection: Connection) -> None:
    values = asdict(thing) | {"facts": plain(thing.facts), "verdict": plain(thing.verdict)}
    _put(connection, t.decisions, {"id": values.pop("id")}, values)


@write.register
def _(thing: Release, connection: Connection) -> None:
    """Insert or update; one that begins anew leaves behind what stood sealed."""
    if thing.step is Step.QUEUED:
        connection.execute(delete(t.release_tables).where(t.release_tables.c.release == thing.id))
    values = {
        "request": thing.request,
        "dataset": thing.dataset,
        "version": thing.version,
        "step": thing.step.value,
        "created": thing.created,
        "expires": thing.expires,
        "values": plain(thing.values),
        "fault": thing.fault,
        "progress": thing.progress,
        "revoked": thing.revoked,
    }
    _put(connection, t.releases, {"id": thing.id}, values)


@write.register
def _(thing: ReleaseTable, connection: Connection) -> None:
    values = {"value": plain(thing.value), "contribution": thing.contribution}
    _put(connection, t.release_tables, {"release": thing.release, "name": thing.name}, values)


@write.register
def _(thing: Obligation, connection: Connection) -> None:
    values = asdict(thing)
    _put(connection, t.obligations, {"id": values.pop("id")}, values)


@write.register
def _(thing: RareTerm, connection: Connection) -> None:
    values = asdict(thing)
    _put(connection, t.rare_terms, {"id": values.pop("id")}, values)


@write.register
def _(thing: RuleDraft, connection: Connection) -> None:
    """Insert, or update if nobody saved it meanwhile."""
    values = asdict(thing) | {"state": thing.state.value, "revision": thing.revision + 1}
    if thing.revision == 0:
        connection.execute(insert(t.rule_drafts).values(values))
        return
    d = t.rule_drafts.c
    held = update(t.rule_drafts).where(d.id == thing.id, d.revision == thing.revision)
    if connection.execute(held.values(values)).rowcount != 1:
        raise NotPossible(
            "someone else changed this draft meanwhile", rule="draft-revision", cure="look at it again, then repeat it"
        )


def read_rule_draft(row: Row[Any]) -> RuleDraft:
    """A change of the rules from its row."""
    content = row._asdict()
    return RuleDraft(**{**content, "state": DraftState(content["state"])})


def read_terms(content: Mapping[str, Any]) -> Terms:
    """The terms that were written."""
    return Terms(
        **{
            **content,
            "tables": {n: tuple(c) if c is not None else None for n, c in content["tables"].items()},
            "keys": tuple(content["keys"]),
            "rows": tuple(RowFilter(f["table"], f["column"], tuple(f["values"])) for f in content["rows"]),
        }
    )


def read_request(row: Row[Any]) -> Request:
    """A request from its row."""
    approvals = tuple(
        Approval(a["approver"], datetime.fromisoformat(a["at"]), a["note"], a.get("picked", {})) for a in row.approvals
    )
    return Request(
        row.id,
        row.requester,
        read_terms(row.terms),
        Status(row.status),
        row.created,
        row.updated,
        row.decision,
        approvals,
        row.note,
        row.release,
        row.revision,
    )


def read_release(content: Mapping[str, Any]) -> Release:
    """A release from the columns of its row."""
    return Release(**{**content, "step": Step(content["step"])})


def read_token(row: Row[Any]) -> Token:
    """A token from its row."""
    content = row._asdict()
    content["scopes"] = tuple(content["scopes"])
    return Token(**content)


def read_dataset(connection: Connection, row: Row[Any]) -> Dataset:
    """A dataset with its newest version."""
    v = t.dataset_versions
    version = connection.execute(select(v).where(v.c.id == row.version)).one()
    circles = tuple(tuple(circle) for circle in row.circles)
    held = DatasetVersion(**version._asdict())
    return Dataset(row.id, row.title, tuple(row.categories), row.approvers, held, circles)


def read_actor(connection: Connection, row: Row[Any]) -> Actor:
    """An account as an actor with its roles."""
    roles: dict[str, set[str]] = {}
    for grant in connection.execute(select(t.grants).where(t.grants.c.account == row.id)):
        roles.setdefault(grant.study, set()).add(grant.role)
    return Actor(row.id, row.name, row.organisation, {s: frozenset(r) for s, r in roles.items()})
