"""A table given up halfway, as when a leak stops a release, ends without noise and without a byte more."""

import gc
import io
import sys

import pyarrow as pa
import pytest

from gateway.formats import writer


def test_a_writer_forgotten_after_its_sink_closed_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    batch = pa.record_batch({"A": [1, 2, 3]})
    sink = io.BytesIO()
    out = writer("parquet", batch.schema, sink, name="T")
    out.write(batch)
    sink.close()
    del out
    gc.collect()
    assert not heard
