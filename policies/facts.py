"""Facts as rules see them: one flat view per partition (origin and category), from one checked document.

A view maps dotted paths to values. What is not in it is unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies import vocabulary
from policies.faults import FactFault

_GROUPS = ("exporter", "recipient", "transfer", "metrics", "safe_harbor_check", "source_repository",
           "publicly_available", "screening_policy", "table")  # fmt: skip
_NESTED = ("recipient.individual", "recipient.screening")
NOT_PERSONAL = frozenset({"anonymised", "aggregate", "public", "not_applicable"})
NOT_HUMAN = frozenset({"technical_data"})

View = Mapping[str, Any]

# What is worked out, by the name of the fact someone would have to state.
ASKED_AS: Mapping[str, str] = {
    "subject.country": "subjects.country",
    "subject.citizenship": "subjects.citizenship",
    "subject.region": "subjects.region",
    "subject.count": "subjects.count",
    "partition.assay": "partitions.assay",
    "mode": "transfer.mode",
    "places": "transfer.destination",
    "third_places": "transfer.destination",
    "human": "categories",
    "personal": "identifiability",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """A checked document: as it was given, the facts shared by all partitions, and what differs in each.

    `labels` name the partitions: the country alone where that tells them apart, else country and category.
    """

    document: Mapping[str, Any]
    shared: View
    parts: tuple[View, ...]
    labels: tuple[str, ...]
    pooled: bool

    def views(self) -> tuple[dict[str, Any], ...]:
        """One fresh view per partition; a decision may note what it worked out in it."""
        return tuple({**self.shared, **part, "all": self.parts} for part in self.parts)


def read(document: object) -> Facts:
    """Facts from a document in the vocabulary.

    Raises:
        FactFault: a field or value is not in the vocabulary, or two statements contradict each other.
    """
    settled = _by_nature(vocabulary.read(document))
    if "partitions" in settled and "subjects" in settled:
        raise FactFault("give `subjects` or `partitions`, not both", place="partitions")
    shared = _flat(settled)
    pooled = "partitions" in settled
    parts = _pooled_parts(settled) if pooled else _subject_parts(settled)
    if not parts:
        raise FactFault("names nobody", place="partitions" if pooled else "subjects", cure="leave it out if unknown")
    for part in parts:
        part.update(_derived({**shared, **part}))
    return Facts(
        document=document if isinstance(document, Mapping) else {},
        shared=shared,
        parts=tuple(parts),
        labels=_labels(parts),
        pooled=pooled,
    )


def _by_nature(settled: Mapping[str, Any]) -> Mapping[str, Any]:
    """What follows from the form of the data: a table of counts is an aggregate, technical data is about nobody."""
    stated = dict(settled)
    if "counts" in stated or "table" in stated:
        stated.setdefault("identifiability", "aggregate")
        if "partitions" not in stated:
            stated.setdefault("categories", ("health",))
    elif stated.get("categories") and set(stated["categories"]) <= NOT_HUMAN:
        stated.setdefault("identifiability", "not_applicable")
    return stated


def _flat(settled: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in settled.items():
        if name in _GROUPS:
            for inner, item in value.items():
                path = f"{name}.{inner}"
                if path in _NESTED:
                    flat[path] = item
                    flat.update({f"{path}.{deep}": each for deep, each in item.items() if each is not None})
                elif item is not None:
                    flat[path] = item
            flat[name] = value
        elif name not in ("subjects", "partitions"):
            flat[name] = value
    return flat


def _pooled_parts(settled: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = []
    for given in settled["partitions"]:
        part = {
            f"subject.{name}": given[name] for name in ("country", "citizenship", "region", "count") if name in given
        }
        if "assay" in given:
            part["partition.assay"] = given["assay"]
        if "identifiability" in given:
            part["identifiability"] = given["identifiability"]
        if "exporter_country" in given:
            part["exporter.country"] = given["exporter_country"]
        categories = given.get("categories", settled.get("categories", ()))
        parts.append({**part, "categories": categories} if categories else part)
    return parts


def _subject_parts(settled: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = settled.get("subjects", ({},))
    counts = settled.get("category_counts", {})
    everyone = sum(group.get("count", 0) for group in groups)
    # What is counted is there, whether or not `categories` lists it too.
    counted = tuple(name for name in sorted(counts) if counts[name] and name not in settled.get("categories", ()))
    categories = (*settled.get("categories", ()), *counted)
    parts = []
    for group in groups:
        part = {f"subject.{name}": value for name, value in group.items()}
        for category in categories or (None,):
            with_count = dict(part)
            if category is not None:
                with_count["categories"] = (category,)
                stated = counts.get(category)
                if stated is not None:
                    # Of several origins each may hold all who have this category, but no more than it has subjects.
                    own = part.get("subject.count")
                    alone = len(groups) == 1 or own is None or stated > everyone
                    with_count["subject.count"] = stated if alone else min(stated, own)
            parts.append(with_count)
    return parts


def _derived(view: View) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kind, mode = view.get("transfer.kind"), view.get("transfer.mode")
    if kind == "public_release" or mode == "public":
        found["mode"] = "public"
    elif kind is not None or mode == "controlled":
        found["mode"] = "controlled"
    named = ("transfer.destination", "transfer.access_location", "recipient.country", "recipient.individual.location")
    places = [view[path] for path in named if path in view]
    if places:
        found["places"] = tuple(dict.fromkeys(places))
        if "exporter.country" in view:
            found["third_places"] = tuple(place for place in found["places"] if place != view["exporter.country"])
    if "categories" in view:
        found["human"] = not set(view["categories"]) <= NOT_HUMAN
    if "identifiability" in view:
        found["personal"] = view["identifiability"] not in NOT_PERSONAL
    if found.get("human") is False:
        found["personal"] = False
    return found


def _labels(parts: list[dict[str, Any]]) -> tuple[str, ...]:
    """The shortest names that tell the partitions apart: origin, then region, then categories, then a number."""
    words = [
        (
            str(part.get("subject.country", "unknown")),
            str(part.get("subject.region", "")),
            "+".join(part.get("categories", ())),
        )
        for part in parts
    ]
    names = [origin for origin, _, _ in words]
    for detail in (1, 2):
        names = [
            f"{name}/{word[detail]}" if names.count(name) > 1 and word[detail] else name
            for name, word in zip(names, words, strict=True)
        ]
    return tuple(
        f"{name}#{names[: index + 1].count(name)}" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    )
