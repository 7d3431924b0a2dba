"""The log of every access: a Merkle tree that anyone can check, kept so that nobody can change it unseen.

`append` in the transaction of the change; `sequence` (or a `Sequencer`) makes it public; `prove` gives a receipt
that holds without us; `verify` reads everything again. README.md tells the life of an event.
"""

from gateway.audit.faults import LogBroken, LogUnwritable
from gateway.audit.journal import LoggedEvent, Page, append, append_all, erase, event_of, events
from gateway.audit.notes import Checkpoint, Cosigner, NoteRefused, Signer, VerifierKey, open_checkpoint
from gateway.audit.proofs import Receipt, prove, receipt, verify_proof
from gateway.audit.rebuilding import rebuild
from gateway.audit.recording import Recorder, Sequencer, waiting
from gateway.audit.sequencing import sequence
from gateway.audit.soundness import Soundness, verify
from gateway.audit.tables import metadata

__all__ = [
    "Checkpoint",
    "Cosigner",
    "LogBroken",
    "LogUnwritable",
    "LoggedEvent",
    "NoteRefused",
    "Page",
    "Receipt",
    "Recorder",
    "Sequencer",
    "Signer",
    "Soundness",
    "VerifierKey",
    "append",
    "append_all",
    "erase",
    "event_of",
    "events",
    "metadata",
    "open_checkpoint",
    "prove",
    "rebuild",
    "receipt",
    "sequence",
    "verify",
    "verify_proof",
    "waiting",
]
