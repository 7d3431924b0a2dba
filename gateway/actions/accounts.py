"""Accounts, roles and tokens: who may come in, and as what."""

import hashlib
import re
import secrets
from dataclasses import replace
from datetime import timedelta

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.account import Account, Grant, Token
from gateway.domain.actor import ANONYMOUS, EVERY_STUDY, ROLES, SYSTEM, Actor
from gateway.domain.event import Event, EventKind, Outcome
from gateway.errors import Invalid, NotAllowed, NotFound

TOKEN_PREFIX = "tdg_"  # noqa: S105 - what every token begins with, so that leaked ones can be found
OPERATOR = "operator"
TOKEN_BYTES = 32
LONGEST_TOKEN_DAYS = 366
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")


def found(gateway: Gateway, *, steward: str, name: str) -> Actor:
    """Make the first two accounts if the gateway has none yet; they belong to whoever can run commands here.

    `operator` runs the gateway and never approves; the other stewards its studies. In development the steward is also
    the auditor, so that one person can try everything; in production an operator names auditors.
    """
    if gateway.store.accounts():
        return local_actor(gateway, steward)
    now = gateway.now()
    roles = ("steward",) if gateway.settings.mode == "production" else ("steward", "auditor")
    grants = [Grant(OPERATOR, EVERY_STUDY, "operator"), *(Grant(steward, EVERY_STUDY, role) for role in roles)]
    people = [
        Account(OPERATOR, "operator of this gateway", "", now),
        Account(steward, name, "", now),
    ]
    event = Event(
        EventKind.GATEWAY_INITIALISED,
        SYSTEM.id,
        about={"user": steward},
        facts={"origin": gateway.settings.origin, "roles": list(roles)},
        personal={"name": name},
    )
    gateway.store.save(*people, *grants, event=event, now=now)
    return gateway.store.actor(steward)


def local_actor(gateway: Gateway, account: str) -> Actor:
    """The actor a command on this machine acts as.

    Raises:
        NotFound: there is no such account.
    """
    try:
        return gateway.store.actor(account)
    except NotFound:
        raise NotFound(
            f"there is no account `{account}`", place="--as", cure="list accounts with `gateway users list`"
        ) from None


@action("user", "add")
def add(gateway: Gateway, actor: Actor, *, key: str, name: str, organisation: str = "") -> Account:
    """Add an account.

    Raises:
        Invalid: the id is not of the form, or taken.
    """
    row = allow(gateway, actor, "user", "add")
    if not _ID.fullmatch(key):
        raise Invalid("this is no account id", place="id", cure="2 to 63 of a-z 0-9 . _ -, for instance `r.okafor`")
    if any(account.id == key for account, _ in gateway.store.accounts()):
        raise Invalid("this account id is taken", place="id", cure="choose another")
    account = Account(key, name, organisation, gateway.now())
    event = Event(
        EventKind.USER_ADDED,
        actor.id,
        about={"user": key},
        facts={"allowed_by": row},
        personal={"name": name, "organisation": organisation},
    )
    gateway.store.save(account, event=event, now=gateway.now())
    return account


@action("user", "grant")
def grant(gateway: Gateway, actor: Actor, *, key: str, role: str, study: str = EVERY_STUDY) -> None:
    """Give an account a role in one study, or in all."""
    _change_role(gateway, actor, Grant(key, study, role), EventKind.ROLE_GRANTED, "grant")


@action("user", "revoke")
def revoke(gateway: Gateway, actor: Actor, *, key: str, role: str, study: str = EVERY_STUDY) -> None:
    """Take a role away."""
    _change_role(gateway, actor, Grant(key, study, role, held=False), EventKind.ROLE_REVOKED, "revoke")


def _change_role(gateway: Gateway, actor: Actor, change: Grant, kind: EventKind, act: str) -> None:
    row = allow(gateway, actor, "user", act, env={"account": change.account})
    if change.role not in ROLES:
        raise Invalid("there is no such role", place="role", cure=f"one of {', '.join(ROLES)}")
    gateway.store.actor(change.account)
    if change.study != EVERY_STUDY:
        gateway.store.dataset(change.study)
    event = Event(
        kind,
        actor.id,
        about={"user": change.account, "study": change.study},
        facts={"role": change.role, "allowed_by": row},
    )
    gateway.store.save(change, event=event, now=gateway.now())


@action("user", "disable")
def disable(gateway: Gateway, actor: Actor, *, key: str) -> None:
    """Let an account in no more: its tokens and sessions hold no longer; its history stays."""
    _switch(gateway, actor, key, disabled=True)


@action("user", "enable")
def enable(gateway: Gateway, actor: Actor, *, key: str) -> None:
    """Let a disabled account in again."""
    _switch(gateway, actor, key, disabled=False)


