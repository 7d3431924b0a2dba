"""May this person do this? The only room that knows Casbin.

Rows say which role may do what to which thing of which study, under which named condition, and why. A deny beats
an allow, and what no row allows is denied. The verdict names the row, also for an allow.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

import casbin

from policies.faults import RuleFault

HOME = Path(__file__).parent / "access"
Env = Mapping[str, str]

# What a row may ask of a case: names only, never expressions. `env` holds ids as text; an absent one is "".
CONDITIONS: Mapping[str, Callable[[Env], bool]] = {
    "always": lambda _env: True,
    "own_request": lambda env: env["actor"] != "" and env.get("requester", "") == env["actor"],
    "not_own_request": lambda env: env.get("requester", "") not in ("", env["actor"]),
    "own_account": lambda env: env["actor"] != "" and env.get("account", "") == env["actor"],
    "not_own_account": lambda env: env.get("account", "") not in ("", env["actor"]),
    "own_draft": lambda env: env["actor"] != "" and env.get("author", "") == env["actor"],
    "not_own_draft": lambda env: env.get("author", "") not in ("", env["actor"]),
    "made_for_actor": lambda env: env["actor"] != "" and env.get("recipient", "") == env["actor"],
}
ACTS: Mapping[str, frozenset[str]] = {
    "dataset": frozenset({"add", "accept", "check", "circle", "override", "read", "list"}),
    "policy": frozenset({"read", "change", "activate", "decide"}),
    "request": frozenset({"draft", "submit", "return", "compare", "approve", "refuse", "withdraw", "read", "list"}),
    "release": frozenset({"start", "read", "download", "revoke", "list"}),
    "audit": frozenset({"read", "verify", "list", "export", "erase", "anchor"}),
    "user": frozenset({"add", "grant", "revoke", "list", "password", "disable", "enable"}),
    "terms": frozenset({"read", "decide"}),
    "token": frozenset({"issue", "revoke"}),
    "settings": frozenset({"read"}),
    "worker": frozenset({"run"}),
}
ROLES = frozenset({"researcher", "steward", "auditor", "operator"})
EFFECTS = frozenset({"allow", "deny"})
ANYBODY = "*"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_STUDY = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One access row. `role`, `study` and `act` may be `*`: anybody, every study, every act."""

    role: str
    study: str
    obj: str
    act: str
    condition: str
    effect: str
    name: str
    because: str


@dataclass(frozen=True, slots=True)
class AccessVerdict:
    """The answer: whether, the name of the row that said so (`no-row-allows` if none did), and why.

    `roles_that_could` names, for a denial, the roles that some row would let do this.
    """

    allowed: bool
    name: str
    because: str
    roles_that_could: tuple[str, ...] = ()


def read_rows(path: Path | None = None) -> tuple[Row, ...]:
    """The rows of a policy file (the package's own by default), checked.

    Raises:
        RuleFault: a row is not well formed; `place` is file and line.
    """
    source = HOME / "policy.csv" if path is None else path
    with source.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        header = next(reader, None)
        if header != ["role", "study", "object", "act", "condition", "effect", "name", "because"]:
            raise RuleFault("the header row is not that of an access policy", place=f"{source.name}:1")
        rows = []
        for fields in reader:
            place = f"{source.name}:{reader.line_num}"
            if len(fields) != 8:
                raise RuleFault("a row has eight fields", place=place)
            rows.append(checked(Row(*fields), place=place))
    return tuple(rows)


def load(path: Path | None = None) -> "Enforcer":
    """An enforcer for the rows of a policy file (the package's own by default).

    Raises:
        RuleFault: a row is not well formed; `place` is file and line.
    """
    return Enforcer(read_rows(path))


def checked(row: Row, *, place: str = "") -> Row:
    """The row itself, if it is well formed.

    Raises:
        RuleFault: a word outside the vocabulary, a condition outside the registry, no name or no because.
    """
    acts = ACTS.get(row.obj, frozenset())
    known: tuple[tuple[bool, str, Iterable[str]], ...] = (
        (row.role in ROLES or row.role == ANYBODY, f"no such role: `{row.role}`", ROLES),
        (_STUDY.fullmatch(row.study) is not None, "the study is no id", ()),
        (row.obj in ACTS, f"no such thing: `{row.obj}`", ACTS),
        (row.act in acts or row.act == ANYBODY, f"no such act on {row.obj}: `{row.act}`", acts),
        (row.condition in CONDITIONS, f"no such condition: `{row.condition}`", CONDITIONS),
        (row.effect in EFFECTS, f"no such effect: `{row.effect}`", EFFECTS),
        (_NAME.fullmatch(row.name) is not None, "a row needs a name in small letters, digits and hyphens", ()),
        (len(row.because.strip()) >= 10 and row.because.isprintable(), "a row needs a because", ()),
    )
    for fits, reason, choices in known:
        if not fits:
            raise RuleFault(reason, place=place, cure=f"one of {', '.join(sorted(choices))}" if choices else "")
    return row


