"""Offline proofs: a `.tlog-proof` file that shows, without us, that an event is in the signed log.

Format: c2sp.org/tlog-proof@v1. Its `extra` line holds the leaf itself, so that one file is a whole receipt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from gateway.audit import files, tables
from gateway.audit.faults import LogBroken
from gateway.audit.leaves import as_bytes
from gateway.audit.merkle import HASH_BYTES, inclusion_proof, leaf_hash, proves_inclusion
from gateway.audit.notes import (
    Checkpoint,
    NoteRefused,
    VerifierKey,
    decimal,
    decode64,
    encode64,
    open_note,
    parse_checkpoint_text,
    split_note,
)
from gateway.audit.tiles import TileReader
from gateway.errors import NotFound, NotPossible

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_HASHES = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed proof, nothing verified yet. leaf: the bytes of the `extra` line, None without one."""

    index: int
    hashes: tuple[bytes, ...]
    note: str
    leaf: bytes | None

    def __str__(self) -> str:
        extra = f"extra {encode64(self.leaf)}\n" if self.leaf is not None else ""
        hashes = "".join(f"{encode64(digest)}\n" for digest in self.hashes)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.note}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A proof and the leaf it is about. proof: the text of a `.tlog-proof` file."""

    proof: str
    leaf: bytes
    index: int
    checkpoint: Checkpoint


def prove(
    engine: Engine, log_dir: Path, event_id: str, *, cosigned: bool = False, within: Checkpoint | None = None
) -> Receipt:
    """The receipt of one published event, checked before it is handed out.

    cosigned: prove it in the newest checkpoint that carries cosignatures of witnesses, rather than in the newest.
    within: prove it in this checkpoint of the log.

    Raises NotFound for an unknown event, NotPossible for one that no checkpoint covers yet, LogBroken when
    database and log contradict each other.
    """
    with tables.reading(engine) as connection:
        row = connection.execute(
            select(tables.event.c.idx, tables.event.c.leaf).where(tables.event.c.event_id == event_id)
        ).one_or_none()
    if row is None:
        raise NotFound("no such event in the log", place="event")
    checkpoint = within or _stored(log_dir, files.COSIGNED if cosigned else files.CHECKPOINT)
    if row.idx is None or checkpoint is None or row.idx >= checkpoint.size:
        raise NotPossible(
            f"the event is recorded but no {'cosigned' if cosigned else 'signed'} checkpoint covers it yet",
            rule="audit.published",
            cure="ask the witnesses" if cosigned else "run the sequencer, or wait for its next turn",
        )
    tree = TileReader(lambda path: files.read(log_dir, path), checkpoint.size, checkpoint.root)
    leaf = as_bytes(row.leaf)
    if tree.leaf(row.idx) != leaf_hash(leaf):
        raise LogBroken(
            f"the event at index {row.idx} was changed in the database after it was logged",
            cure="run the audit verification, which locates every changed row",
        )
    hashes = tuple(inclusion_proof(tree.node, row.idx, checkpoint.size))
    text = str(Proof(row.idx, hashes, checkpoint.note, leaf))
    return Receipt(text, leaf, row.idx, checkpoint)


def _stored(log_dir: Path, name: str) -> Checkpoint | None:
    """A checkpoint in the folder. Its signature is for the receiver to check: the log's key is not needed here."""
    note = files.read(log_dir, name)
    if note is None:
        return None
    try:
        return parse_checkpoint_text(split_note(note.decode())[0], note.decode())
    except (NoteRefused, UnicodeDecodeError) as fault:
        raise LogBroken(
            "the checkpoint in the log folder is damaged", cure="restore it from a copy of the log folder"
        ) from fault


def receipt(engine: Engine, log_dir: Path, event_id: str, *, cosigned: bool = False) -> str:
    """The text of `receipt.tlog-proof` for one event; see `prove`."""
    return prove(engine, log_dir, event_id, cosigned=cosigned).proof


def parse_proof(text: str) -> Proof:
    """The parts of a `.tlog-proof` file. Raises NoteRefused when it is malformed."""
    head, empty, note = text.partition("\n\n")
    lines = head.split("\n")
    if not empty or lines[0] != HEADER:
        raise NoteRefused(f"not a proof: its first line is not `{HEADER}`")
    del lines[0]
    leaf = decode64(lines.pop(0)[6:], "the extra line") if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise NoteRefused("the proof has no index line")
    index = decimal(lines.pop(0)[6:], "the index of the proof")
    hashes = tuple(decode64(line, "a hash of the proof") for line in lines)
    if len(hashes) > MAX_PROOF_HASHES or any(len(digest) != HASH_BYTES for digest in hashes):
        raise NoteRefused("the proof does not consist of SHA-256 hashes")
    return Proof(index, hashes, note, leaf)


def verify_proof(
    text: str,
    key: VerifierKey,
    *,
    leaf: bytes | None = None,
    witnesses: Sequence[VerifierKey] = (),
    quorum: int = 0,
) -> tuple[bytes, Checkpoint]:
    """The leaf that the proof shows to be in the log of `key`, and the checkpoint it is in.

    leaf: what the caller holds; without it, the leaf in the proof's extra line, which is believed only because the
    proof covers it. quorum: how many of `witnesses` must have cosigned. Raises NoteRefused, saying what is wrong.
    """
    proof = parse_proof(text)
    if leaf is None:
        leaf = proof.leaf
    if leaf is None:
        raise NoteRefused("the proof carries no leaf", cure="give the leaf with it")
    body, good = open_note(proof.note, [key, *witnesses])
    checkpoint = parse_checkpoint_text(body, proof.note)
    signed = {signer for signer, _ in good}
    if key not in signed or checkpoint.origin != key.name:
        raise NoteRefused(f"the proof is of another log than {key.name}, or its signature is missing")
    if len(signed & set(witnesses)) < quorum:
        raise NoteRefused(f"fewer than {quorum} of the witnesses have cosigned the checkpoint")
    if not proves_inclusion(
        leaf=leaf_hash(leaf), index=proof.index, size=checkpoint.size, proof=proof.hashes, root=checkpoint.root
    ):
        raise NoteRefused("the proof does not lead from the leaf to the signed root")
    return leaf, checkpoint
