"""One-time codes of the second factor: time-based, six digits, thirty seconds (RFC 6238)."""

import hmac
from datetime import datetime

import pyotp

STEP = 30
# One step to each side: clocks differ (RFC 6238 section 5.2).
_WINDOW = (0, -1, 1)


def new_secret() -> str:
    """A fresh secret, base32, 160 bits (RFC 4226 section 4, R6)."""
    return pyotp.random_base32()


def address(secret: str, *, account: str, issuer: str) -> str:
    """The `otpauth://` address that an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def accepted(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """The time step whose code this is, if it is later than the last step used (`after`); None otherwise.

    A code works once (RFC 6238 section 5.2).
    """
    if not (code.isascii() and code.isdigit()):
        return None
    clock, this = pyotp.TOTP(secret), int(now.timestamp()) // STEP
    for offset in _WINDOW:
        step = this + offset
        if step > after and hmac.compare_digest(clock.generate_otp(step), code):
            return step
    return None
