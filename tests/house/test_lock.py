"""The lock: hashed, without an address, complete, and each direct dependency was decided on purpose."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
ADDRESS = re.compile(
    r"://|\bgit\+|\s@\s|--(?:index-url|extra-index-url|find-links|trusted-host)\b|^-[if]\b", re.MULTILINE
)
HOST = re.compile(r"\b[a-z0-9-]+\.(?:com|dev|eu|io|net|org)\b")
# `casbin` is the frozen old name of `pycasbin`; both unpack into one folder and the last one silently wins.
OLD_NAMES = {"casbin"}


def locked(text):
    """Requirement by name, with the hashes that follow it. A name may stand twice, for different Pythons."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith(("#", "-"))]
    return [(Requirement(line.partition("--hash")[0].strip()), HASH.findall(line)) for line in lines]


def faults(text, wanted=()):
    """What is wrong with a lock, one sentence each."""
    found = [f"an address: {match.group()}" for match in (*ADDRESS.finditer(text), *HOST.finditer(text))]
    pins = locked(text)
    found += [f"`{pin.name}` has no hash" for pin, hashes in pins if not hashes]
    found += [f"`{pin.name}` is not pinned" for pin, _ in pins if not re.fullmatch(r"==[^,*]+", str(pin.specifier))]
    found += [f"`{pin.name}` is a frozen old name" for pin, _ in pins if canonicalize_name(pin.name) in OLD_NAMES]
    for need in wanted:
        versions = [
            str(pin.specifier)[2:] for pin, _ in pins if canonicalize_name(pin.name) == canonicalize_name(need.name)
        ]
        if not versions:
            found.append(f"`{need.name}` is missing")
        found += [f"`{need.name}` {v} is not {need.specifier}" for v in versions if not need.specifier.contains(v)]
    return found


def undecided(wanted, decisions):
    """Direct dependencies that no line of the decisions names."""
    return [
        n.name for n in wanted if not re.search(rf"(?<![\w-]){re.escape(n.name)}(?![\w-])", decisions, re.IGNORECASE)
    ]


@pytest.fixture(scope="module")
def direct():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(n for extra in project["optional-dependencies"].values() for n in extra)]
    assert len(named) > 20
    return [Requirement(text) for text in named]


def test_the_lock_is_hashed_pinned_complete_and_names_no_address(direct):
    text = (ROOT / "requirements.lock").read_text()
    assert len(locked(text)) > len(direct)
    assert faults(text, direct) == []


def test_each_direct_dependency_has_a_line_in_the_decisions(direct):
    assert undecided(direct, (ROOT / "DECISIONS.md").read_text()) == []


GOOD = (
    "alpha==1.0 ; python_version < '3.12' \\\n    --hash=sha256:"
    + "a" * 64
    + " \\\n    --hash=sha256:"
    + "b" * 64
    + "\n    # via beta\n"
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("alpha==1.0\n", "`alpha` has no hash"),
        (GOOD.replace("==1.0", ">=1.0"), "`alpha` is not pinned"),
        (GOOD.replace("==1.0", "==1.*"), "`alpha` is not pinned"),
        (GOOD.replace("alpha", "casbin"), "`casbin` is a frozen old name"),
        ("# from packages.example.org\n" + GOOD, "an address: example.org"),
        ("# see https://elsewhere\n" + GOOD, "an address: ://"),
    ],
)
def test_a_planted_fault_is_found(text, fault):
    assert faults(text) == [fault]


def test_a_good_lock_has_no_fault_and_a_missing_or_old_pin_is_one():
    assert faults(GOOD, [Requirement("Alpha>=1.0")]) == []
    assert faults(GOOD, [Requirement("gamma")]) == ["`gamma` is missing"]
    assert faults(GOOD, [Requirement("alpha>=2")]) == ["`alpha` 1.0 is not >=2"]


def test_an_option_that_names_an_index_is_found():
    assert faults("--index-url mirror\n" + GOOD) == ["an address: --index-url"]


def test_a_name_inside_another_is_no_decision():
    need = [Requirement("casbin"), Requirement("ruff")]
    assert undecided(need, "- `pycasbin`: yes\n- ruff-lsp: no\n") == ["casbin", "ruff"]
    assert undecided(need, "- `casbin`: no\n- Ruff: yes\n") == []
