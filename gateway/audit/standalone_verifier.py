#!/usr/bin/env python3
"""Checks a receipt or a copy of the log, offline. Needs Python 3.11 and `cryptography`; nothing of the gateway.

    python standalone_verifier.py receipt KEY FILE.tlog-proof    is this event in the log that KEY signs?
    python standalone_verifier.py log KEY FOLDER                 does every entry hash up to the signed root?
    python standalone_verifier.py grown KEY OLD NEW              is checkpoint OLD a prefix of the log in folder NEW?

KEY is the log's verifier key, `name+hash+base64`, which you should have received apart from what you check.
Exit code 0: it is so. 1: it is not, and the line printed says why.

How it works. Every event is a leaf of a hash tree (RFC 6962): a leaf's hash is SHA-256(0x00, leaf), a node's is
SHA-256(0x01, left, right). The log signs the tree's size and top hash, the root (c2sp.org/tlog-checkpoint). So
whoever has a leaf and the hashes beside its way up can recompute the root, and changing any leaf changes it.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Refused(Exception):
    """What was checked is not so. The text says why."""


def sha256(data: bytes) -> bytes:
    """The hash of the tree."""
    return hashlib.sha256(data).digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of an event."""
    return sha256(b"\x00" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return sha256(b"\x01" + left + right)


def decode(text: str, what: str) -> bytes:
    """Base64, in its one canonical spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = None
    if data is None or base64.b64encode(data).decode() != text:
        raise Refused(f"{what} is not base64")
    return data


def number(text: str, what: str) -> int:
    """A plain decimal number."""
    if not (text.isascii() and text.isdigit()) or str(int(text)) != text:
        raise Refused(f"{what} is not a plain number")
    return int(text)


def tree_root(hashes: list[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962 section 2.1, by pairing rows upwards; a lone last hash rises unpaired."""
    row = list(hashes)
    if not row:
        return sha256(b"")
    while len(row) > 1:
        above = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = above + row[-1:] if len(row) % 2 else above
    return row[0]


def root_from_proof(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root that a leaf hash and its siblings lead to (RFC 9162 section 2.1.3.2)."""
    if index >= size:
        raise Refused("the proof's index lies outside the tree")
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise Refused("the proof is too long")
        if place % 2 or place == last:
            node = node_hash(sibling, node)
            while place and not place % 2:
                place, last = place // 2, last // 2
        else:
            node = node_hash(node, sibling)
        place, last = place // 2, last // 2
    if last:
        raise Refused("the proof is too short")
    return node


def read_key(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """(name, key id, public key) of a verifier key `name+hash+base64(type, key)` (c2sp.org/signed-note)."""
    name, hexid, encoded = [*vkey.strip().split("+", 2), "", ""][:3]
    material = decode(encoded, "the verifier key")
    if len(material) != 33 or material[0] != 1:
        raise Refused("the verifier key is not an Ed25519 key of a log")
    key_id = sha256(name.encode() + b"\n" + material)[:4]
    if key_id.hex() != hexid:
        raise Refused("the verifier key's hash does not fit")
    return name, key_id, Ed25519PublicKey.from_public_bytes(material[1:])


def open_checkpoint(note: str, vkey: str) -> tuple[int, bytes]:
    """(size, root) of a checkpoint, once the log's signature over it has been verified."""
    name, key_id, public = read_key(vkey)
    text, empty, tail = note.rpartition("\n\n")
    if not empty or not tail.endswith("\n"):
        raise Refused("the checkpoint is not a signed note")
    text += "\n"
    signed = False
    for line in tail[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        signer, _, encoded = rest.partition(" ")
        signature = decode(encoded, "a signature")
        if dash != "—":
            raise Refused("a signature line does not start with a dash")
        if (signer, signature[:4]) == (name, key_id):
            try:
                public.verify(signature[4:], text.encode())
            except InvalidSignature:
                raise Refused("the log's signature does not verify") from None
            signed = True
    if not signed:
        raise Refused(f"{name} did not sign the checkpoint")
    lines = text.split("\n")
    if len(lines) != 4 or lines[0] != name:
        raise Refused("the checkpoint is of another log")
    return number(lines[1], "the size"), decode(lines[2], "the root")


def check_receipt(vkey: str, text: str) -> bytes:
    """The leaf a receipt proves to be in the log (c2sp.org/tlog-proof, the leaf in its `extra` line)."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 3:
        raise Refused("this is not a receipt")
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Refused("the receipt lacks its leaf or its index")
    leaf, index = decode(lines[1][6:], "the leaf"), number(lines[2][6:], "the index")
    size, root = open_checkpoint(note, vkey)
    proof = [decode(line, "a hash") for line in lines[3:]]
    if root_from_proof(leaf_hash(leaf), index, size, proof) != root:
        raise Refused("the receipt does not lead to the signed root")
    return leaf


def tile_path(level: int | str, index: int) -> str:
    """`tile/<level>/x001/x234/067` for tile 1234067."""
    parts = [f"{index % 1000:03d}"]
    while index := index // 1000:
        parts.insert(0, f"x{index % 1000:03d}")
    return f"tile/{level}/" + "/".join(parts)


def read_tile(folder: str, level: int | str, index: int, width: int) -> tuple[Path, bytes, bool]:
    """A tile's path, its bytes, and whether it must end after `width` hashes or leaves.

    A partial tile may have been replaced by the full one that grew out of it.
    """
    full = Path(folder, tile_path(level, index))
    partial = Path(f"{full}.p", str(width))
    for path in (partial, full):
        if path.is_file():
            data = path.read_bytes()
            for other in Path(f"{full}.p").glob("*"):
                if not (data.startswith(other.read_bytes()) or other.read_bytes().startswith(data)):
                    raise Refused(f"{other} and {path} are not one the beginning of the other")
            return path, data, path is partial or width == 256
    raise Refused(f"{full if width == 256 else partial} is missing")


def entries(folder: str, size: int) -> Iterator[bytes]:
    """Every leaf of the log in order, from its bundles of 256 (two bytes of length before each)."""
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        path, data, ends = read_tile(folder, "entries", index, width)
        at = 0
        for _ in range(width):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if at + 2 > len(data) or end > len(data):
                raise Refused(f"{path} is cut short")
            yield data[at + 2 : end]
            at = end
        if ends and at != len(data):
            raise Refused(f"{path} holds more than it should")


def check_tiles(folder: str, hashes: list[bytes]) -> None:
    """The tiles against the leaf hashes: tile n of a level holds the roots of full tiles below."""
    level = 0
    while hashes:
        for index in range((len(hashes) + 255) // 256):
            row = hashes[index * 256 : index * 256 + 256]
            path, data, ends = read_tile(folder, level, index, len(row))
            if (data if ends else data[: 32 * len(row)]) != b"".join(row):
                raise Refused(f"{path} differs from the entries")
        full = len(hashes) // 256
        hashes = [tree_root(hashes[i * 256 : i * 256 + 256]) for i in range(full)]
        level += 1


def check_log(vkey: str, folder: str) -> tuple[int, bytes, list[bytes]]:
    """(size, root, leaf hashes) of a copied log whose every entry and tile fits the signed root."""
    size, root = open_checkpoint(read(f"{folder}/checkpoint"), vkey)
    hashes = [leaf_hash(leaf) for leaf in entries(folder, size)]
    if tree_root(hashes) != root:
        raise Refused("the entries do not hash to the signed root")
    check_tiles(folder, hashes)
    return size, root, hashes


def check_grown(vkey: str, old_note: str, folder: str) -> tuple[int, int]:
    """Both sizes, when the old checkpoint's tree is the beginning of the log in the folder."""
    old_size, old_root = open_checkpoint(old_note, vkey)
    size, _, hashes = check_log(vkey, folder)
    if size < old_size:
        raise Refused("the folder holds a shorter log than the old checkpoint")
    if tree_root(hashes[:old_size]) != old_root:
        raise Refused("two histories: the old checkpoint is not a beginning of this log. Keep both as evidence")
    return old_size, size


def read(path: str) -> str:
    """A file's text as it is, line ends untouched."""
    return Path(path).read_bytes().decode("utf-8")


def answer(arguments: list[str]) -> str:
    """What to print when all is well."""
    match arguments:
        case ["receipt", key, file]:
            event = json.loads(check_receipt(key, read(file)))
            return json.dumps(event, indent=1, ensure_ascii=False) + "\nOK the event above is in the log"
        case ["log", key, folder]:
            size, root, _ = check_log(key, folder)
            return f"OK {size} entries hash to the signed root {base64.b64encode(root).decode()}"
        case ["grown", key, old, folder]:
            before, after = check_grown(key, read(old), folder)
            return f"OK the log only grew, from {before} to {after} entries"
    raise Refused(f"these arguments make no sense.\n{__doc__}")


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        line, code = answer(arguments), 0
    except (Refused, OSError, ValueError) as fault:
        line, code = f"NOT SOUND {fault}", 1
    sys.stdout.write(line + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
