"""A recipient's key pair, made where the extracts will be opened."""

from pathlib import Path

from gateway.crypto import recipients
from gateway.errors import Invalid


def new_pair(file: Path) -> str:
    """Write a new secret identity to `file` (readable by this user alone) and return the public recipient.

    Raises:
        Invalid: the file exists already, or cannot be written.
    """
    identity, public = recipients.generate()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(f"# public key: {public}\n{identity}\n", "utf-8")
    except FileExistsError:
        raise Invalid("this file exists already", place=str(file), cure="choose another name") from None
    except OSError:
        raise Invalid("the file cannot be written", place=str(file), cure="choose another folder") from None
    return public
