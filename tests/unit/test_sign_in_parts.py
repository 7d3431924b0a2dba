"""Passwords and one-time codes: vectors of the RFC, a code once, no hash without an answer."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from gateway.crypto import codes, passwords

# RFC 6238 appendix B, SHA-1 rows, cut to six digits; the secret is the ASCII text 12345678901234567890.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")]


@pytest.mark.parametrize(("seconds", "code"), RFC_CODES)
def test_codes_are_those_of_rfc_6238(seconds, code):
    now = datetime.fromtimestamp(seconds, UTC)
    assert codes.accepted(RFC_SECRET, code, now, after=0) == seconds // codes.STEP


def test_a_code_works_once_and_only_near_its_time():
    secret, now = codes.new_secret(), datetime(2026, 3, 2, 9, 30, 10, tzinfo=UTC)
    code = pyotp.TOTP(secret).at(now)
    step = codes.accepted(secret, code, now, after=0)
    assert step is not None
    assert codes.accepted(secret, code, now, after=step) is None
    assert codes.accepted(secret, code, now + timedelta(seconds=30), after=0) == step
    assert codes.accepted(secret, code, now + timedelta(seconds=90), after=0) is None


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "１２３４５６", "1234567"])
def test_what_is_no_code_is_not_accepted(code):
    assert codes.accepted(codes.new_secret(), code, datetime(2026, 3, 2, tzinfo=UTC), after=0) is None


def test_a_password_matches_its_own_hash_only():
    held = passwords.digest("correct horse battery")
    assert held.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.matches("correct horse battery", held)
    assert not passwords.matches("correct horse batterz", held)
    assert not passwords.matches("no account has this password", None)
    assert not passwords.outdated(held)
    assert passwords.outdated(
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo"
    )
