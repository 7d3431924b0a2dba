"""Where the subjects of an extract come from: distinct subjects per country, for the rules."""

from collections import Counter

import pyarrow as pa

from gateway.errors import Invalid
from pseudonymization.classes import spelled
from pseudonymization.columns import ColumnRef, Source, Study
from pseudonymization.subjects import country_code


def subjects_by_country(whole: Study, asked: Study, source: Source) -> dict[str, int]:
    """Distinct subjects per ISO 3166-1 alpha-2 code; "" counts those whose country is unknown.

    `whole` is the study as registered, `asked` its part that the request names.

    With a country column, all subjects of its table count, whether or not they have rows in the tables asked for:
    an upper bound, which is the careful side for every rule that counts. With one country for all, subjects are
    counted over the tables asked for.

    Raises:
        Invalid: the country column's table has no subject key.
    """
    if isinstance(whole.country, ColumnRef):
        return _by_column(whole, whole.country, source)
    ids: set[str] = set()
    for table in asked.tables:
        if table.subject_key is not None:
            for batch in source.batches(table.name, [table.subject_key]):
                ids.update(spelled(batch.column(0))[1])
    return {country_code(whole.country): len(ids - {""})}


def _by_column(study: Study, place: ColumnRef, source: Source) -> dict[str, int]:
    key = study[place.table].subject_key
    if key is None:
        raise Invalid(
            "the country stands in a table without subjects",
            place=f"{place.table}.{place.column}",
            cure="name a column of the subject table in the column file",
        )
    home: dict[str, str] = {}
    for batch in source.batches(place.table, [key, place.column]):
        table = pa.Table.from_batches([batch]).group_by([key, place.column]).aggregate([])
        for subject, country in zip(table[key].to_pylist(), table[place.column].to_pylist(), strict=True):
            home[str(subject)] = country_code(country or "")
    return dict(Counter(home.values()))
