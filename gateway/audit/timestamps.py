"""Reading and checking an RFC 3161 timestamp: who says that these bytes existed, and when.

A reply holds a CMS SignedData (RFC 5652) around a TSTInfo (RFC 3161 section 2.4.2). Checked here: that it is about our
bytes, that its signature holds, that the signer's certificate is for timestamping alone and was valid at that moment,
and whether it leads to a certificate that the operator trusts. Revocation is left to an auditor's own tool.
"""

import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1, sha256
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import Invalid

INTEGER, OCTETS, OID, SEQUENCE, SET, TIME = 0x02, 0x04, 0x06, 0x30, 0x31, 0x18
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_TST_INFO = bytes.fromhex("2a864886f70d0109100104")
_CONTENT_TYPE = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_SIGNING_CERTIFICATE = bytes.fromhex("2a864886f70d010910020c")  # RFC 2634: SHA-1 of the certificate
_SIGNING_CERTIFICATE_V2 = bytes.fromhex("2a864886f70d010910022f")  # RFC 5035: SHA-256, unless it says otherwise
_DIGESTS: dict[bytes, Callable[[], hashes.HashAlgorithm]] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256,
    bytes.fromhex("608648016503040202"): hashes.SHA384,
    bytes.fromhex("608648016503040203"): hashes.SHA512,
}
LONGEST_CHAIN = 6
# What reading a damaged certificate can raise.
_UNREADABLE = (
    ValueError,
    StopIteration,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class StampRefused(Invalid):
    """A timestamp that does not hold, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, place="timestamp", cure="keep it as it is and ask the authority again")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A timestamp whose signature holds. authority: the signer's name. trusted: it leads to a trusted certificate."""

    time: datetime
    authority: str
    trusted: bool


class Element(NamedTuple):
    """One DER element: its tag, what is inside, and all its bytes."""

    tag: int
    body: bytes
    whole: bytes


def elements(data: bytes) -> Iterator[Element]:
    """The DER elements that stand one after another. Raises StampRefused when they are cut or too long."""
    at = 0
    while at < len(data):
        head = data[at : at + 6]
        length, begins = (head[1], at + 2) if len(head) > 1 else (0, len(data) + 1)
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4:
                raise StampRefused("the timestamp is not DER")
            length, begins = int.from_bytes(data[begins : begins + count], "big"), begins + count
        if begins + length > len(data):
            raise StampRefused("the timestamp is cut short")
        yield Element(data[at], data[begins : begins + length], data[at : begins + length])
        at = begins + length


def parts(element: Element, tag: int, least: int = 1) -> list[Element]:
    """What stands inside an element of this tag, `least` elements or more."""
    found = list(elements(element.body)) if element.tag == tag else []
    if len(found) < least:
        raise StampRefused("the timestamp has another form than RFC 3161 says")
    return found


class _Token(NamedTuple):
    """The parts of a reply that is granted; nothing is verified yet."""

    content: bytes
    imprint: tuple[bytes, bytes]
    time: datetime
    integers: tuple[bytes, ...]
    certificates: list[x509.Certificate]
    signer: list[Element]


def _token(reply: bytes) -> _Token:
    """The parts of a TimeStampResp (RFC 3161 section 2.4.2)."""
    top = next(elements(reply), None)
    if top is None:
        raise StampRefused("the timestamp is empty")
    status, *rest = parts(top, SEQUENCE)
    if parts(status, SEQUENCE)[0].body not in (b"\x00", b"\x01") or not rest:
        raise StampRefused("the authority did not grant a timestamp")
    kind, wrapped = parts(rest[0], SEQUENCE, 2)[:2]
    if kind.body != _SIGNED_DATA:
        raise StampRefused("the timestamp is not signed data")
    signed = parts(parts(wrapped, 0xA0)[0], SEQUENCE, 4)
    inside = parts(signed[2], SEQUENCE, 2)
    if inside[0].body != _TST_INFO:
        raise StampRefused("what is signed is not a timestamp")
    content = parts(inside[1], 0xA0)[0].body
    said = parts(next(elements(content)), SEQUENCE, 5)
    algorithm, digest = parts(said[2], SEQUENCE, 2)[:2]
    certificates = [
        x509.load_der_x509_certificate(one.whole)
        for part in signed[3:]
        if part.tag == 0xA0
        for one in elements(part.body)
    ]
    return _Token(
        content,
        (parts(algorithm, SEQUENCE)[0].body, digest.body),
        _moment(said[4]),
        tuple(part.body for part in said[5:] if part.tag == INTEGER),
        certificates,
        parts(parts(signed[-1], SET)[0], SEQUENCE, 6),
    )


def _moment(element: Element) -> datetime:
    """A GeneralizedTime in UTC, with or without a fraction of a second."""
    text = element.body.decode("ascii", "replace")
    whole, _, fraction = text.removesuffix("Z").partition(".")
    if element.tag != TIME or not text.endswith("Z") or not (whole + fraction).isdigit():
        raise StampRefused("the timestamp's time cannot be read")
    try:
        moment = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise StampRefused("the timestamp's time cannot be read") from None
    return moment.replace(microsecond=int(f"{fraction:0<6}"[:6]))


def check(reply: bytes, data: bytes, trusted: Sequence[x509.Certificate] = (), nonce: bytes | None = None) -> Stamp:
    """What a TimeStampResp says about `data`, once its signature holds.

    trusted: certificates of authorities, or of who issued theirs. nonce: that of our request, if this is its answer.

    Raises:
        StampRefused: saying why it does not hold.
    """
    try:
        return _checked(_token(reply), data, trusted, nonce)
    except _UNREADABLE:
        raise StampRefused("the timestamp cannot be read") from None


def _checked(token: _Token, data: bytes, trusted: Sequence[x509.Certificate], nonce: bytes | None) -> Stamp:
    algorithm, digest = token.imprint
    if algorithm not in _DIGESTS or not hmac.compare_digest(digest, _hash(_DIGESTS[algorithm](), data)):
        raise StampRefused("the timestamp is of other bytes")
    if nonce is not None and nonce not in token.integers:
        raise StampRefused("the timestamp answers another request")
    certificate = _signer(token)
    _check_signature(token, certificate)
    _check_purpose(certificate, token.time)
    leads = _leads_to(certificate, token.certificates, trusted, token.time)
    return Stamp(token.time, certificate.subject.rfc4514_string(), leads)


def _hash(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _signer(token: _Token) -> x509.Certificate:
    """The certificate that the signer's info names by issuer and serial number (or by key id)."""
    named = token.signer[1]
    for certificate in token.certificates:
        if named.tag == SEQUENCE:
            issuer, serial = parts(named, SEQUENCE, 2)[:2]
            if (issuer.whole, int.from_bytes(serial.body, "big", signed=True)) == (
                certificate.issuer.public_bytes(),
                certificate.serial_number,
            ):
                return certificate
        elif x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest == named.body:
            return certificate
    raise StampRefused("the timestamp does not hold its signer's certificate")


def _check_signature(token: _Token, certificate: x509.Certificate) -> None:
    """CMS (RFC 5652 section 5.4): the attributes name the content's digest, and the signature covers the attributes."""
    _, _, digest_algorithm, attributes, _, signature = token.signer[:6]
    name = parts(digest_algorithm, SEQUENCE)[0].body
    if name not in _DIGESTS or attributes.tag != 0xA0 or signature.tag != OCTETS:
        raise StampRefused("the timestamp's signature is of a kind not read here")
    algorithm = _DIGESTS[name]()
    said: dict[bytes, Element] = {}
    for attribute in elements(attributes.body):
        kind, values = parts(attribute, SEQUENCE, 2)[:2]
        said[kind.body] = parts(values, SET)[0]
    if _CONTENT_TYPE not in said or said[_CONTENT_TYPE].body != _TST_INFO:
        raise StampRefused("the timestamp's signature is of something else")
    if _MESSAGE_DIGEST not in said or said[_MESSAGE_DIGEST].body != _hash(algorithm, token.content):
        raise StampRefused("the timestamp was changed after it was signed")
    der = certificate.public_bytes(Encoding.DER)
    bound = [
        (_SIGNING_CERTIFICATE, sha1(der, usedforsecurity=False).digest()),
        (_SIGNING_CERTIFICATE_V2, sha256(der).digest()),
    ]
    if not any(kind in said and digest in said[kind].body for kind, digest in bound):
        raise StampRefused("the timestamp does not say which certificate signed it")
    # Signed as a SET, though it stands there under the tag [0].
    covered = bytes([SET]) + attributes.whole[1:]
    try:
        _verify(certificate, signature.body, covered, algorithm)
    except InvalidSignature:
        raise StampRefused("the timestamp's signature does not hold") from None


def _verify(certificate: x509.Certificate, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm) -> None:
    key = certificate.public_key()
    match key:
        case rsa.RSAPublicKey():
            key.verify(signature, data, padding.PKCS1v15(), algorithm)
        case ec.EllipticCurvePublicKey():
            key.verify(signature, data, ec.ECDSA(algorithm))
        case ed25519.Ed25519PublicKey():
            key.verify(signature, data)
        case _:
            raise StampRefused("the timestamp's signature is of a kind not read here")


def _check_purpose(certificate: x509.Certificate, time: datetime) -> None:
    """RFC 3161 section 2.3: the key signs timestamps and nothing else, and says so in a critical extension."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        raise StampRefused("the signer's certificate is not for timestamping") from None
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise StampRefused("the signer's certificate is not for timestamping alone")
    if not certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc:
        raise StampRefused("the signer's certificate was not valid at the time of the stamp")


def _leads_to(
    certificate: x509.Certificate,
    beside: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    time: datetime,
) -> bool:
    """Whether a chain of issuers, each valid at the time, ends at a trusted certificate."""
    for _ in range(LONGEST_CHAIN):
        if certificate in trusted:
            return True
        issuer = next((one for one in (*trusted, *beside) if _issued(one, certificate, time)), None)
        if issuer is None:
            return False
        certificate = issuer
    return False


def _issued(issuer: x509.Certificate, certificate: x509.Certificate, time: datetime) -> bool:
    if issuer == certificate or not issuer.not_valid_before_utc <= time <= issuer.not_valid_after_utc:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
