"""Rule files and dated lists from disk: read, checked against their schema, numbered by line; all or nothing.

Every fault names the file and the line. What is loaded is frozen, and its hash is the `bundle` that a decision keeps.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators

from policies import marked
from policies.faults import RuleFault
from policies.merge import demands_of
from policies.model import DatedList, Decision, Duty, Flag, Listed, Otherwise, Regime, Rule, RuleRef
from policies.rules import Rules
from policies.vocabulary import countries

HOME = Path(__file__).parent


def load(directory: Path | None = None, *, replaced: Mapping[str, str] | None = None) -> Rules:
    """All regimes of `jurisdictions/` and lists of `lists/` below a directory (the package's own by default).

    `replaced` holds other texts for some rule files, by file name: they are checked as the files are, keep the id of
    their regime, and make another `bundle`.

    Raises:
        RuleFault: a file is not well formed; `place` is its name and line, and nothing is loaded.
    """
    home = HOME if directory is None else Path(directory)
    files = sorted((home / "lists").glob("*.yaml"))
    lists = _unique_lists([_dated_list(*_parsed(path.name, path.read_bytes(), "list")) for path in files])
    rule_files = sorted((home / "jurisdictions").glob("*.yaml"))
    if not rule_files:
        raise RuleFault("no rule files found", place=str(home / "jurisdictions"), cure="restore the rule files")
    others = {name: text.encode("utf-8") for name, text in (replaced or {}).items()}
    unknown = sorted(set(others) - {path.name for path in rule_files})
    if unknown:
        raise RuleFault("there is no such rule file to replace", place=f"{unknown[0]}:1")
    contents = [(path.name, others.get(path.name, path.read_bytes())) for path in rule_files]
    regimes = tuple(_regime_of(name, content) for name, content in contents)
    for path, regime in zip(rule_files, regimes, strict=True):
        if path.name in others and regime.id != _regime_of(path.name, path.read_bytes()).id:
            raise RuleFault("a regime keeps its id", place=f"{path.name}:1", cure="write the id that it had")
    _check_ids(regimes)
    hashed = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    hashed += [(name, hashlib.sha256(content).hexdigest()) for name, content in contents]
    bundle = hashlib.sha256(json.dumps(hashed).encode()).hexdigest()
    rules = Rules(regimes=regimes, lists=lists, bundle=bundle)
    _check_conditions(rules)
    return rules


def text_of(file: str, directory: Path | None = None) -> str:
    """The text of a rule file as it came with this software."""
    home = HOME if directory is None else Path(directory)
    return (home / "jurisdictions" / Path(file).name).read_text(encoding="utf-8")


@lru_cache(maxsize=256)
def _regime_of(name: str, content: bytes) -> Regime:
    """The regime of a file; a content that was read lately is not read again."""
    return _regime(*_parsed(name, content, "regime"))


class _Marked:
    """A parsed file: its plain content, and the line of every place in it."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        try:
            self._tree = marked.parsed(content.decode("utf-8"))
            self.plain = marked.plain(self._tree)
        except yaml.MarkedYAMLError as wrong:
            line = wrong.problem_mark.line + 1 if wrong.problem_mark else 1
            raise RuleFault(f"is no YAML: {wrong.problem}", place=f"{name}:{line}") from None
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
            raise RuleFault("is no YAML", place=f"{name}:1") from None

    def line(self, way: Sequence[str | int]) -> int:
        """The 1-based line of the deepest place on the way that stands in the file."""
        return marked.line(self._tree, way)


@cache
def _validator(name: str) -> Any:
    schema = json.loads((HOME / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    checker = Draft202012Validator.TYPE_CHECKER.redefine("date", lambda _, value: isinstance(value, date))
    extended: Any = validators.extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    return extended(_spelled_out(schema, schema.get("$defs", {}), ()))


def _spelled_out(schema: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    """A schema with its references replaced by what they mean, but for those inside themselves: checked faster."""
    if isinstance(schema, list):
        return [_spelled_out(part, definitions, within) for part in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions and name not in within:
        return _spelled_out(definitions[name], definitions, (*within, name))
    return {key: _spelled_out(part, definitions, within) for key, part in schema.items()}


def _parsed(name: str, file: bytes, schema: str) -> tuple[dict[str, Any], _Marked]:
    tree = _Marked(name, file)
    content = tree.plain
    if schema == "regime" and isinstance(content, dict):
        defaults = content.get("defaults")
        if isinstance(defaults, dict) and isinstance(content.get("rules"), list):
            content["rules"] = [{**defaults, **rule} if isinstance(rule, dict) else rule for rule in content["rules"]]
    faults = list(_validator(schema).iter_errors(content))
    if faults:
        worst = max(faults, key=lambda fault: len(fault.absolute_path))
        while worst.context:
            worst = max(worst.context, key=lambda fault: (len(fault.absolute_path), fault.validator != "required"))
        way = list(worst.absolute_path)
        if worst.validator == "additionalProperties" and isinstance(worst.instance, Mapping):
            known = worst.schema.get("properties", {})
            way += [next(key for key in worst.instance if key not in known)]
        message = worst.message if len(worst.message) < 160 else f"does not fit the schema ({worst.validator})"
        where = ".".join(str(step) for step in way)
        raise RuleFault(
            f"{message[0].lower()}{message[1:]}" + (f" in `{where}`" if where else ""),
            place=f"{tree.name}:{tree.line(way)}",
            cure=f"see schemas/{schema}.json and policies/README.md",
        )
    return content, tree


def _dated_list(content: dict[str, Any], tree: _Marked) -> DatedList:
    entries: list[Listed] = []
    for index, given in enumerate(content["entries"]):
        entry = (
            Listed(given) if isinstance(given, str) else Listed(given["value"], given.get("since"), given.get("until"))
        )
        place = f"{tree.name}:{tree.line(['entries', index])}"
        if content.get("countries") and entry.value not in countries():
            raise RuleFault(f"`{entry.value}` is no ISO 3166-1 alpha-2 country code", place=place)
        if entry.since and entry.until and entry.until < entry.since:
            raise RuleFault("`until` lies before `since`", place=place)
        for other in entries:
            if other.value == entry.value and _overlap((other.since, other.until), (entry.since, entry.until)):
                raise RuleFault(f"`{entry.value}` stands twice at the same time", place=place)
        entries.append(entry)
    return DatedList(
        content["list"], content["title"], content["version"], content["source"], content["verified_on"],
        tuple(entries), tree.name,
    )  # fmt: skip


def _overlap(one: tuple[date | None, date | None], other: tuple[date | None, date | None]) -> bool:
    starts = [each[0] or date.min for each in (one, other)]
    ends = [each[1] or date.max for each in (one, other)]
    return max(starts) <= min(ends)


def _unique_lists(lists: Sequence[DatedList]) -> Mapping[str, DatedList]:
    found: dict[str, DatedList] = {}
    for each in lists:
        if each.id in found:
            first = found[each.id]
            raise RuleFault(
                f"list `{each.id}` stands here in version {each.version} and in {first.file} in {first.version}",
                place=f"{each.file}:1", cure="keep one version",
            )  # fmt: skip
        found[each.id] = each
    return found


def _regime(content: dict[str, Any], tree: _Marked) -> Regime:
    rules = tuple(
        _rule(content["regime"], given, tree, tree.line(["rules", index]))
        for index, given in enumerate(content["rules"])
    )
    flags = tuple(
        Flag(name, tuple(given.get("order", ())), given["default"], given.get("collects", False))
        for name, given in content.get("flags", {}).items()
    )
    return Regime(
        id=content["regime"],
        title=content["title"],
        jurisdiction=content["jurisdiction"],
        binds=content.get("binds", {"always": True}),
        rules=rules,
        flags=flags,
        publishes=content.get("publishes", {}),
        file=tree.name,
    )


def _rule(regime: str, given: dict[str, Any], tree: _Marked, line: int) -> Rule:
    place = f"{tree.name}:{line}"
    until = given.get("effective_to")
    if until is not None and until < given["effective_from"]:
        raise RuleFault(f"rule `{given['id']}` ends before it starts", place=place)
    if given["kind"] == "definition" and "defines" not in given:
        raise RuleFault(f"rule `{given['id']}` is a definition that defines nothing", place=place)
    ref = RuleRef(regime, given["id"], given["article"], given["says"])
    try:
        demands_of(given.get("data", {}), ref)
    except RuleFault as wrong:
        raise RuleFault(f"rule `{given['id']}`: {wrong.reason}", place=place, cure=wrong.cure) from None
    otherwise = given.get("otherwise")
    return Rule(
        ref=ref,
        kind=given["kind"],
        verified=given["verified"],
        source=given["source"],
        verified_on=given["verified_on"],
        effective_from=given["effective_from"],
        effective_to=until,
        when=given["when"],
        defines=given.get("defines", ""),
        requires=given.get("requires"),
        otherwise=otherwise
        and Otherwise(
            Decision(otherwise["decision"]),
            otherwise["cure"],
            tuple(otherwise.get("missing", ())),
            tuple(otherwise.get("transforms", ())),
            otherwise.get("sets", {}),
        ),
        duties=tuple(
            Duty(duty["id"], duty["says"], duty.get("due", ""), duty.get("evidenced_by"))
            for duty in given.get("duties", ())
        ),
        data=given.get("data", {}),
        sets=given.get("sets", {}),
        expires=given.get("expires"),
        transforms_by=given.get("transforms_by"),
        data_from=given.get("data_from", ""),
        file=tree.name,
        line=line,
    )


def _check_ids(regimes: Sequence[Regime]) -> None:
    """No two regimes share an id; a rule id stands once, or in versions whose dates do not overlap."""
    seen: dict[str, list[Rule]] = {}
    names: dict[str, Regime] = {}
    for regime in regimes:
        if regime.id in names:
            raise RuleFault(f"regime `{regime.id}` stands in {names[regime.id].file} too", place=f"{regime.file}:1")
        names[regime.id] = regime
        for rule in regime.rules:
            for other in seen.get(rule.id, []):
                if other.ref.regime != rule.ref.regime or _overlap(
                    (other.effective_from, other.effective_to), (rule.effective_from, rule.effective_to)
                ):
                    raise RuleFault(
                        f"rule `{rule.id}` overlaps with {other.file}:{other.line}", place=f"{rule.file}:{rule.line}",
                        cure="end the earlier version the day before the later begins",
                    )  # fmt: skip
            seen.setdefault(rule.id, []).append(rule)


def _check_conditions(rules: Rules) -> None:
    """Every condition compiles, whatever the day, and every term that is used is defined by some rule."""
    defined = {rule.defines for regime in rules.regimes for rule in regime.rules if rule.defines}
    for regime in rules.regimes:
        rules.check(regime, defined)
