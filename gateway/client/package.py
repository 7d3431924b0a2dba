"""A release as a folder: checked offline from its files alone, then decrypted.

What is checked, in this order: the manifest's signature; every file the manifest names, by size and SHA-256; that
nothing lies there which it does not name; the log's receipt: that the completion of just this release, with just this
manifest, is in the signed log.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import audit
from gateway.audit.leaves import read_leaf
from gateway.crypto import recipients, sealing, signing
from gateway.errors import Invalid

MANIFEST, SIGNATURE, PUBLIC_KEY, PROOF, LOG_KEY = (
    "manifest.json",
    "manifest.sig",
    "manifest.pub",
    "receipt.tlog-proof",
    "log.vkey",
)
WITNESSES = "witnesses.vkey"
_OWN_FORM = (MANIFEST, SIGNATURE, PUBLIC_KEY, PROOF)

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. `problems` is empty if all is well; each names a file and says what is wrong.

    cosigned: who of the `witnesses` that the release names has cosigned its receipt.
    """

    release: str
    signed_by: str
    pinned: bool
    log: str
    files: int
    good: int
    problems: tuple[str, ...]
    cosigned: tuple[str, ...] = ()
    witnesses: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(folder: Path, *, trusted: str = "", tell: Tell | None = None) -> Checked:
    """Check a release offline. `trusted` is the fingerprint the signing key must have (from the gateway's operator).

    Never raises for a damaged release: what is wrong is listed.

    Raises:
        Invalid: the folder is no release at all.
    """
    if not (folder / MANIFEST).is_file():
        raise Invalid("this folder holds no release", place=str(folder), cure="name the folder with manifest.json")
    problems: list[str] = []
    manifest, fingerprint = _signed(folder, problems)
    if trusted and fingerprint and fingerprint != trusted:
        problems.append(f"{PUBLIC_KEY}: signed by another key than the trusted one")
    named = _named(manifest)
    good = 0
    for number, (name, size, digest) in enumerate(named, start=1):
        if tell is not None:
            tell(name, number, len(named))
        problem = _file(folder / name, size, digest)
        good += not problem
        problems += [problem] if problem else []
    if manifest:  # without one that holds, nobody can say what belongs here
        problems += _extra(folder, {name for name, _, _ in named})
    log = _logged(folder, manifest, problems)
    cosigned, witnesses = _witnessed(folder, problems)
    release = str(manifest.get("release", ""))
    return Checked(release, fingerprint, bool(trusted), log, len(named), good, tuple(problems), cosigned, witnesses)


def _signed(folder: Path, problems: list[str]) -> tuple[Mapping[str, Any], str]:
    """The manifest and the fingerprint of its key; empty where the signature does not hold."""
    held = {name: _held(folder, name, problems) for name in (MANIFEST, SIGNATURE, PUBLIC_KEY)}
    content, signature, public = held.values()
    if content is None or signature is None or public is None:
        return {}, ""
    try:
        key = signing.read_public(public)
        signing.check(content.encode(), signature, key)
    except Invalid as fault:
        problems.append(f"{fault.place}: {fault.reason}")
        return {}, ""
    manifest: Mapping[str, Any] = json.loads(content)
    return manifest, signing.fingerprint(key)


