"""What is read is what stands in the file: types, dates, encodings, counts. Faults are named, values never are."""

import datetime as dt
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Invalid, NotFound
from gateway.formats import FileSource, content_digest, digest, digests, open_table, scan
from gateway.formats.delimited import Shape
from gateway.formats.sasdates import kind_of

CANARY = "CANARY-7731"
DM_SAS = Path(__file__).with_name("vectors") / "dm.sas7bdat"


def read(path: Path, **kwargs) -> dict[str, list]:
    table = open_table(path)
    return pa.Table.from_batches(table.batches(**kwargs), table.schema).to_pydict()


def xpt(path: Path, frame: pd.DataFrame, **kwargs) -> Path:
    pyreadstat.write_xport(frame, str(path), file_format_version=kwargs.pop("version", 5), **kwargs)
    return path


def invalid(path: Path) -> Invalid:
    """The fault of reading a file to its end; never with the canary, never with the library's own words."""
    with pytest.raises(Invalid) as caught:
        list(open_table(path).batches())
    fault = caught.value
    assert CANARY not in f"{fault} {fault.place} {fault.cure} {fault.__cause__} {fault.__context__}"
    assert path.name in fault.place
    assert fault.cure
    assert fault.reason[0].islower() or fault.reason.startswith("XPORT")
    return fault


def test_every_pilot_table_reads_as_readstat_reads_it(pilot: Path) -> None:
    folder = scan(pilot)
    assert len(folder) == 21
    for table in folder:
        if table.rows > 10_000:
            continue
        oracle, _ = pyreadstat.read_xport(str(table.path), encoding=table.encoding, disable_datetime_conversion=True)
        mine = pa.Table.from_batches(table.batches(batch_rows=777)).to_pydict()
        assert table.rows == len(oracle), table.name
        for name in table.schema.names:
            theirs = [None if pd.isna(value) else value for value in oracle[name].tolist()]
            assert mine[name] == theirs, f"{table.name}.{name}"


def test_row_counts_of_the_large_pilot_tables_are_the_published_ones(pilot: Path) -> None:
    folder = scan(pilot)
    assert {name: folder.table(name).rows for name in ("LB", "QS", "SUPPLB", "SUPPDS", "AE")} == {
        "LB": 59_580, "QS": 121_749, "SUPPLB": 64_403, "SUPPDS": 3, "AE": 1_191,
    }  # fmt: skip


def test_the_one_table_in_windows_1252_is_read_and_said_so(pilot: Path) -> None:
    encodings = {table.name: table.encoding for table in scan(pilot)}
    assert encodings.pop("TS") == "windows-1252"
    assert set(encodings.values()) == {"utf-8"}
    assert "\u2019" in "".join(read(pilot / "ts.xpt")["TSVAL"])


def test_numeric_sas_dates_count_from_1960(pilot_adam: Path) -> None:
    table = open_table(pilot_adam / "adsl.xpt")
    assert table.schema.field("TRTSDT").type == pa.date32()
    rows = read(pilot_adam / "adsl.xpt")
    assert [None if d is None else d.isoformat() for d in rows["TRTSDT"]] == [d or None for d in rows["RFSTDTC"]]
    assert table.schema.field("TRTSDT").metadata == {
        b"label": b"Date of First Exposure to Treatment", b"format": b"DATE9", b"width": b"8",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("DATE9.", pa.date32()), ("YYMMDD10", pa.date32()), ("E8601DA10.", pa.date32()), ("MONYY7.", pa.date32()),
        ("DATETIME20.", pa.timestamp("s")), ("E8601DT19.3", pa.timestamp("s")), ("IS8601DT", pa.timestamp("s")),
        ("TIME5.", pa.float64()), ("8.2", pa.float64()), ("", pa.float64()), ("BEST12.", pa.float64()),
        ("DATELINE9.", pa.float64()),
    ],
)  # fmt: skip
def test_a_format_decides_what_a_number_is(form: str, kind: pa.DataType) -> None:
    assert kind_of(form) == kind


def test_sas7bdat_gives_types_dates_text_and_labels() -> None:
    table = open_table(DM_SAS)
    assert (table.rows, table.domain, table.label) == (1000, "DM", "Demographics")
    rows = read(DM_SAS, batch_rows=300)
    assert rows["CITY"][:2] == ["", "Zürich"]
    assert rows["RFSTDT"][:2] == [None, dt.date(2014, 10, 5)]
    assert rows["SEENDTM"][0] == dt.datetime(2013, 11, 13, 22, 13, 20)  # noqa: DTZ001
    assert rows["AGE"][49:51] == [89.0, 40.0]


def test_columns_come_in_the_order_asked_for() -> None:
    batch = next(open_table(DM_SAS).batches(["AGE", "USUBJID"]))
    assert batch.schema.names == ["AGE", "USUBJID"]
    with pytest.raises(Invalid, match="`NOPE`"):
        next(open_table(DM_SAS).batches(["NOPE"]))


