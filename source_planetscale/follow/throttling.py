"""Whether Vitess's throttler holds a quiet stream back.

The tablet marks its heartbeats then, but vtgate passes none of them on; the list of throttled apps tells.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from source_planetscale.errors import SourceError

if TYPE_CHECKING:
    from source_planetscale.follow.core import Core

QUIET_SECONDS: Final = 10.0
_SECONDS_BETWEEN_QUESTIONS: Final = 10.0


class ThrottleWatch:
    """Asks for one shard, in a thread of its own, while its stream is quiet; the methods never wait.

    Attributes:
        holds_back: Whether the stream is held back, as far as is known.
    """

    def __init__(self, core: Core, shard: str) -> None:
        """Asks nothing yet."""
        self.holds_back = False
        self._core = core
        self._shard = shard
        self._asked_at = 0.0
        self._asking: threading.Thread | None = None
        self._moves = 0

    def went_on(self) -> None:
        """Notes that the stream brought something."""
        self._moves += 1
        self.holds_back = False

    def look(self, quiet_seconds: float) -> None:
        """Asks, if the stream has been quiet for so long that there is a reason to."""
        now = time.monotonic()
        asking = self._asking is not None and self._asking.is_alive()
        due = not self._asked_at or now - self._asked_at >= _SECONDS_BETWEEN_QUESTIONS
        if quiet_seconds < QUIET_SECONDS or asking or not due:
            return
        self._asked_at = now
        self._asking = threading.Thread(
            target=self._ask, args=(self._moves,), name=f"throttler of {self._shard}", daemon=True
        )
        self._asking.start()

    def _ask(self, moves: int) -> None:
        try:
            answer = self._core.database.throttles_streams(self._shard)
        except SourceError:
            # What keeps the shard from answering is told where its stream is read.
            answer = False
        # An answer that comes after the stream has gone on is out of date.
        if moves == self._moves:
            self.holds_back = answer
