"""What is written is read back the same by other readers, twice the same bytes, on a sink that only takes bytes."""

import datetime as dt
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Invalid
from gateway.formats import open_table, writer
from gateway.formats.fields import TEXT, field
from gateway.formats.xport_writer import ibm_doubles

ENDING = {"parquet": "parquet", "csv": "csv", "xport": "xpt"}


class Pipe:
    """A sink that knows `write` and nothing else."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self.pieces.append(bytes(piece))
        assert len(piece) == len(self.pieces[-1])  # a sink that counts with `len` counts bytes
        return len(piece)


def written(fmt: str, schema: pa.Schema, batches: list[pa.RecordBatch], **kwargs) -> bytes:
    sink = Pipe()
    out = writer(fmt, schema, sink, **kwargs)
    for batch in batches:
        out.write(batch)
    out.close()
    return b"".join(sink.pieces)


def table_of(**columns: pa.Array) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    return batch.schema, [batch]


@pytest.mark.parametrize("name", ["adsl", "adae", "adtte"])
def test_xport_of_a_real_table_is_what_two_other_readers_read_in_the_source(
    pilot_adam: Path, tmp_path: Path, name: str
) -> None:
    table = open_table(pilot_adam / f"{name}.xpt")
    copy = tmp_path / f"{name}.xpt"
    batches = list(table.batches(batch_rows=100))
    copy.write_bytes(written("xport", table.schema, batches, name=table.name, changed=()))
    before, meta_before = pyreadstat.read_xport(str(table.path))
    after, meta_after = pyreadstat.read_xport(str(copy))
    pd.testing.assert_frame_equal(after, before)
    for what in ("column_names_to_labels", "original_variable_types", "variable_storage_width", "table_name"):
        assert getattr(meta_after, what) == getattr(meta_before, what)
    assert len(pd.read_sas(copy, format="xport", encoding="utf-8")) == table.rows
    assert copy.stat().st_size == table.path.stat().st_size


@pytest.mark.parametrize("fmt", ["parquet", "csv", "xport"])
def test_every_pilot_table_comes_back_from_every_format(pilot: Path, tmp_path: Path, fmt: str) -> None:
    for name in ("ae", "cm", "dm", "ds", "mh", "relrec", "suppae", "suppdm", "sv", "ts", "ta"):
        table = open_table(pilot / f"{name}.xpt")
        batches = list(table.batches())
        copy = tmp_path / f"{name}.{ENDING[fmt]}"
        copy.write_bytes(written(fmt, table.schema, batches, name=table.name))
        back = open_table(copy)
        assert back.rows == table.rows
        texts = pa.Table.from_batches(back.batches()).cast(
            pa.schema([pa.field(f.name, pa.string()) for f in table.schema])
        )
        mine = pa.Table.from_batches(batches).cast(texts.schema)
        for column in table.schema.names:
            missing = ["" if value is None else value for value in texts.column(column).to_pylist()]
            assert missing == ["" if v is None else v for v in mine.column(column).to_pylist()], (name, column)


@pytest.mark.parametrize("fmt", ["parquet", "csv", "xport"])
def test_two_writes_are_the_same_bytes_with_no_clock_or_host(pilot_adam: Path, fmt: str) -> None:
    table = open_table(pilot_adam / "adsl.xpt")
    one = written(fmt, table.schema, list(table.batches()), name="ADSL")
    two = written(fmt, table.schema, list(table.batches()), name="ADSL")
    assert one == two
    for telling in (
        b"pandas",
        b"X64_7HOM",
        dt.datetime.now(dt.UTC).strftime("%d%b%y").upper().encode(),
    ):
        assert telling not in one
    if fmt == "xport":
        assert one.count(b"01JAN60:00:00:00") == 4


def test_parquet_carries_labels_and_no_extreme_values(pilot_adam: Path) -> None:
    table = open_table(pilot_adam / "adsl.xpt")
    file = pq.ParquetFile(io.BytesIO(written("parquet", table.schema, list(table.batches()), name="ADSL", label="L")))
    assert file.schema_arrow.field("AGE").metadata[b"label"] == b"Age"
    assert file.schema_arrow.metadata == {b"table": b"ADSL", b"label": b"L"}
    for number in range(len(table.schema)):
        assert not file.metadata.row_group(0).column(number).is_stats_set
        assert file.metadata.row_group(0).column(number).compression == "ZSTD"


def test_small_batches_share_a_row_group_and_large_ones_are_cut() -> None:
    schema = pa.schema([field("A", TEXT), field("N", pa.int64())])

    def batch(rows: int, word: str) -> pa.RecordBatch:
        return pa.record_batch([pa.array([word] * rows).dictionary_encode(), pa.array(range(rows))], schema=schema)

    data = written("parquet", schema, [batch(10, "x"), batch(20, "y"), batch(1_000_001, "z")])
    file = pq.ParquetFile(io.BytesIO(data))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [30, 500_000, 500_000, 1]
    assert file.read(["A"]).column(0).to_pylist()[:31] == ["x"] * 10 + ["y"] * 20 + ["z"]


def test_csv_is_rfc_4180() -> None:
    schema, batches = table_of(
        **{
            "A": pa.array(["x", 'a "b"', "c,d", "e\r\nf", None, " g"]).dictionary_encode(),
            'B,"': pa.array([1.0, None, 0.5, 63.0, -2.0, 1e300]),
            "D": pa.array([dt.date(2014, 1, 2), None, None, None, None, None]),
            "T": pa.array([dt.datetime(2014, 1, 2, 3, 4), *[None] * 5], pa.timestamp("us")),  # noqa: DTZ001
        }
    )
    assert written("csv", schema, batches).decode() == (
        'A,"B,""",D,T\r\n'
        "x,1,2014-01-02,2014-01-02T03:04:00\r\n"
        '"a ""b""",,,\r\n"c,d",0.5,,\r\n"e\r\nf",63,,\r\n,-2,,\r\n" g",1e+300,,\r\n'
    )  # fmt: skip


