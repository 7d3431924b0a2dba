"""Each budget is seen red on a planted offence, green just below it, and the tree itself keeps them all."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import budgets

ROOT = Path(__file__).resolve().parents[2]


def _function(lines, name="some", head=""):
    return f"{head}def {name}() -> None:\n" + "    pass\n" * (lines - 1)


@pytest.fixture
def tree(tmp_path):
    """A small clean tree, with enough short functions that one long one is below the allowed share."""
    for package in budgets.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text('"""A room."""\n')
    for room in range(2):
        text = "".join(_function(2, f"short_{at}") for at in range(100))
        (tmp_path / "policies" / f"many{room}.py").write_text(text)
    return tmp_path


def _plant(tree, path, text):
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return [(offence.path, offence.line, offence.rule) for offence in budgets.offences(tree)]


def test_the_house_keeps_its_budgets():
    assert [str(offence) for offence in budgets.offences(ROOT)] == []


def test_a_clean_tree_has_no_offence(tree):
    assert budgets.offences(tree) == []


@pytest.mark.parametrize("path", ["gateway/big.py", "policies/a/big.py", "pseudonymization/big.py", "tests/x/big.py"])
def test_a_file_of_401_lines_is_found(tree, path):
    assert _plant(tree, path, "A = 1\n" * 400) == []
    assert _plant(tree, path, "A = 1\n" * 401) == [(path, 1, "file length")]


def test_a_function_of_61_lines_is_found(tree):
    assert _plant(tree, "gateway/a.py", _function(60)) == []
    assert _plant(tree, "gateway/a.py", "A = 1\n" + _function(61)) == [("gateway/a.py", 2, "function length")]


def test_a_method_and_an_async_function_count_as_functions(tree):
    lines = "        pass\n" * 60
    method = f"class A:\n    def some(self) -> None:\n{lines}"
    assert _plant(tree, "gateway/a.py", method) == [("gateway/a.py", 2, "function length")]
    assert _plant(tree, "gateway/a.py", "async " + _function(61)) == [("gateway/a.py", 1, "function length")]


def test_more_than_one_function_in_a_hundred_over_50_lines_is_found(tree):
    assert _plant(tree, "gateway/a.py", _function(51, "one") + _function(51, "two")) == []
    found = _plant(tree, "gateway/a.py", "".join(_function(51, name) for name in ("one", "two", "three")))
    assert found == [("gateway/a.py", line, "long functions") for line in (1, 52, 103)]


@pytest.mark.parametrize("door", ["gateway/api/a.py", "gateway/web/a.py"])
@pytest.mark.parametrize("decorator", ["@router.get('/')", "@app.post('/')", "@requests_router.get('/')"])
def test_an_endpoint_with_eleven_lines_of_body_is_found(tree, door, decorator):
    head = f"{decorator}\n"
    docstring = '    """One.\n\n    Two.\n    """\n'
    assert _plant(tree, door, _function(1, head=head) + docstring + "    pass\n" * 10) == []
    found = _plant(tree, door, _function(1, head=head) + docstring + "    pass\n" * 11)
    assert found == [(door, 2, "endpoint length")]


def test_a_function_that_is_no_endpoint_or_no_door_may_be_longer(tree):
    assert _plant(tree, "gateway/api/a.py", _function(30)) == []
    assert _plant(tree, "gateway/actions/a.py", _function(30, head="@router.get('/')\n")) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("from typing import TYPE_CHECKING\n", 1),
        ("import typing\nif typing.TYPE_CHECKING:\n    pass\n", 2),
    ],
)
def test_a_type_checking_escape_is_found(tree, text, line):
    assert _plant(tree, "pseudonymization/a.py", text) == [("pseudonymization/a.py", line, "type checking")]


@pytest.mark.parametrize("line", ["import os", "from os import path"])
def test_an_import_inside_a_function_is_found(tree, line):
    text = f"{line}\n\n\ndef some() -> None:\n    if True:\n        {line}\n"
    assert _plant(tree, "policies/a.py", text) == [("policies/a.py", 6, "inner import")]


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "manager", "service", "handler", "release_service"])
def test_a_name_that_says_nothing_is_found_in_modules_and_packages(tree, name):
    assert _plant(tree, f"gateway/{name}.py", "") == [(f"gateway/{name}.py", 1, "module name")]
    (tree / f"gateway/{name}.py").unlink()
    assert _plant(tree, f"gateway/{name}/a.py", "") == [(f"gateway/{name}/a.py", 1, "module name")]


def test_a_word_that_only_contains_a_banned_one_is_fine(tree):
    assert _plant(tree, "gateway/commonality.py", "") == []


def test_a_tree_without_modules_is_an_error_not_a_success(tmp_path):
    with pytest.raises(FileNotFoundError, match="`gateway`"):
        budgets.offences(tmp_path)


def _run(tree):
    script = ROOT / "tests/house/budgets.py"
    return subprocess.run([sys.executable, script, tree], capture_output=True, text=True, check=False)


def test_the_script_names_file_and_line_and_exits_1(tree):
    assert _run(tree).returncode == 0
    _plant(tree, "gateway/utils.py", "from typing import TYPE_CHECKING\n")
    done = _run(tree)
    assert done.returncode == 1
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()] == [
        ["gateway/utils.py:1", "module name"],
        ["gateway/utils.py:1", "type checking"],
    ]
