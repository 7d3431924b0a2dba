"""The column file: a study's tables and columns with their roles, as YAML that a steward reads and edits.

One line for each column. A proposal that is not certain says `certain: false`; until a steward settles it (changes
the line and takes `certain: false` away) the column counts as unresolved and is never released. A file that says
`accepted: false` counts as unresolved in every column.
"""

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from gateway.catalogue import bounded
from gateway.catalogue import options as choices
from gateway.catalogue.columnreader import FORMAT, Reader, accept
from gateway.catalogue.profile import TableLike, kind_of
from gateway.errors import Invalid
from pseudonymization.columns import Column, ColumnRef, Kind, Role, Study, Table

__all__ = [
    "accept", "canonical", "differences", "dumps", "loads", "unresolved", "version_id",
]  # fmt: skip
_PLAIN = re.compile(
    r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[A-Za-z_](?:[\w;()./-]*[\w)])?(?: [\w;()./-]*[\w)])*",
    re.IGNORECASE | re.ASCII,
)
"""Texts that stand without quotes in any YAML; all others are quoted."""
_HEAD = """\
Column file: what each column of the study is, and how it is treated.
role: subject_key, direct, quasi, sensitive, date, free_text, kept or unresolved (never released).
handling, where the role leaves a choice: direct remove|recode|embedded|surrogate, free_text remove|keep|redact,
quasi recode, date remove, kept and sensitive keep|embedded|remove. A line with `certain: false` waits for a steward:
settle the role and take `certain: false` away. A column of qualifier values (role: qualifier) has a line for each
name that stands in the column `by`.
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
            for line in column["qualifiers"].values() if "qualifiers" in column else (column,):
                line.fa.set_flow_style()
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
    return Reader(place, proposals=proposals).study(document)


def unresolved(study: Study) -> list[tuple[ColumnRef, str]]:
    """Each column that waits for a steward, and why; the study's country (`ColumnRef("", "country")`) if unknown."""
    waiting = [
        (ColumnRef(table.name, column.name), column.because or "no role was chosen")
        for table in study.tables
        for column in table.columns
        if column.role is Role.UNRESOLVED or not column.certain
    ]
    waiting += [
        (ColumnRef(table.name, column.name, part.name), part.because or "no role was chosen")
        for table in study.tables
        for column in table.columns
        for part in column.qualifiers
        if part.role is Role.UNRESOLVED or not part.certain
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
        "epoch": str(column.epoch) if column.epoch else "",
        "label": column.label,
        "follows": column.follows,
        "override": column.override,
        "because": column.because,
        "by": column.by,
    }
    if not column.certain:
        said["certain"] = False
    if column.qualifiers:
        said["qualifiers"] = {part.name: _column_content(part) for part in column.qualifiers}
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
