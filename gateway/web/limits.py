"""How often one address may try to sign in, whichever accounts it tries: each account's own waits come on top."""

import ipaddress
import threading
from collections import deque
from datetime import datetime, timedelta

TRIES = 30
SPAN = timedelta(minutes=1)
MOST_ADDRESSES = 10_000


class Tries:
    """The tries of the last minute by address, in this process alone; several processes allow that many times more."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._made: dict[str, deque[datetime]] = {}

    def may(self, address: str, now: datetime) -> bool:
        """Count a try, unless there were too many; those that are refused do not prolong the wait."""
        place = network(address)
        with self._mutex:
            if len(self._made) >= MOST_ADDRESSES and place not in self._made:
                self._forget(now)
            made = self._made.setdefault(place, deque())
            while made and made[0] <= now - SPAN:
                made.popleft()
            if len(made) >= TRIES:
                return False
            made.append(now)
            return True

    def _forget(self, now: datetime) -> None:
        """Drop who has been quiet; when all are busy, everyone begins anew rather than memory growing."""
        busy = {place: made for place, made in self._made.items() if made and made[-1] > now - SPAN}
        self._made = busy if len(busy) < MOST_ADDRESSES else {}


def network(address: str) -> str:
    """What one party holds: an IPv4 address, or the /64 that an IPv6 address stands in (RFC 6177 section 2)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
