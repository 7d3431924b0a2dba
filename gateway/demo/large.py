"""A laboratory table of millions of rows, streamed to Parquet with bounded memory, to time a release on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gateway.demo.terms import ARMS, COUNTRIES, LAB_TESTS, MORE_LAB_TESTS, TRIAL_START

STUDY = "GWLARGE1"
ROWS_PER_GROUP = 500_000
_SUBJECTS_PER_SITE = 100
_LEVELS = 512  # distinct results per test
_PANEL = LAB_TESTS + MORE_LAB_TESTS
_DAYS_BETWEEN_VISITS = 14
_WORDS = pa.dictionary(pa.int32(), pa.string())

LB_SCHEMA = pa.schema(
    [
        ("STUDYID", _WORDS),
        ("DOMAIN", _WORDS),
        ("USUBJID", _WORDS),
        ("LBSEQ", pa.int64()),
        ("LBTESTCD", _WORDS),
        ("LBTEST", _WORDS),
        ("LBORRES", _WORDS),
        ("LBORRESU", _WORDS),
        ("LBSTRESN", pa.float64()),
        ("LBSTRESU", _WORDS),
        ("LBNRIND", _WORDS),
        ("VISITNUM", pa.float64()),
        ("VISIT", _WORDS),
        ("LBDTC", _WORDS),
        ("LBDY", pa.int64()),
    ]
)
"""LB of the large study: text as `dictionary<int32, string>`, numbers as `int64` or `double`."""


def write_large_lab(folder: Path, rows: int = 10_000_000, subjects: int = 20_000, seed: int = 20260101) -> Path:
    """Write `dm.parquet` (one row per subject) and `lb.parquet` (`rows` rows, by subject) and return the folder.

    Zstandard, row groups of 500,000. Peak memory depends on the row group, not on `rows`. Raises `ValueError`
    when there are fewer rows than subjects, or no subject.
    """
    if not 0 < subjects <= rows:
        raise ValueError("a large study needs at least one subject and one row for each of them")
    folder.mkdir(parents=True, exist_ok=True)
    people = _people(subjects, np.random.default_rng([seed, 1]))
    pq.write_table(people, folder / "dm.parquet", compression="zstd")
    with pq.ParquetWriter(folder / "lb.parquet", LB_SCHEMA, compression="zstd") as file:
        for batch in _batches(people, rows, np.random.default_rng([seed, 2])):
            file.write_batch(batch, row_group_size=ROWS_PER_GROUP)
    return folder


def _people(subjects: int, rng: np.random.Generator) -> pa.Table:
    shares = np.array([country.share for country in COUNTRIES])
    home = np.sort(rng.choice(len(COUNTRIES), size=subjects, p=shares / shares.sum()))
    first_at_home = np.searchsorted(home, np.arange(len(COUNTRIES)))
    site = (np.arange(subjects) - first_at_home[home]) // _SUBJECTS_PER_SITE + 1
    countries = [COUNTRIES[at].code for at in home.tolist()]
    sites = [f"{code}-{number:03d}" for code, number in zip(countries, site.tolist(), strict=True)]
    numbers = [f"{100_001 + at}" for at in range(subjects)]
    start = np.datetime64(TRIAL_START, "D") + rng.integers(0, 900, size=subjects)
    arm = rng.integers(0, len(ARMS), size=subjects).tolist()
    races = [str(rng.choice(list(COUNTRIES[at].races), p=list(COUNTRIES[at].races.values()))) for at in home.tolist()]
    return pa.table(
        {
            "STUDYID": [STUDY] * subjects,
            "DOMAIN": ["DM"] * subjects,
            "USUBJID": [f"{STUDY}-{s}-{n}" for s, n in zip(sites, numbers, strict=True)],
            "SUBJID": numbers,
            "RFSTDTC": np.datetime_as_string(start).tolist(),
            "SITEID": sites,
            "AGE": np.clip(np.rint(rng.normal(69, 10, size=subjects)), 40, 97).astype(np.int64),
            "AGEU": ["YEARS"] * subjects,
            "SEX": np.where(rng.random(subjects) < 0.46, "F", "M").tolist(),
            "RACE": races,
            "ETHNIC": np.where(rng.random(subjects) < 0.08, "HISPANIC OR LATINO", "NOT HISPANIC OR LATINO").tolist(),
            "ARMCD": [ARMS[at][0] for at in arm],
            "ARM": [ARMS[at][1] for at in arm],
            "COUNTRY": countries,
            "DMDTC": np.datetime_as_string(start - rng.integers(8, 22, size=subjects)).tolist(),
        }
    )


def _batches(people: pa.Table, rows: int, rng: np.random.Generator) -> Iterator[pa.RecordBatch]:
    """Batches of one row group each; row r of a subject is one test of one visit, the tests of a visit together."""
    subjects = people.num_rows
    first_row = np.arange(subjects + 1) * (rows // subjects) + np.minimum(np.arange(subjects + 1), rows % subjects)
    ids = people["USUBJID"].to_pylist()
    starts = np.array(people["RFSTDTC"].to_pylist(), dtype="datetime64[D]")
    for begin in range(0, rows, ROWS_PER_GROUP):
        row = np.arange(begin, min(begin + ROWS_PER_GROUP, rows))
        subject = np.searchsorted(first_row, row, side="right") - 1
        within = row - first_row[subject]
        yield _batch(subject, within, ids, starts, rng)


def _batch(
    subject: NDArray[np.int64],
    within: NDArray[np.int64],
    ids: Sequence[str],
    starts: NDArray[np.datetime64],
    rng: np.random.Generator,
) -> pa.RecordBatch:
    lowest = int(subject[0])
    visit, test = np.divmod(within, len(_PANEL))
    level = np.clip(rng.normal(_LEVELS / 2, _LEVELS / 7, size=len(subject)), 0, _LEVELS - 1).astype(np.int64)
    values, texts, flags = _results()
    result = test * _LEVELS + level
    # One moment per subject and visit: everything of one visit is drawn at the same time.
    visits = int(visit.max()) + 1
    moments, moment = np.unique(subject * visits + visit, return_inverse=True)
    day = (moments % visits) * _DAYS_BETWEEN_VISITS + rng.integers(0, 4, size=len(moments))
    minute = rng.integers(7 * 60, 12 * 60, size=len(moments))
    drawn = (starts[moments // visits] + day.astype("timedelta64[D]")).astype("datetime64[m]")
    drawn = drawn + minute.astype("timedelta64[m]")
    columns = {
        "STUDYID": _words(np.zeros(len(subject), dtype=np.int32), [STUDY]),
        "DOMAIN": _words(np.zeros(len(subject), dtype=np.int32), ["LB"]),
        "USUBJID": _words(subject - lowest, ids[lowest : int(subject[-1]) + 1]),
        "LBSEQ": pa.array(within + 1),
        "LBTESTCD": _words(test, [known.code for known in _PANEL]),
        "LBTEST": _words(test, [known.name for known in _PANEL]),
        "LBORRES": _words(result, texts),
        "LBORRESU": _words(test, [known.unit for known in _PANEL]),
        "LBSTRESN": pa.array(values[result]),
        "LBSTRESU": _words(test, [known.unit for known in _PANEL]),
        "LBNRIND": _words(flags[result], ["LOW", "NORMAL", "HIGH"]),
        "VISITNUM": pa.array((visit + 1).astype(np.float64)),
        "VISIT": _words(visit, [f"VISIT {number}" for number in range(1, visits + 1)]),
        "LBDTC": _words(moment, np.datetime_as_string(drawn).tolist()),
        "LBDY": pa.array(day[moment] + 1),
    }
    return pa.RecordBatch.from_pydict(columns, schema=LB_SCHEMA)


def _results() -> tuple[NDArray[np.float64], list[str], NDArray[np.int32]]:
    """Every possible result, test by test: number, text, and 0 low, 1 normal, 2 high."""
    values, texts, flags = [], [], []
    for test in _PANEL:
        for score in np.linspace(-3.5, 3.5, _LEVELS).tolist():
            text = f"{max(test.centre + test.spread * score, test.low / 4):.{max(test.digits, 1)}f}"
            texts.append(text)
            values.append(float(text))
            flags.append(0 if values[-1] < test.low else 2 if values[-1] > test.high else 1)
    return np.array(values), texts, np.array(flags, dtype=np.int32)


def _words(codes: NDArray[np.integer], words: Sequence[str]) -> pa.DictionaryArray:
    """Words by code. A dictionary that says a word twice would make the Parquet writer give up its encoding."""
    distinct, place = np.unique(np.array(words), return_inverse=True)
    return pa.DictionaryArray.from_arrays(
        pa.array(place[codes].astype(np.int32)), pa.array(distinct.tolist(), type=pa.string())
    )
