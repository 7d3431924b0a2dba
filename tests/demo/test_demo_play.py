"""The demo, played with few subjects in a home of its own: what it promises is what came out."""

import io
import json
import stat
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from gateway.demo.play import play
from gateway.demo.questions import MAIN
from gateway.demo.stage import TOKENS, clear, home_of, mark, tokens_of
from gateway.errors import Invalid
from gateway.settings import Settings


class Played:
    """The story, what was printed at 80 columns without colour, and the home it was played under."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.out = io.StringIO()
        console = Console(file=self.out, width=80, highlight=False)
        self.story = play(Settings(home=home), fresh=True, subjects=80, console=console)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    home = tmp_path_factory.mktemp("home")
    (home / "theirs.txt").write_text("a real gateway stands here", "utf-8")
    return Played(home)


def test_the_extract_is_opened_and_pseudonymised(played: Played) -> None:
    assert len(played.story["opened"]) == 12
    tables = Path(played.story["look"]["tables"])
    dm = pd.read_parquet(tables / "DM.parquet")
    assert len(dm) == 80
    assert not dm["USUBJID"].astype(str).str.contains("GWDEMO01").any()
    ae = pd.read_parquet(tables / "AE.parquet")
    assert set(ae["USUBJID"]) <= set(dm["USUBJID"])


def test_the_log_is_sound_and_holds_every_refusal(played: Played) -> None:
    assert played.story["log"]["sound"], played.story["log"]["findings"]
    refusals = played.story["refusals"]
    assert refusals["no-own-approval"] == 2
    assert {"four-eyes", "needs-review", "EU-TRANSFER-46", "auditor-never-data", "Invalid"} <= set(refusals)


def test_unsettled_columns_are_settled_before_the_release(played: Played) -> None:
    assert played.story["settled"] == ["SUPPAE.QVAL:AECOMM"]
    assert played.story["unresolved"] == 0


def test_each_verdict_is_shown_and_each_cure_cures(played: Played) -> None:
    verdicts = played.story["verdicts"]
    shown = {"permit", "permit_with_conditions", "needs_review", "needs_licence", "deny"}
    assert shown == set(verdicts.values())
    assert verdicts["the first try"] == "needs_review"
    assert verdicts["the same, cured"] == "permit_with_conditions"
    denied = next(title for title, verdict in verdicts.items() if verdict == "deny")
    assert verdicts[f"{denied}, cured"] == "permit_with_conditions"


def test_the_clean_part_is_released_alone(played: Played) -> None:
    assert {"US", "CA"} <= set(played.story["onward"]["clean"])
    assert played.story["partial"]["step"] == "delivered"


def test_a_broken_download_goes_on_where_it_stopped(played: Played) -> None:
    resumed = played.story["resumed"]
    assert 0 < resumed["before"] < resumed["size"]
    line = next(line for line in played.story["lines"] if "connection breaks" in line["did"])
    assert "206" in line["back"]


def test_a_flipped_bit_is_named(played: Played) -> None:
    assert played.story["altered"] == ["DM.parquet.age: altered or damaged; download it again"]


def test_tokens_are_for_the_owner_alone_and_marked(played: Played) -> None:
    home = Path(played.story["home"])
    file = home / TOKENS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "demo" in json.loads(file.read_text("utf-8"))
    assert {one["role"] for one in tokens_of(home)} == {"steward", "researcher", "auditor"}
    printed = played.out.getvalue() + json.dumps(played.story)
    assert not [one for one in tokens_of(home) if one["token"] in printed or one["password"] in printed]


def test_the_demo_stays_in_its_own_home(played: Played) -> None:
    assert sorted(path.name for path in played.home.iterdir()) == ["demo", "theirs.txt"]
    assert home_of(Settings(home=played.home)) == home_of(Settings(home=played.home / "demo"))


def test_it_reads_well_on_eighty_columns_without_colour(played: Played) -> None:
    lines = played.out.getvalue().splitlines()
    assert "\x1b" not in played.out.getvalue()
    paths_and_commands = (str(played.home), "$ ")
    assert not [line for line in lines if len(line) > 80 and not any(one in line for one in paths_and_commands)]


def test_each_playing_in_one_home_is_a_project_of_its_own(tmp_path: Path) -> None:
    assert [mark(tmp_path / "demo"), mark(tmp_path / "demo")] == [1, 2]
    first, second = (MAIN.document("age1", take)["project"] for take in (1, 2))
    assert first != second


def test_a_folder_that_no_demo_made_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "study.xpt").write_bytes(b"precious")
    for begin in (clear, mark):
        with pytest.raises(Invalid, match="not made by the demo"):
            begin(tmp_path)
    assert (tmp_path / "study.xpt").exists()
