"""Small responses of one stream that are taken together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from source_planetscale.vstream.position import PositionError

if TYPE_CHECKING:
    from source_planetscale.vstream.position import Goal

_BYTES = 256 << 10
_SECONDS = 0.1
_FLAVOR = b"MySQL56/"
_NUMBER = re.compile(rb"\d+")
_POSITION = re.compile(rb"MySQL56/[\w:,-]*")


class Bundle:
    """Responses that came in quick succession, as one.

    vtgate sends a response for each transaction, and to take one costs as much as ten rows. Encodings of a
    message that follow each other are the encoding of one with the fields of all
    (https://protobuf.dev/programming-guides/encoding/#last-one-wins), so they are parsed at once.

    Attributes:
        size: Bytes of the responses.
    """

    def __init__(self, goal: Goal) -> None:
        """Starts with nothing; `goal` is where the reading ends."""
        self.size = 0
        self._goal = goal
        self._ends = [(f"{source}:1-".encode(), end) for source, end in goal.ends.items()]
        self._parts: list[bytes] = []
        self._taken_at = 0.0

    def add(self, response: bytes) -> None:
        """Puts a serialized response behind the others."""
        self._parts.append(response)
        self.size += len(response)

    def due(self, now: float) -> bool:
        """Whether the responses should be taken: enough of them, for long enough, or perhaps the last one.

        Args:
            now: Seconds of a clock that goes forward.
        """
        return self.size >= _BYTES or now - self._taken_at >= _SECONDS or self._may_be_last(self._parts[-1])

    def take(self, now: float) -> bytes:
        """Gives the responses, serialized as one, and starts anew."""
        taken = b"".join(self._parts)
        self.size, self._parts, self._taken_at = 0, [], now
        return taken

    def _may_be_last(self, response: bytes) -> bool:
        # Asked of every response, so the usual answer has to be had soon.
        for source, end in self._ends:
            place = response.rfind(source)
            last = _NUMBER.match(response, place + len(source)) if place >= 0 else None
            if last is not None and int(last[0]) < end:
                return False
        place = response.rfind(_FLAVOR)
        if place < 0:
            # A heartbeat, the end of a copy, or the inside of a large transaction.
            return True
        found = _POSITION.match(response, place)
        try:
            return found is None or self._goal.reached_by(found[0].decode())
        except PositionError:
            return True
