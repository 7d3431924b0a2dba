"""The canary study: each telling cell is a token, each token is in a cell, none is in an ordinary one."""

import re

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyreadstat
import pytest

from gateway.demo.canary import SUBJECTS, TABLES, write_canary_study

ORDINARY = {"STUDYID", "DOMAIN", "RDOMAIN", "IDVAR", "IDVARVAL", "QNAM", "QLABEL", "AGE", "AGEU", "SEX", "COUNTRY"}
ORDINARY |= {"DTHFL", "AESER", "AESDTH", "AESHOSP", "LBBLFL", "VISITNUM"}
SHARED = {"USUBJID", "SITEID", "SUBJID", "RELID", "INVID", "LBORRES", "LBSTRESC", "LBSTRESN"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("canary")
    tokens = write_canary_study(folder, 7)
    options = pa_csv.ConvertOptions(strings_can_be_null=True)
    tables = {name: pa_csv.read_csv(folder / f"{name.lower()}.csv", convert_options=options) for name in TABLES}
    return folder, tokens, tables


def _telling(tables):
    for name, table in tables.items():
        for column in table.column_names:
            if column not in ORDINARY and not column.endswith(("SEQ", "DY")):
                for cell in table[column].to_pylist():
                    if cell is not None:
                        yield name, column, str(cell)


def test_every_telling_cell_is_made_of_tokens(study):
    _, tokens, tables = study
    cells = list(_telling(tables))
    assert len(cells) > 5_000
    for _, _, cell in cells:
        rest = re.sub(r"^(\d{4}-\d\d-\d\d)[T ].*", r"\1", cell)
        parts = rest.split(" ")
        assert all(p in tokens or set(p.split("-")) - {"GWCANARY"} <= tokens for p in parts), "a cell is no token"


def test_every_token_stands_in_the_study(study):
    folder, tokens, _ = study
    written = "".join((folder / f"{name.lower()}.csv").read_text() for name in TABLES)
    assert [token for token in tokens if token not in written] == []


def test_no_token_is_part_of_an_ordinary_cell_or_a_header(study):
    _, tokens, tables = study
    ordinary = {
        str(cell)
        for table in tables.values()
        for column in table.column_names
        if column in ORDINARY or column.endswith(("SEQ", "DY"))
        for cell in table[column].to_pylist()
    } | {column for table in tables.values() for column in table.column_names}
    assert [token for token in tokens if any(token in cell for cell in ordinary)] == []


def test_a_cell_is_never_repeated_where_it_need_not_be(study):
    _, _, tables = study
    seen = [cell for _, column, cell in _telling(tables) if column not in SHARED]
    assert len(seen) == len(set(seen))


def test_dates_are_valid_and_of_another_century(study):
    _, tokens, tables = study
    days = [token for token in tokens if re.fullmatch(r"\d{4}-\d\d-\d\d", token)]
    assert len(days) > 1_000
    assert all(1840 <= int(day[:4]) < 1950 for day in days)
    assert pa.types.is_date32(tables["AE"].schema.field("AESTDTC").type)  # the reader took every one for a date


def test_tables_join_and_the_dead_have_a_date(study):
    _, _, tables = study
    assert tables["DM"].num_rows == SUBJECTS == len(set(tables["DM"]["USUBJID"].to_pylist()))
    events = set(zip(tables["AE"]["USUBJID"].to_pylist(), tables["AE"]["AESEQ"].to_pylist(), strict=True))
    for child in ("RELREC", "SUPPAE"):
        keys = zip(tables[child]["USUBJID"].to_pylist(), tables[child]["IDVARVAL"].to_pylist(), strict=True)
        assert set(keys) == events
    assert sum(day is not None for day in tables["DM"]["DTHDTC"].to_pylist()) == 3


def test_seeds_share_no_word_and_one_seed_gives_one_study(tmp_path):
    first, again, other = (write_canary_study(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    words = {token for token in first if token.isalpha()}
    assert first == again
    assert words.isdisjoint(other)
    assert (tmp_path / "a/ae.csv").read_bytes() == (tmp_path / "b/ae.csv").read_bytes()


def test_xport_holds_the_same_numbers(tmp_path):
    tokens = write_canary_study(tmp_path, 3, fmt="xport")
    results, _ = pyreadstat.read_xport(tmp_path / "lb.xpt")
    assert {repr(value) for value in results["LBSTRESN"].tolist()} <= tokens