def test_xport_version_8_with_long_names_reads(tmp_path: Path) -> None:
    frame = pd.DataFrame({"A_LONG_COLUMN_NAME": ["x", "y"], "NUMBER": [1.5, None]})
    path = xpt(tmp_path / "t.xpt", frame, version=8, column_labels=["l" * 100, "n"])
    assert read(path) == {"A_LONG_COLUMN_NAME": ["x", "y"], "NUMBER": [1.5, None]}


def test_xport_version_8_is_held_to_the_row_count_it_declares(tmp_path: Path) -> None:
    frame = pd.DataFrame({"A": ["x" * 160] * 9})
    path = xpt(tmp_path / "t.xpt", frame, version=8)
    assert open_table(path).rows == 9
    path.write_bytes(path.read_bytes()[:-160])
    assert "truncated" in invalid(path).reason


@pytest.mark.parametrize("blank", [1, 3, 9])
def test_blank_rows_inside_and_at_the_end_are_not_lost(tmp_path: Path, blank: int) -> None:
    frame = pd.DataFrame({"A": ["x" * 90, *[""] * blank], "B": ["y", *[""] * blank]})
    assert len(pyreadstat.read_xport(str(xpt(tmp_path / "t.xpt", frame)))[0]) == 1  # what ReadStat alone says
    assert read(tmp_path / "t.xpt")["A"] == frame["A"].tolist()


def test_an_xport_table_without_rows_has_none(tmp_path: Path) -> None:
    xpt(tmp_path / "t.xpt", pd.DataFrame({"A": ["x"], "B": [1.0]}))
    whole = (tmp_path / "t.xpt").read_bytes()
    (tmp_path / "t.xpt").write_bytes(whole[:-80])
    table = open_table(tmp_path / "t.xpt")
    assert table.rows == 0
    assert sum(batch.num_rows for batch in table.batches()) == 0


def test_two_tables_in_one_xport_file_are_refused(tmp_path: Path) -> None:
    one = xpt(tmp_path / "t.xpt", pd.DataFrame({"A": ["x"]})).read_bytes()
    (tmp_path / "t.xpt").write_bytes(one + one[240:])
    assert "more than one table" in invalid(tmp_path / "t.xpt").reason


def test_an_xport_file_cut_anywhere_is_found(tmp_path: Path) -> None:
    frame = pd.DataFrame({"A": [CANARY * 9] * 40, "B": [1.0] * 40})
    whole = xpt(tmp_path / "t.xpt", frame).read_bytes()
    unseen = []
    for cut in range(1, len(whole), 53):
        (tmp_path / "t.xpt").write_bytes(whole[:cut])
        try:
            invalid(tmp_path / "t.xpt")
        except pytest.fail.Exception:
            unseen.append(cut)
    # A cut on a record's end that is also a row's end leaves a sound, shorter file: only a digest can tell.
    header, row = 80 * 13, 107
    assert all(cut % 80 == 0 and (cut - header) % row < 80 for cut in unseen)


def test_a_file_shortened_after_it_was_opened_is_found(tmp_path: Path) -> None:
    frame = pd.DataFrame({"A": [CANARY * 9] * 40, "B": [1.0] * 40})
    path = xpt(tmp_path / "t.xpt", frame)
    table = open_table(path)
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(Invalid, match="truncated"):
        list(table.batches())


def test_rows_that_came_or_went_after_opening_are_found(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("A\n1\n2\n")
    table = open_table(path)
    for rows in ("1\n", "1\n2\n3\n"):
        path.write_text(f"A\n{rows}")
        with pytest.raises(Invalid, match="rows that were counted"):
            list(table.batches())


@pytest.mark.parametrize("cut", [10, 100, 5000, 65_000, 65_535])
def test_a_cut_sas7bdat_file_is_refused(tmp_path: Path, cut: int) -> None:
    (tmp_path / "dm.sas7bdat").write_bytes(DM_SAS.read_bytes()[:cut])
    invalid(tmp_path / "dm.sas7bdat")


@pytest.mark.parametrize("cut", [3, 4, 100, -1, -9])
def test_a_cut_parquet_file_is_refused(tmp_path: Path, cut: int) -> None:
    pq.write_table(pa.table({"A": [CANARY] * 500}), tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:cut])
    invalid(tmp_path / "t.parquet")


@pytest.mark.parametrize("ending", ["xpt", "sas7bdat", "parquet", "csv"])
def test_an_empty_file_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"t.{ending}").write_bytes(b"")
    assert invalid(tmp_path / f"t.{ending}").reason == "the file is empty"


