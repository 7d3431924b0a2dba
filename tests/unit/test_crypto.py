"""Sealing, signing, keys: real files, real keys, the second implementation being the library itself and `age`."""

import hashlib
import stat

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto import at_rest, keys, recipients, signing
from gateway.crypto.sealing import Sealer, open_file
from gateway.errors import Broken, Invalid


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
def test_what_is_sealed_opens_to_the_same_bytes_with_the_digests_told(tmp_path, size):
    identity = pyrage.x25519.Identity.generate()
    content = bytes(at % 251 for at in range(size))
    with Sealer(tmp_path / "t.age", [identity.to_public()]) as sealer:
        for start in range(0, size, 70_000):
            sealer.stream.write(content[start : start + 70_000])
    sealed = (tmp_path / "t.age").read_bytes()
    assert sealer.sealed.plain_sha256 == hashlib.sha256(content).hexdigest()
    assert sealer.sealed.sealed_sha256 == hashlib.sha256(sealed).hexdigest()
    assert (sealer.sealed.plain_size, sealer.sealed.sealed_size) == (size, len(sealed))
    assert pyrage.decrypt(sealed, [identity]) == content
    assert open_file(tmp_path / "t.age", tmp_path / "t", [identity]) == sealer.sealed.plain_sha256


def test_each_of_several_recipients_opens_the_file(tmp_path):
    people = [pyrage.x25519.Identity.generate() for _ in range(3)]
    with Sealer(tmp_path / "t.age", [person.to_public() for person in people]) as sealer:
        sealer.stream.write(b"shared")
    assert {pyrage.decrypt((tmp_path / "t.age").read_bytes(), [person]) for person in people} == {b"shared"}


def test_a_failed_writer_leaves_no_file(tmp_path):
    def fail():
        with Sealer(tmp_path / "t.age", [pyrage.x25519.Identity.generate().to_public()]) as sealer:
            sealer.stream.write(b"half of it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_sealer_without_a_recipient_fails_and_leaves_no_file(tmp_path):
    sealer = Sealer(tmp_path / "t.age", [])
    sealer.__enter__()
    with pytest.raises(Broken):
        sealer.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_another_identity_and_a_cut_file_are_told_apart(tmp_path):
    identity = pyrage.x25519.Identity.generate()
    with Sealer(tmp_path / "t.age", [identity.to_public()]) as sealer:
        sealer.stream.write(b"z" * 200_000)
    with pytest.raises(Invalid, match="does not open"):
        open_file(tmp_path / "t.age", tmp_path / "out", [pyrage.x25519.Identity.generate()])
    cut = tmp_path / "cut.age"
    cut.write_bytes((tmp_path / "t.age").read_bytes()[:-10])
    with pytest.raises(Invalid, match="damaged"):
        open_file(cut, tmp_path / "out", [identity])
    assert not (tmp_path / "out").exists()


def test_keys_are_made_once_and_are_readable_by_their_owner_alone(tmp_path):
    keys.make(tmp_path / "k")
    first = keys.load(tmp_path / "k", strict=True)
    keys.make(tmp_path / "k")
    assert keys.load(tmp_path / "k", strict=True).root == first.root
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "k").iterdir()} == {0o600}
    assert first.root.hex() not in repr(first)


def test_a_key_file_that_others_can_read_is_refused_in_production(tmp_path):
    keys.make(tmp_path)
    (tmp_path / "root.key").chmod(0o644)
    with pytest.raises(Invalid, match="readable by other users"):
        keys.load(tmp_path, strict=True)
    assert keys.load(tmp_path, strict=False).root


@given(st.text(max_size=20), st.text(max_size=20))
def test_keys_derived_for_two_purposes_differ(one, other):
    held = keys.Keys(b"r" * 32, *(Ed25519PrivateKey.generate() for _ in range(3)))
    assert (held.derive(one) == held.derive(other)) == (one == other)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.data())
def test_a_signature_holds_for_its_content_and_for_no_other_byte(content, data):
    key = Ed25519PrivateKey.generate()
    text = signing.sign(content, key)
    signing.check(content, text, key.public_key())
    at = data.draw(st.integers(0, len(text) - 1))
    changed = data.draw(st.characters(codec="ascii").filter(lambda c: c != text[at]))
    with pytest.raises(Invalid):
        signing.check(content, text[:at] + changed + text[at + 1 :], key.public_key())
    with pytest.raises(Invalid):
        signing.check(content + b"!", text, key.public_key())


def test_the_public_key_text_is_canonical():
    key = Ed25519PrivateKey.generate().public_key()
    text = signing.public_text(key)
    assert signing.read_public(text) == key
    for wrong in (text[:-1], text + "\n", text.replace("=", ""), text.upper()):
        with pytest.raises(Invalid):
            signing.read_public(wrong)


def test_working_data_opens_only_in_its_place():
    sealed = at_rest.seal(b"digests", b"k" * 32, "release/table")
    assert at_rest.unseal(sealed, b"k" * 32, "release/table") == b"digests"
    for key, place in ((b"o" * 32, "release/table"), (b"k" * 32, "release/other")):
        with pytest.raises(Broken):
            at_rest.unseal(sealed, key, place)


@pytest.mark.parametrize("wrong", ["", "age1", "age1xyz", "AGE1" + "Q" * 58, "ssh-ed25519 AAAA", "age1é"])
def test_what_is_no_recipient_is_refused_without_being_repeated(wrong):
    with pytest.raises(Invalid) as refused:
        recipients.parse([wrong])
    assert wrong == "" or wrong not in refused.value.reason


def test_a_secret_key_in_a_request_is_refused_and_not_repeated():
    secret, _ = recipients.generate()
    with pytest.raises(Invalid, match="secret key") as refused:
        recipients.parse([secret])
    assert secret not in str(refused.value) + refused.value.cure
