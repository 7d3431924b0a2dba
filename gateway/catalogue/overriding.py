"""A steward's override: one line of a column file treated by another rule than the proposed one.

What would let a person be known is refused, whatever the reason: a direct identifier or a true date never leaves.
What is only less careful than the proposal needs to be accepted in so many words.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.catalogue.profile import ColumnProfile
from gateway.catalogue.rules import rules_for
from gateway.catalogue.vocabulary import Class, Treatment
from gateway.errors import Invalid, NotPossible
from pseudonymization.columns import Column, ColumnRef, Handling, Kind, Role, Study

_AS_IT_IS = frozenset({Treatment.KEEP, Treatment.NO_FURTHER})
_FOR_DIRECT = frozenset({Treatment.REMOVE, Treatment.RECODE_ID, Treatment.RECODE_SUBJECT, Treatment.REVIEW_AND_REDACT})
_FOR_DATES = frozenset({Treatment.OFFSET, Treatment.REMOVE})
NOT_OFFERED: Mapping[Treatment, str] = {
    Treatment.REMOVE_DATASET: "leave the table out of the request, or remove each of its variables",
    Treatment.AGGREGATE_AGE: "use `derive_age`: the bands are chosen when a release is planned",
}
OVERRIDDEN = "overridden by steward"


def reference(text: str) -> ColumnRef:
    """`TABLE.VARIABLE` or `TABLE.VARIABLE:QNAM`.

    Raises:
        Invalid: it is neither.
    """
    table, _, rest = text.partition(".")
    column, colon, qualifier = rest.partition(":")
    if not table or not column or (colon and not qualifier):
        raise Invalid("this names no variable", place=text[:100], cure="write TABLE.VARIABLE, or SUPPAE.QVAL:QNAM")
    return ColumnRef(table, column, qualifier)


def rule_word(text: str) -> Treatment:
    """A rule by its word.

    Raises:
        Invalid: there is no such rule.
    """
    if text not in list(Treatment):
        raise Invalid("there is no such rule", place="treat", cure=f"one of {', '.join(Treatment)}")
    return Treatment(text)


def overridden(
    study: Study, ref: ColumnRef, treatment: Treatment, profile: ColumnProfile | None, *, accept_risk: bool
) -> Study:
    """The study with this one line changed. `profile` is the column's, or the qualifier's.

    Raises:
        Invalid: the study has no such variable.
        NotPossible: the rule does not go with what the variable is, or its risk was not accepted.
    """
    table = next((table for table in study.tables if table.name == ref.table), None)
    try:
        column = study.at(ref)
    except KeyError:
        cure = "see its variables with `gateway datasets show`"
        raise Invalid("the dataset has no such variable", place=str(ref), cure=cure) from None
    if column.role is Role.QUALIFIER:
        raise Invalid("each qualifier has a rule of its own", place=str(ref), cure=f"write `{ref}:` and the qualifier")
    domain = table.domain if table else ""
    _refuse(ref, column, treatment, profile, domain, has_subjects=bool(table and table.subject_key))
    if not accept_risk and _is_risky(column, treatment):
        raise NotPossible(
            f"`{ref}` would leave with less care than was proposed",
            rule="less-than-proposed",
            cure="say that you accept the risk (--accept-risk), or choose a stricter rule",
        )
    return _changed(study, ref, _treated(column, treatment))


def _refuse(
    ref: ColumnRef,
    column: Column,
    treatment: Treatment,
    profile: ColumnProfile | None,
    domain: str,
    *,
    has_subjects: bool,
) -> None:
    """Refuse what is never allowed.

    Raises:
        NotPossible: naming the rule that forbids it.
    """
    if column.role is Role.SUBJECT_KEY:
        raise NotPossible(
            f"`{ref}` says whose row it is", rule="subject-key-stays", cure="it always gets the subject's pseudonym"
        )
    if treatment in NOT_OFFERED:
        raise NotPossible(
            f"`{treatment}` is no treatment of one variable", rule="not-offered", cure=NOT_OFFERED[treatment]
        )
    content = profile if treatment not in {Treatment.REMOVE, Treatment.RECODE_ID, Treatment.RECODE_SUBJECT} else None
    holds_ids = content is not None and bool(content.ids or content.is_id or content.email or content.phone)
    direct = column.role is Role.DIRECT or _class_of(column, domain) is Class.DIRECT or column.handling in {
        Handling.RECODE, Handling.EMBEDDED, Handling.SURROGATE,
    }  # fmt: skip
    if treatment not in _FOR_DIRECT and (direct or holds_ids):
        raise NotPossible(
            f"`{ref}` identifies, or holds what does, and may not leave as it is",
            rule="direct-identifier",
            cure=f"use one of {', '.join(sorted(_FOR_DIRECT))}",
        )
    dated = column.role is Role.DATE or column.kind in {Kind.DATE, Kind.TIMESTAMP} or (
        content is not None and has_subjects and content.dated > 0 and treatment is not Treatment.REVIEW_AND_REDACT
    )  # fmt: skip
    if dated and treatment not in _FOR_DATES and not direct:
        raise NotPossible(
            f"`{ref}` holds true dates of subjects, which may not leave as they are",
            rule="true-dates",
            cure=f"use one of {', '.join(sorted(_FOR_DATES))}",
        )


def _class_of(column: Column, domain: str) -> Class | None:
    """The class that the rule table gives a variable of this name, whatever it holds."""
    for rule in rules_for(domain):
        if rule.names(column.name) and "*" not in rule.match and not rule.when:
            return rule.identifies
    return None


def _is_risky(column: Column, treatment: Treatment) -> bool:
    """Whether a treatment lets out more than the column file does now."""
    if column.role is Role.QUASI:
        return treatment is Treatment.NO_FURTHER
    if column.role in {Role.FREE_TEXT, Role.UNRESOLVED} or column.handling is Handling.REMOVE:
        return treatment in _AS_IT_IS or (column.role is Role.DIRECT and treatment is Treatment.REVIEW_AND_REDACT)
    return column.role is Role.DIRECT and treatment is Treatment.REVIEW_AND_REDACT


def _treated(column: Column, treatment: Treatment) -> Column:
    """The line as the rule wants it; label, kind and what it follows stay."""
    was = f"{column.role}, {column.handling}" if column.handling else f"{column.role}"
    role, handling, hierarchy = _choice(column, treatment)
    return replace(
        column,
        role=role,
        handling=handling,
        hierarchy=hierarchy,
        certain=True,
        override=treatment.value,
        because=f"{OVERRIDDEN}: {treatment} instead of {was}",
    )


def _choice(column: Column, treatment: Treatment) -> tuple[Role, Handling | None, str]:
    """Role, handling and hierarchy. What is removed and no identifier is not searched for in the result."""
    quasi = column.role is Role.QUASI
    ladder = column.hierarchy if quasi else ""
    fixed: Mapping[Treatment, tuple[Role, Handling | None, str]] = {
        Treatment.RECODE_ID: (Role.QUASI if quasi else Role.DIRECT, Handling.RECODE, ladder),
        Treatment.RECODE_SUBJECT: (Role.DIRECT, Handling.EMBEDDED, ""),
        Treatment.OFFSET: (Role.DATE, None, ""),
        Treatment.REVIEW_AND_REDACT: (Role.FREE_TEXT, Handling.REDACT, ""),
        Treatment.DERIVE_AGE: (Role.QUASI, None, "age"),
        Treatment.ELEVATE: (Role.QUASI, None, ladder or "pool"),
        Treatment.NO_FURTHER: (Role.KEPT, None, ""),
    }
    if treatment is Treatment.REMOVE:
        stays = column.role in {Role.DIRECT, Role.DATE, Role.FREE_TEXT}
        role = Role.DIRECT if quasi and column.handling else column.role if stays else Role.SENSITIVE
        return role, Handling.REMOVE, ""
    if treatment is Treatment.KEEP:
        stays = quasi or column.role in {Role.SENSITIVE, Role.FREE_TEXT}
        return (column.role if stays else Role.KEPT), None if quasi else Handling.KEEP, ladder
    return fixed[treatment]


def _changed(study: Study, ref: ColumnRef, line: Column) -> Study:
    def change(column: Column) -> Column:
        if not ref.qualifier:
            return line
        parts = tuple(line if part.name == ref.qualifier else part for part in column.qualifiers)
        return replace(column, qualifiers=parts)

    tables = tuple(
        replace(t, columns=tuple(change(c) if (t.name, c.name) == (ref.table, ref.column) else c for c in t.columns))
        for t in study.tables
    )
    return replace(study, tables=tables)
