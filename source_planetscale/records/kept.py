"""Small pieces of output that are made once and used by many rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A column can have as many sizes and days as it has rows, and each of them takes about 100 bytes.
_MOST = 20_000


class Kept(ABC):
    """Pieces by number, made when they are first asked for; those beyond a bound are made each time."""

    def __init__(self) -> None:
        """Makes no piece yet."""
        self._pieces: dict[int, bytes] = {}

    def of(self, numbers: Sequence[int]) -> Sequence[bytes]:
        """The piece of each number.

        Args:
            numbers: At least one number.
        """
        if len(numbers) == 1:
            return [self.one(numbers[0])]
        try:
            # Of all ways to look many up this takes the least time.
            pieces: tuple[bytes, ...] = itemgetter(*numbers)(self._pieces)
        except KeyError:
            made = {number: self.one(number) for number in set(numbers)}
            return [made[number] for number in numbers]
        return pieces

    def one(self, number: int) -> bytes:
        """The piece of one number."""
        piece = self._pieces.get(number)
        if piece is None:
            piece = self._make(number)
            if len(self._pieces) < _MOST:
                self._pieces[number] = piece
        return piece

    @abstractmethod
    def _make(self, number: int) -> bytes:
        """Makes the piece of a number."""
