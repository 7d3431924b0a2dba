"""What a treated table looks like: which columns leave, and of what type, before any row is treated."""

import pyarrow as pa

from pseudonymization import dates
from pseudonymization.columns import Kind, Role
from pseudonymization.faults import Place, Unresolved
from pseudonymization.lookups import LabelMap, Lookups
from pseudonymization.plan import Act, ColumnPlan

TEXT = pa.dictionary(pa.int32(), pa.string())
_MOVED = frozenset({Act.SHIFT, Act.ANCHOR})
_SHAPE_KEPT = frozenset({Act.KEEP, *_MOVED})
_METADATA = (b"label", b"format", b"width")


def schema(lookups: Lookups, table: str, original: pa.Schema) -> pa.Schema:
    """The schema of a treated table: removed columns absent, labels kept, all other metadata gone.

    A column that is kept is `not null` if the original is: it costs less to write.

    Raises:
        Unresolved: a column that nobody planned, or a planned one that is missing.
    """
    _check_columns(lookups, table, original)
    fields = []
    for column in original:
        planned = lookups.planned(table, column.name)
        if planned.act is Act.REMOVE:
            continue
        epoch = lookups.study[table][column.name].epoch
        kind = _kind_of(lookups, planned, dates.counted_as(epoch) if epoch else column.type)
        carried = {name: value for name, value in (column.metadata or {}).items() if name in _METADATA}
        if planned.act not in _SHAPE_KEPT:
            carried = {name: value for name, value in carried.items() if name == b"label"}
        label = lookups.study[table][column.name].label
        if label:
            carried.setdefault(b"label", label.encode())
        filled = planned.act is Act.KEEP and planned.role != Role.QUASI and not column.nullable
        fields.append(pa.field(column.name, kind, nullable=not filled, metadata=carried or None))
    return pa.schema(fields)


def _check_columns(lookups: Lookups, table: str, original: pa.Schema) -> None:
    for name in original.names:
        lookups.planned(table, name)
        if original.names.count(name) > 1:
            raise Unresolved("two columns have one name", places=(Place(table, name),))
    for planned in lookups.plan[table].values():
        if planned.act is not Act.REMOVE and planned.column not in original.names:
            raise Unresolved("a planned column is missing", places=(Place(table, planned.column),))


def _kind_of(lookups: Lookups, planned: ColumnPlan, original: pa.DataType) -> pa.DataType:
    plain = original.value_type if pa.types.is_dictionary(original) else original
    if planned.act is Act.STUDY_DAY:
        return pa.int64()
    if planned.act is Act.GENERALIZE and labels_of(lookups, planned).kind is Kind.NUMBER:
        whole = pa.types.is_integer(plain) and not labels_of(lookups, planned).exact
        return pa.int64() if whole else pa.float64()
    if planned.act is Act.KEEP:
        return TEXT if pa.types.is_dictionary(original) and pa.types.is_string(plain) else original
    if planned.act in _MOVED and pa.types.is_temporal(plain):
        return plain
    return TEXT


def labels_of(lookups: Lookups, planned: ColumnPlan) -> LabelMap:
    """The labels of a generalized column."""
    return lookups.labels[lookups.study[planned.table][planned.column].attribute]
