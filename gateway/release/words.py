"""The terms and verbatims of one release: what the study's options and the steward's decisions make of them.

Under `review` a release stops before a byte is treated: its rare and sensitive terms enter the dataset's review queue,
and the fault names places only. Terms live in the database; no event, log line or fault holds one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from gateway.domain.actor import SYSTEM
from gateway.domain.event import Event, EventKind
from gateway.domain.rare_term import RareTerm
from gateway.domain.release import ReleaseTable
from gateway.errors import Broken, NotPossible
from gateway.release.work import Work
from gateway.storage.jobs import Hold
from pseudonymization import terms
from pseudonymization.columns import Handling, Study
from pseudonymization.deidentify import Prepared
from pseudonymization.options import Options
from pseudonymization.plan import Act, ColumnPlan, Plan
from pseudonymization.safeguards import Safeguards, TextRule
from pseudonymization.terms import Coverage, Item, Sensitive, Terms
from pseudonymization.wordings import RareTerms, Uncoded

USUAL = 11
"""Where the rules demand no smallest class, a term is rare below this many subjects (the usual smallest cell)."""

PUBLIC = "public"
LIFTED = "terms that few subjects hold or that are sensitive go up or are emptied"
DEATHS = "what marks a death is emptied, for deaths are few"


def rule_of(options: Options, mode: str) -> RareTerms:
    """What happens to rare terms in a release of this mode."""
    if options.rare_terms is not RareTerms.BY_MODE:
        return options.rare_terms
    return RareTerms.UP if mode == PUBLIC else RareTerms.KEEP


def few(options: Options, safeguards: Safeguards) -> int:
    """Fewer subjects than this are few."""
    return options.rare_below or (safeguards.k if safeguards.k > 1 else USUAL)


@cache
def _shipped() -> Mapping[str, tuple[str, ...]]:
    text = resources.files("pseudonymization").joinpath("sensitive_terms.yaml").read_text("utf-8")
    return {entry["name"]: tuple(entry["patterns"]) for entry in YAML(typ="safe").load(text)["terms"]}


def sensitive_list(options: Options) -> Sensitive:
    """The shipped list, less the entries the study takes out (`-hiv`), with the words it adds."""
    out = {word[1:].strip() for word in options.sensitive_terms if word.startswith("-")}
    added = tuple(word for word in options.sensitive_terms if not word.startswith("-"))
    return Sensitive(
        {**{name: words for name, words in _shipped().items() if name not in out}, "the study's own": added}
    )


def of_release(work: Work, plan: Plan) -> Terms:
    """What is done to the terms of this release; none of them may still wait.

    Raises:
        NotPossible: terms wait for a steward; names places and how to see them.
    """
    options, decided = work.whole.options, work.gateway.store.rare_terms(work.version.dataset)
    said = {(one.prefix, one.term): RareTerms(one.choice) for one in decided if one.choice}
    rule = rule_of(options, work.request.terms.mode)
    counted = terms.survey(_leaving(work.asked, plan), work.source)
    found = terms.decide(counted, rule, few(options, plan.safeguards), sensitive_list(options), said)
    if found.open:
        _open(work, found.open, {one.id for one in decided})
        places = sorted({str(place) for item in found.open for place in item.places})
        raise NotPossible(
            f"rare or sensitive terms wait for a steward in {', '.join(places)}",
            rule="rare-terms",
            cure=f"see and decide them with `gateway terms list {work.version.dataset}`, then start the release again",
        )
    return found


def _leaving(asked: Study, plan: Plan) -> Study:
    """The columns of the study that are not removed: what does not leave needs no decision."""
    gone = {(planned.table, planned.column) for planned in plan.columns if planned.act is Act.REMOVE}
    tables = tuple(
        replace(table, columns=tuple(column for column in table.columns if (table.name, column.name) not in gone))
        for table in asked.tables
    )
    return replace(asked, tables=tables)


def item_id(dataset: str, prefix: str, term: str) -> str:
    """The id of a term in a dataset's queue: the same whenever it comes up."""
    return "t-" + hashlib.sha256(f"{dataset}\0{prefix}\0{term}".encode()).hexdigest()[:20]


def _open(work: Work, items: Sequence[Item], known: set[str]) -> None:
    """Put what is new into the queue, in one transaction with its event."""
    now = work.gateway.now()
    fresh = []
    for item in items:
        why = ["few subjects"] * item.rare + [f"sensitive: {item.sensitive}"] * bool(item.sensitive)
        places = ", ".join(f"{place.table}.{place.column}" for place in item.places)
        key = item_id(work.version.dataset, item.prefix, item.term)
        fresh.append(RareTerm(key, work.version.dataset, item.prefix, item.term, places, "; ".join(why), now))
    event = Event(EventKind.TERMS_WAITING, SYSTEM.id, about=work.about, facts={"rule": "rare-terms"})
    new = [one for one in fresh if one.id not in known]
    work.gateway.store.save(*new, event=event, now=now, job=Hold(work.claim))