class Enforcer:
    """Answers for one set of rows. Build a new one when rows change."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(checked(row) for row in rows)
        if not self.rows:
            raise RuleFault("there are no access rows", cure="restore access/policy.csv")
        names = [row.name for row in self.rows]
        for name in names:
            if names.count(name) > 1:
                raise RuleFault(f"two access rows are named `{name}`")
        self._of_study = lru_cache(maxsize=256)(self._build)

    def may(
        self,
        actor_roles: Mapping[str, Iterable[str]],
        actor_id: str,
        study: str,
        obj: str,
        act: str,
        env: Env | None = None,
    ) -> AccessVerdict:
        """Whether an actor may do `act` to `obj` of `study` (`*` where no study is concerned).

        actor_roles: the roles held, by study; `*` holds roles for every study. env: ids of the case, as
        `requester` (who drafted the request), `recipient` (whom the release was made for), `account`.

        Raises:
            RuleFault: the act or the thing does not exist, or a field is empty.
        """
        if not (actor_id and study and obj and act):
            raise RuleFault("who, which study, what and which act must all be stated")
        if act not in ACTS.get(obj, frozenset()):
            raise RuleFault(f"no such act: {obj} {act}")
        roles = sorted({*actor_roles.get(study, ()), *actor_roles.get("*", ())} & ROLES)
        case = {**(env or {}), "actor": actor_id}
        verdicts = [self._asked(role, study, obj, act, case) for role in roles]
        # A deny on any role held beats an allow on any other.
        for row in [row for row, _ in verdicts if row and row.effect == "deny"]:
            return AccessVerdict(allowed=False, name=row.name, because=row.because)
        for row in [row for row, allowed in verdicts if row and allowed]:
            return AccessVerdict(allowed=True, name=row.name, because=row.because)
        return self._nobody_allows(study, obj, act, roles)

    def _asked(self, role: str, study: str, obj: str, act: str, case: Env) -> tuple[Row | None, bool]:
        """Casbin's answer for one role, with the row behind it: Casbin names none for an allow, so it is found here."""
        allowed = bool(self._of_study(study).enforce(role, study, obj, act, case))
        matching = [row for row in self.rows if _matches(row, role, study, obj, act, case)]
        wanted = "allow" if allowed else "deny"
        row = next((row for row in matching if row.effect == wanted), None)
        if allowed and row is None:  # two readings of one policy that disagree: the stricter holds
            return None, False
        return row, allowed

    def _nobody_allows(self, study: str, obj: str, act: str, roles: list[str]) -> AccessVerdict:
        could = sorted(
            {
                row.role
                for row in self.rows
                if row.effect == "allow" and row.obj == obj and row.act in (act, "*") and row.study in (study, "*")
            }
        )
        held = ", ".join(roles) or "none"
        who = " or ".join(could) or "nobody"
        because = f"no row allows {obj} {act} with the roles held ({held}) in this case; {who} may, where the case fits"
        return AccessVerdict(allowed=False, name="no-row-allows", because=because, roles_that_could=tuple(could))

    def _build(self, study: str) -> "casbin.Enforcer":
        """A small Casbin enforcer with the rows that concern one study.

        Rows go in as lists, never as text lines: a comma in a field cannot move a value into another.
        """
        enforcer = casbin.Enforcer(str(HOME / "model.conf"))
        enforcer.add_function("holds", _holds)
        assertion = enforcer.get_model()["p"]["p"]
        for row in self.rows:
            if row.study in (study, "*"):
                assertion.policy.append(list(astuple(row)))
        return enforcer


def _holds(condition: str, env: Env) -> bool:
    return CONDITIONS[condition](env)


def _matches(row: Row, role: str, study: str, obj: str, act: str, case: Env) -> bool:
    return (
        row.study in (study, "*")
        and row.obj == obj
        and row.act in (act, "*")
        and row.role in (role, ANYBODY)
        and CONDITIONS[row.condition](case)
    )
