"""The column file: a study's tables and columns with their roles, as YAML that a steward reads and edits.

One line for each column. A proposal that is not certain says `certain: false`; until a steward settles it (changes
the line and takes `certain: false` away) the column counts as unresolved and is never released. A file that says
`accepted: false` counts as unresolved in every column.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from gateway.catalogue import bounded
from gateway.catalogue import options as choices
from gateway.catalogue.profile import TableLike, kind_of
from gateway.errors import Invalid
from pseudonymization.columns import Column, ColumnRef, Handling, Kind, Role, Study, Table
from pseudonymization.options import Options

FORMAT = 1
_PLAIN = re.compile(
    r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[A-Za-z_](?:[\w;()./-]*[\w)])?(?: [\w;()./-]*[\w)])*",
    re.IGNORECASE | re.ASCII,
)
"""Texts that stand without quotes in any YAML; all others are quoted."""
_TOP = ("format", "study", "accepted", "subject_key", "country", "baseline", "options", "tables")
_TABLE = ("domain", "label", "columns")
_COLUMN = (
    "role", "handling", "hierarchy", "surrogate", "namespace", "kind", "label", "certain", "because",
)  # fmt: skip
_MAY_HANDLE: Mapping[Role, frozenset[Handling]] = {
    Role.DIRECT: frozenset({Handling.REMOVE, Handling.RECODE, Handling.EMBEDDED, Handling.SURROGATE}),
    Role.FREE_TEXT: frozenset({Handling.REMOVE, Handling.KEEP, Handling.REDACT}),
    Role.KEPT: frozenset({Handling.KEEP, Handling.EMBEDDED, Handling.REMOVE}),
    Role.SENSITIVE: frozenset({Handling.KEEP, Handling.EMBEDDED, Handling.REMOVE}),
    Role.DATE: frozenset({Handling.REMOVE}),
    Role.QUASI: frozenset({Handling.RECODE}),
}
_HEAD = """\
Column file: what each column of the study is, and how it is treated.
role: subject_key, direct, quasi, sensitive, date, free_text, kept or unresolved (never released).
handling, where the role leaves a choice: direct remove|recode|embedded|surrogate, free_text remove|keep|redact,
quasi recode, date remove, kept and sensitive keep|embedded|remove. A line with `certain: false` waits for a steward:
settle the role and take `certain: false` away.
"""


def dumps(study: Study, *, accepted: bool = True, previous: str = "") -> str:
    """The study as the text of a column file.

    `previous` is an earlier text of the file: its comments stay where their lines still exist.
    """
    yaml = _yaml()
    document = yaml.load(previous) if previous.strip() else CommentedMap()
    if not previous.strip():
        document.yaml_set_start_comment(_HEAD)
    _update(document, _content(study, accepted))
    for table in document["tables"].values():
        for column in table["columns"].values():
            column.fa.set_flow_style()
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def loads(text: str, *, place: str = "column file", proposals: bool = False) -> Study:
    """The study that a column file describes.

    Columns that are not settled come back with the role unresolved; with `proposals`, as they are proposed.

    Raises:
        Invalid: no YAML, an unknown field or word, a missing one; `place` gets the line.
    """
    fault: Invalid | None = None
    bounded.text(text, place=place)
    try:
        document = _yaml().load(text)
    except RecursionError:
        fault = Invalid("the column file is nested too deep", place=place, cure="write names followed by a colon")
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"{place}:{mark.line + 1}" if mark else place
        fault = Invalid(
            "the column file is not valid YAML, or names a thing twice", place=where, cure="correct the line"
        )
    if fault is not None:
        raise fault
    return _Reader(place, proposals=proposals).study(document)


def accept(study: Study) -> Study:
    """The study with every certain proposal taken; what is not certain becomes unresolved and keeps its reason."""
    return _each_column(study, _settled)


def unresolved(study: Study) -> list[tuple[ColumnRef, str]]:
    """Each column that waits for a steward, and why; the study's country (`ColumnRef("", "country")`) if unknown."""
    waiting = [
        (ColumnRef(table.name, column.name), column.because or "no role was chosen")
        for table in study.tables
        for column in table.columns
        if column.role is Role.UNRESOLVED or not column.certain
    ]
    if not study.country:
        waiting.append((ColumnRef("", "country"), "no column says where a subject lives; name one, or a constant"))
    return waiting


def differences(study: Study, tables: Sequence[TableLike]) -> list[tuple[ColumnRef, str]]:
    """Each table or column that stands in the data or in the column file only, or is stored otherwise than it says."""
    described = {(t.name, c.name): c.kind for t in study.tables for c in t.columns}
    stored = {(t.name, f.name): kind_of(f.type) for t in tables for f in t.schema}
    found = [(ColumnRef(*at), "in the data, not in the column file") for at in stored if at not in described]
    found += [(ColumnRef(*at), "in the column file, not in the data") for at in described if at not in stored]
    found += [
        (ColumnRef(*at), f"stored as {stored[at]}, the column file says {kind}")
        for at, kind in described.items()
        if at in stored and stored[at] is not kind
    ]
    return found


