"""Sealing: a stream of plaintext in, an age file out. Plaintext never rests on disk."""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import pyrage

from gateway.errors import Broken, Invalid

# A pipe this wide lets the writer and the sealer run side by side; Linux grants up to 1 MiB to any user.
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


@dataclass(frozen=True, slots=True)
class Sealed:
    """Digests and sizes (bytes) of one sealed file, before and after sealing."""

    plain_sha256: str
    plain_size: int
    sealed_sha256: str
    sealed_size: int


class _Hashing(io.RawIOBase):
    """A write-only stream that digests what passes through."""

    def __init__(self, sink: BinaryIO) -> None:
        self.sink, self.sha, self.size = sink, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self.sha.update(view)
        self.size += view.nbytes
        self.sink.write(view)
        return view.nbytes


class Sealer:
    """A context manager: write plaintext to `stream`, find the age file at `path` when it closes well.

    The file appears under its name only when complete (written as `.part`, synced, renamed).
    """

    def __init__(self, path: Path, recipients: Sequence[pyrage.x25519.Recipient]) -> None:
        self.path, self._recipients = path, list(recipients)
        self._part = path.with_name(path.name + ".part")
        self._failure: BaseException | None = None
        self._result: Sealed | None = None

    @property
    def sealed(self) -> Sealed:
        """Digests and sizes of the finished file.

        Raises:
            Broken: it is not finished.
        """
        if self._result is None:
            raise Broken("the sealed file is not finished")
        return self._result

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        _widen(writing)
        self._reader = os.fdopen(reading, "rb", buffering=0)
        self._pipe = os.fdopen(writing, "wb", buffering=_PIPE_BYTES)
        self._plain = _Hashing(self._pipe)
        self.stream: BinaryIO = self._plain  # type: ignore[assignment]
        self._thread = threading.Thread(target=self._seal, name="sealer", daemon=True)
        self._thread.start()
        return self

    def _seal(self) -> None:
        try:
            with self._part.open("wb", buffering=1 << 20) as file:
                out = _Hashing(file)
                pyrage.encrypt_io(self._reader, out, self._recipients)
                file.flush()
                os.fsync(file.fileno())
            self._sealed = (out.sha.hexdigest(), out.size)
        except BaseException as error:  # noqa: BLE001 - handed to the writing thread
            self._failure = error
        finally:
            self._reader.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the sealing thread failed first: its error is the one to tell
            self._pipe.close()
        self._thread.join()
        if kind is not None or self._failure is not None:
            self._part.unlink(missing_ok=True)
            if self._failure is not None:
                raise Broken(_told(self._failure)) from self._failure
            return
        self._part.rename(self.path)
        self._result = Sealed(self._plain.sha.hexdigest(), self._plain.size, *self._sealed)


def _told(failure: BaseException) -> str:
    """What stopped the sealing, in words that say nothing of the data."""
    if isinstance(failure, OSError) and failure.errno is not None:
        name = errno.errorcode.get(failure.errno, "unknown")
        return f"the disk did not take a sealed table ({name}); make room there, then start the release again"
    return f"sealing failed: {type(failure).__name__}"


def _widen(handle: int) -> None:
    """Widen the pipe where the system lets us; a narrow one only costs time."""
    try:
        fcntl.fcntl(handle, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        return


def open_file(path: Path, out: Path, identities: Sequence[pyrage.x25519.Identity]) -> str:
    """Decrypt one age file to `out` (complete or not at all) and return the plaintext's SHA-256.

    Raises:
        Invalid: the identity does not open the file, or the file is damaged.
    """
    part = out.with_name(out.name + ".part")
    try:
        with path.open("rb") as sealed, part.open("wb") as file:
            plain = _Hashing(file)
            pyrage.decrypt_io(sealed, plain, list(identities))
        part.rename(out)
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise Invalid(
                "this identity does not open the file",
                place=path.name,
                cure="use the secret key whose public half was in the request",
            ) from None
        raise _damaged(path) from None
    except OSError as error:
        if error.errno is None:  # the library's own word for a stream that does not authenticate
            raise _damaged(path) from None
        raise Invalid(
            f"the file cannot be opened or written ({error.strerror})", place=out.name, cure="check folder and space"
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return plain.sha.hexdigest()


def _damaged(path: Path) -> Invalid:
    return Invalid("the sealed file is damaged", place=path.name, cure="download it again")
