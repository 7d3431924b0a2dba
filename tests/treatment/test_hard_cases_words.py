"""Hard cases of words and terms, each named after its number: on real data where the case occurs there."""

import gzip
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gateway.formats import digests, scan
from gateway.release import words
from gateway.release.words import few, rule_of, sensitive_list
from pseudonymization.columns import Column, Role, Study, Table
from pseudonymization.isodates import readable
from pseudonymization.options import Options
from pseudonymization.safeguards import Safeguards
from pseudonymization.subjects import collect
from pseudonymization.terms import UNCODED, coverage, decide, fold, listed, survey
from pseudonymization.text import REDACTED, Redactor
from pseudonymization.wordings import RareTerms

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
PUBLIC, USUAL = RareTerms.UP, 11
LIST = sensitive_list(Options())


def _verbatims(study: Study, *names: str) -> Study:
    """The study with these columns as free text, as the rules of variables propose them."""
    tables = []
    for table in study.tables:
        columns = [Column(c.name, Role.FREE_TEXT if c.name in names else c.role, c.kind) for c in table.columns]
        tables.append(Table(table.name, tuple(columns), table.domain))
    return Study(study.name, tuple(tables), "US")


def test_case_17_coding_coverage_of_the_pilot_is_measured_before_a_verbatim_is_removed(pilot: Any) -> None:
    study, source = pilot
    found = {one.verbatim.column: one.share for one in coverage(_verbatims(study, "CMTRT", "MHTERM", "AETERM"), source)}
    coded = source.tables["cm"].column("CMDECOD").to_pylist()
    assert coded.count("UNCODED") == 6085
    assert round(found["CMTRT"], 4) == round(sum(fold(c or "") not in UNCODED for c in coded) / len(coded), 4) < 0.2
    assert found["MHTERM"] < 0.95
    assert found["AETERM"] == 1.0
    assert Options().uncoded == "stop", "nobody loses words without having chosen to"


def test_case_18_rare_terms_of_the_pilot_go_up_and_none_below_the_threshold_is_left(pilot: Any) -> None:
    study, source = pilot
    counted = survey(study, source)
    holders = {
        term: people for (prefix, level, term), people in counted.holders.items() if prefix == "AE" and not level
    }
    single = sum(len(people) == 1 for people in holders.values())
    below = sum(len(people) < USUAL for people in holders.values())
    assert (len(holders), single, below) == (242, 140, 223)
    terms = decide(counted, PUBLIC, USUAL, LIST)
    left: dict[str, set[str]] = {}
    rows, kept = 0, Counter[str]()
    for batch in source.batches("ae"):
        treated, _ = terms.apply("ae", batch, batch)
        rows += treated.num_rows
        for row, before in zip(treated.to_pylist(), batch.to_pylist(), strict=True):
            kept[row["AEBODSYS"]] += 1
            assert (row["AETERM"] is None) == (row["AEDECOD"] != before["AEDECOD"])
            if row["AEDECOD"]:
                left.setdefault(row["AEDECOD"], set()).add(row["USUBJID"])
    assert rows == 1191
    assert min(len(people) for people in left.values()) >= USUAL
    assert sum(count for system, count in kept.items() if system) / rows > 0.94, (
        "the analysis by system organ class stands"
    )
    assert not [term for term in left if LIST.entry(term)]


def test_case_18_the_shipped_list_finds_the_sensitive_terms_of_the_pilot(pilot: Any) -> None:
    study, source = pilot
    entries = {item.term: item.sensitive for item in listed(survey(study, source), USUAL, LIST) if item.sensitive}
    assert entries["completed suicide"] == "suicide"
    assert entries["abortion"] == "abortion"
    assert entries["vasectomy"] == "sexual function"
    assert entries["sudden death"] == "death"
    without = sensitive_list(Options(sensitive_terms=("-abortion", "headache")))
    assert (without.entry("ABORTION"), without.entry("Headache")) == ("", "the study's own")


def test_case_18_the_default_goes_up_in_public_and_keeps_in_controlled_releases() -> None:
    assert rule_of(Options(), "public") is RareTerms.UP
    assert rule_of(Options(), "controlled") is RareTerms.KEEP
    assert rule_of(Options(rare_terms=RareTerms.REVIEW), "controlled") is RareTerms.REVIEW
    assert [few(Options(), Safeguards(k=k)) for k in (1, 5, 20)] == [11, 5, 20]
    assert few(Options(rare_below=3), Safeguards(k=20)) == 3
    assert words.USUAL == USUAL


