"""What the documents say exists: files behind links, headings behind anchors, make targets, commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MUST_EXIST = ("README.md", "ARCHITECTURE.md", "SECURITY.md", "DECISIONS.md", "CHANGELOG.md")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(`{3,}|~{3,})(\w*)[^\n]*\n(.*?)^\1`*~*\s*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SHELLS = {"sh", "bash", "shell", "console"}
MAKE = re.compile(r"(?:^|[\s;&(])make((?: [a-z][a-z-]*)+)")
COMMAND = re.compile(r"^\s*(?:\$ )?(?:\S*/)?gateway((?: [a-z][a-z|-]*)+)", re.MULTILINE)


def documents(root):
    named = [root / name for name in (*MUST_EXIST, "policies/README.md")]
    return [path for path in named if path.exists()] + sorted(root.glob("gateway/*/README.md"))


def links(text):
    """Link targets outside code that point into the tree."""
    prose = SPAN.sub("", FENCE.sub("", text))
    found = [first or second for first, second in LINK.findall(prose)]
    return [target for target in found if not re.match(r"[a-z][a-z0-9+.-]*:", target)]


def code(text):
    """Shell code of a document: code spans and fenced blocks of a shell."""
    fenced = [body for _, language, body in FENCE.findall(text) if language in SHELLS]
    return [*SPAN.findall(FENCE.sub("", text)), *fenced]


def anchors(text):
    headings = re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document):
    broken = []
    for target in links(document.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        place = document.parent / name if name else document
        if not place.exists() or (
            anchor and place.suffix == ".md" and anchor not in anchors(place.read_text(encoding="utf-8"))
        ):
            broken.append(target)
    return broken


def targets(text):
    return {word for piece in code(text) for words in MAKE.findall(piece) for word in words.split()}


def commands(text):
    """Commands as word tuples: `gateway audit verify|list` names two."""
    found = set()
    for piece in code(text):
        for words in COMMAND.findall(piece):
            *first, last = words.split()
            found |= {(*first, each) for each in last.split("|")}
    return found


def unknown_commands(text, top):
    """Commands that the click group `top` does not have; words after a complete command are its arguments."""
    unknown = []
    for words in sorted(commands(text)):
        group = top
        for word in words:
            known = getattr(group, "commands", None)
            if known is None:
                break
            if word not in known:
                unknown.append(" ".join(words))
                break
            group = known[word]
    return unknown


def test_the_documents_of_the_house_exist_and_say_something():
    silent = [name for name in MUST_EXIST if not (ROOT / name).exists() or len((ROOT / name).read_text()) < 200]
    assert silent == []


def test_every_link_leads_somewhere():
    everything = {path: links(path.read_text(encoding="utf-8")) for path in documents(ROOT)}
    assert sum(map(len, everything.values())) > 0, "no document has a link: nothing was checked"
    assert {path.name: broken_links(path) for path in everything if broken_links(path)} == {}


def test_every_make_target_that_is_named_exists():
    exist = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for path in documents(ROOT) for target in targets(path.read_text(encoding="utf-8"))}
    assert named, "no document names a make target: nothing was checked"
    assert named - exist == set()


def test_every_gateway_command_that_is_named_exists():
    main = pytest.importorskip("gateway.cli.main", reason="the command line does not stand yet")
    typer_main = pytest.importorskip("typer.main")
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in documents(ROOT))
    assert commands(text), "no document names a command: nothing was checked"
    assert unknown_commands(text, typer_main.get_command(main.app)) == []


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path):
    (tmp_path / "other.md").write_text("# The First Part\n\n```\n# not a heading\n```\n")
    page = tmp_path / "README.md"
    page.write_text(
        "[a](other.md) [b](other.md#the-first-part) [c](https://example.org/x) `[d](code.md)`\n# Here\n[e](#here)"
    )
    assert links(page.read_text()) == ["other.md", "other.md#the-first-part", "#here"]
    assert broken_links(page) == []
    page.write_text("[a](gone.md) [b](other.md#not-a-heading) [c](#gone) ![d](gone.svg)")
    assert broken_links(page) == ["gone.md", "other.md#not-a-heading", "#gone", "gone.svg"]


def test_make_targets_are_read_from_code_only():
    text = "make sure of it\n`make demo` and `cd x && make test check`\n"
    text += "```sh\n$ make bench\n```\n```python\nmake no\n```\n"
    assert targets(text) == {"demo", "test", "check", "bench"}


def test_commands_are_read_with_their_alternatives():
    text = "The gateway knows `gateway audit verify|list`.\n```console\n$ .venv/bin/gateway release A.yaml\n```\n"
    assert commands(text) == {("audit", "verify"), ("audit", "list"), ("release",)}


def test_an_unknown_command_is_found_at_any_depth():
    class Group:
        def __init__(self, **commands):
            self.commands = commands

    top = Group(audit=Group(verify=object()), demo=object())
    assert unknown_commands("`gateway audit verify` `gateway demo now`", top) == []
    assert unknown_commands("`gateway audit forge` `gateway dmo`", top) == ["audit forge", "dmo"]
