"""Reading a request: the document a person writes (YAML or JSON), checked field by field, into `Terms`."""

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gateway.catalogue import bounded
from gateway.domain.request import RowFilter, Terms
from gateway.errors import Invalid

MOST_CHARACTERS = 1_000_000
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$")]
Names = Annotated[list[Word], Field(min_length=1)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Exporter(BaseModel):
    """Who holds the data now. Further facts of the decision vocabulary may stand beside."""

    model_config = ConfigDict(extra="allow")
    org: Text
    country: Country
    roles: list[str] = []


class Recipient(BaseModel):
    """Who would receive it. Further facts (ownership, screening …) may stand beside."""

    model_config = ConfigDict(extra="allow")
    org: Text
    country: Country


class Rows(BaseModel):
    """A filter on the rows of one table."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    table: Word
    column: Word
    values: Annotated[list[str | int | float], Field(min_length=1, max_length=1000, alias="in")]


class RequestDocument(BaseModel):
    """The request file.

    `tables` is `all`, a list of table names, or a mapping of table name to a list of columns or `all`. `facts`
    holds further facts for the decision (instruments, licences, legal_basis …; see policies/README.md).
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "dataset": "demo",
                "tables": {"DM": "all", "AE": ["USUBJID", "AEDECOD", "AESTDY"]},
                "mode": "controlled",
                "project": "hypertension-2026",
                "purpose": "scientific_research",
                "exporter": {"org": "Aldergrove Trials", "country": "DE", "roles": ["trial_sponsor"]},
                "recipient": {"org": "Maple Bay University", "country": "CA"},
                "destination": "CA",
                "keys": ["age1…"],
                "format": "parquet",
            }
        },
    )
    dataset: Word
    tables: Literal["all"] | Names | Annotated[dict[Word, Literal["all"] | Names], Field(min_length=1)]
    mode: Literal["controlled", "public"]
    project: Word
    purpose: Text
    exporter: Exporter
    recipient: Recipient
    destination: Country
    keys: Annotated[list[str], Field(min_length=1, max_length=20)]
    format: Literal["parquet", "csv", "xport"] = "parquet"
    rows: list[Rows] = []
    facts: dict[str, Any] = {}


def misfit(found: Mapping[str, Any]) -> tuple[str, str]:
    """Where and what, of one error as pydantic tells it: never the value, nor the names of its own alternatives."""
    loc = [str(part) for part in found["loc"]]
    fields = list(takewhile(lambda part: "[" not in part, loc))
    reason = str(found["msg"]) if fields == loc else "it has none of the forms it may have, or is empty"
    return ".".join(fields), reason.lower()


def read_terms(content: object) -> Terms:
    """The terms of a document.

    Raises:
        Invalid: naming the field, what is wrong with it and what is expected, without the value.
    """
    bounded.values(content, place="request")
    try:
        document = RequestDocument.model_validate(content)
    except ValidationError as error:
        place, reason = misfit(error.errors(include_input=False, include_url=False)[0])
        raise Invalid(
            f"field `{place or 'request'}`: {reason}",
            place=place or "request",
            cure=f"{len(error.errors())} field(s) to mend; see the request file in README.md",
        ) from None
    return Terms(
        dataset=document.dataset,
        tables=_tables(document.tables),
        mode=document.mode,
        project=document.project,
        purpose=document.purpose,
        exporter=document.exporter.model_dump(),
        recipient=document.recipient.model_dump(),
        destination=document.destination,
        keys=tuple(key.strip() for key in document.keys),
        format=document.format,
        rows=tuple(RowFilter(r.table.upper(), r.column, tuple(str(v) for v in r.values)) for r in document.rows),
        facts=document.facts,
    )


def _tables(given: str | list[str] | dict[str, Any]) -> dict[str, tuple[str, ...] | None]:
    """Table name to columns; None is all columns, an empty mapping all tables."""
    if isinstance(given, str):
        return {}
    if isinstance(given, list):
        return {name.upper(): None for name in given}
    return {name.upper(): None if columns == "all" else tuple(columns) for name, columns in given.items()}


def read_document(path: Path) -> Any:
    """The content of a YAML (or JSON) file.

    Raises:
        Invalid: the file cannot be read, is not YAML, or is more than a document may be; names the line, never
            the text.
    """
    try:
        text = path.read_text("utf-8")
        bounded.text(text, place=str(path), most=MOST_CHARACTERS)
        content = YAML(typ="safe", pure=True).load(text)
    except (OSError, UnicodeDecodeError):
        raise Invalid("the file cannot be read", place=str(path), cure="name an existing UTF-8 text file") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise Invalid("the file is not valid YAML", place=f"{path}{line}", cure="mend the line") from None
    except RecursionError:
        raise Invalid("the file is nested too deep", place=str(path), cure="write fewer levels") from None
    bounded.values(content, place=str(path))
    return content
