"""`gateway anonymize` and `gateway risk` as somebody at a desk runs them: every model, every refusal, no half file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import structlog
from pycanon import anonymity

from gateway.cli.main import main
from pseudonymization.demands import diversity
from pseudonymization.tables import read_table

pytestmark = pytest.mark.filterwarnings("ignore:In a future version, the keys:Warning")
AGES = [20, 21, 22, 23, 24, 40, 41, 42, 43, 44]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gateway", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    yield command
    structlog.reset_defaults()  # the log was sent to this test's standard error


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    made = pd.DataFrame(
        {
            "ID": [f"p{at // 2}" for at in range(120)],
            "AGE": [AGES[at // 2 % 10] for at in range(120)],
            "SEX": ["FM"[at // 2 % 2] for at in range(120)],
            "LAND": ["DE" if at < 40 else "US" for at in range(120)],
            "ILL": ["abcd"[(at // 2 + at // 14) % 4] for at in range(120)],
            "PAY": [str(at // 2 % 7 * 500) for at in range(120)],
        }
    )
    made.iloc[::2].to_csv(tmp_path / "once.csv", index=False)
    made.to_csv(tmp_path / "rows.csv", index=False, sep=";")
    folder = tmp_path / "ladders"
    folder.mkdir()
    lines = [f"{age};{'young' if age < 30 else 'old'};*" for age in AGES]
    (folder / "AGE.csv").write_text("\n".join(lines) + "\n")
    (folder / "SEX.csv").write_text("F,*\nM,*\n")
    (folder / "ILL.csv").write_text("a;x;*\nb;x;*\nc;y;*\nd;y;*\n")
    people = pd.DataFrame({"SEX": list("FM") * 200, "AGE": [AGES[at % 10] for at in range(400)]})
    people.to_csv(tmp_path / "town.csv", index=False)
    (tmp_path / "k.csv").write_text("DE;12\nFR;90\n")
    return made.iloc[::2].reset_index(drop=True)


USUAL = ("anonymize", "once.csv", "--quasi", "AGE,SEX", "--hierarchies", "ladders", "--out", "out.csv")
BOTH = pytest.mark.parametrize("mode", [(), ("--mode", "local"), ("--mode", "local", "--cells", "sets")])


def told(run, *words: str):
    code, out, err = run(*USUAL, *words, "--json")
    assert code == 0, out + err
    return json.loads(out), pd.read_csv("out.csv", dtype=str, keep_default_na=False)


def shares(result, quasi):
    return [members["ILL"].value_counts(normalize=True) for _, members in result.groupby(quasi)]


@BOTH
@pytest.mark.parametrize(
    ("words", "holds"),
    [
        (("--k", "7"), lambda q, r: anonymity.k_anonymity(r, q) >= 7),
        (("--max-risk", "0.09"), lambda q, r: anonymity.k_anonymity(r, q) >= 11),
        (("--avg-risk", "0.05"), lambda q, r: r.groupby(q).ngroups <= 0.05 * len(r)),
        (("--avg-risk", "0.05", "--attempt", "0.5"), lambda q, r: r.groupby(q).ngroups <= 0.1 * len(r)),
        (("--uniques", "0"), lambda q, r: anonymity.k_anonymity(r, q) >= 2),
        (("--k", "2", "--sensitive", "ILL", "--l", "4"), lambda q, r: anonymity.l_diversity(r, q, ["ILL"]) >= 4),
        (
            ("--sensitive", "ILL", "--entropy-l", "3"),
            lambda q, r: all(np.exp(-(s * np.log(s)).sum()) >= 3 - 1e-9 for s in shares(r, q)),
        ),
        (
            ("--sensitive", "ILL", "--recursive-l", "1.5,2"),
            lambda q, r: all(s.max() < 1.5 * (s.sum() - s.max()) for s in shares(r, q)),
        ),
        (("--sensitive", "ILL", "--t", "0.2"), lambda q, r: anonymity.t_closeness(r, q, ["ILL"]) <= 0.2 + 1e-9),
        (
            ("--sensitive", "PAY", "--t", "0.2", "--t-distance", "ordered"),
            lambda q, r: anonymity.t_closeness(r.astype({"PAY": int}), q, ["PAY"]) <= 0.2 + 1e-9,
        ),
        (
            ("--sensitive", "ILL", "--t", "0.1", "--t-distance", "hierarchical"),
            lambda q, r: (
                diversity(read_table(Path("out.csv")), q, "ILL", folder=Path("ladders"))["t_hierarchical"] <= 0.1
            ),
        ),
        (
            ("--k", "2", "--k-by", "LAND=k.csv"),
            lambda q, r: r.groupby(q)["LAND"].transform("size")[r["LAND"] == "DE"].min() >= 12,
        ),
        (
            ("--k", "2", "--k-of", "LAND:DE=12"),
            lambda q, r: r.groupby(q)["LAND"].transform("size")[r["LAND"] == "DE"].min() >= 12,
        ),
    ],
)
def test_every_model_holds_in_what_is_written(run, frame, mode, words, holds):
    report, result = told(run, *words, *mode)
    assert holds(["AGE", "SEX"], result)
    assert report["k"] == anonymity.k_anonymity(result, ["AGE", "SEX"])
    assert report["classes"] == result.groupby(["AGE", "SEX"]).ngroups
    assert report["share_blanked"] == 0
    assert len(result) == len(frame)
    assert result.drop(columns=["AGE", "SEX"]).equals(frame.drop(columns=["AGE", "SEX"]))


def test_demands_against_a_population_hold(run, frame):
    town = pd.read_csv("town.csv", dtype=str)
    assert told(run, "--population", "town.csv", "--k-map", "41")[0]["population"]["k_map"] >= 41
    report, result = told(run, "--population", "town.csv", "--presence", "0.1,0.2", "--k", "2")
    low, high = report["population"]["presence"]
    assert 0.1 <= low <= high <= 0.2
    if report["levels"]["AGE"] == 1:
        town["AGE"] = np.where(town["AGE"].astype(int) < 30, "young", "old")
    for (age, sex), members in result.groupby(["AGE", "SEX"]):
        fits = ((town["AGE"] == age) | (age == "*")) & ((town["SEX"] == sex) | (sex == "*"))
        assert 0.1 <= len(members) / fits.sum() <= 0.2


def test_many_rows_of_a_subject_leave_alike_and_count_once(run, frame):
    words = ("anonymize", "rows.csv", "--quasi", "AGE,SEX", "--subject", "ID", "--k", "9", "--out", "out.parquet")
    code, _, err = run(*words, "--hierarchies", "ladders")
    assert code == 0, err
    result = pq.read_table("out.parquet").to_pandas()
    assert result.groupby("ID")[["AGE", "SEX"]].nunique().max().max() == 1
    assert result.groupby(["AGE", "SEX"])["ID"].nunique().min() >= 9
    assert len(result) == 120


def test_levels_are_fixed_and_forbidden_and_the_loss_is_chosen(run, frame):
    assert told(run, "--k", "2", "--fix", "AGE=2")[0]["levels"]["AGE"] == 2
    assert told(run, "--k", "2", "--forbid", "AGE=0,1")[0]["levels"]["AGE"] == 2
    losses = {loss: told(run, "--k", "7", "--loss", loss)[0] for loss in ("granularity", "entropy", "discernibility")}
    assert {report["loss_measure"] for report in losses.values()} == set(losses)
    best = {name: report["utility"][name] for name, report in losses.items()}
    for report in losses.values():
        assert report["utility"]["granularity"] <= best["granularity"] + 1e-12
        assert report["utility"]["discernibility"] >= best["discernibility"] - 1e-12


@BOTH
def test_the_report_holds_every_measure(run, frame, mode):
    code, _, err = run(*USUAL, "--k", "5", "--sensitive", "ILL", "--report", "report.json", *mode)
    assert code == 0, err
    report = json.loads(Path("report.json").read_text())
    assert {
        "mode", "levels", "proven_optimal", "bound", "seconds", "nodes_checked", "classes", "k", "share_blanked",
        "utility", "risk", "risk_before", "sensitive", "demanded", "loss", "loss_measure", "lattice",
    } <= set(report)  # fmt: skip
    assert set(report["utility"]) == {
        "granularity", "precision", "discernibility", "average_class", "entropy", "blanked", "columns", "marginals",
        "associations",
    }  # fmt: skip
    assert {"k", "maximum", "average", "marketer", "uniques", "histogram"} <= set(report["risk"])
    assert set(report["utility"]["columns"]) == {"AGE", "SEX"}


def test_a_person_reads_what_was_found(run, frame):
    code, out, _ = run(*USUAL, "--k", "5", "--sensitive", "ILL")
    assert code == 0
    for line in ("proven optimal   yes", "smallest class", "marketer's risk", "granularity", "ILL"):
        assert line in out
    code, out, _ = run("risk", "once.csv", "--quasi", "AGE,SEX", "--sensitive", "ILL", "--people", "5000")
    assert code == 0
    for line in ("marketer", "sensitive ILL distinct_l", "population_uniques"):
        assert line in out


def test_the_risk_of_a_table_as_it_is(run, frame):
    words = ("risk", "once.csv", "--quasi", "AGE,SEX", "--sensitive", "ILL", "--hierarchies", "ladders", "--json")
    report = json.loads(run(*words, "--population", "town.csv", "--attempt", "0.5")[1])
    sizes = frame.groupby(["AGE", "SEX"]).size()
    assert report["k"] == sizes.min()
    assert report["average"] == pytest.approx(0.5 * len(sizes) / 60)
    assert report["population"] == {"people": 400, "k_map": 40, "presence": [sizes.min() / 40, sizes.max() / 40]}
    found = report["sensitive"]["ILL"]
    assert found["distinct_l"] == anonymity.l_diversity(frame, ["AGE", "SEX"], ["ILL"])
    assert found["t_equal"] == pytest.approx(anonymity.t_closeness(frame, ["AGE", "SEX"], ["ILL"]))
    assert 0 < found["t_hierarchical"] <= 1
    subjects = json.loads(run("risk", "rows.csv", "--quasi", "AGE,SEX", "--subject", "ID", "--json")[1])
    assert subjects["subjects"] == 60


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--k", "61"), 4, "no allowed recoding meets"),
        (("--k", "61", "--mode", "local"), 4, "fewer subjects than one class"),
        (("--fix", "AGE=1", "--forbid", "AGE=1"), 2, "no level of `AGE` is allowed"),
        (("--fix", "AGE=7"), 2, "has no level 7"),
        (("--fix", "AGE"), 2, "COLUMN=VALUE"),
        (("--fix", "AGE=x"), 2, "cannot be read"),
        (("--fix", "LAND=0"), 2, "no quasi-identifier"),
        (("--weight", "AGE=1", "--weight", "AGE=2"), 2, "twice"),
        (("--l", "2"), 2, "names none"),
        (("--l", "2", "--sensitive", "AGE"), 2, "both a quasi-identifier and sensitive"),
        (("--l", "5", "--sensitive", "ILL"), 4, "fewer different values"),
        (("--l", "5", "--sensitive", "ILL", "--mode", "local"), 4, "fewer different values"),
        (("--t", "0.1", "--sensitive", "LAND", "--t-distance", "hierarchical"), 2, "needs a hierarchy of `LAND`"),
        (("--t", "0.1", "--sensitive", "LAND", "--t-distance", "crow"), 2, "no such distance"),
        (("--recursive-l", "3", "--sensitive", "ILL"), 2, "cannot be read"),
        (("--presence", "0.5,0.1", "--population", "town.csv"), 2, "out of range"),
        (("--k-map", "5"), 2, "need a population"),
        (("--k-map", "5", "--population", "nowhere.csv"), 2, "no such table"),
        (("--k-of", "LAND=DE=3"), 2, "COLUMN:VALUE=K"),
        (("--k-of", "LAND:XX=3"), 2, "no value of `LAND`"),
        (("--k-by", "LAND=ladders/SEX.csv"), 2, "thresholds cannot be read"),
        (("--mode", "sideways"), 2, "no such mode"),
        (("--cells", "blobs"), 2, "no such choice"),
        (("--loss", "sorrow"), 2, "no such choice"),
        (("--hierarchy", "AGE=nonsense"), 2, "does not exist"),
        (("--max-risk", "0"), 2, "above 0"),
        (("--subject", "nope"), 2, "no column `nope`"),
        (("--mode", "local", "--k-map", "5", "--population", "town.csv"), 2, "no demand against a population"),
    ],
)
def test_what_cannot_be_meant_or_met_is_one_sentence_and_no_file(run, frame, words, code, sentence):
    ended, out, err = run(*USUAL, *words)
    assert (ended, sentence in err) == (code, True), out + err
    assert "incident" not in err
    assert not list(Path().glob("*out*"))


def test_a_hierarchy_is_proposed_to_a_file_that_anonymize_takes(run, frame):
    assert (
        run("hierarchies", "propose", "once.csv", "PAY", "--kind", "interval:1000", "--out", "ladders/PAY.csv")[0] == 0
    )
    assert "3000;3000-3999;2000-3999;0-3999;*" in Path("ladders/PAY.csv").read_text().splitlines()
    words = ("anonymize", "once.csv", "--quasi", "PAY,SEX", "--hierarchies", "ladders", "--k", "5", "--out", "o.csv")
    assert run(*words)[0] == 0
    assert set(pd.read_csv("o.csv")["PAY"]) <= {"0-1999", "2000-3999"}
    assert run("hierarchies", "propose", "once.csv", "ILL", "--kind", "parents:LAND", "--out", "x.csv")[0] == 2
    assert run("hierarchies", "propose", "once.csv", "AGE", "--kind", "parents:SEX", "--out", "ladders/AGE.csv")[0] == 0
    assert Path("ladders/AGE.csv").read_text().splitlines()[0] == "20;F;*"
    code, _, err = run("hierarchies", "propose", "once.csv", "NOPE", "--out", "x.csv")
    assert (code, "no column `NOPE`" in err) == (2, True)
    assert not Path("x.csv").exists()


@pytest.mark.parametrize(
    ("out", "report", "sentence"),
    [
        ("once.csv", "r.json", "same file"),
        ("out.csv", "out.csv", "same file"),
        ("out.xlsx", "r.json", "ending"),
        ("nowhere/out.csv", "r.json", "cannot be written"),
        ("out.csv", "nowhere/r.json", "cannot be written"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_the_work(run, frame, out, report, sentence):
    before = Path("once.csv").read_bytes()
    code, _, err = run("anonymize", "once.csv", "--quasi", "AGE", "--out", out, "--report", report)
    assert (code, sentence in err) == (2, True), err
    assert Path("once.csv").read_bytes() == before
    assert not Path("out.csv").exists()


def test_a_cancelled_search_leaves_no_file_and_says_so(tmp_path):
    values = np.random.default_rng(1).integers(0, 4, (300, 22))
    pd.DataFrame(values, columns=[f"q{at}" for at in range(22)]).to_csv(tmp_path / "wide.csv", index=False)
    names = ",".join(f"q{at}" for at in range(22))
    words = ["anonymize", "wide.csv", "--quasi", names, "--k", "3", "--out", "o.csv", "--report", "r.json"]
    kinds = [word for at in range(22) for word in ("--hierarchy", f"q{at}=interval:1")]
    command = [sys.executable, "-c", "from gateway.cli.main import main; main()", *words, *kinds, "--seconds", "200"]
    environment = {**os.environ, "TTY_COMPATIBLE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as running:
        said = b""
        while b"search" not in said:
            piece = os.read(running.stderr.fileno(), 4096)
            assert piece, said
            said += piece
        running.send_signal(signal.SIGINT)
        said += running.stderr.read()
    assert running.returncode == 130
    assert b"stopped: nothing was written" in said
    assert [file.name for file in tmp_path.iterdir()] == ["wide.csv"]


def test_the_frontier_lists_what_meets_the_thresholds_and_anonymize_reaches_it(run, frame):
    code, out, err = run("frontier", *USUAL[1:6], "--k", "5", "--blank-limit", "0.1", "--json")
    assert code == 0, err
    found = json.loads(out)["alternatives"]
    assert len(found) > 1
    assert all(one["k"] >= 5 and one["blanked"] <= 0.1 for one in found)
    best = told(run, "--k", "5", "--blank-limit", "0.1")[0]
    assert found[0]["granularity"] == pytest.approx(best["utility"]["granularity"])
    fixed = [word for name, level in found[-1]["levels"].items() for word in ("--fix", f"{name}={level}")]
    last = told(run, "--k", str(found[-1]["k"]), "--blank-limit", "0.1", *fixed)[0]
    assert last["risk"]["average"] == pytest.approx(found[-1]["average_risk"], abs=1e-6)
    assert "detail" in run("frontier", *USUAL[1:6], "--k", "5")[1]
