"""Small pieces of output that are made once and used by many rows."""

from __future__ import annotations

from abc import ABC, abstractmethod

# A column can have as many sizes and days as it has rows, and each of them takes about 100 bytes.
_MOST = 20_000


class Kept(dict[int, bytes], ABC):
    """Pieces by number, made when they are first asked for; those beyond a bound are made each time."""

    def __missing__(self, number: int) -> bytes:
        """Makes a piece."""
        piece = self._make(number)
        if len(self) < _MOST:
            self[number] = piece
        return piece

    @abstractmethod
    def _make(self, number: int) -> bytes:
        """Makes the piece of a number."""
