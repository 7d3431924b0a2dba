"""Signed notes, keys and checkpoints: strict reading, published vectors."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import notes
from gateway.audit.notes import NoteRefused, VerifierKey

# From the tests of golang.org/x/mod/sumdb/note (its authors' published example).
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

SIGNER = notes.Signer("log.example.org/a", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
CHECKPOINT = notes.sign_checkpoint(SIGNER, 20_852_163, b"\x07" * 32)


def test_the_published_key_and_note_are_read() -> None:
    key = VerifierKey.parse(PETER)
    assert str(key) == PETER
    text, good = notes.open_note(PETER_NOTE, [key])
    assert text.endswith("problem is.\n")
    assert [signer.name for signer, _ in good] == ["PeterNeumann"]


def test_the_published_signature_is_made_again() -> None:
    secret = base64.b64decode(PETER_SECRET)
    signer = notes.Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(secret[1:]))
    text = PETER_NOTE.partition("\n\n")[0] + "\n"
    assert text + "\n" + signer.line(text) == PETER_NOTE


def test_every_cut_and_every_changed_letter_of_a_key_is_refused() -> None:
    for start in range(len(PETER)):
        for end in range(start + 1, len(PETER) + 1):
            if (start, end) != (0, len(PETER)):
                with pytest.raises(NoteRefused):
                    VerifierKey.parse(PETER[start:end])
    for at in range(len(PETER)):
        with pytest.raises(NoteRefused):
            VerifierKey.parse(PETER[:at] + chr(ord(PETER[at]) + 1) + PETER[at + 1 :])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x00b"])
def test_a_name_that_would_break_the_line_is_refused(name: str) -> None:
    with pytest.raises(NoteRefused):
        notes.Signer(name, SIGNER.key)


def test_a_checkpoint_reads_back() -> None:
    checkpoint = notes.open_checkpoint(CHECKPOINT.note, SIGNER.verifier)
    assert checkpoint == CHECKPOINT
    assert checkpoint.note.startswith("log.example.org/a\n20852163\n")


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, len(CHECKPOINT.note.encode()) * 8 - 1))
def test_a_checkpoint_with_any_bit_flipped_is_refused(bit: int) -> None:
    data = bytearray(CHECKPOINT.note.encode())
    data[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises((NoteRefused, UnicodeDecodeError)):
        notes.open_checkpoint(data.decode(), SIGNER.verifier)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("log.example.org/a\n1\n", "three lines"),
        ("log.example.org/a\n1\nAAAA\n", "SHA-256"),
        (f"log.example.org/a\n01\n{notes.encode64(bytes(32))}\n", "decimal"),
        (f"log.example.org/a\n-1\n{notes.encode64(bytes(32))}\n", "decimal"),
        (f"log.example.org/a\n{1 << 63}\n{notes.encode64(bytes(32))}\n", "too large"),
        (f"log.example.org/a\n1\n{notes.encode64(bytes(32))}\nextension\n", "three lines"),
        (f"other.example.org\n1\n{notes.encode64(bytes(32))}\n", "another log"),
    ],
)
def test_a_badly_made_checkpoint_is_refused_though_well_signed(text: str, why: str) -> None:
    with pytest.raises(NoteRefused, match=why):
        notes.open_checkpoint(text + "\n" + SIGNER.line(text), SIGNER.verifier)


def test_a_checkpoint_of_an_unknown_key_is_refused() -> None:
    other = notes.Signer(SIGNER.name, Ed25519PrivateKey.generate())
    with pytest.raises(NoteRefused, match="no trusted key"):
        notes.open_checkpoint(CHECKPOINT.note, other.verifier)


def test_unknown_signatures_beside_the_known_one_are_ignored() -> None:
    other = notes.Signer("someone.example.net", Ed25519PrivateKey.generate())
    note = CHECKPOINT.note + other.line(CHECKPOINT.text)
    assert notes.open_checkpoint(note, SIGNER.verifier).size == CHECKPOINT.size


def test_a_known_key_with_a_bad_signature_refuses_the_whole_note() -> None:
    other = notes.Signer("someone.example.net", Ed25519PrivateKey.generate())
    note = CHECKPOINT.note + other.line("another text\n")
    with pytest.raises(NoteRefused, match="does not verify"):
        notes.open_note(note, [SIGNER.verifier, other.verifier])


def test_a_cosignature_carries_its_time_and_is_bound_to_it() -> None:
    witness = notes.Cosigner("witness.example.net", Ed25519PrivateKey.generate())
    assert VerifierKey.parse(str(witness.verifier)) == witness.verifier
    line = witness.line(CHECKPOINT.text, 1_679_315_147)
    _, good = notes.open_note(CHECKPOINT.note + line, [witness.verifier])
    assert good[0][1].timestamp == 1_679_315_147
    signature = notes.parse_signature(line)
    moved = (1_679_315_148).to_bytes(8, "big") + signature.value[8:]
    assert not witness.verifier.verifies(CHECKPOINT.text, moved)


def test_the_cosigned_message_is_that_of_the_specification() -> None:
    """The example in c2sp.org/tlog-cosignature, Ed25519 signed message."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert notes.cosigned_message(text, 1679315147).decode() == f"cosignature/v1\ntime 1679315147\n{text}"


@pytest.mark.parametrize(
    "note",
    [
        "text without signature\n",
        "text\n\n",
        "text\n\n- name AAAAAAAAAAAA\n",
        "text\n\n— name AAAAAAAAAAAA",
        "text\n\n— name AAAAAAAAAAAA\ntrailing\n",
        "te\x01xt\n\n— name AAAAAAAAAAAA\n",
        "text\n\n— name AAAAAAAAAAA\n",
        "text\n\n— name AAAAAAAAAAAB==\n",
        "x" * 70_000 + "\n\n— name AAAAAAAAAAAA\n",
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(NoteRefused):
        notes.split_note(note)
