"""When a stream that makes progress is due for a state message."""

from __future__ import annotations

from typing import Final

ROWS_BETWEEN_CHECKPOINTS: Final = 100_000


class CheckpointPolicy:
    """Asks for a checkpoint after some time or rows, whichever comes first, if a cursor has moved.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, seconds: float, now: float) -> None:
        """Starts counting at `now`; `seconds` is the longest time between two checkpoints."""
        self._seconds = seconds
        self._since = now
        self._rows = 0
        self._moved = False

    def observe(self, rows: int, *, moved: bool) -> None:
        """Notes emitted rows, and whether a cursor moved with them."""
        self._rows += rows
        self._moved = self._moved or moved

    def due(self, now: float) -> bool:
        """Tells whether a state should be emitted."""
        return self._moved and (self._rows >= ROWS_BETWEEN_CHECKPOINTS or now - self._since >= self._seconds)

    def done(self, now: float) -> None:
        """Notes that a state was emitted."""
        self._since = now
        self._rows = 0
        self._moved = False