def test_case_19_raw_disposition_terms_of_the_pilot_are_redacted_and_stay_readable(pilot: Any) -> None:
    study, source = pilot
    redactor = Redactor.of(collect(study, source))
    texts = sorted({text for text in source.tables["ds"].column("DSTERM").to_pylist() if text})
    changed = {text: redactor.redact(text) for text in texts}
    touched = [text for text, (_, kinds) in changed.items() if kinds]
    assert len(texts) > 30
    assert len(touched) <= 0.1 * len(texts), "clinical words are not names"
    assert "PATIENT IS MOVING" in texts
    assert changed["PATIENT IS MOVING"][0] == "PATIENT IS MOVING"
    planted = "DR OTTENBACHER PUT 01-701-1015 ON AN EXCLUDED MEDICATION ON 14 MAR 2014"
    assert redactor.redact(planted)[0] == f"DR {REDACTED} PUT {REDACTED} ON AN EXCLUDED MEDICATION ON {REDACTED}"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("DIED IN HER SLEEP", "DIED IN HER SLEEP"),
        ("SCOMPENSO CARDIACO", "SCOMPENSO CARDIACO"),
        ("SUSPECTED CJD", "SUSPECTED CJD"),
        ("nach Sturz am 3. Mai 1992 von Frau Lindqvist gefunden", "nach Sturz am * von Frau * gefunden"),
        ("zgon w domu, lip-92", "zgon w domu, *"),
        ("trasferito dal dott. Bellandi il 4 marzo 1993", "trasferito dal dott. * il *"),
        ("transféré par le Dr Aurélien Beaugrand le 12 déc 1992", "transféré par le Dr * le *"),
        ("la hija Remedios llamó el 5 de enero de 1993", "la hija * llamó el *"),
    ],
)
def test_case_19_remarks_in_many_languages_lose_names_and_dates_and_keep_their_medicine(text: str, left: str) -> None:
    assert Redactor({}).redact(text)[0].replace(REDACTED, "*") == left


def _japanese() -> Iterator[str]:
    archive = SHARED / "dataset-json-msg.zip"
    if not archive.is_file():
        pytest.skip("the Dataset-JSON samples (../shared) are not on this machine")
    with zipfile.ZipFile(archive) as packed:
        content = packed.read("dataset-json-msg/i18n/ae.json")
    document = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    names = [column["name"] for column in document["columns"]]
    yield from {row[names.index("AETERM")] for row in document["rows"]}


def test_case_19_japanese_verbatims_come_through_whole_and_lose_a_planted_name() -> None:
    terms = [text for text in _japanese() if not text.isascii()]
    assert terms
    redactor = Redactor({"01-701-1015": "subject id"})
    assert [text for text in terms if redactor.redact(text)[0] != text] == []
    planted = f"{terms[0]}。山田先生が2013年7月4日に01-701-1015を診察"
    assert redactor.redact(planted)[0] == f"{terms[0]}。{REDACTED}先生が{REDACTED}に{REDACTED}を診察"


def test_case_20_three_deaths_of_the_pilot_are_a_rare_event_and_their_marks_fall_together(pilot: Any) -> None:
    study, source = pilot
    counted = survey(study, source)
    assert len(counted.dead) == 3
    terms = decide(counted, PUBLIC, USUAL, LIST)
    left = []
    for table in ("dm", "ae", "ds"):
        for batch in source.batches(table):
            treated, _ = terms.apply(table, batch, batch)
            for row in treated.to_pylist():
                marks = (row.get("DTHFL"), row.get("DTHDTC"), row.get("AESDTH") == "Y", row.get("AEOUT") == "FATAL",
                         row.get("DSDECOD") == "DEATH")  # fmt: skip
                left += [name for name in marks if name]
    assert left == []
    kept = decide(counted, RareTerms.KEEP, USUAL, LIST)
    assert kept.emptied == {}
    reviewed = decide(counted, RareTerms.REVIEW, USUAL, LIST)
    assert [item.places for item in reviewed.open if not item.prefix] != []


def test_case_21_documents_beside_the_tables_are_held_and_their_content_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "dm.csv").write_text("USUBJID,SEX\n01-701-1083,F\n", "utf-8")
    before = digests(tmp_path)
    for name in ("narratives.txt", "narrative_01-701-1083.pdf", "csr.docx", "scan.png", "more.zip"):
        (tmp_path / name).write_bytes(b"01-701-1083 died on 2013-08-02")
    folder = scan(tmp_path)
    assert [table.name for table in folder] == ["DM"]
    assert len(folder.skipped) == 5
    assert digests(tmp_path) == before, "a document is no part of what is registered and released"


@pytest.mark.parametrize("text", ["sty-91", "pa?-93", "14 MAR 2014", "4 de julio de 2013", "2013年7月4日"])
def test_case_30_odd_dates_in_words_are_found_in_text_though_no_date_column_may_hold_them(text: str) -> None:
    assert Redactor({}).redact(f"x {text} x")[0] == f"x {REDACTED} x"
    assert not readable(text)


def test_the_words_of_the_pilot_are_text_and_not_numbers(pilot: Any) -> None:
    assert pa.types.is_dictionary(pilot[1].tables["ds"].schema.field("DSTERM").type)
