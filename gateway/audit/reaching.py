"""Reaching others over HTTP: witnesses that cosign, a time-stamping authority; and how settings name them."""

from collections.abc import Sequence
from pathlib import Path

import httpx2
from cryptography import x509

from gateway.audit.anchoring import REPLY_TYPE, REQUEST_TYPE
from gateway.audit.cosigning import Witness
from gateway.audit.notes import VerifierKey
from gateway.errors import Invalid

_SECONDS = 10.0
_LONGEST_REPLY = 1 << 20


def read_witnesses(text: str) -> list[Witness]:
    """The witnesses that a setting names: `URL VKEY` pairs separated by `;`.

    Raises:
        Invalid: a pair is not `URL VKEY`.
    """
    found = []
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        url, _, vkey = pair.partition(" ")
        if not url.startswith(("http://", "https://")):
            raise Invalid("a witness is written `URL VKEY`", place="GATEWAY_WITNESSES", cure="separate several by `;`")
        found.append(Witness(url, VerifierKey.parse(vkey.strip())))
    return found


def read_authorities(file: Path | None) -> Sequence[x509.Certificate]:
    """The certificates of the time-stamping authority that a PEM file holds; none without a file.

    Raises:
        Invalid: the file cannot be read, or holds none.
    """
    if file is None:
        return ()
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):
        raise Invalid(
            "the time-stamping authority's certificates cannot be read",
            place="GATEWAY_TSA_CERTIFICATES",
            cure="name a PEM file that holds the authority's root or its own certificate",
        ) from None


def post(url: str, body: bytes) -> tuple[int, str]:
    """Post to a witness: status and text. Raises OSError when it cannot be reached."""
    status, content = _post(url, body, "text/plain; charset=utf-8")
    return status, content.decode("utf-8", "replace")


def stamp(url: str, request: bytes) -> bytes:
    """Have a request answered by a time-stamping authority (RFC 3161 section 3.4). Raises OSError."""
    status, content = _post(url, request, REQUEST_TYPE)
    if status != httpx2.codes.OK:
        raise OSError(f"the authority answered {status} in place of {REPLY_TYPE}")
    return content


def _post(url: str, body: bytes, kind: str) -> tuple[int, bytes]:
    try:
        with (
            httpx2.Client(timeout=_SECONDS) as client,
            client.stream("POST", url, content=body, headers={"Content-Type": kind}) as answer,
        ):
            content = b""
            for part in answer.iter_bytes():
                content += part
                if len(content) > _LONGEST_REPLY:
                    raise OSError("the answer is too long")
            return answer.status_code, content
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise OSError(type(error).__name__) from None
