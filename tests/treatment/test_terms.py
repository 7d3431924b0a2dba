"""Rare and sensitive medical terms: counted by subject, lifted or emptied together; coding coverage; deaths."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudonymization.columns import Column, Kind, Role, Study, Table
from pseudonymization.terms import DEATH, Sensitive, Terms, coverage, decide, listed, survey
from pseudonymization.wordings import RareTerms

LIST = Sensitive({"suicide": ["suicid"], "hiv": ["hiv"]})
_NAMES = ("USUBJID", "AETERM", "AELLT", "AEDECOD", "AEPTCD", "AEHLT", "AEBODSYS", "AEOUT")
Row = tuple[str, str, str, str, float | None, str, str, str]


class Held:
    """A source of invented tables, in batches of seven rows."""

    def __init__(self, **tables: pa.Table) -> None:
        self.tables = tables

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        held = self.tables[table]
        yield from held.select(list(columns or held.schema.names)).to_batches(max_chunksize=7)


def _rows() -> list[Row]:
    """Headache in 6 subjects and migraine in 2 under one HLT; a suicide attempt; a rare term of a rare class."""
    rows: list[Row] = [
        (f"S{at}", "my head", "Head pain", "HEADACHE", 1.0, "Headaches", "NERVOUS", "") for at in range(6)
    ]
    rows += [(f"S{at}", "one sided", "Migraine NOS", "MIGRAINE", 2.0, "Headaches", "NERVOUS", "") for at in (1, 7)]
    rows += [("S3", "tried", "Try", "SUICIDE ATTEMPT", 3.0, "Suicidal acts", "PSYCHIATRIC", "")]
    rows += [(f"S{at}", "sad", "Sadness", "DEPRESSION", 4.0, "Moods", "PSYCHIATRIC", "") for at in range(5)]
    rows += [("S8", "rare thing", "Rare", "GAUCHER", 5.0, "Lipids", "CONGENITAL", "FATAL")]
    rows += [("S8", "something", "", "", None, "", "NERVOUS", "")]
    return rows


def _study() -> tuple[Study, Held]:
    roles = (Role.SUBJECT_KEY, Role.FREE_TEXT, *[Role.SENSITIVE] * 6)
    columns = [
        Column(name, role, Kind.NUMBER if name == "AEPTCD" else Kind.TEXT)
        for name, role in zip(_NAMES, roles, strict=True)
    ]
    events = pa.table({name: [row[at] for row in _rows()] for at, name in enumerate(_NAMES)})
    people = pa.table({"USUBJID": [f"S{at}" for at in range(9)], "DTHFL": ["Y" if at == 8 else "" for at in range(9)]})
    dm = Table("dm", (Column("USUBJID", Role.SUBJECT_KEY), Column("DTHFL", Role.SENSITIVE)), "DM")
    return Study("S", (dm, Table("ae", tuple(columns), "AE")), "DE"), Held(ae=events, dm=people)


def _applied(terms: Terms, source: Held, table: str) -> list[dict[str, Any]]:
    out = []
    for batch in source.batches(table):
        treated, _ = terms.apply(table, batch, batch)
        out += treated.to_pylist()
    return out


def _decided(rule: RareTerms, below: int = 5, **said: Any) -> tuple[Terms, Held]:
    study, source = _study()
    return decide(survey(study, source), rule, below, LIST, **said), source


def test_a_rare_term_goes_up_to_the_lowest_term_that_enough_subjects_hold() -> None:
    terms, source = _decided(RareTerms.UP)
    rows = _applied(terms, source, "ae")
    lifted = [row for row in rows if row["USUBJID"] in {"S1", "S7"} and row["AEHLT"] == "Headaches"]
    assert {row["AEDECOD"] for row in lifted} == {"HEADACHE", "Headaches"}
    assert all(
        row["AETERM"] is row["AELLT"] is row["AEPTCD"] is None for row in lifted if row["AEDECOD"] == "Headaches"
    )
    assert "MIGRAINE" not in {row["AEDECOD"] for row in rows}


def test_a_sensitive_term_never_stops_at_a_sensitive_term_above_it() -> None:
    terms, source = _decided(RareTerms.UP)
    row = next(r for r in _applied(terms, source, "ae") if r["USUBJID"] == "S3" and r["AEBODSYS"] == "PSYCHIATRIC"
               and r["AEDECOD"] != "DEPRESSION")  # fmt: skip
    assert (row["AEDECOD"], row["AEHLT"], row["AETERM"], row["AEPTCD"]) == ("PSYCHIATRIC", None, None, None)


def test_a_term_of_a_rare_class_leaves_nothing_and_its_row_stays() -> None:
    terms, source = _decided(RareTerms.UP)
    rows = [row for row in _applied(terms, source, "ae") if row["USUBJID"] == "S8"]
    assert len(rows) == 2
    assert not any(rows[0][name] for name in _NAMES[1:])
    assert (rows[1]["AETERM"], rows[1]["AEBODSYS"]) == ("something", "NERVOUS")


def test_blank_empties_the_term_and_keeps_what_enough_subjects_hold_above_it() -> None:
    terms, source = _decided(RareTerms.BLANK)
    row = next(row for row in _applied(terms, source, "ae") if row["USUBJID"] == "S7")
    assert (row["AEDECOD"], row["AEHLT"], row["AEBODSYS"]) == (None, "Headaches", "NERVOUS")


def test_keep_changes_no_cell() -> None:
    terms, source = _decided(RareTerms.KEEP)
    kept = [row for batch in source.batches("ae") for row in batch.to_pylist()]
    assert [{k: v or None for k, v in row.items()} for row in _applied(terms, source, "ae")] == [
        {k: v or None for k, v in row.items()} for row in kept
    ]


def test_under_review_every_term_waits_until_a_steward_decided_it() -> None:
    terms, _ = _decided(RareTerms.REVIEW)
    waiting = {(item.prefix, item.term): (item.rare, item.sensitive) for item in terms.open}
    assert waiting == {
        ("AE", "migraine"): (True, ""), ("AE", "suicide attempt"): (True, "suicide"), ("AE", "gaucher"): (True, ""),
        ("", DEATH): (True, DEATH),
    }  # fmt: skip
    said = dict.fromkeys(waiting, RareTerms.KEEP) | {("AE", "gaucher"): RareTerms.UP}
    settled, source = _decided(RareTerms.REVIEW, decided=said)
    assert settled.open == ()
    left = {row["AEDECOD"] for row in _applied(settled, source, "ae")}
    assert {"MIGRAINE", "SUICIDE ATTEMPT"} <= left
    assert "GAUCHER" not in left


def test_few_deaths_are_a_rare_event_whose_marks_fall_together() -> None:
    terms, source = _decided(RareTerms.UP, below=2)
    assert not any(row["DTHFL"] for row in _applied(terms, source, "dm"))
    assert not any(row["AEOUT"] for row in _applied(terms, source, "ae"))
    kept, source = _decided(RareTerms.UP, below=2, decided={("", DEATH): RareTerms.KEEP})
    assert [row["DTHFL"] for row in _applied(kept, source, "dm")][-1] == "Y"


def test_a_mark_of_death_is_counted_over_all_tables_once_for_each_subject() -> None:
    counted = survey(*_study())
    assert counted.dead == {"S8"}


def test_the_rows_changed_are_counted_by_column() -> None:
    terms, source = _decided(RareTerms.UP)
    changed = [terms.apply("ae", batch, batch)[1] for batch in source.batches("ae")]
    assert sum(count["AEDECOD"] for count in changed) == 4
    assert sum(count["AEBODSYS"] for count in changed) == 1


def test_coverage_is_the_share_of_reported_terms_whose_twin_is_coded() -> None:
    columns = (Column("ID", Role.SUBJECT_KEY), Column("CMTRT", Role.FREE_TEXT), Column("CMDECOD", Role.SENSITIVE))
    study = Study("S", (Table("cm", columns, "CM"),), "DE")
    table = {
        "ID": list("abcde"),
        "CMTRT": ["x", "y", "z", "q", ""],
        "CMDECOD": ["ASPIRIN", "UNCODED", "", "Not Coded", "X"],
    }
    [found] = coverage(study, Held(cm=pa.table(table)))
    assert (str(found.verbatim), found.coded, found.share) == ("`cm.CMTRT`", "CMDECOD", 0.25)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(["A", "B", "C", "D"]), st.sampled_from(["K", "L"])), max_size=40
    ),
    st.integers(1, 6),
    st.sampled_from([RareTerms.UP, RareTerms.BLANK]),
)
def test_after_lifting_no_term_of_any_level_is_held_by_fewer_subjects_than_asked(
    rows: list[tuple[int, str, str]], below: int, rule: RareTerms
) -> None:
    columns = (Column("ID", Role.SUBJECT_KEY), Column("AEDECOD", Role.SENSITIVE), Column("AEBODSYS", Role.SENSITIVE))
    study = Study("S", (Table("ae", columns, "AE"),), "DE")
    data = {
        "ID": [f"s{who}" for who, _, _ in rows],
        "AEDECOD": [t for _, t, _ in rows],
        "AEBODSYS": [b for *_, b in rows],
    }
    source = Held(ae=pa.table({name: pa.array(values, pa.string()) for name, values in data.items()}))
    terms = decide(survey(study, source), rule, below, LIST)
    left = _applied(terms, source, "ae")
    assert len(left) == len(rows)
    for name, own in (("AEDECOD", {"A", "B", "C", "D"}), ("AEBODSYS", {"K", "L"})):
        for term in {row[name] for row in left} & own:
            holders = {who for who, decod, system in rows if term in {decod, system}}
            assert len(holders) >= below


def test_what_is_listed_is_named_by_place_and_never_shown() -> None:
    for item in listed(survey(*_study()), 5, LIST):
        assert item.term not in repr(item).casefold() or item.term == DEATH


@pytest.mark.parametrize(
    ("term", "entry"),
    [("COMPLETED SUICIDE", "suicide"), ("Parasuicide", ""), ("ARCHIVED", ""), ("HIV infection", "hiv")],
)
def test_a_sensitive_term_is_told_at_the_start_of_a_word(term: str, entry: str) -> None:
    assert LIST.entry(term) == entry
