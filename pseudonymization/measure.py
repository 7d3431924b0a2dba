"""The measurement that gates a release: risk counted again on the finished result, by code of its own.

It reads the treated batches as they stream out and shares nothing with the class table, the search or the risk room,
so that a fault there cannot vouch for itself. What it stores between steps are keyed digests, never cell values.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_SEPARATOR = "\x1f"
_EDGES = (1, 2, 3, 5, 11, 21, 51, 101, 501, 1001)
_Coded = tuple[npt.NDArray[np.int64], pa.Array]
"""A column as one code per row into texts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Risk of the finished result, per subject, the blanked subjects being one class.

    k: smallest class. max_risk: 1 / k. average_risk: attempt × mean of 1 / class size. uniques: share of subjects
    alone in their class. histogram: share of subjects per class-size bin. blanked: share of subjects all of whose
    quasi-identifier cells are empty.
    """

    subjects: int
    classes: int
    k: int
    max_risk: float
    average_risk: float
    uniques: float
    blanked: float
    histogram: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {**asdict(self), "histogram": dict(self.histogram)}


@dataclass(frozen=True, slots=True)
class Qualified:
    """A quasi-identifier among the qualifiers of a table: where `by` is `name`, `values` holds one of `attribute`."""

    by: str
    name: str
    values: str
    attribute: str


class Collector:
    """Collects what an attacker can see of each subject: the distinct values of each quasi-identifier.

    quasi: names of the quasi-identifiers, in whatever table they stand. subjects: table → name of its subject column;
    tables not named have no subjects and are passed over. key: secret of the release, under which contributions are
    digested; contributions of one release must share it. qualified: table → quasi-identifiers that stand among its
    qualifiers, each taken as one more value of its attribute. Memory grows with distinct (subject, value) pairs.
    """

    def __init__(
        self,
        quasi: Iterable[str],
        subjects: Mapping[str, str],
        *,
        qualified: Mapping[str, Sequence[Qualified]] | None = None,
        key: bytes = b"",
    ) -> None:
        self._quasi, self._subjects = tuple(quasi), dict(subjects)
        self._qualified = dict(qualified or {})
        self._key = hashlib.blake2b(key, digest_size=32, person=b"measure").digest()
        self._fresh: dict[str, pa.Table] = {}
        self._stored: dict[str, pa.Table] = {}

    def add(self, table: str, batch: pa.RecordBatch) -> None:
        """Take in one treated batch.

        Raises:
            KeyError: the table's subject column is not in the batch.
        """
        key = self._subjects.get(table)
        if key is None:
            return
        here = [name for name in self._quasi if name in batch.schema.names]
        subject = _coded(batch.column(batch.schema.names.index(key)) if key in batch.schema.names else _absent(key))
        self._take("", subject, (np.zeros(batch.num_rows, dtype=np.int64), pa.array([""])))
        for name in here:
            self._take(name, subject, _coded(batch.column(batch.schema.names.index(name))))
        for part in self._qualified.get(table, ()):
            names, texts = _coded(batch.column(batch.schema.names.index(part.by)))
            rows = pc.equal(texts, part.name).to_numpy(zero_copy_only=False)[names]
            values, known = _coded(batch.column(batch.schema.names.index(part.values)))
            self._take(part.attribute, (subject[0][rows], subject[1]), (values[rows], known))

    def _take(self, name: str, subject: _Coded, value: _Coded) -> None:
        (who, subjects), (what, values) = subject, value
        keys = who * len(values) + what
        keys = np.unique(keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys)
        sides = {"s": subjects.take(pa.array(keys // len(values))), "v": values.take(pa.array(keys % len(values)))}
        known, pairs = self._fresh.get(name), _distinct(pa.table(sides))
        self._fresh[name] = pairs if known is None else _distinct(pa.concat_tables([known, pairs]))

    def contribution(self) -> bytes:
        """What was collected so far, as keyed digests: to be stored with the finished step and absorbed later."""
        self._digest()
        out = io.BytesIO()
        parts = [t.append_column("q", pa.array([n] * len(t), type=pa.string())) for n, t in self._stored.items()]
        schema = pa.schema([("s", pa.string()), ("v", pa.string()), ("q", pa.string())])
        with pa.ipc.new_stream(out, schema) as writer:
            for part in parts:
                writer.write_table(part.select(["s", "v", "q"]).cast(schema))
        return out.getvalue()

    def absorb(self, contribution: bytes) -> None:
        """Take in what another collector of this release contributed.

        Raises:
            ValueError: the bytes are no contribution.
        """
        try:
            table = pa.ipc.open_stream(contribution).read_all()
        except pa.ArrowInvalid as error:
            raise ValueError("the stored measurement cannot be read") from error
        for name in pc.unique(table["q"]).to_pylist():
            self._store(name, table.filter(pc.equal(table["q"], name)).select(["s", "v"]))

    def _pairs(self) -> Mapping[str, pa.Table]:
        """All that was collected.

        Values are digested, so that none holds the sign between them; subjects only where others stored theirs so.
        """
        if self._stored:
            self._digest()
            return self._stored
        seen = {"": ""}
        return {
            name: pa.table({"s": pairs["s"], "v": self._digests(pairs["v"], seen)})
            for name, pairs in self._fresh.items()
        }

    def _digest(self) -> None:
        seen = {"": ""}
        for name, pairs in self._fresh.items():
            columns = {side: self._digests(pairs[side], seen) for side in ("s", "v")}
            self._store(name, pa.table(columns))
        self._fresh = {}

    def _digests(self, column: pa.ChunkedArray, seen: dict[str, str]) -> pa.Array:
        encoded = column.combine_chunks().dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        for text in texts:
            if text not in seen:
                seen[text] = hashlib.blake2b(text.encode(), digest_size=16, key=self._key).hexdigest()
        return pa.array([seen[text] for text in texts], type=pa.string()).take(encoded.indices)

    def _store(self, name: str, pairs: pa.Table) -> None:
        known = self._stored.get(name)
        self._stored[name] = pairs if known is None else _distinct(pa.concat_tables([known, pairs]))

    def measure(self, attempt: float = 1.0) -> Measured:
        """The risk of all that was collected. attempt: probability that an attack is tried.

        Raises:
            ValueError: nothing was collected.
        """
        held = self._pairs()
        if "" not in held or len(held[""]) == 0:
            raise ValueError("no subject was measured")
        view = pa.table({"s": pc.unique(held[""]["s"])})
        for at, name in enumerate(self._quasi):
            if name in held:
                view = view.join(_sets(held[name], f"q{at}"), "s")
        names = [name for name in view.schema.names if name != "s"]
        filled = pa.table({"s": view["s"], **{name: pc.fill_null(view[name], "") for name in names}})
        classes = filled.group_by(names).aggregate([([], "count_all")]) if names else None
        sizes = classes["count_all"].to_pylist() if classes is not None else [len(view)]
        blanked = 0
        if classes is not None:
            texts = zip(*(classes[name].to_pylist() for name in names), strict=True)
            blanked = sum(size for size, row in zip(sizes, texts, strict=True) if not any(row))
        return _measured(sizes, attempt, blanked)


def _measured(sizes: list[int], attempt: float, blanked: int) -> Measured:
    total = sum(sizes)
    bounds = [*_EDGES, total + _EDGES[-1] + 1]
    shares = {}
    for low, high in zip(bounds, bounds[1:], strict=False):  # noqa: RUF007 - plain on purpose
        name = f">={low}" if low == _EDGES[-1] else f"{low}" if high == low + 1 else f"{low}-{high - 1}"
        shares[name] = round(sum(size for size in sizes if low <= size < high) / total, 3)
    return Measured(
        subjects=total,
        classes=len(sizes),
        k=min(sizes),
        max_risk=1 / min(sizes),
        average_risk=attempt * len(sizes) / total,
        uniques=sum(size for size in sizes if size == 1) / total,
        blanked=blanked / total,
        histogram=shares,
    )


def _absent(name: str) -> pa.Array:
    raise KeyError(name)


def _coded(array: pa.Array) -> _Coded:
    """Work is done on distinct values; the last text is the empty one, for null."""
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    texts = pa.concat_arrays([_text(encoded.dictionary), pa.array([""])])
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), len(texts) - 1)
    return codes.to_numpy(zero_copy_only=False), texts


def _text(array: pa.Array) -> pa.Array:
    """Values as texts; null, NaN and the empty text are all the empty text."""
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, type=array.type), array)
    return pc.fill_null(array.cast(pa.string()), "")


def _distinct(pairs: pa.Table) -> pa.Table:
    return pairs.group_by(["s", "v"]).aggregate([])


def _sets(pairs: pa.Table, name: str) -> pa.Table:
    """Per subject the set of its values, as one text."""
    ordered = pairs.sort_by([("s", "ascending"), ("v", "ascending")])
    lists = ordered.group_by("s", use_threads=False).aggregate([("v", "list")])
    return pa.table({"s": lists["s"], name: pc.binary_join(lists["v_list"], _SEPARATOR)})
