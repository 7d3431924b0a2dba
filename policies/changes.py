"""What differs between two versions of a regime, in plain sentences; worked out from the rules, not from their text."""

from collections.abc import Iterator, Mapping
from typing import Any

from policies import wording
from policies.model import Regime, Rule


def between(before: Regime, after: Regime) -> list[str]:
    """Each change as a sentence, rules in the order of the later version, those taken out last. Empty: the same law."""
    told = [f"The {name} is now: {new}" for name, old, new in _headings(before, after) if old != new]
    if before.binds != after.binds:
        told.append(f"The whole regime binds now where {wording.condition(after.binds)}")
    told += [f"The flag {name} is declared otherwise" for name in _differing(
        {flag.name: flag for flag in before.flags}, {flag.name: flag for flag in after.flags}
    )]  # fmt: skip
    told += [f"What it publishes as {name} changed" for name in _differing(before.publishes, after.publishes)]
    for old, new in _pairs(before.rules, after.rules):
        told += _of_rule(old, new)
    return told


def _headings(before: Regime, after: Regime) -> list[tuple[str, str, str]]:
    return [("title", before.title, after.title), ("jurisdiction", before.jurisdiction, after.jurisdiction)]


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _pairs(before: tuple[Rule, ...], after: tuple[Rule, ...]) -> Iterator[tuple[Rule | None, Rule | None]]:
    """Versions of the same rule, matched by their first day, else by their order."""
    for name in dict.fromkeys(rule.id for rule in (*after, *before)):
        old, new = ([rule for rule in rules if rule.id == name] for rules in (before, after))
        for rule in list(new):
            twin = next((one for one in old if one.effective_from == rule.effective_from), None)
            if twin is not None:
                old.remove(twin)
                new.remove(rule)
                yield twin, rule
        for at in range(max(len(old), len(new))):
            yield old[at] if at < len(old) else None, new[at] if at < len(new) else None


def _of_rule(old: Rule | None, new: Rule | None) -> Iterator[str]:
    if new is None:
        if old is not None:
            yield f"{old.id} is taken out: {old.ref.sentence}"
        return
    if old is None:
        yield f"{new.id} is added ({new.ref.article}, {wording.span(new)}): {new.ref.sentence}"
        return
    yield from (f"{new.id}: {said}" for said in _told(old, new))


def _told(old: Rule, new: Rule) -> Iterator[str]:
    if old.effective_from != new.effective_from:
        yield f"in force from {new.effective_from} instead of {old.effective_from}"
    if old.effective_to != new.effective_to:
        yield (
            f"no longer in force after {new.effective_to}"
            if new.effective_to
            else f"without an end; before, its last day was {old.effective_to}"
        )
    for name in _differing(old.data, new.data):
        yield _demanded(name, old.data, new.data)
    if old.when != new.when:
        yield f"binds now where {wording.condition(new.when)}; before, where {wording.condition(old.when)}"
    if old.requires != new.requires:
        yield f"requires now that {wording.condition(new.requires)}" if new.requires else "requires nothing any more"
    yield from _otherwise(old, new)
    before, after = {duty.id: duty for duty in old.duties}, {duty.id: duty for duty in new.duties}
    for name in _differing(before, after):
        yield f"duty {name}: {after[name].says}" if name in after else f"duty {name} falls away"
    for name in _differing(old.sets, new.sets):
        yield f"{name} becomes {wording.value(new.sets[name])}" if name in new.sets else f"{name} is set no more"
    for name, was, now in _cited(old, new):
        if was != now:
            yield f"{name} is now: {now}"
    for name in ("kind", "expires", "transforms_by", "data_from", "defines"):
        if getattr(old, name) != getattr(new, name):
            shown = [wording.value(getattr(rule, name)) or "nothing" for rule in (old, new)]
            yield f"{name.replace('_', ' ')} {shown[0]} → {shown[1]}"


def _demanded(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    said = name.replace("_", " ")
    if name not in new:
        return f"{said} {wording.value(old[name])} is demanded no more"
    if name not in old:
        return f"{said} {wording.value(new[name])} is demanded now"
    return f"{said} {wording.value(old[name])} → {wording.value(new[name])}"


def _otherwise(old: Rule, new: Rule) -> Iterator[str]:
    was, now = old.otherwise, new.otherwise
    if was == now:
        return
    if was is None or now is None:
        yield f"otherwise {now.decision.value.replace('_', ' ')}" if now else "has no consequence any more"
        return
    if was.decision != now.decision:
        yield f"{was.decision.value.replace('_', ' ')} → {now.decision.value.replace('_', ' ')}"
    if was.cure != now.cure:
        yield f"the cure is now: {now.cure}"
    if (was.missing, was.transforms, was.sets) != (now.missing, now.transforms, now.sets):
        yield "what would meet it is named otherwise"


def _cited(old: Rule, new: Rule) -> list[tuple[str, str, str]]:
    checked = ("not verified", "verified")
    return [
        ("its sentence", old.ref.sentence, new.ref.sentence),
        ("its article", old.ref.article, new.ref.article),
        ("its source", old.source, new.source),
        ("its standing", *(f"{checked[rule.verified]}, {rule.verified_on}" for rule in (old, new))),  # type: ignore[list-item]
    ]
