"""The cases as a chapter to read: `python -m tests.policies.chapter` writes tests/spec/policies/CHAPTER.md."""

from itertools import groupby

from tests.policies.cases import FOLDER, Case, read

PAGE = FOLDER / "CHAPTER.md"


def text() -> str:
    lines = [
        "# What the rules decide, case by case",
        "",
        "Written from the cases in this folder by `python -m tests.policies.chapter`. Organisations and people are",
        "invented. Each line: what is asked, as of which day, what follows, and the rules that say so.",
    ]
    for (_, title), group in groupby(read(), key=lambda case: (case.file, case.chapter)):
        lines += [
            "",
            f"## {title}",
            "",
            "| case | what | as of | changed | verdict | because |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_line(case) for case in group]
    return "\n".join(lines) + "\n"


def _line(case: Case) -> str:
    changed = "; ".join(
        [f"{name}: {_short(value)}" for name, value in case.changed.items()] + [f"no {name}" for name in case.left_out]
    )
    because = ", ".join(case.expected.get("because", ())) or "nothing objects" * ("because" in case.expected)
    cells = [case.id, case.title, str(case.as_of), changed, case.expected["decision"].replace("_", " "), because]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_short(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(each) for each in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(PAGE)
