"""What a column carries beside its values: label, SAS format, storage width. And the names a column may have."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from gateway.errors import Invalid

LABEL, FORMAT, WIDTH = b"label", b"format", b"width"
TEXT = pa.dictionary(pa.int32(), pa.string())


def field(name: str, kind: pa.DataType, *, label: str = "", form: str = "", width: int | None = None) -> pa.Field:
    """An Arrow field whose metadata carries `label`, `format` (`DATE9.`) and `width` (bytes), where known."""
    carried: dict[bytes | str, bytes | str] = {}
    if label:
        carried[LABEL] = label.encode()
    if form:
        carried[FORMAT] = form.encode()
    if width is not None:
        carried[WIDTH] = str(width).encode()
    return pa.field(name, kind, metadata=carried or None)


def carried(of: pa.Field, key: bytes) -> str:
    """The label, format or width a field carries; the empty string where it carries none."""
    metadata = of.metadata or {}
    return str(metadata.get(key, b""), "utf-8")


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text, dictionary-encoded or not."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def check_names(names: Sequence[str], path: Path) -> None:
    """Refuse a table without columns, with a nameless column, or with two columns of one name.

    Names that differ only in case count as one: SAS, SDTM and SQL do not tell them apart.

    Raises:
        Invalid: naming the file and the column.
    """
    if not names:
        raise Invalid("the table has no columns", place=path.name, cure="export the table again")
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name.strip() or not name.isprintable():
            raise Invalid(
                f"column {position} has no readable name",
                place=path.name,
                cure="give every column a name in the header",
            )
        if name.upper() in seen:
            raise Invalid(
                f"two columns are named `{name}`",
                place=path.name,
                cure="give each column a name of its own, upper and lower case counting as one",
            )
        seen.add(name.upper())


def constant(values: Iterable[str]) -> str:
    """The one non-empty value among these, or the empty string if there is none or more than one."""
    found = set(values) - {""}
    return found.pop() if len(found) == 1 else ""
