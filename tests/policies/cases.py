"""The cases of the law: read from tests/spec/policies, laid over their base facts, judged against their verdict."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).resolve().parents[1] / "spec" / "policies"


@dataclass(frozen=True)
class Case:
    file: str
    chapter: str
    id: str
    title: str
    as_of: date
    facts: Mapping[str, Any]
    changed: Mapping[str, Any]
    left_out: tuple[str, ...]
    expected: Mapping[str, Any]


def _day(value) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def read(folder: Path = FOLDER) -> list[Case]:
    cases = []
    for path in sorted(folder.glob("*.yaml")):
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        for given in content["cases"]:
            facts = deepcopy(content["bases"][given["base"]])
            for place, value in given.get("with", {}).items():
                _put(facts, place.split("."), deepcopy(value))
            for place in given.get("without", ()):
                _drop(facts, place.split("."))
            unknown = set(given) - {"id", "title", "base", "as_of", "with", "without", "expected"}
            assert not unknown, (path.name, given["id"], unknown)
            day = _day(given.get("as_of", content["as_of"]))
            cases.append(
                Case(
                    path.name, content["chapter"], given["id"], given["title"], day, facts,
                    given.get("with", {}), tuple(given.get("without", ())), given["expected"],
                )
            )  # fmt: skip
    assert cases, "no cases found"
    assert len({case.id for case in cases}) == len(cases), "two cases share an id"
    return cases


def _put(facts, way, value):
    for step in way[:-1]:
        facts = facts.setdefault(step, {})
    facts[way[-1]] = value


def _drop(facts, way):
    for step in way[:-1]:
        facts = facts[step]
    del facts[way[-1]]


KNOWN = {"decision", "because", "conditions", "flags", "missing", "transforms", "policy", "policy_rules", "partial",
         "expires_at", "records", "no_transforms", "demands"}  # fmt: skip


def misses(expected: Mapping[str, Any], verdict) -> list[str]:
    """What a verdict lacks of what was expected, in words; empty if it is as expected."""
    assert set(expected) <= KNOWN, set(expected) - KNOWN
    told = verdict.to_dict()
    pairs = [("decision", told["decision"], expected["decision"]), *_reasons(expected, told)]
    pairs += [(f"flag {name}", told["flags"].get(name), value) for name, value in expected.get("flags", {}).items()]
    for key, part in (("policy", "value"), ("policy_rules", "rules")):
        for name, value in expected.get(key, {}).items():
            pairs.append((f"{key} {name}", told["policy"].get(name, {}).get(part), value))
    for rule, wanted in expected.get("demands", {}).items():
        got = {demand.field: demand.value for demand in verdict.policy.demands if demand.ref.rule == rule}
        pairs.append((f"demands of {rule}", got, wanted))
    for key, field in (("partial", "partial_release_allowed"), ("expires_at",) * 2, ("records", "records_kept_years")):
        if key in expected:
            pairs.append((key, told[field], expected[key]))
    return [f"{name}: {got!r}, expected {wanted!r}" for name, got, wanted in pairs if got != wanted]


def _reasons(expected, told):
    if "because" in expected:
        got = {reason["rule"] for group in ("denials", "licences", "reviews") for reason in told[group]}
        yield "because", sorted(got), sorted(expected["because"])
    if "conditions" in expected:
        yield "conditions", sorted({each["rule"] for each in told["conditions"]}), sorted(expected["conditions"])
    yield "missing", sorted(set(expected.get("missing", ())) - set(told["missing"])), []
    for change in expected.get("transforms", ()):
        yield f"transform {change}", any(change.items() <= got.items() for got in told["transforms"]), True
    if expected.get("no_transforms"):
        yield "transforms", told["transforms"], []
