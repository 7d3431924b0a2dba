"""The steward's choices for a study: read from its column file, written back, and named when they are wrong."""

import pytest

from gateway.catalogue.columnfile import canonical, dumps, loads
from gateway.errors import Invalid
from pseudonymization.options import DEFAULT, Options
from pseudonymization.safeguards import DateRule, TimeOfDay

TEXT = """\
format: 1
study: pilot
country: {constant: USA}
options:
  dates: anchor
  time_of_day: hour   # clock times are as telling as a fingerprint
  snap_to_visits: true
tables:
  DM:
    columns:
      USUBJID: {role: subject_key}
"""


def test_options_are_read_and_come_back_with_their_comments() -> None:
    study = loads(TEXT)
    wanted = (DateRule.ANCHOR, TimeOfDay.HOUR, True)
    assert (study.options.dates, study.options.time_of_day, study.options.snap_to_visits) == wanted
    again = dumps(study, previous=TEXT)
    assert loads(again) == study
    assert "as telling as a fingerprint" in again


def test_what_is_not_said_is_the_default_and_is_not_written() -> None:
    study = loads(TEXT.replace("  dates: anchor\n", ""))
    assert (study.options.dates, Options().dates) == (DateRule.KEEP, DateRule.KEEP)
    plain = loads(
        "".join(line for line in TEXT.splitlines(keepends=True) if not line.startswith(("  d", "  t", "  s", "o")))
    )
    assert plain.options == DEFAULT
    assert "options" not in dumps(plain)


def test_other_options_make_another_version() -> None:
    assert canonical(loads(TEXT)) != canonical(loads(TEXT.replace("hour ", "drop ")))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dates: noon", "none of the words"),
        ("time_of_day: true", "none of the words"),
        ("snap_to_visits: 3", "neither true nor false"),
        ("nonsense: 3", "unknown option"),
    ],
)
def test_a_wrong_option_is_named_with_its_line(line: str, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        loads(
            TEXT.replace("dates: anchor", line).replace("time_of_day: hour", "").replace("  snap_to_visits: true\n", "")
        )
    assert caught.value.place == "column file:5"


def test_a_cleared_column_and_an_encoding_need_what_is_said_of_them() -> None:
    said = "  cleared: [DS.DSTERM=a ward and no name]\n  encodings: [TS=windows-1252]\n"
    options = loads(TEXT.replace("  dates: anchor\n", said)).options
    assert options.reasons() == {"DS.DSTERM": "a ward and no name"}
    assert options.reads("TS", "windows-1252")
    assert not options.reads("DM", "windows-1252")
    for wrong in ("cleared: [DS.DSTERM]", "cleared: [DS.DSTERM=]", "encodings: [=windows-1252]"):
        with pytest.raises(Invalid, match="lacks a place"):
            loads(TEXT.replace("dates: anchor", wrong))
