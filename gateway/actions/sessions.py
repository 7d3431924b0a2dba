"""Signing in to the pages: a password, a code where one is enrolled, and a session that ends."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.crypto import at_rest, codes, passwords
from gateway.domain.account import Credential, Session
from gateway.domain.actor import ANONYMOUS, Actor
from gateway.domain.event import Event, EventKind, Outcome
from gateway.errors import Invalid, NotAllowed, NotFound

# NIST SP 800-63B section 5.1.1.2 asks for 8 where a second factor stands beside; not everyone has one here.
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
# NIST SP 800-63B section 5.2.2 allows 100 failures; waiting begins long before.
FREE_TRIES = 5
LONGEST_WAIT = timedelta(minutes=15)
WRONG = "account, password or code is not right"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and its secret, which only the browser keeps.

    The actor is known once all is `proven`; before that, only that the password was right.
    """

    secret: str
    session: Session
    actor: Actor
    must_change: bool


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def begin(gateway: Gateway, *, account: str, password: str) -> SignedIn:
    """The first step: account and password. A new session each time, so that none can be planted before.

    Raises:
        NotAllowed: the two do not belong together, the account is disabled or has no password; all look the same.
            Or too many tries failed: then how long to wait.
    """
    now = gateway.now()
    held = gateway.store.credential(account)
    if held is not None:
        _may_try(gateway, held, now)
    if not passwords.matches(password[:LONGEST_PASSWORD], held.password if held else None) or held is None:
        raise _failed(gateway, held, "password", now)
    try:
        actor = gateway.store.actor(account)
    except NotFound:
        raise _failed(gateway, None, "password", now) from None
    proven = held.code_secret is None
    return _open(gateway, actor, replace(held, failures=0, locked_until=None), proven=proven, method="password")


def prove(gateway: Gateway, secret: str, *, code: str) -> SignedIn:
    """The second step: the code of an authenticator. The session gets a new secret.

    Raises:
        NotAllowed: the first step is missing or too old, or the code is wrong or used.
    """
    now = gateway.now()
    session = _live(gateway, secret, now)
    held = gateway.store.credential(session.account) if session else None
    if session is None or held is None or held.code_secret is None:
        raise NotAllowed("sign in with your password first", rule="sign-in", cure="begin again")
    _may_try(gateway, held, now)
    key = at_rest.unseal(held.code_secret, gateway.keys.derive("at-rest"), _place(held.account)).decode()
    step = codes.accepted(key, code.replace(" ", ""), now, after=held.last_step)
    if step is None:
        raise _failed(gateway, held, "code", now)
    end(gateway, secret)
    actor = gateway.store.actor(session.account)
    done = replace(held, failures=0, locked_until=None, last_step=step)
    return _open(gateway, actor, done, proven=True, method="code")


def _open(gateway: Gateway, actor: Actor, held: Credential, *, proven: bool, method: str) -> SignedIn:
    now, secret = gateway.now(), secrets.token_urlsafe(32)
    session = Session(_digest(secret), actor.id, now, now, proven)
    event = Event(EventKind.SIGN_IN, actor.id, about={"user": actor.id}, facts={"method": method, "complete": proven})
    gateway.store.save(held, session, event=event, now=now)
    return SignedIn(secret, session, actor, held.must_change)


def _may_try(gateway: Gateway, held: Credential, now: datetime) -> None:
    """Raises: NotAllowed: too many tries failed in a row."""
    if held.locked_until is None or held.locked_until <= now:
        return
    event = Event(
        EventKind.SIGN_IN, ANONYMOUS.id, Outcome.REFUSED, {"user": held.account}, {"method": "password", "locked": True}
    )
    gateway.store.record(event, now=now)
    minutes = max(1, round((held.locked_until - now).total_seconds() / 60))
    raise NotAllowed(
        "too many tries failed", rule="sign-in-wait", cure=f"wait {minutes} minute{'s' * (minutes > 1)}, then try again"
    )


def _failed(gateway: Gateway, held: Credential | None, method: str, now: datetime) -> NotAllowed:
    """Count and log a failed try; the error says nothing of what was wrong."""
    about = {"user": held.account} if held else {}
    event = Event(EventKind.SIGN_IN, ANONYMOUS.id, Outcome.REFUSED, about, {"method": method})
    if held is None:
        gateway.store.record(event, now=now)
    else:
        failures = held.failures + 1
        wait = min(LONGEST_WAIT, timedelta(minutes=1) * 2 ** min(failures - FREE_TRIES, 10))
        locked = now + wait if failures >= FREE_TRIES else None
        gateway.store.save(replace(held, failures=failures, locked_until=locked), event=event, now=now)
    return NotAllowed(WRONG, rule="sign-in", cure="try again, or ask an operator to set a new password")


def _live(gateway: Gateway, secret: str, now: datetime) -> Session | None:
    """The session of a secret if it has not ended, was used lately and is not too old."""
    session = gateway.store.session(_digest(secret)) if secret else None
    given = gateway.settings
    if session is None or session.ended:
        return None
    idle = now - session.seen > timedelta(minutes=given.session_idle_minutes)
    old = now - session.created > timedelta(hours=given.session_hours)
    return None if idle or old else session


