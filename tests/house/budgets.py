"""The budgets of the house, checked on the syntax tree: file and function length, endpoints, imports, names.

Run it (`python tests/house/budgets.py [ROOT]`): prints each offence with file and line, exits 1 if there is one.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("gateway", "policies", "pseudonymization")
TESTS = "tests"
DOORS = (("gateway", "api"), ("gateway", "web"))

FILE_LINES = 400
FUNCTION_LINES = 60
LONG_FUNCTION_LINES, LONG_SHARE = 50, 0.01
ENDPOINT_LINES = 10
BANNED = frozenset(
    {
        "util",
        "utils",
        "helper",
        "helpers",
        "common",
        "manager",
        "managers",
        "service",
        "services",
        "handler",
        "handlers",
    }
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, order=True)
class Offence:
    """One breach of one budget, at a place; `line` 0 speaks of the whole file or tree."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed source file; `path` is relative to the root of the tree."""

    path: Path
    lines: int
    tree: ast.Module

    @property
    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


def read(root: Path, folders: Sequence[str] = PACKAGES) -> list[Module]:
    """Every module below these folders of a tree, in order of path."""
    return [
        Module(path.relative_to(root), len(text.splitlines()), ast.parse(text, str(path)))
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
        for text in [path.read_text(encoding="utf-8")]
    ]


def offences(root: Path) -> list[Offence]:
    """Every offence in a tree. Raises `FileNotFoundError` when a package has no module: nothing was checked."""
    modules = read(root)
    for package in PACKAGES:
        if not any(module.path.parts[0] == package for module in modules):
            raise FileNotFoundError(f"no module in `{package}` below {root}")
    found = [*_share_of_long_functions(modules)]
    for module in modules:
        for rule in (_file_length, _function_length, _endpoints, _type_checking, _inner_imports, _names):
            found += rule(module)
    for module in read(root, (TESTS,)):
        found += _file_length(module)
    return sorted(found)


def _file_length(module: Module) -> Iterator[Offence]:
    if module.lines > FILE_LINES:
        yield _at(module, 1, "file length", f"{module.lines} lines, at most {FILE_LINES}")


def _length(function: Function) -> int:
    """Lines from `def` to the end, the docstring too; decorators are not counted."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _function_length(module: Module) -> Iterator[Offence]:
    for function in module.functions:
        if _length(function) > FUNCTION_LINES:
            text = f"`{function.name}` has {_length(function)} lines, at most {FUNCTION_LINES}"
            yield _at(module, function.lineno, "function length", text)


def _share_of_long_functions(modules: Sequence[Module]) -> Iterator[Offence]:
    lengths = [(_length(function), module, function) for module in modules for function in module.functions]
    over = [entry for entry in lengths if entry[0] > LONG_FUNCTION_LINES]
    if len(over) > LONG_SHARE * len(lengths):
        for length, module, function in over:
            text = f"`{function.name}` has {length} lines; {len(over)} of {len(lengths)} functions are over "
            text += f"{LONG_FUNCTION_LINES}, at most {LONG_SHARE:.0%} may be"
            yield _at(module, function.lineno, "long functions", text)


def _is_endpoint(function: Function) -> bool:
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            name = target.value.id
            if name == "app" or name.endswith("router"):
                return True
    return False


def _endpoints(module: Module) -> Iterator[Offence]:
    if module.path.parts[:2] not in DOORS:
        return
    for function in filter(_is_endpoint, module.functions):
        body = function.body[1:] if ast.get_docstring(function) is not None else function.body
        length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if length > ENDPOINT_LINES:
            text = f"`{function.name}` has {length} lines of body, at most {ENDPOINT_LINES}"
            yield _at(module, function.lineno, "endpoint length", text)


def _type_checking(module: Module) -> Iterator[Offence]:
    for node in ast.walk(module.tree):
        named = isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
        reached = isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING"
        taken = isinstance(node, ast.ImportFrom) and any(alias.name == "TYPE_CHECKING" for alias in node.names)
        if named or reached or taken:
            yield _at(module, node.lineno, "type checking", "no import may hide from the running program")


def _inner_imports(module: Module) -> Iterator[Offence]:
    lines = {
        node.lineno
        for function in module.functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    for line in sorted(lines):
        yield _at(module, line, "inner import", "imports stand at the top of the file")


def _names(module: Module) -> Iterator[Offence]:
    for part in (*module.path.parts[:-1], module.path.stem):
        for word in sorted(BANNED & set(part.lower().split("_"))):
            yield _at(module, 1, "module name", f"`{word}` says nothing; use the trade's own word")


def _at(module: Module, line: int, rule: str, text: str) -> Offence:
    return Offence(module.path.as_posix(), line, rule, text)


def main(arguments: Sequence[str]) -> int:
    """Print each offence of the tree and return the exit code."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
    found = offences(root)
    for offence in found:
        print(offence)
    if not found:
        modules = read(root)
        print(f"budgets kept: {len(modules)} modules, {sum(len(m.functions) for m in modules)} functions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
