"""The manifest: everything about a release that its recipient and any auditor may know. Signed; holds no cell value."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.crypto import signing
from gateway.domain.release import ReleaseFile, ReleaseTable
from gateway.release.work import Work
from pseudonymization.plan import Plan

FORMAT = "trial-data-gateway/manifest/v1"

# Which fields of the joined policy ask for the treatment of a column of this role.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "quasi": ("k", "average_risk", "uniques", "age_top", "geography"),
    "date": ("dates",),
    "free_text": ("text",),
    "direct": ("removed",),
    "subject_key": ("removed",),
}


def build(
    work: Work, tables: Mapping[str, ReleaseTable], files: Sequence[ReleaseFile], created: datetime, expires: datetime
) -> bytes:
    """The canonical JSON of the manifest: sorted keys, UTF-8, one final newline."""
    values, terms = work.release.values, work.request.terms
    plan = Plan.from_dict(values["plan"])
    content = {
        "format": FORMAT,
        "release": work.release.id,
        "request": work.request.id,
        "dataset": {"id": work.version.dataset, "version": work.version.id, "content_sha256": work.version.content},
        "project": terms.project,
        "mode": terms.mode,
        "purpose": terms.purpose,
        "exporter": dict(terms.exporter),
        "recipient": dict(terms.recipient),
        "destination": terms.destination,
        "sealed_to": list(terms.keys),
        "created": created.isoformat(timespec="seconds"),
        "expires": expires.isoformat(timespec="seconds"),
        "decision": {
            "id": work.decision.id,
            "verdict": values["verdict"]["decision"],
            "rule_bundle": work.decision.bundle,
            "conditions": values["verdict"]["conditions"],
        },
        "policy": values["policy"],
        "plan": plan.to_dict() | {"columns": columns(plan, values["policy"])},
        "risk": {
            "before": _risk(values["before"]),
            "after": _risk(values["after"]),
            "attempt": plan.safeguards.attempt,
            "note": "average_risk is attempt × mean(1 / class size); an empty cell matches only empty cells",
        },
        "utility": values["utility"],
        "attacks": values.get("attacks", {}),
        "picked": values.get("picked", {}),
        "composition": values.get("composition", {}),
        "terms": {name: value for name, value in values.get("terms", {}).items() if name != "digest"},
        "coding": values.get("coding", []),
        "held_files": values.get("held", 0),
        "tables": [dict(tables[name].value) for name in sorted(tables)],
        "files": [{"name": f.name, "size": f.size, "sha256": f.sha256} for f in files],
        "signed_by": signing.fingerprint(work.gateway.keys.manifest.public_key()),
    }
    return (json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def columns(plan: Plan, policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plan's columns, each with the rules that won for it; a column of qualifier values, then each qualifier."""
    found = []
    for whole, column in [(outer, inner) for outer in plan.columns for inner in (outer, *outer.parts)]:
        rules = {rule for field in _FIELDS.get(column.role, ()) for rule in policy.get(field, {}).get("rules", ())}
        found.append(
            {
                "table": column.table,
                "column": whole.column,
                "qualifier": "" if column is whole else column.column,
                "role": column.role,
                "treatment": column.act.value,
                "detail": column.detail,
                "level": column.level,
                "levels": column.levels,
                "why": column.why,
                "rules": sorted(rules),
            }
        )
    return found


def _risk(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Both measurements under the same names."""
    return {
        "subjects": measured["subjects"],
        "classes": measured["classes"],
        "k": measured["k"],
        "max_risk": measured.get("max_risk", measured.get("maximum")),
        "average_risk": measured.get("average_risk", measured.get("average")),
        "uniques": measured["uniques"],
        "histogram": dict(measured["histogram"]),
    }
