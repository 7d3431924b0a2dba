"""The log of every access: a Merkle tree that anyone can check, kept so that nobody can change it unseen.

`append` in the transaction of the change; `sequence` (or a `Sequencer`) makes it public; `prove` gives a receipt
that holds without us; `verify` reads everything again. README.md tells the life of an event.
"""

from gateway.audit.anchoring import Anchor, Anchors, anchor, check_anchors, last_anchored
from gateway.audit.cosigning import Cosigning, Witness, cosign
from gateway.audit.faults import LogBroken, LogUnwritable
from gateway.audit.files import copy_out
from gateway.audit.journal import LoggedEvent, Page, append, append_all, erase, event_of, events
from gateway.audit.notes import Checkpoint, Cosigner, NoteRefused, Signer, VerifierKey, open_checkpoint
from gateway.audit.proofs import Receipt, prove, receipt, verify_proof
from gateway.audit.reaching import post, read_authorities, read_witnesses, stamp
from gateway.audit.rebuilding import rebuild
from gateway.audit.recording import Recorder, Sequencer, waiting
from gateway.audit.seals import guard
from gateway.audit.sequencing import sequence
from gateway.audit.soundness import Soundness, verify
from gateway.audit.tables import metadata
from gateway.audit.watching import Seen, Sighting, watch
from gateway.audit.witnessing import Answer, add_checkpoint, contradictions

__all__ = [
    "Anchor",
    "Anchors",
    "Answer",
    "Checkpoint",
    "Cosigner",
    "Cosigning",
    "LogBroken",
    "LogUnwritable",
    "LoggedEvent",
    "NoteRefused",
    "Page",
    "Receipt",
    "Recorder",
    "Seen",
    "Sequencer",
    "Sighting",
    "Signer",
    "Soundness",
    "VerifierKey",
    "Witness",
    "add_checkpoint",
    "anchor",
    "append",
    "append_all",
    "check_anchors",
    "contradictions",
    "copy_out",
    "cosign",
    "erase",
    "event_of",
    "events",
    "guard",
    "last_anchored",
    "metadata",
    "open_checkpoint",
    "post",
    "prove",
    "read_authorities",
    "read_witnesses",
    "rebuild",
    "receipt",
    "sequence",
    "stamp",
    "verify",
    "verify_proof",
    "waiting",
    "watch",
]