@pytest.mark.parametrize("ending", ["xpt", "sas7bdat", "parquet"])
def test_noise_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"t.{ending}").write_bytes(CANARY.encode() * 99)
    assert "the content is not" in invalid(tmp_path / f"t.{ending}").reason


def test_a_wrong_extension_names_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "dm.csv").write_bytes(DM_SAS.read_bytes())
    fault = invalid(tmp_path / "dm.csv")
    assert fault.reason == "the content is sas7bdat, the extension says csv"
    assert fault.cure == "rename the file to end in .sas7bdat"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A,B,A\n1,2,3\n", "two columns are named `A`"),
        ("A,b,B\n1,2,3\n", "two columns are named `B`"),
        ("A,,C\n1,2,3\n", "column 2 has no readable name"),
        (f"A,B\n1,2\n{CANARY}\n", "a row has more or fewer values than the header"),
        (f"A,B\n1,2,{CANARY}\n", "a row has more or fewer values than the header"),
        (f'A,B\n1,"{CANARY}\n', "a quote is left open, or the file is truncated"),
        (f"A;B\n{CANARY};2\n", "columns are not separated by commas"),
        (f"A,B\n{CANARY},\x002\n", "the file is not a text table"),
    ],
)  # fmt: skip
def test_a_faulty_csv_is_named_without_its_values(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert invalid(tmp_path / "t.csv").reason == reason


def test_a_ragged_csv_row_is_placed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"A,B\n1,2\n{CANARY}\n")
    assert invalid(tmp_path / "t.csv").place == "t.csv row 3"


def test_csv_text_of_another_encoding_is_read_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("A,B\nJos\u2019e,1\n".encode("windows-1252"))
    assert open_table(tmp_path / "t.csv").encoding == "windows-1252"
    assert read(tmp_path / "t.csv") == {"A": ["Jos\u2019e"], "B": [1]}
    (tmp_path / "u.csv").write_bytes(b"A\n\x81\n")
    assert "neither" in invalid(tmp_path / "u.csv").reason


def test_csv_quotes_line_ends_byte_order_mark_and_empty_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfA,"B ""q"""\r\n"x,\r\ny",2\r\n,\r\n')
    assert read(tmp_path / "t.csv") == {"A": ["x,\r\ny", ""], 'B "q"': [2, None]}
    (tmp_path / "u.csv").write_bytes(b"A,B\n")
    assert (open_table(tmp_path / "u.csv").rows, read(tmp_path / "u.csv")) == (0, {"A": [], "B": []})


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["1", "-2", "0", ""], pa.int64()), (["007", "8"], None), (["1.5", "2"], pa.float64()), (["+1"], None),
        (["1.50", "2.25"], pa.float64()), (["1.50", "2.5"], None), (["4.1", "4.10"], None), (["NA", "1"], None),
        (["1e3"], None), (["nan"], None), ([".5"], None), (["-0"], None), (["-0.0"], None), (["", ""], None),
        (["99999999999999999999"], None), (["9007199254740993", "1.5"], None), (["1.", "2"], None),
        (["2014-01-02"], None), (["0.12345678901234567"], None), ([" 1"], None), (["999999999999999999"], pa.int64()),
    ],
)  # fmt: skip
def test_a_csv_column_is_a_number_only_without_loss(words: list[str], kind: pa.DataType | None) -> None:
    shape = Shape()
    for word in words:
        shape.add(pa.array([word]))
    together = Shape()
    together.add(pa.array(words))
    expected = kind if kind is not None else pa.dictionary(pa.int32(), pa.string())
    assert shape.kind() == together.kind() == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet="0123456789.-e", max_size=20), min_size=1, max_size=5))
def test_texts_that_became_numbers_stay_apart(words: list[str]) -> None:
    shape = Shape()
    for word in words:
        shape.add(pa.array([word]))
    kind = shape.kind()
    if kind == pa.int64():
        assert [str(int(word)) for word in words if word] == [word for word in words if word]
    elif kind == pa.float64():
        told = {word for word in words if word}
        assert len({float(word) for word in told}) == len(told)
        assert all(float(repr(float(word))) == float(word) for word in told)


def test_parquet_types_are_brought_to_the_few_that_are_known(tmp_path: Path) -> None:
    when = dt.datetime(2014, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    table = pa.table(
        {
            "T": pa.array(["x", None]), "L": pa.array(["x", "y"], pa.large_string()), "I": pa.array([1, 2], pa.int16()),
            "B": [True, False], "F": pa.array([1.5, None], pa.float32()), "D": [dt.date(2014, 1, 2), None],
            "W": pa.array([when, None], pa.timestamp("us", "UTC")), "N": pa.nulls(2),
            "C": pa.array([dt.time(1, 2), None]),
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    rows = read(tmp_path / "t.parquet")
    assert rows == {
        "T": ["x", None], "L": ["x", "y"], "I": [1, 2], "B": [1, 0], "F": [1.5, None], "D": [dt.date(2014, 1, 2), None],
        "W": [when.replace(tzinfo=None), None], "N": [None, None], "C": ["01:02:00.000000", None],
    }  # fmt: skip


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([b"x"])])
def test_nested_and_binary_parquet_is_refused(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"N": column}), tmp_path / "t.parquet")
    assert "`N`" in invalid(tmp_path / "t.parquet").reason


