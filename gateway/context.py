"""One running gateway, put together: settings, store, keys, rules, access rules, log, clock."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway import audit, settings
from gateway.crypto import keys
from gateway.errors import Invalid
from gateway.settings import Settings
from gateway.storage.database import open_database, upgrade
from gateway.storage.store import Store
from policies import enforcer, loader
from policies.enforcer import Enforcer
from policies.faults import RuleFault
from policies.rules import Rules

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The one place where the gateway looks at the clock."""
    return datetime.now(UTC)


QUIET = timedelta(minutes=15)


class Arrivals:
    """Who has called lately: a session of calls begins with a first one, and again after a quarter of an hour's quiet.

    Kept by each process for itself: a process that was started again sees everyone arrive anew.
    """

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}

    def begins(self, who: str, now: datetime) -> bool:
        """Whether a call of `who` begins a session."""
        last = self._last.get(who)
        return last is None or not last <= now < last + QUIET

    def came(self, who: str, now: datetime) -> None:
        """Remember a call, once its beginning is in the log."""
        if len(self._last) > MOST_REMEMBERED:
            self._last.clear()
        self._last[who] = now


MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that actions work with. Time is asked of `now`, so that tests and replays can set it."""

    settings: Settings
    store: Store
    keys: keys.Keys
    rules: Rules
    enforcer: Enforcer
    signer: audit.Signer
    now: Clock
    arrivals: Arrivals = field(default_factory=Arrivals)

    @property
    def witness(self) -> audit.Cosigner:
        """The gateway itself as a witness of partners' logs."""
        return audit.Cosigner(self.settings.origin.removesuffix("/log") + "/witness", self.keys.witness)

    def publish(self) -> audit.Checkpoint | None:
        """Give the waiting events their place in the log and sign the new tree head."""
        return audit.sequence(self.store.engine, self.signer, self.settings.log_folder, self.now())


@functools.cache
def _rules() -> Rules:
    """The rules that come with this software, read once in a process: they are values, and cost a second to check."""
    return loader.load()


def open_gateway(given: Settings, *, now: Clock = utc_now) -> Gateway:
    """Open the gateway of these settings. In development, missing keys and tables are made on the way.

    Raises:
        Invalid: settings are unsafe, keys are missing or damaged, the database cannot be opened, a rule is wrong.
    """
    settings.refuse_unsafe(given)
    production = given.mode == "production"
    if not production:
        keys.make(given.keys_folder)
    held = keys.load(given.keys_folder, strict=production)
    engine = open_database(given.database)
    audit.guard(engine, held.derive("waiting-events"))
    upgrade(engine)
    try:
        rules, access = _rules(), enforcer.load()
    except RuleFault as fault:
        raise Invalid(str(fault), place="policies", cure="mend the rule file; nothing was loaded") from None
    return Gateway(
        settings=given,
        store=Store(engine, audit.append),
        keys=held,
        rules=rules,
        enforcer=access,
        signer=audit.Signer(given.origin, held.log),
        now=now,
    )
