import re
from inspect import signature
from pathlib import Path

from pseudonymization.anonymize import anonymize

README = Path(__file__).resolve().parents[2] / "pseudonymization" / "README.md"


def test_the_example_runs_as_it_is_written():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    assert len(blocks) == 1
    names: dict[str, object] = {}
    exec(compile(blocks[0], str(README), "exec"), names)  # noqa: S102 - our own page
    assert names["report"]["mode"] == "global"


def test_every_argument_of_the_table_is_one():
    rows = re.findall(r"^\| (`.*?) \|", README.read_text("utf-8"), flags=re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == set(signature(anonymize).parameters) - {"source", "quasi", "sensitive"}