def test_a_parquet_table_without_columns_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "t.parquet")
    assert invalid(tmp_path / "t.parquet").reason == "the table has no columns"


def test_a_domain_comes_from_the_data_not_from_the_file_name(tmp_path: Path) -> None:
    (tmp_path / "lbch.csv").write_text("DOMAIN,X\nLB,1\nLB,2\n")
    (tmp_path / "supplbch.csv").write_text("RDOMAIN,QNAM\nLB,A\n")
    (tmp_path / "mixed.csv").write_text("DOMAIN\nLB\nVS\n")
    pq.write_table(pa.table({"DOMAIN": ["AE", None]}), tmp_path / "events.parquet")
    assert {t.name: t.domain for t in scan(tmp_path)} == {
        "LBCH": "LB", "SUPPLBCH": "SUPPLB", "MIXED": "MIXED", "EVENTS": "AE",
    }  # fmt: skip


def test_a_folder_says_what_it_skipped(tmp_path: Path) -> None:
    (tmp_path / "ae.csv").write_text("A\n1\n")
    for name in ("define.xml", "lb.csv.gz", ".hidden.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "more").mkdir()
    folder = scan(tmp_path)
    assert [t.name for t in folder] == ["AE"]
    assert {s.name for s in folder.skipped} == {"define.xml", "lb.csv.gz", ".hidden.csv", "more/"}


def test_two_files_for_one_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ae.csv").write_text("A\n1\n")
    xpt(tmp_path / "AE.xpt", pd.DataFrame({"A": ["x"]}))
    with pytest.raises(Invalid, match="two files hold table `AE`"):
        scan(tmp_path)


def test_a_folder_without_tables_and_a_path_to_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no tables"):
        scan(tmp_path)
    with pytest.raises(NotFound):
        scan(tmp_path / "nowhere")
    with pytest.raises(NotFound):
        open_table(tmp_path / "t.csv")


def test_csv_ids_join_although_one_table_holds_no_leading_zero(tmp_path: Path) -> None:
    (tmp_path / "dm.csv").write_text("SUBJID,AGE\n0007,1\n1015,2\n")
    (tmp_path / "ae.csv").write_text("SUBJID,AESEQ\n1015,1\n")
    source = FileSource(tmp_path)
    assert next(source.batches("AE")).to_pydict() == {"SUBJID": ["1015"], "AESEQ": [1]}


def test_a_source_streams_in_bounded_batches(tmp_path: Path) -> None:
    (tmp_path / "lb.csv").write_text("USUBJID,N\n" + "".join(f"s{i},{i}\n" for i in range(1000)))
    batches = list(FileSource(tmp_path, batch_rows=300).batches("LB", ["N"]))
    assert [b.num_rows for b in batches] == [300, 300, 300, 100]
    assert [n for b in batches for n in b.column("N").to_pylist()] == list(range(1000))
    with pytest.raises(NotFound):
        FileSource(tmp_path).batches("DM")


def test_digests_follow_content_and_names_only(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, names in ((one, ("ae.csv", "dm.csv")), (two, ("dm.csv", "ae.csv"))):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(f"{name}\n1\n")
    (two / "define.xml").write_text("x")
    assert re.fullmatch(r"[0-9a-f]{64}", digest(one / "ae.csv"))
    assert content_digest(digests(one)) == content_digest(digests(two))
    (two / "ae.csv").write_text("ae.csv\n2\n")
    assert content_digest(digests(one)) != content_digest(digests(two))


def test_only_a_parquet_column_known_to_hold_no_null_is_not_null(tmp_path: Path) -> None:
    table = pa.table({"FULL": ["a", "b", "c"], "GAP": ["a", None, "c"], "LATE": pa.array([1, 2, None])})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    pq.write_table(table, tmp_path / "u.parquet", write_statistics=False)
    assert [f.nullable for f in open_table(tmp_path / "t.parquet").schema] == [False, True, True]
    assert all(f.nullable for f in open_table(tmp_path / "u.parquet").schema)
    assert read(tmp_path / "t.parquet") == table.to_pydict()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    for rows in (["old"], ["new", "rows"]):
        if ending == "csv":
            path.write_text("\n".join(["A", *rows, ""]))
        else:
            pq.write_table(pa.table({"A": rows}), path)
        assert read(path) == {"A": rows}
