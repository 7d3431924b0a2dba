"""Who acts: a person or a programme with an account, and the roles it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

EVERY_STUDY = "*"
ROLES = ("researcher", "steward", "auditor", "operator")


@dataclass(frozen=True, slots=True)
class Actor:
    """An account. `roles` maps a study id (or `*` for all) to the roles held there."""

    id: str
    name: str
    organisation: str = ""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    scopes: frozenset[str] | None = None

    def roles_in(self, study: str) -> frozenset[str]:
        """The roles this actor holds in one study, those held everywhere included."""
        return self.roles.get(study, frozenset()) | self.roles.get(EVERY_STUDY, frozenset())


ANONYMOUS = Actor("anonymous", "someone who is not signed in")
SYSTEM = Actor("system", "the gateway itself")
