"""The receipt of a release: the proof that its completion is in the log, with the cosignatures of witnesses."""

from dataclasses import dataclass
from datetime import timedelta

from gateway import audit, logs
from gateway.context import Gateway
from gateway.domain.actor import SYSTEM
from gateway.domain.event import Event, EventKind, Outcome
from gateway.errors import Invalid, NotPossible

SAID_AGAIN = timedelta(hours=1)
"""A witness that goes on refusing is entered into the log once in so long, not at every checkpoint."""


@dataclass(frozen=True, slots=True)
class Made:
    """A receipt's text, who of the witnesses has cosigned it, and who has not."""

    text: str
    cosigned: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def ask(gateway: Gateway) -> audit.Cosigning:
    """Have the newest checkpoint cosigned. A refusal that means a forked history becomes an event, too."""
    witnesses = audit.read_witnesses(gateway.settings.witnesses)
    asked = audit.cosign(gateway.settings.log_folder, gateway.signer.verifier, witnesses, audit.post)
    if asked.alarm:
        logs.logger("audit").critical("a witness has seen another history of this log", refused=dict(asked.refused))
        for witness, reason in asked.refused.items():
            _alarm(gateway, witness, reason)
    return asked


def _alarm(gateway: Gateway, witness: str, reason: str) -> None:
    with gateway.store.reading() as connection:
        told = audit.events(
            connection, kind=EventKind.LOG_ALARM, about=witness, after=gateway.now() - SAID_AGAIN, limit=1
        )
    if told.events:
        return
    # A witness's own words could hold anything, so they stand where they can be erased.
    event = Event(
        EventKind.LOG_ALARM,
        SYSTEM.id,
        Outcome.FAILED,
        about={"witness": witness},
        facts={"what": "a witness does not cosign: it has seen another history of this log"},
        personal={"reason": reason},
    )
    gateway.store.record(event, now=gateway.now())


def make(gateway: Gateway, event: str) -> Made:
    """The receipt of one published event, cosigned by as many witnesses as settings demand.

    Raises:
        NotPossible: fewer have cosigned than are needed; nothing must leave then.
        Invalid: more are needed than there are.
    """
    settings, engine = gateway.settings, gateway.store.engine
    names = [witness.key.name for witness in audit.read_witnesses(settings.witnesses)]
    needed = settings.witnesses_needed
    if needed > len(names):
        raise Invalid(
            f"{needed} witnesses are needed but {len(names)} named",
            place="GATEWAY_WITNESSES_NEEDED",
            cure="name more in GATEWAY_WITNESSES, or need fewer",
        )
    if not names:
        return Made(audit.receipt(engine, settings.log_folder, event))
    asked = ask(gateway)
    missing = tuple(name for name in names if name not in asked.cosigned)
    if len(asked.cosigned) < needed:
        why = "; ".join(f"{name}: {reason}" for name, reason in asked.refused.items())
        raise NotPossible(
            f"the log's checkpoint has {len(asked.cosigned)} of the {needed} cosignatures needed ({why})",
            rule="witnesses-needed",
            cure="see that the witnesses can be reached and agree with this log, then start the release again",
        )
    proof = audit.prove(engine, settings.log_folder, event, within=asked.checkpoint)
    return Made(proof.proof, asked.cosigned, missing)


def witness_keys(gateway: Gateway) -> str:
    """What lies beside a release for whoever checks it offline: how many witnesses were needed, and the keys of all."""
    keys = [str(witness.key) for witness in audit.read_witnesses(gateway.settings.witnesses)]
    return "".join(f"{line}\n" for line in (f"needed {gateway.settings.witnesses_needed}", *keys)) if keys else ""
