"""The command line as somebody new reads it: misuse is one sentence with a pointer, ids stay whole, nothing is cut."""

import json
import sys
from pathlib import Path

import pytest
import structlog

from gateway.cli import session
from gateway.cli.main import PANELS, app, main
from gateway.cli.session import say_item, say_pairs, say_table


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.setenv("GATEWAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gateway", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    yield command
    structlog.reset_defaults()  # the log was sent to this test's standard error


@pytest.mark.parametrize(
    ("words", "sentence", "pointer"),
    [
        (("requests", "submit"), "missing argument 'key'", "gateway requests submit --help"),
        (("datasets", "add", "x"), "missing option '--id'", "gateway datasets add --help"),
        (("nonsense",), "no such command 'nonsense'", "gateway --help"),
        (("audit", "list", "--limit", "0"), "greater than or equal to 1", "gateway audit list --help"),
    ],
)
def test_misuse_is_one_sentence_with_a_pointer_to_the_help(run, words, sentence, pointer) -> None:
    code, out, err = run(*words)
    assert code == 2
    assert sentence in err
    assert pointer in err
    assert "incident" not in out + err


def test_misuse_with_json_answers_in_json(run) -> None:
    code, out, _ = run("requests", "submit", "--json")
    assert code == 2
    assert json.loads(out)["error"] == "Invalid"


def test_a_group_alone_shows_its_help_once(run) -> None:
    _, out, err = run("requests")
    assert out.count("Usage:") == 1
    assert not err


def test_empty_states_say_what_to_do_next(run) -> None:
    assert "gateway datasets add" in run("datasets", "list")[1]
    assert "gateway requests draft" in run("requests", "list")[1]


def test_the_version_is_told(run) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("gateway ")


def test_every_command_stands_in_a_panel_of_the_help() -> None:
    named = {name for names in PANELS.values() for name in names}
    commands = {str(command.name) for command in app.registered_commands}
    assert commands <= named


ROWS = [("q-0123456789ab", "submitted", "an organisation with a long name that has to wrap somewhere")]
NAMES = ("id", "status", "recipient")


@pytest.mark.parametrize("columns", [45, 60, 80])
def test_tables_fit_the_terminal_and_ids_stay_whole(monkeypatch, capsys, columns) -> None:
    monkeypatch.setattr(session.out, "width", columns)
    say_table("Requests", NAMES, ROWS, empty="none", wrap=("recipient",))
    lines = capsys.readouterr().out.splitlines()
    assert any("q-0123456789ab" in line for line in lines)
    assert all(len(line) <= columns for line in lines)


def test_a_terminal_too_narrow_for_the_ids_gets_lines_instead(monkeypatch, capsys) -> None:
    monkeypatch.setattr(session.out, "width", 30)
    say_table("Requests", NAMES, ROWS, empty="none", wrap=("recipient",))
    out = capsys.readouterr().out
    assert "id         q-0123456789ab" in out
    assert ROWS[0][2] in out


def test_brackets_in_a_cell_are_text(capsys) -> None:
    say_table("T", ("a",), [("[red]x[/red]",)], empty="none")
    say_item("rule: ", "says [EU-ART6]")
    say_pairs({"moves": ["approve", "refuse"]})
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert "[EU-ART6]" in out
    assert "approve, refuse" in out
