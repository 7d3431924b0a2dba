"""Reading a parsed column file: every fault names its line; what nobody has settled comes back unresolved."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ruamel.yaml.comments import CommentedMap

from gateway.catalogue import options as choices
from gateway.catalogue.twins import fall_together
from gateway.errors import Invalid
from pseudonymization.columns import Column, ColumnRef, Epoch, Handling, Kind, Role, Study, Table
from pseudonymization.options import Options

FORMAT = 1
_TOP = ("format", "study", "accepted", "subject_key", "country", "baseline", "options", "tables")
_TABLE = ("domain", "label", "columns")
_COLUMN = (
    "role", "handling", "hierarchy", "surrogate", "namespace", "kind", "epoch", "label", "certain", "because",
    "follows", "override", "by", "qualifiers",
)  # fmt: skip
_MAY_HANDLE: Mapping[Role, frozenset[Handling]] = {
    Role.DIRECT: frozenset({Handling.REMOVE, Handling.RECODE, Handling.EMBEDDED, Handling.SURROGATE}),
    Role.FREE_TEXT: frozenset({Handling.REMOVE, Handling.KEEP, Handling.REDACT}),
    Role.KEPT: frozenset({Handling.KEEP, Handling.EMBEDDED, Handling.REMOVE}),
    Role.SENSITIVE: frozenset({Handling.KEEP, Handling.EMBEDDED, Handling.REMOVE}),
    Role.DATE: frozenset({Handling.REMOVE}),
    Role.QUASI: frozenset({Handling.RECODE}),
}


def accept(study: Study) -> Study:
    """The study with every certain proposal taken; what is not certain becomes unresolved and keeps its reason."""
    return fall_together(_each_column(study, _settled))


def _settled(column: Column) -> Column:
    if column.certain or column.role is Role.UNRESOLVED:
        return replace(column, qualifiers=tuple(map(_settled, column.qualifiers)))
    return Column(
        column.name,
        Role.UNRESOLVED,
        column.kind,
        column.label,
        certain=False,
        because=f"proposed as {column.role}: {column.because}",
    )


def _doubted(column: Column) -> Column:
    return replace(column, certain=False, qualifiers=tuple(map(_doubted, column.qualifiers)))


def _each_column(study: Study, change: Any) -> Study:
    tables = tuple(replace(table, columns=tuple(change(c) for c in table.columns)) for table in study.tables)
    return replace(study, tables=tables)


class Reader:
    """Reads a parsed column file; every fault names its line."""

    def __init__(self, place: str, *, proposals: bool) -> None:
        self._place, self._proposals = place, proposals
        self._read: set[int] = set()

    def study(self, document: Any) -> Study:
        """The study that the document describes."""
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
        return accept(study if accepted else _each_column(study, _doubted))

    def _table(self, tables: CommentedMap, name: Any) -> Table:
        table = self._map(tables, name)
        self._only(table, _TABLE, needed=("columns",))
        columns = self._map(table, "columns")
        read = tuple(self._column(columns, column) for column in columns)
        if not read:
            raise self._fault(tables, name, f"table `{name}` has no columns", "list its columns")
        for column in read:
            if column.by and column.by not in {other.name for other in read}:
                raise self._fault(columns, column.name, f"`{column.name}` goes by a column that is not there",
                                  "write by: QNAM, or the column that names the qualifiers")  # fmt: skip
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
        names = ("label", "hierarchy", "surrogate", "namespace", "follows", "override", "because", "by")
        said = {key: self._text(line, key) for key in names}
        certain = self._truth(line, "certain", default=True)
        if (role is Role.QUALIFIER) != ("by" in line) or (role is Role.QUALIFIER) != ("qualifiers" in line):
            raise self._fault(line, "role", f"column `{name}` needs `by` and `qualifiers` exactly if it is a qualifier",
                              "write role: qualifier, by: QNAM, and a line for each qualifier")  # fmt: skip
        epoch = self._word(line, "epoch", Epoch, columns, name) if "epoch" in line else None
        if epoch is not None and (role, kind) != (Role.DATE, Kind.NUMBER):
            raise self._fault(line, "epoch", f"column `{name}` is no date stored as a number", "take `epoch` away")
        column = Column(str(name), role, kind, handling=handling, certain=certain, epoch=epoch)
        column = replace(column, **said)  # type: ignore[arg-type]
        return replace(column, qualifiers=self._qualifiers(line)) if "qualifiers" in line else column

    def _qualifiers(self, line: CommentedMap) -> tuple[Column, ...]:
        parts = self._map(line, "qualifiers")
        read = tuple(self._column(parts, name) for name in parts)
        for part in read:
            if part.role in {Role.QUALIFIER, Role.SUBJECT_KEY}:
                raise self._fault(
                    parts, part.name, f"qualifier `{part.name}` cannot be a {part.role}", "give it another"
                )
        return read

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
