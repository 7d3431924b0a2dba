"""Step 1, prepare: rules joined → safeguards → search → plan. A person can read the plan before a byte moves."""

from dataclasses import replace
from pathlib import Path

from gateway.domain.release import Step
from gateway.errors import Invalid, NotPossible
from gateway.formats import content_digest, digests, scan
from gateway.release import composing, sound, weighing, words
from gateway.release.work import Work
from policies import decide
from policies.verdict import Verdict
from pseudonymization import composition, deidentify
from pseudonymization.deidentify import Prepared
from pseudonymization.plan import Plan
from pseudonymization.safeguards import Safeguards
from pseudonymization.utility import utility_of

# Headlines under which an approved request may still go out; a review was settled by the approver's reason.
PASSABLE = frozenset({"permit", "permit_with_conditions", "needs_review"})


def prepare(work: Work) -> tuple[Work, Prepared]:
    """Check that nothing changed since registration, ask the rules once more, find the plan, store it.

    Raises:
        Invalid: a file was altered after registration.
        NotPossible: a rule that came into force since approval forbids the release; or too few subjects are asked for;
            or no plan composes with what the same people hold already.
        Unreachable: the thresholds cannot be met; says the nearest that can.
    """
    unaltered(work)
    verdict = verdict_now(work)
    _large_enough(work, verdict.policy.safeguards)
    asked = {table.name for table in work.asked.tables}
    sound.check_encodings(
        work.whole, [(table.name, table.encoding) for table in scan(Path(work.version.path)) if table.name in asked]
    )
    prepared = deidentify.prepare(
        work.whole,
        work.asked,
        work.source,
        verdict.policy.safeguards,
        work.key,
        folder=Path(work.version.path),
    )
    sound.check_ids(work.whole, work.source, prepared.subjects.ids)
    joined = composing.composed(work, weighing.adopted(work.request, work.asked, prepared))
    prepared, coding = words.checked_coding(work, joined.prepared)
    terms = words.of_release(work, prepared.plan)
    prepared = replace(prepared, plan=words.told(prepared.plan, terms))
    utility = utility_of(prepared.table, prepared.ladders, prepared.plan.levels, prepared.blanked_rows)
    values = {
        "plan": prepared.plan.to_dict(),
        "policy": verdict.policy.to_dict(),
        "verdict": verdict.to_dict(),
        "before": prepared.before.to_dict(),
        "predicted": prepared.predicted.to_dict(),
        "utility": utility.to_dict(),
        "coding": coding,
        "held": len(scan(Path(work.version.path)).skipped),
        "terms": words.summary(terms, work, prepared.plan),
        "view": composing.stored(work, joined.view),
        "composition": joined.told,
        "picked": dict(weighing.picked(work.request)),
    }
    facts = {
        "rules": sorted({ref.rule for ref in verdict.policy.provenance.values()}),
        "bundle": work.decision.bundle,
        "chosen": joined.told["chosen"],
        "alternative": weighing.picked(work.request).get("number"),
        "because_of": joined.told["because_of"],
    }
    return work.store(Step.PREPARED, facts, **values), prepared


def again(work: Work) -> Prepared:
    """The same `Prepared` for a release that goes on after its plan was stored."""
    unaltered(work)
    plan = Plan.from_dict(work.release.values["plan"])
    prepared = deidentify.resume(work.whole, work.asked, work.source, plan, work.key, folder=Path(work.version.path))
    return composing.blanked_as_settled(work, prepared)


def _large_enough(work: Work, safeguards: Safeguards) -> None:
    """A row filter must leave as many subjects as could be released together; else it points at single people.

    Raises:
        NotPossible: it leaves fewer. How many it leaves is not told.
    """
    subjects = sum(int(entry["count"]) for entry in work.decision.facts["subjects"])
    if work.request.terms.rows and subjects < max(2, composition.least(safeguards)):
        raise NotPossible(
            "the rows asked for leave fewer subjects than may be released together",
            rule="smallest-extract",
            cure="widen the row filter or leave it out, and request again",
        )


def unaltered(work: Work) -> None:
    """The source files must be those that were registered.

    Raises:
        Invalid: naming the tables that changed.
    """
    now = digests(Path(work.version.path))
    if content_digest(now) != work.version.content:
        raise Invalid(
            "a source file was altered, added or removed after registration",
            place=work.version.dataset,
            cure="register the new content with `gateway datasets add`, then request that version",
        )


def verdict_now(work: Work) -> Verdict:
    """The verdict as of today on the facts of the approved decision.

    Raises:
        NotPossible: it does not let the release pass any more.
    """
    verdict = decide.decide(work.decision.facts, work.gateway.rules, work.gateway.now().date())
    if verdict.decision not in PASSABLE:
        raise NotPossible(
            f"the rules now say {verdict.decision}", rule=str(verdict.decision), cure="see the new decision"
        )
    return verdict
