"""A guess, learnt while searching, of how many subjects a node must blank. It steers the search and proves nothing.

The logit of the blanked share is taken as linear in the bits of each column's level; the weights start from a common
slope and are updated after each check (recursive least squares).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pseudonymization.lattice import Node, outer_sum

Floats = npt.NDArray[np.float64]
_SLOPE = 0.5
_NOISE = 0.35


class Expectation:
    """Expected blanked share of nodes, from the nodes seen so far. entropies: bits per column and level."""

    def __init__(self, entropies: Sequence[Floats], subjects: int) -> None:
        self._bits, self._subjects = list(entropies), subjects
        count = len(entropies)
        total = sum(float(bits[0]) for bits in entropies)
        self._weights = np.full(count + 1, _SLOPE)
        self._weights[-1] = 2.0 - _SLOPE * total
        self._spread = np.diag([0.2**2] * count + [3.0**2])

    def observe(self, node: Node, blanked: int) -> None:
        """Learn from a checked node."""
        seen = min(blanked, self._subjects)
        logit = np.log((seen + 0.5) / (self._subjects - seen + 0.5))
        row = np.array([bits[level] for bits, level in zip(self._bits, node, strict=True)] + [1.0])
        toward = self._spread @ row
        trust = toward / (row @ toward + _NOISE**2 + 0.04 * (logit + 3.0) ** 2)
        self._weights += trust * (logit - row @ self._weights)
        self._spread -= np.outer(trust, toward)

    def chance(self, lowest: Node, share: float) -> Floats:
        """For every node at or above `lowest`, the chance that it must blank more than this share of the subjects."""
        share = min(max(share, 1e-9), 1 - 1e-9)
        line = np.log(share / (1 - share)) - self._weights[-1]
        parts = [weight * bits[level:] for weight, bits, level in zip(self._weights, self._bits, lowest, strict=False)]
        ahead = outer_sum(parts)
        ahead -= line
        ahead *= -1.7 / _NOISE
        np.clip(ahead, -30.0, 30.0, out=ahead)
        return np.asarray(1 / (1 + np.exp(ahead)))
