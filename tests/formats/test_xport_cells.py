"""Cells of XPORT rows are read as ReadStat reads them, whatever bytes stand in them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.formats import open_table, xport_cells
from gateway.formats.xport import RECORD, read_layout

WIDTH = 6
TAGS = [bytes([tag]) + bytes(7) for tag in b"._AMZ"]
ZERO, ONE, ALL_BITS = bytes(8), b"A\x10" + bytes(6), b"B" + b"\xff" * 7
power = st.integers(0, 126) | st.integers(128, 254)
normalized = st.builds(
    lambda first, second, rest: bytes([first, second]) + rest,
    power,
    st.integers(16, 255),
    st.binary(min_size=6, max_size=6),
)
numbers = st.sampled_from([*TAGS, ZERO, ONE, ALL_BITS]) | normalized
texts = st.lists(st.sampled_from(list(b"ab \0")), min_size=WIDTH, max_size=WIDTH).map(bytes)


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("header") / "t.xpt"
    frame = pd.DataFrame({"N": [1.0], "T": ["x" * WIDTH]})
    pyreadstat.write_xport(frame, str(path), file_format_version=5)
    return read_layout(path).header


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(numbers, texts), min_size=1, max_size=12))
def test_any_bytes_are_read_as_readstat_reads_them(
    tmp_path: Path, header: bytes, rows: list[tuple[bytes, bytes]]
) -> None:
    path = tmp_path / "t.xpt"
    body = header + b"".join(number + text for number, text in [*rows, (b"0" * 8, b"x" * WIDTH)])
    path.unlink(missing_ok=True)
    path.write_bytes(body + b" " * (-len(body) % RECORD))
    frame, _ = pyreadstat.read_xport(str(path), disable_datetime_conversion=True)
    (batch,) = open_table(path).batches()
    assert batch.column("T").to_pylist() == list(frame["T"])
    read = [math.nan if value is None else value for value in batch.column("N").to_pylist()]
    assert [repr(value) for value in read] == [repr(float(value)) for value in frame["N"]]
    assert len(set(batch.column("T").dictionary.to_pylist())) == len(batch.column("T").dictionary)


def test_a_number_that_is_not_normalized_keeps_its_value() -> None:
    cells = np.frombuffer(b"A" + bytes(6) + b"\x01" + b"\x80" + bytes(7), dtype=np.uint8).reshape(2, 8)
    assert [repr(float(value)) for value in xport_cells.numbers(cells)] == [repr(2.0**-52), "0.0"]