def test_csv_of_one_column_keeps_its_empty_rows(tmp_path: Path) -> None:
    schema, batches = table_of(A=pa.array(["x", "", None, "y"]).dictionary_encode())
    (tmp_path / "t.csv").write_bytes(written("csv", schema, batches))
    assert next(open_table(tmp_path / "t.csv").batches()).to_pydict() == {"A": ["x", "", "", "y"]}


def test_csv_of_a_slice_writes_the_slice() -> None:
    schema, batches = table_of(A=pa.array(["a", "b", "c"]).dictionary_encode(), N=pa.array([1, 2, 3]))
    assert written("csv", schema, [batches[0].slice(1, 1)]) == b"A,N\r\nb,2\r\n"


words = st.text(alphabet=st.sampled_from("aZ09 ,\"'\r\n;ø€日"), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, st.one_of(st.none(), st.floats(allow_nan=False, width=32))), max_size=8))
def test_pandas_reads_from_our_csv_what_was_written(rows: list[tuple[str, float | None]]) -> None:
    schema, batches = table_of(
        A=pa.array([word for word, _ in rows], pa.string()).dictionary_encode(),
        N=pa.array([number for _, number in rows], pa.float64()),
    )
    data = written("csv", schema, batches)
    back = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, lineterminator=None)
    told = [word.replace("\r\n", "\n").replace("\r", "\n") for word in back["A"]]
    assert told == [word.replace("\r\n", "\n").replace("\r", "\n") for word, _ in rows]
    assert [float(n) if n else None for n in back["N"]] == [n for _, n in rows]


@pytest.mark.parametrize(
    ("columns", "kwargs", "reason"),
    [
        ({"TOO_LONG_A_NAME": pa.array(["x"])}, {}, "no XPORT name"), ({"9A": pa.array(["x"])}, {}, "no XPORT name"),
        ({"A": pa.array(["x"])}, {"name": "NINE_CHAR"}, "no XPORT name"),
        ({"A": pa.array(["x"])}, {"name": "A", "label": "ø" * 21}, "longer than 40 bytes"),
        ({"A": pa.array(["ø" * 101])}, {}, "longer than its 200 bytes"), ({"A": pa.array([1e76])}, {}, "too large"),
        ({"A": pa.array([2**53 + 1])}, {}, "too large"), ({"A": pa.array(["x", ""])}, {}, "blank in every column"),
    ],
)  # fmt: skip
def test_what_xport_would_cut_is_refused(columns: dict, kwargs: dict, reason: str) -> None:
    schema, batches = table_of(**columns)
    with pytest.raises(Invalid, match=reason) as caught:
        written("xport", schema, batches, **kwargs)
    assert "ø" not in str(caught.value)
    assert caught.value.cure


def test_labels_are_counted_in_bytes() -> None:
    schema = pa.schema([field("A", TEXT, label="ø" * 20)])
    assert written("xport", schema, [])
    with pytest.raises(Invalid, match="label of column `A`"):
        written("xport", pa.schema([field("A", TEXT, label="ø" * 20 + "x")]), [])


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(Invalid, match="`xlsx`"):
        writer("xlsx", pa.schema([field("A", TEXT)]), io.BytesIO())


def test_treated_columns_have_room_and_untouched_ones_keep_their_width(tmp_path: Path) -> None:
    schema = pa.schema([field("USUBJID", TEXT, width=11), field("SEX", TEXT, width=1)])
    batch = pa.record_batch(
        [pa.array(["S-" + "7" * 20]).dictionary_encode(), pa.array(["F"]).dictionary_encode()], schema=schema
    )
    (tmp_path / "t.xpt").write_bytes(written("xport", schema, [batch], changed={"USUBJID"}))
    _, meta = pyreadstat.read_xport(str(tmp_path / "t.xpt"))
    assert meta.variable_storage_width == {"USUBJID": 40, "SEX": 1}
    with pytest.raises(Invalid, match="`USUBJID` is longer than its 11 bytes"):
        written("xport", schema, [batch], changed=())