def canonical(study: Study, *, accepted: bool = True) -> bytes:
    """The study as bytes that two equal studies share: JSON with sorted keys, no comments, nothing left to layout."""
    content = _content(study, accepted)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def version_id(content_digest: str, study: Study, *, accepted: bool = True) -> str:
    """The id of a dataset version: SHA-256 over the content's digest and the canonical column file, in hex."""
    return hashlib.sha256(content_digest.encode() + b"\n" + canonical(study, accepted=accepted)).hexdigest()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 1_000_000
    yaml.preserve_quotes = True
    return yaml


def _settled(column: Column) -> Column:
    if column.certain or column.role is Role.UNRESOLVED:
        return column
    return Column(
        column.name,
        Role.UNRESOLVED,
        column.kind,
        column.label,
        certain=False,
        because=f"proposed as {column.role}: {column.because}",
    )


def _each_column(study: Study, change: Any) -> Study:
    tables = tuple(replace(table, columns=tuple(change(c) for c in table.columns)) for table in study.tables)
    return replace(study, tables=tables)


def _content(study: Study, accepted: bool) -> dict[str, Any]:
    """The study as plain maps and texts; what is at its default is left out."""
    keys = {table.subject_key for table in study.tables} - {None}
    country: Any = study.country
    if isinstance(country, ColumnRef):
        country = {"column": f"{country.table}.{country.column}"}
    else:
        country = {"constant": country} if country else {}
    content: dict[str, Any] = {"format": FORMAT, "study": study.name, "accepted": accepted}
    if len(keys) == 1:
        content["subject_key"] = keys.pop()
    content["country"] = country
    if study.baseline is not None:
        content["baseline"] = f"{study.baseline.table}.{study.baseline.column}"
    chosen = choices.content(study.options)
    if chosen:
        content["options"] = chosen
    content["tables"] = {table.name: _table_content(table) for table in study.tables}
    return content


def _table_content(table: Table) -> dict[str, Any]:
    said = {"domain": table.domain, "label": table.label}
    columns = {column.name: _column_content(column) for column in table.columns}
    return {**{key: value for key, value in said.items() if value}, "columns": columns}


def _column_content(column: Column) -> dict[str, Any]:
    said: dict[str, Any] = {
        "role": str(column.role),
        "handling": str(column.handling) if column.handling else "",
        "hierarchy": column.hierarchy,
        "surrogate": column.surrogate,
        "namespace": column.namespace,
        "kind": str(column.kind) if column.kind is not Kind.TEXT else "",
        "label": column.label,
        "because": column.because,
    }
    if not column.certain:
        said["certain"] = False
    return {key: value for key, value in said.items() if value != ""}


def _update(document: CommentedMap, content: Mapping[str, Any]) -> None:
    """Bring a YAML map to this content in place, so that comments on what stays are kept."""
    for gone in [key for key in document if key not in content]:
        del document[gone]
    for key, value in content.items():
        if isinstance(value, Mapping):
            if not isinstance(document.get(key), CommentedMap):
                document[_scalar(key)] = CommentedMap()
            _update(document[key], value)
        elif key not in document or document[key] != value:
            document[key] = _scalar(value)


def _scalar(value: Any) -> Any:
    """A value as it is written: texts in quotes unless they are plain words."""
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return value


