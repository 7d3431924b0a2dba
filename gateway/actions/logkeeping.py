"""The log beyond this gateway: asking witnesses, being one for partners, serving what is public."""

from pathlib import Path

import httpx2

from gateway import audit, logs
from gateway.audit import Answer, Cosigning, VerifierKey, Witness
from gateway.context import Gateway
from gateway.errors import Invalid, NotFound
from gateway.settings import Settings

_SECONDS = 10.0


def witnesses(settings: Settings) -> list[Witness]:
    """The witnesses that settings name.

    Raises:
        Invalid: a pair is not `URL VKEY`.
    """
    found = []
    for pair in filter(None, (part.strip() for part in settings.witnesses.split(";"))):
        url, _, vkey = pair.partition(" ")
        if not url.startswith(("http://", "https://")):
            raise Invalid("a witness is written `URL VKEY`", place="GATEWAY_WITNESSES", cure="separate several by `;`")
        found.append(Witness(url, VerifierKey.parse(vkey.strip())))
    return found


def witnessed_logs(settings: Settings) -> dict[str, VerifierKey]:
    """The logs this gateway cosigns, by origin."""
    keys = [VerifierKey.parse(vkey) for vkey in settings.witness_for.split()]
    return {key.name: key for key in keys}


def ask_witnesses(gateway: Gateway) -> Cosigning:
    """Have the newest checkpoint cosigned. A refusal that means a forked history is logged loudly."""
    with httpx2.Client(timeout=_SECONDS) as client:

        def post(url: str, body: bytes) -> tuple[int, str]:
            try:
                answer = client.post(url, content=body)
            except httpx2.HTTPError as error:
                raise OSError(type(error).__name__) from None
            return answer.status_code, answer.text

        asked = audit.cosign(gateway.settings.log_folder, gateway.signer.verifier, witnesses(gateway.settings), post)
    if asked.alarm:
        logs.logger("audit").critical("a witness has seen another history of this log", refused=dict(asked.refused))
    return asked


def answer_as_witness(gateway: Gateway, body: bytes) -> Answer:
    """Cosign a partner's checkpoint, or say why not (c2sp.org/tlog-witness)."""
    return audit.add_checkpoint(
        gateway.store.engine,
        body,
        logs=witnessed_logs(gateway.settings),
        signer=gateway.witness,
        now=gateway.now(),
    )


def public_file(gateway: Gateway, path: str) -> Path:
    """A file of the log that anyone may read: the checkpoint, a tile, an entry bundle. It holds no personal text.

    Raises:
        NotFound: no such file, or not one of the log.
    """
    folder = gateway.settings.log_folder.resolve()
    public = (path == "checkpoint" or path.startswith("tile/")) and "\x00" not in path
    file = (folder / path).resolve() if public else folder
    if not public or not file.is_relative_to(folder) or not file.is_file():
        raise NotFound("the log has no such file", place="log")
    return file
