"""What surrounds every action: may they, what is logged when they may not, and what the outside hears of a failure."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

from gateway import logs
from gateway.context import Gateway
from gateway.domain.actor import EVERY_STUDY, Actor
from gateway.domain.event import Event, EventKind, Outcome
from gateway.errors import Broken, GatewayError, Invalid, NotAllowed, NotPossible, Refused
from gateway.release.treat import SMALLEST_SHOWN, protected
from policies.faults import RuleFault
from pseudonymization.faults import DataFault, Leak, Unreachable

P = ParamSpec("P")
R = TypeVar("R")


def allow(
    gateway: Gateway,
    actor: Actor,
    obj: str,
    act: str,
    *,
    study: str = EVERY_STUDY,
    env: Mapping[str, str] | None = None,
) -> str:
    """Ask the access rules; returns the name of the row that allows.

    Raises:
        NotAllowed: naming the row that denies, or the roles that could.
    """
    within_scope(actor, obj, act)
    roles = {name: set(held) for name, held in actor.roles.items()}
    verdict = gateway.enforcer.may(roles, actor.id, study, obj, act, env or {})
    if not verdict.allowed:
        cure = (
            "ask someone who holds such a role, or an operator to give you one"
            if verdict.roles_that_could
            else "no role of yours changes this: someone else has to do it"
        )
        raise NotAllowed(f"you may not {act} this {obj}: {verdict.because}", rule=verdict.name, cure=cure)
    return verdict.name


def within_scope(actor: Actor, obj: str, act: str) -> None:
    """Ask the token alone: for what every role may do, each seeing its own.

    Raises:
        NotAllowed: the actor came with a token whose scopes do not hold this.
    """
    if actor.scopes is not None and actor.scopes.isdisjoint({f"{obj}:{act}", f"{obj}:*", "*"}):
        raise NotAllowed(
            f"this token may not {act} a {obj}", rule="token-scope", cure=f"use a token with the scope `{obj}:{act}`"
        )


def translate(error: Exception) -> GatewayError:
    """An engine's or rule's fault in the words of the outside; anything unforeseen becomes an incident."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, Unreachable):
        return NotPossible(error.reason, rule="thresholds", cure=_loosened(error))
    if isinstance(error, Leak):
        return NotPossible(str(error), rule="leak-scan", cure=error.cure or "mend the column file, then start again")
    if isinstance(error, DataFault):
        places = "; ".join(str(place) for place in error.places)
        return Invalid(
            str(error), place=places, cure=error.cure or "mend the data or the column file, then start again"
        )
    if isinstance(error, RuleFault):
        return Invalid(str(error), place="policies", cure="mend the facts or the rule")
    number = logs.incident("actions", error)
    return Broken(f"something of ours failed; the incident is {number}", incident=number)


def _loosened(error: Unreachable) -> str:
    """What could be met instead, no finer than may be told.

    A smallest class, a share of few subjects, and an average risk over few classes each give a small number away.
    A k under the smallest cell that is shown, and a risk above its inverse, are only called so; the share to blank is
    rounded up to a quarter (which can be met all the more).
    """
    near, said = error.nearest, []
    if "k" in near:
        told = protected(int(near["k"]))
        said.append(f"k {told}" if isinstance(told, int) else f"k below {SMALLEST_SHOWN}")
    if "blank_limit" in near:
        said.append(f"blank limit {math.ceil(near['blank_limit'] * 4) / 4:g}")
    if "average_risk" in near:
        small = near["average_risk"] <= 1 / SMALLEST_SHOWN
        rounded = math.ceil(near["average_risk"] * 20) / 20
        said.append(f"average risk {rounded:g}" if small else f"average risk above {1 / SMALLEST_SHOWN:.2f}")
    return f"loosen one of: {', '.join(said)}" if said else error.cure


def action(
    obj: str, act: str
) -> Callable[[Callable[Concatenate[Gateway, Actor, P], R]], Callable[Concatenate[Gateway, Actor, P], R]]:
    """Make a function an action: whatever goes wrong in it is logged as an event, then told in our words.

    If even that event cannot be written, the error becomes `Broken`: no log, no answer.
    """

    def wrap(function: Callable[Concatenate[Gateway, Actor, P], R]) -> Callable[Concatenate[Gateway, Actor, P], R]:
        @functools.wraps(function)
        def run(gateway: Gateway, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(gateway, actor, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - all of it is logged and told in our words
                told = translate(error)
                note(gateway, actor, f"{obj}.{act}", told)
                raise told from None

        return run

    return wrap


def note(gateway: Gateway, actor: Actor, name: str, error: GatewayError) -> None:
    """Log a refusal or failure: the action, the rule or the kind of fault, never the text that was typed.

    Doors call it for input that no action ever saw: a document that cannot be read.
    """
    kind, outcome = EventKind.FAILURE, Outcome.FAILED
    facts: dict[str, str | int | float | bool | list[str] | None] = {"action": name}
    if isinstance(error, NotAllowed):
        kind, outcome = EventKind.ACCESS_DENIED, Outcome.REFUSED
    elif isinstance(error, Refused | Invalid):
        kind, outcome = EventKind.INPUT_REFUSED, Outcome.REFUSED
    if isinstance(error, Refused):
        facts["rule"] = error.rule
    elif isinstance(error, Broken):
        facts["incident"] = error.incident
    else:
        facts["fault"] = type(error).__name__
    gateway.store.record(Event(kind, actor.id, outcome, {}, facts), now=gateway.now())
