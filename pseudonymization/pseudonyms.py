"""Keyed ids: one subject, one id, in every table and every later release of a project; unlinkable between projects.

Keys: HKDF-SHA-256 (RFC 5869) from the gateway's root key to one key per project, and on to one key per purpose.
Ids: HMAC-SHA-256 (RFC 2104, FIPS 198-1) of the original, cut to 12 letters of a 27-letter alphabet (57 bits).
With n subjects two ids meet with probability below n²/2 · 27⁻¹² (a million subjects: 3 in a million); then we stop.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from pseudonymization.faults import Unresolved

ALPHABET = "23456789BCDFGHJKMNPQRSTVWXZ"
"""Digits and consonants without 0, 1, I, L, O, U: no look-alikes and, without vowels, no words."""

LETTERS = 12
_PAIRS = [first + second for second in ALPHABET for first in ALPHABET]
ROOT_BYTES = 32
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """The secret of one project: whoever holds it can recompute every pseudonym and date shift of the project."""

    project: str
    secret: bytes = field(repr=False)

    @classmethod
    def derive(cls, root: bytes, project: str) -> "ProjectKey":
        """The key of `project` under the gateway's `root` key (at least 32 bytes).

        Raises:
            ValueError: the root key is short, or the project has no name.
        """
        if len(root) < ROOT_BYTES:
            raise ValueError(f"a root key has at least {ROOT_BYTES} bytes")
        if not project:
            raise ValueError("a project key needs the project's name")
        derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"project/1\0" + project.encode())
        return cls(project, derivation.derive(root))

    def subkey(self, purpose: str) -> bytes:
        """32 bytes for one purpose (`subject`, `date shift`); keys of two purposes tell nothing of each other."""
        return HKDFExpand(algorithm=SHA256(), length=32, info=b"purpose/1\0" + purpose.encode()).derive(self.secret)


def subject_pseudonyms(key: ProjectKey, ids: Sequence[str]) -> list[str]:
    """A pseudonym such as `S-7KQ2-9XTM-4BHW` for each subject id, in the order given.

    Raises:
        Unresolved: two subjects would share an id, or an id would equal an original one. Never merged, never retried:
            a retry would depend on who else is in the study and so break the next release.
    """
    return _distinct(key.subkey("subject"), ids, "S", "subject")


def recode(key: ProjectKey, namespace: str, values: Sequence[str]) -> list[str]:
    """A code such as `C-7KQ2-9XTM-4BHW` for each value (site, investigator, sponsor id); blank stays blank.

    Columns of one namespace share their codes. Raises Unresolved as `subject_pseudonyms` does.
    """
    filled = [value for value in values if value]
    codes = iter(_distinct(key.subkey(f"recode/{namespace}"), filled, "C", namespace))
    return [next(codes) if value else "" for value in values]


def numbers(key: ProjectKey, purpose: str, values: Iterable[str]) -> list[int]:
    """A keyed whole number in [0, 2¹²⁸) for each value: seeds and shifts are drawn from these."""
    secret = key.subkey(purpose)
    return [_number(secret, value) for value in values]


def _number(secret: bytes, value: str) -> int:
    return int.from_bytes(hmac.digest(secret, value.encode(), sha256)[:_DIGEST_BYTES], "big")


def _spell(number: int, prefix: str) -> str:
    number %= len(ALPHABET) ** LETTERS
    pairs = []
    for _ in range(0, LETTERS, 2):
        number, rest = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[rest])
    letters = "".join(pairs)[:LETTERS]
    return f"{prefix}-{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def _distinct(secret: bytes, originals: Sequence[str], prefix: str, what: str) -> list[str]:
    spelled = {original: _spell(_number(secret, original), prefix) for original in originals}
    reached: Mapping[str, str] = {code: original for original, code in spelled.items()}
    if len(reached) < len(spelled) or any(code in spelled for code in reached):
        raise Unresolved(
            f"two originals of `{what}` would meet in one pseudonym",
            cure="release under another project name: it has a key of its own",
        )
    return [spelled[original] for original in originals]
