"""Every hard case of clinical data has a test that is named after its number."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"^def test_case_(\d\d)_\w+", re.MULTILINE)
CASES = {
    1: "partial dates", 2: "side effects of the midpoint rule", 3: "study days after a shift",
    4: "subjects without a reference start", 5: "leaking deltas", 6: "time of day", 7: "visit gaps",
    8: "dates outside --DTC", 9: "embedded ids", 10: "short ids that collide", 11: "keys of SUPP-- and RELREC",
    12: "split domains", 13: "ADaM copies", 14: "derived twins", 15: "ages above 89", 16: "units of age",
    17: "uncoded terms", 18: "rare terms", 19: "free text", 20: "deaths", 21: "documents", 22: "race in SUPPDM",
    23: "several countries", 24: "small sites", 25: "data about the trial", 26: "define.xml and codelists",
    27: "linkage across releases", 28: "screen failures", 29: "wrong epochs", 30: "encodings and odd dates",
}  # fmt: skip


@pytest.fixture(scope="module")
def tested() -> set[int]:
    files = [path for path in ROOT.rglob("test_*.py") if "vendor" not in path.parts]
    found = {int(number) for path in files for number in NAMED.findall(path.read_text("utf-8"))}
    assert found
    return found


@pytest.mark.parametrize("case", sorted(CASES), ids=lambda case: f"{case:02d}")
def test_a_hard_case_has_a_test_that_is_named_after_it(tested: set[int], case: int) -> None:
    assert case in tested, CASES[case]


def test_no_test_is_named_after_a_case_that_there_is_not(tested: set[int]) -> None:
    assert tested <= set(CASES)
    assert len(CASES) == 30
