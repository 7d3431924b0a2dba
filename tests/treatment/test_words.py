"""Free text loses what the study knows to be identifying; stand-ins keep the shape of names and places."""

from typing import Any

import pyarrow as pa
import pytest

from pseudonymization.columns import Column, Role, Study, Table
from pseudonymization.faults import Unresolved
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.subjects import collect
from pseudonymization.surrogates import KINDS, Surrogates
from pseudonymization.text import DateWords, Redactor

Small = tuple[Study, Any]
KEY = ProjectKey.derive(bytes(range(32)), "p1")


@pytest.fixture
def redactor(small: Small) -> Redactor:
    return Redactor.of(collect(*small))


@pytest.mark.parametrize(
    ("text", "left", "kinds"),
    [
        ("subject S1-103-20011 fell", "subject --redacted-- fell", {"subject id": 1}),
        ("20011/20031", "--redacted--/--redacted--", {"subject id": 2}),
        ("told Dr. marsh, and Carla", "told Dr. --redacted--, and --redacted--", {"identifier": 2}),
        ("DIRK OLDFIELD came on 4 July 2013", "--redacted-- came on --redacted--", {"identifier": 1, "date": 1}),
        ("from 2013-07-04T08:30 to JUL2013", "from --redacted-- to --redacted--", {"date": 2}),
        ("since 3/4/99, worse 12.11.2013", "since --redacted--, worse --redacted--", {"date": 2}),
        ("site 103 closed", "site --redacted-- closed", {"identifier": 1}),
        ("marshes and 1.5 mg at 10-12 h, 3/4 of 120011", "marshes and 1.5 mg at 10-12 h, 3/4 of 120011", {}),
        ("may be 3 or 4 in the morning", "may be 3 or 4 in the morning", {}),
        ("", "", {}),
    ],
)
def test_known_values_and_dates_are_redacted_and_counted(
    redactor: Redactor, text: str, left: str, kinds: dict[str, int]
) -> None:
    assert redactor.redact(text) == (left, kinds)


def test_a_value_of_one_or_two_letters_is_no_token() -> None:
    table = Table("dm", (Column("ID", Role.SUBJECT_KEY), Column("INITIALS", Role.DIRECT)), "DM")

    class Source:
        def batches(self, name: str, columns: object = None) -> object:
            return pa.table({"ID": ["subject-1"], "INITIALS": ["AT"]}).to_batches()

    redactor = Redactor.of(collect(Study("S", (table,), "DE"), Source()))
    assert redactor.redact("at home with subject-1") == ("at home with --redacted--", {"subject id": 1})


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2013-07-04", 1), ("04JUL2013", 1), ("4 July 2013", 1), ("July 4th, 2013", 1), ("07/04/2013", 2),
        ("13/07/2013", 1), ("04.07.13", 4), ("20130704", 1), ("JUL2013", 0), ("2013-07", 0), ("31FEB2013", 0),
    ],
)  # fmt: skip
def test_a_date_in_words_means_the_days_it_may_mean(text: str, days: int) -> None:
    found = list(DateWords.find(f"on {text}, he"))
    assert [len(meant) for _, _, meant in found] == [days]
    if days:
        assert 15_890 in found[0][2] or text == "13/07/2013"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_stand_in_is_keyed_stable_and_no_original(kind: str) -> None:
    values = [f"original {at}" for at in range(20)]
    plain = Surrogates(KEY, kind, values).stand_ins(values)
    assert plain == Surrogates(KEY, kind, values).stand_ins(values)
    assert Surrogates(KEY, kind, values).stand_ins([values[3], ""]) == [plain[3], ""]
    assert plain != Surrogates(ProjectKey.derive(bytes(range(32)), "p2"), kind, values).stand_ins(values)
    assert len(set(plain)) > 15
    avoiding = Surrogates(KEY, kind, [*values, *(name.upper() for name in plain)]).stand_ins(values)
    assert not set(avoiding) & set(plain)


def test_a_kind_of_stand_in_that_there_is_not_is_refused() -> None:
    with pytest.raises(Unresolved, match="stand-in"):
        Surrogates(KEY, "shoe size", [])
