"""The rules and named code as tables to read, for policies/README.md: `python -m policies.describe` renews them."""

import sys
from collections.abc import Iterable
from pathlib import Path

from policies.loader import HOME, load
from policies.measures import NAMED_CODE
from policies.model import Rule
from policies.registry import Named
from policies.rules import Rules

PAGE = HOME / "README.md"
BEGIN, END = "<!-- generated: do not edit below -->", "<!-- end of generated part -->"


def _span(rule: Rule) -> str:
    return f"{rule.effective_from} –{f' {rule.effective_to}' if rule.effective_to else ''}"


def _effect(rule: Rule) -> str:
    if rule.defines:
        return f"defines `{rule.defines}`"
    parts = []
    if rule.otherwise is not None:
        unless = " unless met" if rule.requires is not None else ""
        parts.append(f"{rule.otherwise.decision.value}{unless}")
    if rule.duties:
        parts.append("duty: " + ", ".join(duty.id for duty in rule.duties))
    if rule.data or rule.data_from:
        parts.append("data: " + (", ".join(sorted(rule.data)) or f"as {rule.data_from} says"))
    if rule.transforms_by:
        parts.append("transforms")
    if rule.sets:
        parts.append("sets " + ", ".join(f"{name} = {value}" for name, value in rule.sets.items()))
    return "; ".join(parts)


def table_of_rules(rules: Rules) -> Iterable[str]:
    """Markdown: every rule of every regime with article, sentence, effect, days and whether it is verified."""
    total = sum(len(regime.rules) for regime in rules.regimes)
    checked = sum(rule.verified for regime in rules.regimes for rule in regime.rules)
    yield f"{len(rules.regimes)} regimes, {total} rules, {checked} of them verified against a source."
    for regime in rules.regimes:
        yield from ("", f"### {regime.title}", "", f"`{regime.file}`, {regime.jurisdiction}", "")
        yield "| rule | article | says | effect | in force | verified |"
        yield "|---|---|---|---|---|---|"
        for rule in regime.rules:
            cells = [
                rule.id,
                rule.ref.article,
                rule.ref.sentence,
                _effect(rule),
                _span(rule),
                f"{'yes' if rule.verified else 'no'}, {rule.verified_on}",
            ]
            yield "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def table_of_lists(rules: Rules) -> Iterable[str]:
    """Markdown: every dated list with its version and source."""
    yield from ("| list | what | version | source | entries |", "|---|---|---|---|---|")
    for name, dated in sorted(rules.lists.items()):
        yield f"| `{name}` | {dated.title} | {dated.version} | {dated.source} | {len(dated.entries)} |"


def table_of_code() -> Iterable[str]:
    """Markdown: the measures, tests and findings that rules may call."""
    yield from ("| kind | name | arguments | what it works out |", "|---|---|---|---|")
    kinds: tuple[tuple[str, Iterable[Named]], ...] = (
        ("measure", NAMED_CODE.measures.values()),
        ("test", NAMED_CODE.tests.values()),
        ("finding", NAMED_CODE.findings.values()),
    )
    for kind, named in kinds:
        for each in sorted(named, key=lambda one: one.name):
            first = each.says.split("\n\n")[0].replace("\n", " ").replace("|", "/")
            yield f"| {kind} | `{each.name}` | {', '.join(sorted(each.arguments)) or '–'} | {' '.join(first.split())} |"


def generated(rules: Rules) -> str:
    """The generated part of the page."""
    parts = ["## Named code", "", *table_of_code(), "", "## Dated lists", "", *table_of_lists(rules), ""]
    return "\n".join([*parts, "## All rules", "", *table_of_rules(rules), ""])


def renewed(page: str, rules: Rules) -> str:
    """The page with its generated part made anew."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{generated(rules)}\n{END}{rest.partition(END)[2]}"


def main(page: Path = PAGE) -> int:
    """Write the page."""
    page.write_text(renewed(page.read_text(encoding="utf-8"), load()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