def resume(gateway: Gateway, secret: str) -> SignedIn | None:
    """Whose session this is; None if there is none that holds, or more must be proven.

    Its time of last use is written at most once a minute.
    """
    now = gateway.now()
    session = _live(gateway, secret, now)
    held = gateway.store.credential(session.account) if session else None
    if session is None or held is None or not session.proven:
        return None
    try:
        actor = gateway.store.actor(session.account)
    except NotFound:
        return None
    if now - session.seen > timedelta(minutes=1):
        gateway.store.touch(session.id, now)
    return SignedIn(secret, session, actor, held.must_change)


def end(gateway: Gateway, secret: str) -> None:
    """Sign out. A second time changes nothing."""
    session = gateway.store.session(_digest(secret)) if secret else None
    if session is None or session.ended:
        return
    event = Event(EventKind.SIGN_OUT, session.account, about={"user": session.account})
    gateway.store.save(replace(session, ended=True), event=event, now=gateway.now())


def form_token(gateway: Gateway, secret: str) -> str:
    """What a form of this session must carry (a synchroniser token): nobody else can make it."""
    return hmac.new(gateway.keys.derive("form"), secret.encode(), "sha256").hexdigest()


@action("password", "change")
def change_password(gateway: Gateway, actor: Actor, *, old: str, new: str) -> None:
    """Choose another password; every other session of the account ends.

    Raises:
        Invalid: the old one is wrong, the new one too short, too long or the same.
    """
    held = gateway.store.credential(actor.id)
    if held is None or not passwords.matches(old, held.password):
        raise Invalid("this is not your password", place="old", cure="type the one you signed in with")
    if new == old:
        raise Invalid("this is your old password", place="new", cure="choose another")
    _check(new, actor.id)
    now = gateway.now()
    changed = replace(held, password=passwords.digest(new), must_change=False, changed=now)
    event = Event(EventKind.PASSWORD_CHANGED, actor.id, about={"user": actor.id}, facts={"by": "owner"})
    ended = [replace(session, ended=True) for session in gateway.store.sessions_of(actor.id)]
    gateway.store.save(changed, *ended, event=event, now=now)


@action("user", "password")
def set_password(gateway: Gateway, actor: Actor, *, key: str, password: str = "", must_change: bool = True) -> str:
    """Give an account a first or new password, which its owner must change; its sessions and second factor end.

    Without a password one is made up. Returns it.

    Raises:
        Invalid: too short or too long. NotFound: no such account.
    """
    row = allow(gateway, actor, "user", "password", env={"account": key})
    gateway.store.actor(key)
    chosen = password or secrets.token_urlsafe(12)
    _check(chosen, key)
    now = gateway.now()
    held = Credential(key, passwords.digest(chosen), must_change, now)
    event = Event(
        EventKind.PASSWORD_CHANGED, actor.id, about={"user": key}, facts={"by": "operator", "allowed_by": row}
    )
    ended = [replace(session, ended=True) for session in gateway.store.sessions_of(key)]
    gateway.store.save(held, *ended, event=event, now=now)
    return chosen


def _check(password: str, account: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters",
            place="new",
            cure="a sentence of a few words is easy to keep in mind",
        )
    if account.lower() in password.lower():
        raise Invalid("the password holds the account's name", place="new", cure="choose another")


@action("code", "propose")
def propose_code(gateway: Gateway, actor: Actor, *, secret: str = "") -> tuple[str, str]:
    """A secret for an authenticator (a fresh one if none is given), and the address of its QR code. Stores nothing."""
    secret = secret or codes.new_secret()
    return secret, codes.address(secret, account=actor.id, issuer=gateway.settings.origin.removesuffix("/log"))


@action("code", "enrol")
def enrol_code(gateway: Gateway, actor: Actor, *, secret: str, code: str, password: str) -> None:
    """Ask for a code at each sign-in from now on.

    Raises:
        Invalid: the code does not belong to the secret, or the password is wrong.
    """
    held = gateway.store.credential(actor.id)
    if held is None or not passwords.matches(password, held.password):
        raise Invalid("this is not your password", place="password", cure="type the one you signed in with")
    now = gateway.now()
    try:
        step = codes.accepted(secret, code.replace(" ", ""), now, after=0)
    except ValueError:
        step = None
    if step is None:
        raise Invalid(
            "the code does not fit", place="code", cure="read the QR code again; set your device's clock right"
        )
    sealed = at_rest.seal(secret.encode(), gateway.keys.derive("at-rest"), _place(actor.id))
    event = Event(EventKind.SECOND_FACTOR_SET, actor.id, about={"user": actor.id}, facts={"kind": "totp"})
    gateway.store.save(replace(held, code_secret=sealed, last_step=step), event=event, now=now)


def has_code(gateway: Gateway, actor: Actor) -> bool:
    """Whether the account has a second factor."""
    held = gateway.store.credential(actor.id)
    return held is not None and held.code_secret is not None


def _place(account: str) -> str:
    return f"second-factor/{account}"