def _switch(gateway: Gateway, actor: Actor, key: str, *, disabled: bool) -> None:
    row = allow(gateway, actor, "user", "disable" if disabled else "enable", env={"account": key})
    account = next((held for held, _ in gateway.store.accounts() if held.id == key), None)
    if account is None:
        raise NotFound("no such user", place="user", cure="list accounts with `gateway users list`")
    kind = EventKind.USER_DISABLED if disabled else EventKind.USER_ENABLED
    event = Event(kind, actor.id, about={"user": key}, facts={"allowed_by": row})
    gateway.store.save(replace(account, disabled=disabled), event=event, now=gateway.now())


@action("user", "list")
def listing(gateway: Gateway, actor: Actor) -> list[tuple[Account, Actor]]:
    """All accounts with their roles."""
    row = allow(gateway, actor, "user", "list")
    accounts = gateway.store.accounts()
    gateway.store.record(
        Event(EventKind.AUDIT_READ, actor.id, facts={"what": "users", "allowed_by": row}), now=gateway.now()
    )
    return accounts


@action("token", "issue")
def issue_token(
    gateway: Gateway, actor: Actor, *, key: str, days: int = 90, scopes: tuple[str, ...] = (), label: str = ""
) -> tuple[Token, str]:
    """Issue an API token for an account; the secret is returned once and stored only as SHA-256.

    Raises:
        Invalid: the life is not 1 to 366 days, or a scope is not `object:action`.
    """
    row = allow(gateway, actor, "token", "issue", env={"account": key})
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise Invalid("a token lives 1 to 366 days", place="days", cure="issue a new one when it ends")
    for scope in scopes:
        if not re.fullmatch(r"\*|[a-z]+:(\*|[a-z]+)", scope):
            raise Invalid(
                "a scope has the form `object:action`", place="scopes", cure="for instance `release:download`"
            )
    gateway.store.actor(key)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    now = gateway.now()
    digest = hashlib.sha256(secret.encode()).hexdigest()
    token = Token(secrets.token_hex(8), key, digest, label, scopes, now, now + timedelta(days=days))
    event = Event(
        EventKind.TOKEN_ISSUED,
        actor.id,
        about={"user": key, "token": token.id},
        facts={"scopes": list(scopes), "expires": token.expires.isoformat(), "allowed_by": row},
    )
    gateway.store.save(token, event=event, now=now)
    return token, secret


@action("token", "revoke")
def revoke_token(gateway: Gateway, actor: Actor, *, token: str) -> None:
    """End a token now."""
    held = gateway.store.token(key=token)
    row = allow(gateway, actor, "token", "revoke", env={"account": held.account if held else ""})
    if held is None:
        raise NotFound("no such token", place="token")
    event = Event(
        EventKind.TOKEN_REVOKED, actor.id, about={"user": held.account, "token": token}, facts={"allowed_by": row}
    )
    gateway.store.save(replace(held, revoked=True), event=event, now=gateway.now())


def sign_in(gateway: Gateway, secret: str) -> Actor:
    """The actor of a bearer token. The first call of a session is logged, and each failure, without the token.

    Raises:
        NotAllowed: the token is unknown, ended or revoked, or its account disabled; all look the same.
    """
    token, actor = _owner(gateway, hashlib.sha256(secret.encode()).hexdigest()) if secret else ("", None)
    now = gateway.now()
    if actor is None:
        event = Event(EventKind.SIGN_IN, ANONYMOUS.id, Outcome.REFUSED, facts={"method": "token"})
        gateway.store.record(event, now=now)
        raise NotAllowed(
            "the token is missing, unknown, ended or revoked",
            rule="sign-in",
            cure="send `Authorization: Bearer …` with a token from `gateway users token`",
        )
    if gateway.arrivals.begins(token, now):
        about = {"user": actor.id, "token": token}
        gateway.store.record(Event(EventKind.SIGN_IN, actor.id, about=about, facts={"method": "token"}), now=now)
    gateway.arrivals.came(token, now)
    return actor


def sign_in_locally(gateway: Gateway, account: str, *, system_user: str) -> Actor:
    """The actor of a command on this machine; who ran it, as the system knows them, is logged where it can be erased.

    Raises:
        NotFound: there is no such account.
    """
    actor = local_actor(gateway, account)
    event = Event(
        EventKind.SIGN_IN,
        actor.id,
        about={"user": actor.id},
        facts={"method": "command line"},
        personal={"system_user": system_user},
    )
    gateway.store.record(event, now=gateway.now())
    return actor


def _owner(gateway: Gateway, digest: str) -> tuple[str, Actor | None]:
    """A token's id, and whom it belongs to, with its scopes; None if it holds no more or the account is disabled."""
    held = gateway.store.token(sha256=digest)
    if held is None or held.revoked or held.expires <= gateway.now():
        return "", None
    try:
        return held.id, replace(gateway.store.actor(held.account), scopes=frozenset(held.scopes) or None)
    except NotFound:
        return "", None
