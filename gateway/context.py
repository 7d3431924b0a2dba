"""One running gateway, put together: settings, store, keys, rules, access rules, log, clock."""

import functools
import threading
from collections.abc import Callable, Mapping
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


MOST_BUNDLES = 16


class Bundles:
    """The rules as activated changes make them, kept by the ids of the changes: what was activated stays as it is."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, ...], Rules] = {}
        self._lock = threading.Lock()

    def of(self, overlays: Mapping[str, str], shipped: Rules, text_of: Callable[[str], str]) -> Rules:
        """The rules under these overlays (regime → id of the change); `text_of` an id gives the regime's text.

        Raises:
            Invalid: a change does not fit the rules of this software any more.
        """
        key = tuple(sorted(overlays.values()))
        if not key:
            return shipped
        with self._lock:
            if key in self._held:
                return self._held[key]
        files = {regime.id: regime.file for regime in shipped.regimes}
        try:
            replaced = {files.get(name, f"{name}.yaml"): text_of(draft) for name, draft in overlays.items()}
            made = loader.load(replaced=replaced)
        except RuleFault as fault:
            cure = "a change that was activated does not fit the rules of this version of the gateway"
            raise Invalid(str(fault), place="policies", cure=cure) from None
        with self._lock:
            if len(self._held) >= MOST_BUNDLES:
                self._held.clear()
            self._held[key] = made
        return made


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that actions work with. Time is asked of `now`, so that tests and replays can set it.

    `shipped` are the rules that came with this software; `rules` those in force now.
    """

    settings: Settings
    store: Store
    keys: keys.Keys
    shipped: Rules
    enforcer: Enforcer
    signer: audit.Signer
    now: Clock
    arrivals: Arrivals = field(default_factory=Arrivals)
    bundles: Bundles = field(default_factory=Bundles)

    @property
    def rules(self) -> Rules:
        """The rules in force now. Take them once for one decision: they may change between two looks."""
        return self.rules_at(self.now())

    def rules_at(self, when: datetime) -> Rules:
        """The rules that were in force at a moment, or will be as things stand: the files, and activated changes.

        Raises:
            Invalid: a change does not fit the rules of this software any more.
        """
        return self.bundles.of(self.store.overlays(when), self.shipped, lambda key: self.store.rule_draft(key).text)

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
        shipped=rules,
        enforcer=access,
        signer=audit.Signer(given.origin, held.log),
        now=now,
    )
