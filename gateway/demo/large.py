"""A laboratory table of millions of rows, streamed to Parquet with bounded memory, to time a release on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
_SCATTER = 2_654_435_761  # Knuth's multiplicative hash: the same moment for a visit that two row groups share
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
        for batch in _batches(people, rows, seed):
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


def _batches(people: pa.Table, rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Batches of one row group each, in the order of the SDTM keys: subject, test, visit."""
    subjects = people.num_rows
    first_row = np.arange(subjects + 1) * (rows // subjects) + np.minimum(np.arange(subjects + 1), rows % subjects)
    most = -(-rows // subjects)
    cohort = _Cohort(
        ids=people["USUBJID"].to_pylist(),
        starts=np.array(people["RFSTDTC"].to_pylist(), dtype="datetime64[D]"),
        american=np.array(people["COUNTRY"].to_pylist()) == "USA",
        visits=-(-most // len(_PANEL)),
        seed=seed,
    )
    results, rng = _Results(), np.random.default_rng([seed, 2])
    for begin in range(0, rows, ROWS_PER_GROUP):
        row = np.arange(begin, min(begin + ROWS_PER_GROUP, rows))
        subject = np.searchsorted(first_row, row, side="right") - 1
        yield _batch(subject, row - first_row[subject], cohort, results, rng)


@dataclass(frozen=True, slots=True)
class _Cohort:
    """What the rows need to know of the subjects; arrays are by position in DM."""

    ids: list[str]
    starts: NDArray[np.datetime64]
    american: NDArray[np.bool_]
    visits: int
    seed: int

    def day_and_minute(self, moment: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Days after the start and minute of the day of subject-visit `moment`, without a table of all of them."""
        scattered = ((moment + self.seed) * _SCATTER % (1 << 32)) >> 7
        return moment % self.visits * _DAYS_BETWEEN_VISITS + scattered % 4, 420 + scattered // 4 % 300


class _Results:
    """Every possible result, test by test: numbers, texts (standard units, then American ones), indicators."""

    def __init__(self) -> None:
        values, texts, american, self.words = [], [], [], ["LOW", "NORMAL", "HIGH"]
        flags: list[int] = []
        for test in _PANEL:
            for score in np.linspace(-3.5, 3.5, _LEVELS).tolist():
                text = f"{max(test.centre + test.spread * score, test.low / 4):.{max(test.digits, 1)}f}"
                value = float(text)
                texts.append(text)
                values.append(value)
                american.append(f"{value * test.american_factor:.2f}" if test.american_unit else text)
                flags.append(0 if value < test.low else 2 if value > test.high else 1)
        self.values, self.texts, self.flags = np.array(values), texts + american, np.array(flags)
        self.standard_units = [test.unit for test in _PANEL]
        self.units = self.standard_units + [test.american_unit or test.unit for test in _PANEL]


def _batch(
    subject: NDArray[np.int64],
    within: NDArray[np.int64],
    cohort: _Cohort,
    results: _Results,
    rng: np.random.Generator,
) -> pa.RecordBatch:
    """Rows `within` (from 0) of subjects by position; all tests of one visit are drawn at the same time."""
    lowest = int(subject[0])
    test, visit = np.divmod(within, cohort.visits)
    level = np.clip(rng.normal(_LEVELS / 2, _LEVELS / 7, size=len(subject)), 0, _LEVELS - 1).astype(np.int64)
    result = test * _LEVELS + level
    american = cohort.american[subject]
    moments, moment = np.unique(subject * cohort.visits + visit, return_inverse=True)
    day, minute = cohort.day_and_minute(moments)
    drawn = (cohort.starts[moments // cohort.visits] + day.astype("timedelta64[D]")).astype("datetime64[m]")
    drawn = drawn + minute.astype("timedelta64[m]")
    constant = np.zeros(len(subject), dtype=np.int32)
    columns = {
        "STUDYID": _words(constant, [STUDY]),
        "DOMAIN": _words(constant, ["LB"]),
        "USUBJID": _words(subject - lowest, cohort.ids[lowest : int(subject[-1]) + 1]),
        "LBSEQ": pa.array(within + 1),
        "LBTESTCD": _words(test, [known.code for known in _PANEL]),
        "LBTEST": _words(test, [known.name for known in _PANEL]),
        "LBORRES": _words(result + american * len(results.values), results.texts),
        "LBORRESU": _words(test + american * len(_PANEL), results.units),
        "LBSTRESN": pa.array(results.values[result]),
        "LBSTRESU": _words(test, results.standard_units),
        "LBNRIND": _words(results.flags[result], results.words),
        "VISITNUM": pa.array((visit + 1).astype(np.float64)),
        "VISIT": _words(visit, [f"VISIT {number}" for number in range(1, cohort.visits + 1)]),
        "LBDTC": _words(moment, np.datetime_as_string(drawn).tolist()),
        "LBDY": pa.array(day[moment] + 1),
    }
    return pa.RecordBatch.from_pydict(columns, schema=LB_SCHEMA)


def _words(codes: NDArray[np.integer], words: Sequence[str]) -> pa.DictionaryArray:
    """Words by code. A dictionary that says a word twice would make the Parquet writer give up its encoding."""
    distinct, place = np.unique(np.array(words), return_inverse=True)
    return pa.DictionaryArray.from_arrays(
        pa.array(place[codes].astype(np.int32)), pa.array(distinct.tolist(), type=pa.string())
    )
