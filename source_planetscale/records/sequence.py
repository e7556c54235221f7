"""Numbers that order what a sync emits."""

from __future__ import annotations

import threading
from typing import Final, Protocol

# Numbers that may be handed out between two states; what a cut sync emitted after its last state stays
# below the first number of the next one.
RESERVE: Final = 1 << 26
_LOW: Final = RESERVE // 2


class Numbers(Protocol):
    """Hands out numbers; see `ChangeSequence`."""

    def take(self, count: int) -> range:
        """Hands out the next numbers; see `ChangeSequence.take`."""
        ...


class ChangeSequence:
    """Hands out `_ab_cdc_cursor`: each number greater than all before it, also across syncs.

    It starts at the clock's microseconds, or above what the saved state reserved, whichever is greater:
    a clock that steps back and a state that was lost each leave the order intact. Numbers stay below
    2**53, so that destinations which read JSON numbers as doubles keep them apart.
    """

    def __init__(self, saved: int, clock_us: int) -> None:
        """Starts the sequence.

        Args:
            saved: `reserved` of the last state, 0 if there is none.
            clock_us: Microseconds since the epoch.
        """
        self._last = max(saved, clock_us)
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        """The number for the state of a stream that emits nothing more: the greatest one handed out."""
        return self._last

    @property
    def reserved(self) -> int:
        """The number for the state: none that is handed out before the next state is greater."""
        return self._last + RESERVE

    def runs_low(self, reserved: int) -> bool:
        """Tells whether a state is due because little is left of what the last one reserved."""
        return self.reserved - reserved > _LOW

    def take(self, count: int) -> range:
        """Hands out the next numbers.

        Args:
            count: How many.

        Returns:
            Ascending numbers, each handed out once; safe to call from several threads.
        """
        with self._lock:
            first = self._last + 1
            self._last += count
        return range(first, first + count)