def test_dates_leave_as_sas_dates_and_days_are_not_called_dates(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            field("D", pa.date32(), form="DATE9."), field("P", pa.date32()), field("W", pa.timestamp("us")),
            field("DAY", pa.int64(), form="DATE9."), field("N", pa.float64(), form="8.2"),
            field("E", pa.date32(), form="E8601DA10."),
        ]
    )  # fmt: skip
    day, when = dt.date(1959, 12, 31), dt.datetime(2014, 1, 2, 3, 4, 5)  # noqa: DTZ001
    batch = pa.record_batch(
        [[day, None], [day, None], [when, None], [-3, None], [1.5, None], [day, None]], schema=schema
    )
    (tmp_path / "t.xpt").write_bytes(written("xport", schema, [batch]))
    back, meta = pyreadstat.read_xport(str(tmp_path / "t.xpt"))
    assert [meta.original_variable_types[n] for n in schema.names] == [
        "DATE9", "DATE9", "DATETIME20", None, "8.2", "E8601DA10",
    ]  # fmt: skip
    assert back["D"][0] == back["P"][0] == day
    assert pd.Timestamp(back["W"][0]) == when
    assert back["DAY"][0] == -3
    assert back.iloc[1].isna().all()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-1e74, 1e74)), min_size=1, max_size=20))
def test_numbers_survive_the_ibm_form_exactly(numbers: list[float]) -> None:
    numbers = [0.0 if abs(x) < 1e-76 else x for x in numbers]
    packed = ibm_doubles(np.array(numbers))
    for bits, number in zip(packed.tolist(), numbers, strict=True):
        if number != number:  # noqa: PLR0124
            assert bits == 0x2E << 56
        else:
            sign = -1.0 if bits >> 63 else 1.0
            assert sign * (bits & (1 << 56) - 1) * 2.0 ** (4 * ((bits >> 56 & 127) - 64) - 56) == number


def test_readstat_reads_the_numbers_that_were_written(tmp_path: Path) -> None:
    numbers = [0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 1e-70, 7e74, 2.0**53, 16.0, 0.0625, 255.99999999999997, -118.625]
    schema, batches = table_of(N=pa.array(numbers))
    (tmp_path / "t.xpt").write_bytes(written("xport", schema, batches))
    back, _ = pyreadstat.read_xport(str(tmp_path / "t.xpt"))
    assert back["N"].tolist() == numbers


@pytest.mark.parametrize("fmt", ["parquet", "csv", "xport"])
def test_a_real_pipe_is_enough(tmp_path: Path, fmt: str) -> None:
    reading, writing = os.pipe()
    received: list[bytes] = []

    def drain() -> None:
        with os.fdopen(reading, "rb") as end:
            received.append(end.read())

    thread = threading.Thread(target=drain)
    thread.start()
    schema, batches = table_of(A=pa.array(["x"] * 100_000).dictionary_encode(), N=pa.array(range(100_000)))
    with os.fdopen(writing, "wb") as sink:
        out = writer(fmt, schema, sink)
        out.write(batches[0])
        out.close()
    thread.join()
    path = tmp_path / f"t.{ENDING[fmt]}"
    path.write_bytes(received[0])
    assert open_table(path).rows == 100_000


GROWTH = """
import resource, sys
import pyarrow as pa
from gateway.formats import writer
class Null:
    def write(self, piece): return len(piece)
n = 100_000
batch = pa.record_batch({"USUBJID": pa.array([f"S{i % 500}" for i in range(n)]).dictionary_encode(), "V": [float(i) for i in range(n)]})
out = writer(sys.argv[1], batch.schema, Null())
for i in range(60):
    out.write(batch)
    if i == 11: before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
out.close()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""  # noqa: E501


@pytest.mark.parametrize("fmt", ["parquet", "csv", "xport"])
def test_memory_does_not_grow_with_rows(fmt: str) -> None:
    grown = subprocess.run([sys.executable, "-c", GROWTH, fmt], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 40  # MB, while five times the rows went through


def test_texts_of_a_parquet_file_are_texts_to_pandas_and_map_to_the_right_rows(tmp_path):
    ids = pa.array(["c", "a", "b"]).dictionary_encode()
    days = pa.array(["2150-03-01", "2149-01-01", "2151-12-31"]).dictionary_encode()
    batch = pa.record_batch([ids, days, pa.array([1.0, None, 2.0])], names=["USUBJID", "RFSTDTC", "AGE"])
    with (tmp_path / "dm.parquet").open("wb") as sink:
        out = writer("parquet", batch.schema, sink, name="DM", label="Demographics")
        out.write(batch)
        out.close()
    frame = pd.read_parquet(tmp_path / "dm.parquet")
    assert not [name for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    asked = pd.DataFrame({"USUBJID": ["b", "c"]})
    assert list(asked["USUBJID"].map(frame.set_index("USUBJID")["RFSTDTC"])) == ["2151-12-31", "2150-03-01"]
    assert pq.read_schema(tmp_path / "dm.parquet").metadata[b"label"] == b"Demographics"