class _Reader:
    """Reads a parsed column file; every fault names its line."""

    def __init__(self, place: str, *, proposals: bool) -> None:
        self._place, self._proposals = place, proposals
        self._read: set[int] = set()

    def study(self, document: Any) -> Study:
        if not isinstance(document, CommentedMap):
            raise Invalid("the column file is empty", place=self._place, cure="make one with `gateway datasets add`")
        self._only(document, _TOP, needed=("format", "study", "tables"))
        if document["format"] != FORMAT:
            raise self._fault(document, "format", "this format of column files is not known", f"use format {FORMAT}")
        accepted = self._truth(document, "accepted", default=True)
        names = self._map(document, "tables")
        tables = tuple(self._table(document["tables"], name) for name in names)
        study = Study(str(document["study"]), tables, "", None)
        self._check_key(document, study)
        study = replace(study, country=self._country(document, study), baseline=self._baseline(document, study))
        if "options" in document:
            study = replace(study, options=self._options(document))
        if self._proposals:
            return study
        return accept(study if accepted else _each_column(study, lambda column: replace(column, certain=False)))

    def _table(self, tables: CommentedMap, name: Any) -> Table:
        table = self._map(tables, name)
        self._only(table, _TABLE, needed=("columns",))
        columns = self._map(table, "columns")
        read = tuple(self._column(columns, column) for column in columns)
        if not read:
            raise self._fault(tables, name, f"table `{name}` has no columns", "list its columns")
        keys = [column.name for column in read if column.role is Role.SUBJECT_KEY]
        if len(keys) > 1:
            raise self._fault(columns, keys[1], f"table `{name}` has two subject keys", "keep one")
        return Table(str(name), read, self._text(table, "domain"), self._text(table, "label"))

    def _column(self, columns: CommentedMap, name: Any) -> Column:
        line = self._map(columns, name)
        self._only(line, _COLUMN, needed=("role",))
        role = self._word(line, "role", Role, columns, name)
        handling = self._word(line, "handling", Handling, columns, name) if "handling" in line else None
        if handling is not None and handling not in _MAY_HANDLE.get(role, frozenset()):
            offered = ", ".join(sorted(_MAY_HANDLE.get(role, frozenset()))) or "none"
            raise self._fault(
                line, "handling", f"column `{name}` is {role} and cannot be handled by `{handling}`", f"use: {offered}"
            )
        kind = self._word(line, "kind", Kind, columns, name) if "kind" in line else Kind.TEXT
        said = {key: self._text(line, key) for key in ("label", "hierarchy", "surrogate", "namespace", "because")}
        certain = self._truth(line, "certain", default=True)
        return replace(Column(str(name), role, kind, handling=handling, certain=certain), **said)  # type: ignore[arg-type]

    def _check_key(self, document: CommentedMap, study: Study) -> None:
        """`subject_key` is said once for the reader; the columns must agree with it."""
        said = self._text(document, "subject_key")
        for table in study.tables:
            for column in table.columns:
                leaves = column.role is not Role.SUBJECT_KEY and column.handling is not Handling.REMOVE
                if said and column.name == said and leaves and column.certain:
                    raise self._fault(
                        document["tables"][table.name]["columns"],
                        said,
                        f"`{said}` is the subject key, but has another role in `{table.name}`",
                        "give it the role `subject_key`, or change `subject_key` above",
                    )

    def _country(self, document: CommentedMap, study: Study) -> ColumnRef | str:
        said = document.get("country") or CommentedMap()
        if not isinstance(said, CommentedMap):
            raise self._fault(document, "country", "`country` names a column or a constant",
                              "write {column: DM.COUNTRY} or {constant: USA}")  # fmt: skip
        if not said:
            return ""
        self._only(said, ("column", "constant"), needed=())
        if len(said) != 1:
            raise self._fault(document, "country", "`country` needs a column or a constant, not both", "keep one")
        if "constant" in said:
            return self._text(said, "constant")
        return self._reference(said, "column", study)

    def _baseline(self, document: CommentedMap, study: Study) -> ColumnRef | None:
        return self._reference(document, "baseline", study) if document.get("baseline") else None

    def _options(self, document: CommentedMap) -> Options:
        section = self._map(document, "options")
        return choices.read(section, lambda name, reason, cure: self._fault(section, name, reason, cure))

    def _reference(self, holder: CommentedMap, key: str, study: Study) -> ColumnRef:
        table, _, column = self._text(holder, key).partition(".")
        if not any(t.name == table and any(c.name == column for c in t.columns) for t in study.tables):
            raise self._fault(
                holder, key, f"`{key}` names a column that is not in the file", "write TABLE.COLUMN, as in DM.COUNTRY"
            )
        return ColumnRef(table, column)

    def _map(self, holder: CommentedMap, key: Any) -> CommentedMap:
        value = holder[key]
        if id(value) in self._read:
            raise self._fault(holder, key, f"`{key}` stands for another place (an alias)", "write it out")
        self._read.add(id(value))
        if not isinstance(key, str) or not isinstance(value, CommentedMap):
            raise self._fault(holder, key, f"`{key}` is not a map of names", "write names followed by a colon")
        return value

    def _only(self, holder: CommentedMap, known: Iterable[str], *, needed: Iterable[str]) -> None:
        for key in holder:
            if key not in known:
                raise self._fault(holder, key, f"unknown field `{key}`", f"use: {', '.join(known)}")
        for key in needed:
            if key not in holder:
                line = f"{self._place}:{holder.lc.line + 1}"
                raise Invalid(f"the field `{key}` is missing", place=line, cure=f"add `{key}`")

    def _text(self, holder: CommentedMap, key: str) -> str:
        value = holder.get(key, "")
        if not isinstance(value, str):
            raise self._fault(holder, key, f"`{key}` is not a text", "put it in quotes")
        return str(value)

    def _truth(self, holder: CommentedMap, key: str, *, default: bool) -> bool:
        value = holder.get(key, default)
        if not isinstance(value, bool):
            raise self._fault(holder, key, f"`{key}` is neither true nor false", "write true or false")
        return value

    def _word(self, line: CommentedMap, key: str, words: Any, columns: CommentedMap, name: Any) -> Any:
        value = line[key]
        if value not in list(words):
            offered = ", ".join(words)
            raise self._fault(line, key, f"column `{name}` has an unknown {key}", f"use: {offered}", columns, name)
        return words(value)

    def _fault(
        self,
        holder: CommentedMap,
        key: Any,
        reason: str,
        cure: str,
        outer: CommentedMap | None = None,
        outer_key: Any = None,
    ) -> Invalid:
        """A fault at the line where `key` stands."""
        places = holder.lc.data or {}
        line = places[key][0] if key in places else holder.lc.line
        if outer is not None and key not in places:
            line = outer.lc.data[outer_key][0]
        return Invalid(reason, place=f"{self._place}:{line + 1}", cure=cure)
