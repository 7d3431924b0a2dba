"""Asking witnesses to cosign our checkpoints (the client's side of c2sp.org/tlog-witness).

HTTP is the caller's: `post(url, body)` gives back status and body. What a witness answers is believed only after
its cosignature has verified; what it refuses is evidence against us, so every refusal comes back as a sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit import files
from gateway.audit.faults import LogBroken
from gateway.audit.merkle import consistency_proof
from gateway.audit.notes import (
    Checkpoint,
    NoteRefused,
    VerifierKey,
    open_checkpoint,
    parse_signature,
    split_note,
)
from gateway.audit.sequencing import published_checkpoint
from gateway.audit.tiles import TileReader
from gateway.audit.witnessing import write_submission

Post = Callable[[str, bytes], tuple[int, str]]
ASKING = ".witness"
"""Folder in the log folder: how far each witness has come."""
TURNS = 8
"""How often to begin again when another process had a newer checkpoint cosigned meanwhile."""


class _Overtaken(Exception):
    """The witness has cosigned a newer checkpoint, which the log folder holds by now: nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness to ask: the prefix of its URL, and the key its cosignatures must verify with (type 4)."""

    url: str
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class Cosigning:
    """How a round of asking went.

    checkpoint: with the cosignatures given. cosigned: names of witnesses; refused: why not, by name. alarm: a refusal
    that means this log's history is not the one the witness has seen; a person must look.
    """

    checkpoint: Checkpoint | None
    cosigned: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    alarm: bool = False


@dataclass(slots=True)
class _Round:
    checkpoint: Checkpoint
    tree: TileReader
    post: Post
    newest: Callable[[], Checkpoint | None]
    alarm: bool = False

    def ask(self, witness: Witness, old: int) -> tuple[int, str]:
        proof = consistency_proof(self.tree.node, old, self.checkpoint.size)
        body = write_submission(old, proof, self.checkpoint.note)
        return self.post(f"{witness.url.rstrip('/')}/add-checkpoint", body.encode())

    def line(self, witness: Witness, old: int) -> str:
        """The cosignature line of one witness. Raises NoteRefused with the reason when there is none."""
        status, said = self.ask(witness, min(old, self.checkpoint.size))
        if status == 409:
            stands = self._stands(said, old)
            status, said = self.ask(witness, stands)
        if status in (409, 422):
            self.alarm = True
            raise NoteRefused(f"it has cosigned another history of this log: {said.strip()[:300]}")
        if status != 200:
            raise NoteRefused(f"it answered {status}: {said.strip()[:200]}")
        for candidate in said.splitlines(keepends=True):
            signature = parse_signature(candidate)
            if signature.by(witness.key) and witness.key.verifies(self.checkpoint.text, signature.value):
                return candidate
        raise NoteRefused("its answer holds no cosignature that verifies with its key")

    def _stands(self, said: str, old: int) -> int:
        """The size at which a witness says it stands."""
        text = said.strip()
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise NoteRefused("it answered a conflict without its size")
        if int(text) > self.checkpoint.size:
            newest = self.newest()
            if newest is not None and newest.size >= int(text):
                raise _Overtaken
            self.alarm = True
            raise NoteRefused(
                f"it has cosigned size {int(text)} of this log, which now has {self.checkpoint.size}: "
                "an older backup of database and log folder was restored"
            )
        if int(text) == old == self.checkpoint.size:
            self.alarm = True
            raise NoteRefused(f"it has cosigned another history of this log at the same size {old}")
        return int(text)


def cosign(log_dir: Path, key: VerifierKey, witnesses: Sequence[Witness], post: Post) -> Cosigning:
    """Ask each witness to cosign the newest checkpoint, and keep what they give.

    The cosignatures go into `cosigned` (used for receipts) and into `checkpoint` if it is still the same. A witness
    out of reach or unwilling is told in `refused` and holds nothing up. `post` may raise OSError.
    """
    for _ in range(TURNS):
        with suppress(_Overtaken):
            return _cosign(log_dir, key, witnesses, post)
    raise LogBroken(
        "others had newer checkpoints cosigned faster than this one could be", cure="run fewer processes that ask"
    )


def _cosign(log_dir: Path, key: VerifierKey, witnesses: Sequence[Witness], post: Post) -> Cosigning:
    checkpoint = published_checkpoint(log_dir, key)
    if checkpoint is None:
        return Cosigning(None)
    tree = TileReader(lambda path: files.read(log_dir, path), checkpoint.size, checkpoint.root)
    asking, lines, refused = (
        _Round(checkpoint, tree, post, lambda: published_checkpoint(log_dir, key)),
        dict[str, str](),
        dict[str, str](),
    )
    for witness in witnesses:
        remembered = f"{ASKING}/{witness.key.id.hex()}"
        try:
            lines[witness.key.name] = asking.line(witness, int(files.read(log_dir, remembered) or b"0"))
        except NoteRefused as fault:
            refused[witness.key.name] = fault.reason
        except OSError as fault:
            refused[witness.key.name] = f"it cannot be reached ({type(fault).__name__})"
        else:
            files.replace(log_dir, remembered, str(checkpoint.size).encode())
    if lines:
        _keep(log_dir, key, checkpoint, list(lines.values()))
        checkpoint = open_checkpoint(_joined(checkpoint, list(lines.values())), key)
    return Cosigning(checkpoint, tuple(lines), refused, asking.alarm)


def _keep(log_dir: Path, key: VerifierKey, checkpoint: Checkpoint, lines: list[str]) -> None:
    """Add the cosignatures to the stored notes, never putting an older one in place of a newer."""
    with files.locked(log_dir):
        stored = {name: files.read(log_dir, name) for name in (files.COSIGNED, files.CHECKPOINT)}
        for name, note in stored.items():
            standing = open_checkpoint(note.decode(), key) if note is not None else None
            if name == files.CHECKPOINT and (standing is None or standing.text != checkpoint.text):
                continue
            if standing is not None and standing.size > checkpoint.size:
                continue
            same = standing is not None and standing.text == checkpoint.text
            files.replace(log_dir, name, _joined(standing if same and standing else checkpoint, lines).encode())


def _joined(checkpoint: Checkpoint, lines: list[str]) -> str:
    """The note with the lines added; a newer line of a witness replaces its older one."""
    fresh = {(signature.name, signature.id) for signature in map(parse_signature, lines)}
    text, standing = split_note(checkpoint.note)
    kept = [signature.line for signature in standing if (signature.name, signature.id) not in fresh]
    return text + "\n" + "".join([*kept, *lines])


def cosigned_checkpoint(log_dir: Path, key: VerifierKey) -> Checkpoint | None:
    """The newest checkpoint that a witness has cosigned, None when there is none."""
    note = files.read(log_dir, files.COSIGNED)
    if note is None:
        return None
    try:
        return open_checkpoint(note.decode(), key)
    except (NoteRefused, UnicodeDecodeError) as fault:
        raise LogBroken(
            "`cosigned` in the log folder is damaged", cure="remove it and ask the witnesses again"
        ) from fault