def _held(folder: Path, name: str, problems: list[str]) -> str | None:
    """The text of a file that every release has."""
    try:
        return _text(folder / name)
    except OSError:
        problems.append(f"{name}: missing; download it again")
    except UnicodeDecodeError:
        problems.append(f"{name}: altered or damaged; download it again")
    return None


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _named(manifest: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    tables = [(t["file"], t["sealed"]["size"], t["sealed"]["sha256"]) for t in manifest.get("tables", ())]
    beside = [(f["name"], f["size"], f["sha256"]) for f in manifest.get("files", ())]
    return [*tables, *beside]


def _file(path: Path, size: int, digest: str) -> str:
    try:
        if path.stat().st_size != size:
            return f"{path.name}: has another size than the manifest says; download it again"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return f"{path.name}: missing; download it again"
    return "" if found == digest else f"{path.name}: altered or damaged; download it again"


def _extra(folder: Path, named: set[str]) -> list[str]:
    known = named | set(_OWN_FORM)
    return [f"{path.name}: not part of the release" for path in sorted(folder.iterdir()) if path.name not in known]


def _witnessed(folder: Path, problems: list[str]) -> tuple[tuple[str, ...], int]:
    """Who has cosigned the receipt, of the witnesses named in a file that the manifest covers; and how many those are.

    The gateway chose these names. That a witness is a stranger to it, its key tells: compare it with the witness's own.
    """
    if not (folder / WITNESSES).is_file():
        return (), 0
    try:
        proof, log_key = _text(folder / PROOF), audit.VerifierKey.parse(_text(folder / LOG_KEY).removesuffix("\n"))
        first, *lines = _text(folder / WITNESSES).splitlines()
        needed, keys = int(first.removeprefix("needed ")), [audit.VerifierKey.parse(line) for line in lines]
    except (OSError, ValueError, Invalid):
        problems.append(f"{WITNESSES}: missing or damaged; download it again")
        return (), 0
    names = tuple(key.name for key in keys if _has_cosigned(proof, log_key, key))
    if len(names) < needed:
        problems.append(f"{PROOF}: {len(names)} of the {needed} witnesses needed have cosigned it")
    return names, len(keys)


def _has_cosigned(proof: str, log_key: audit.VerifierKey, witness: audit.VerifierKey) -> bool:
    try:
        audit.verify_proof(proof, log_key, witnesses=[witness], quorum=1)
    except Invalid:
        return False
    return True


def _logged(folder: Path, manifest: Mapping[str, Any], problems: list[str]) -> str:
    """The log's name, if the receipt proves that this release with this manifest was logged."""
    try:
        key = audit.VerifierKey.parse(_text(folder / LOG_KEY).removesuffix("\n"))
        leaf_bytes, _ = audit.verify_proof(_text(folder / PROOF), key)
        leaf = read_leaf(leaf_bytes)
    except (OSError, ValueError):
        problems.append(f"{PROOF}: the receipt or the log's key is missing or damaged")
        return ""
    except Invalid as fault:
        problems.append(f"{PROOF}: {fault.reason}")
        return ""
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    if leaf.kind != "release.completed" or (manifest and leaf.about.get("release") != manifest.get("release")):
        problems.append(f"{PROOF}: the receipt is of another release")
    elif leaf.facts.get("manifest_sha256") != digest:
        problems.append(f"{PROOF}: the log holds another manifest for this release")
    return key.name


def open_release(
    folder: Path, identity: Path, out: Path, *, trusted: str = "", tell: Tell | None = None
) -> tuple[Checked, Sequence[Path]]:
    """Verify, then decrypt every table to `out`; a table whose plaintext differs from the manifest is not kept.

    Raises:
        Invalid: the release does not hold, the identity does not open it, or the folder cannot be written.
    """
    checked = verify(folder, trusted=trusted)
    if not checked.sound:
        raise Invalid(
            f"the release is not whole: {'; '.join(checked.problems[:3])}",
            place=str(folder),
            cure="run `gateway verify` for the full list, and download the named files again",
        )
    identities = recipients.read_identity(identity)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise Invalid("the output folder cannot be written", place=str(out), cure="name another folder") from None
    opened = []
    for number, table in enumerate(manifest["tables"], start=1):
        target = out / table["file"].removesuffix(".age")
        if tell is not None:
            tell(target.name, number, len(manifest["tables"]))
        if sealing.open_file(folder / table["file"], target, identities) != table["plaintext"]["sha256"]:
            target.unlink()
            raise Invalid(
                "the plaintext is not what the manifest says",
                place=table["file"],
                cure="do not use it; tell the gateway",
            )
        opened.append(target)
    return checked, opened