def checked_coding(work: Work, prepared: Prepared) -> tuple[Prepared, list[dict[str, Any]]]:
    """The plan with verbatims that are too little coded to be removed treated as the steward chose; and the shares.

    A column that the steward handles by name (`handling: remove`) is chosen already.

    Raises:
        NotPossible: a verbatim would be removed though too few rows are coded, and nobody chose what to do.
    """
    options, plan = work.whole.options, prepared.plan
    removed = {(p.table, p.column) for p in plan.columns if p.act is Act.REMOVE}
    low = [
        found
        for found in terms.coverage(work.asked, work.source)
        if (found.verbatim.table, found.verbatim.column) in removed and found.share * 100 < options.coded_at_least
    ]
    told: list[dict[str, Any]] = [
        {
            "table": one.verbatim.table,
            "column": one.verbatim.column,
            "coded": one.coded,
            "share": round(one.share, 2),
            "done": _done(work.asked, one, options),
        }
        for one in low
    ]
    stopping = [one for one, said in zip(low, told, strict=True) if said["done"] == Uncoded.STOP]
    if stopping:
        shares = "; ".join(f"{one.verbatim}: {one.share:.0%} coded in `{one.coded}`" for one in stopping)
        raise NotPossible(
            f"a reported term would be removed though its coded twin leaves rows uncoded ({shares})",
            rule="coding-coverage",
            cure="choose `uncoded: redact` or `uncoded: lose` in the options of the column file, or a handling",
        )
    redacted = {(one["table"], one["column"]) for one in told if one["done"] == Uncoded.REDACT}
    if not redacted:
        return prepared, told
    if plan.safeguards.text is TextRule.DROP:
        raise NotPossible(
            "the rules of this release drop free text, so an uncoded term cannot leave redacted",
            rule="coding-coverage",
            cure="choose `uncoded: lose` in the options of the column file",
        )
    columns = tuple(_redacted(one) if (one.table, one.column) in redacted else one for one in plan.columns)
    return replace(prepared, plan=replace(plan, columns=columns)), told


def _done(asked: Study, found: Coverage, options: Options) -> str:
    chosen = asked[found.verbatim.table][found.verbatim.column].handling
    return Uncoded.LOSE.value if chosen is Handling.REMOVE else options.uncoded.value


def _redacted(planned: ColumnPlan) -> ColumnPlan:
    return replace(planned, act=Act.REDACT, detail="its coded twin is incomplete: what identifies is redacted")


def told(plan: Plan, found: Terms) -> Plan:
    """The plan, in which the columns of terms and marks of deaths say what may happen to their cells."""
    touched = {(family.table, name) for own in found.families.values() for family in own for name in family.ranks}
    says = dict.fromkeys(touched, LIFTED) if found.outcomes or found.levels else {}
    says |= dict.fromkeys(found.emptied, DEATHS)
    columns = tuple(
        replace(one, detail=f"{one.detail}; {says[one.table, one.column]}")
        if (one.table, one.column) in says and one.act is not Act.REMOVE
        else one
        for one in plan.columns
    )
    return replace(plan, columns=columns)


def summary(found: Terms, work: Work, plan: Plan) -> dict[str, Any]:
    """What the report and the manifest say of it. No term, no count of terms."""
    options = work.whole.options
    return {
        "rule": rule_of(options, work.request.terms.mode).value,
        "fewer_than": few(options, plan.safeguards),
        "places": sorted(f"{family.table}.{family.key}" for own in found.families.values() for family in own),
        "deaths": "emptied" if found.emptied else "as they are",
        "digest": digest(found),
    }


_RULES: Mapping[str, str] = {
    RareTerms.KEEP: "they leave as they are",
    RareTerms.REVIEW: "a steward has decided each of them",
    RareTerms.UP: "the next higher term that enough subjects hold leaves in their place",
    RareTerms.BLANK: "they are emptied",
}


def shown(values: Mapping[str, Any], tables: Mapping[str, ReleaseTable], options: Options) -> dict[str, Any]:
    """What the report's page shows of words and terms: places, kinds and counts that are no small ones."""
    redacted = []
    for table in tables.values():
        counts = [(*place.split(": ", 1), n) for place, n in table.value.get("redacted", {}).items()]
        counts += [(name, "medical term", n) for name, n in table.value.get("terms_changed", {}).items()]
        redacted += [{"table": table.name, "column": column, "kind": kind, "count": n} for column, kind, n in counts]
    found = values.get("terms", {}) if values.get("terms", {}).get("places") else {}
    rule = _RULES.get(found.get("rule", ""), "")
    return {
        "redacted": redacted,
        "coding": values.get("coding", []),
        "terms": found,
        "rule": rule,
        "held": values.get("held", 0),
        "near": [f"{name}.{column}" for name in sorted(tables) for column in tables[name].value.get("near_misses", ())],
        "cleared": [{"place": place, "reason": why} for place, why in sorted(options.reasons().items())],
        "encodings": list(options.encodings),
    }


def digest(found: Terms) -> str:
    """A digest of what was decided: a release that goes on must go on with the same decisions."""
    outcomes = sorted((*at, one.rank, one.label) for at, one in found.outcomes.items())
    marks = sorted(found.emptied)
    return hashlib.sha256(repr((outcomes, sorted(found.levels), sorted(found.kept), marks)).encode()).hexdigest()


def again(work: Work, plan: Plan) -> Terms:
    """The terms of a release that goes on after its plan was stored.

    Raises:
        NotPossible: a steward has decided otherwise since; the release must be started anew.
    """
    found = of_release(work, plan)
    stored = work.release.values.get("terms", {}).get("digest")
    if stored is None:
        raise Broken("a prepared release has no decision about its terms")
    if stored != digest(found):
        raise NotPossible(
            "what was decided about rare terms changed while the release ran",
            rule="rare-terms",
            cure="start the release again",
        )
    return found
