"""How the demo is told: short chapters on the terminal, and the same story as a value that JSON can hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

INDENT = 2
WIDEST = 96


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: in which chapter, what someone did, what came back, whether it was refused."""

    chapter: str
    did: str
    back: str
    refused: bool = False


@dataclass(slots=True)
class Narrator:
    """Tells the story to a console, and remembers it. Nothing told needs colour to be understood."""

    console: Console
    lines: list[Line] = field(default_factory=list)
    title: str = ""
    number: int = 0

    def chapter(self, who: str, title: str) -> None:
        """Begin a chapter: who acts now, and what for."""
        self.number += 1
        self.title = f"{who}: {title}"
        self.console.print()
        self.console.rule(f"{self.number}  {who.upper()}  {title}", align="left", style="dim", characters="─")

    def say(self, sentence: str) -> None:
        """A sentence to the reader."""
        self._print(Text(sentence))

    def did(self, what: str, back: str = "") -> None:
        """Someone did something, and this came back."""
        self._tell(what, back, refused=False)

    def refused(self, what: str, back: str) -> None:
        """Someone tried something and was refused: that is what the gateway is for."""
        self._tell(what, back, refused=True)

    def table(self, names: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
        """A small table under what was told last. The last column takes the room that is left."""
        table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, show_edge=False)
        for at, name in enumerate(names):
            table.add_column(name, overflow="fold", no_wrap=at < len(names) - 1)
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        self.console.print(
            Padding(table, (1, 0, 1, INDENT + 2), expand=False), width=min(self.console.width, WIDEST + 24)
        )

    def pairs(self, pairs: Mapping[str, str]) -> None:
        """Names and values, one to a line; long values are not broken, so that they can be copied."""
        width = max(len(name) for name in pairs)
        for name, value in pairs.items():
            self.console.print(f"{' ' * INDENT}{name:<{width}}  {value}", markup=False, soft_wrap=True)

    def _tell(self, what: str, back: str, *, refused: bool) -> None:
        self.lines.append(Line(self.title, what, back, refused))
        self._print(Text.assemble(("› ", "bold"), what), hang=2)
        if back:
            mark, style = ("✗ ", "bold red") if refused else ("← ", "bold green")
            self._print(Text.assemble((mark, style), back), indent=INDENT + 2, hang=2)

    def _print(self, text: Text, *, indent: int = INDENT, hang: int = 0) -> None:
        """A paragraph with a hanging indent, so that wrapped lines stand under their beginning."""
        width = min(self.console.width, WIDEST) - indent - hang
        lines = text[hang:].wrap(self.console, max(20, width)) if hang else text.wrap(self.console, max(20, width))
        for at, line in enumerate(lines):
            lead = text[:hang] if hang and at == 0 else Text(" " * hang)
            line.rstrip()
            self.console.print(Text(" " * indent) + lead + line, soft_wrap=True)

    def story(self) -> list[dict[str, Any]]:
        """What happened so far, as JSON-ready values in order."""
        return [
            {"chapter": line.chapter, "did": line.did, "back": line.back, "refused": line.refused}
            for line in self.lines
        ]
