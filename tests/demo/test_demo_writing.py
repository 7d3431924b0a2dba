"""What SAS XPORT v5 cannot hold is refused before it is written: the library would write it without a word."""

import pytest

from gateway.demo.shapes import TEXT, Shape, Variable
from gateway.demo.writing import write_table


def _one_cell(text, *, name="CELL", label="A cell"):
    shape = Shape("ONE", "One", (Variable(name, label, TEXT),))
    return shape, shape.table([{name: text}])


def test_two_hundred_bytes_are_the_limit_not_two_hundred_characters(tmp_path):
    write_table(tmp_path, *_one_cell("ø" * 100), "xport")
    with pytest.raises(ValueError, match=r"`ONE\.CELL` does not fit SAS XPORT v5"):
        write_table(tmp_path, *_one_cell("ø" * 101), "xport")


@pytest.mark.parametrize("change", [{"name": "NINECHARS"}, {"label": "x" * 41}])
def test_long_names_and_labels_are_refused(tmp_path, change):
    with pytest.raises(ValueError, match="does not fit"):
        write_table(tmp_path, *_one_cell("x", **change), "xport")


def test_the_error_does_not_quote_the_cell(tmp_path):
    with pytest.raises(ValueError, match="does not fit") as caught:
        write_table(tmp_path, *_one_cell("SECRET" * 60), "xport")
    assert "SECRET" not in str(caught.value)


def test_a_variable_the_shape_does_not_know_is_refused():
    shape, _ = _one_cell("x")
    with pytest.raises(KeyError, match="`OTHER`"):
        shape.table([{"OTHER": "x"}])
