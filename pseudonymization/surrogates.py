"""Stand-ins for names and places that must keep a shape: keyed, so that one original has one stand-in in a project."""

from collections.abc import Callable, Collection, Mapping, Sequence

from faker import Faker

from pseudonymization import pseudonyms
from pseudonymization.faults import Unresolved
from pseudonymization.tokens import spelling

_TRIES = 50
_KINDS: Mapping[str, Callable[[Faker], str]] = {
    "name": lambda fake: str(fake.name()),
    "city": lambda fake: str(fake.city()),
    "street": lambda fake: str(fake.street_address()),
    "organisation": lambda fake: str(fake.company()),
    "phone": lambda fake: str(fake.numerify("+1-%##-555-01##")),
    "email": lambda fake: str(fake.ascii_safe_email()),
}
"""Phone numbers lie in the range 555-0100 to 555-0199 and mail addresses under example.org, which belong to nobody."""

KINDS = frozenset(_KINDS)


class Surrogates:
    """Stand-ins of one kind. Two originals may meet in one stand-in: it keeps a shape, it is no id."""

    def __init__(self, key: pseudonyms.ProjectKey, kind: str, originals: Collection[str]) -> None:
        """`originals`: every value of the study that no stand-in may equal.

        Raises:
            Unresolved: no such kind.
        """
        if kind not in _KINDS:
            raise Unresolved(
                "a column asks for a kind of stand-in that there is not",
                cure=f"one of {', '.join(sorted(_KINDS))}",
            )
        self._key, self._kind = key, kind
        self._taken = frozenset(spelling(original) for original in originals)

    def stand_ins(self, values: Sequence[str]) -> list[str]:
        """One stand-in per value; blank stays blank. The same value gives the same one in every table and release."""
        fake = Faker("en_US", use_weighting=False)
        return [self._one(fake, value) if value else "" for value in values]

    def _one(self, fake: Faker, value: str) -> str:
        for attempt in range(_TRIES):
            seed = pseudonyms.numbers(self._key, f"surrogate/{self._kind}/{attempt}", [value])[0]
            fake.seed_instance(seed)
            stand_in = _KINDS[self._kind](fake)
            if spelling(stand_in) not in self._taken and spelling(stand_in) != spelling(value):
                return stand_in
        raise Unresolved("no stand-in is left that is not an original", cure="remove the column instead")
