"""How long a stream has brought nothing forward, and its end when that is too long."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from source_planetscale.follow.core import Call

SECONDS_BETWEEN_REPORTS: Final = 30.0


class StallClock:
    """Measures the time since the last progress; one thread moves it, another looks at it."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        """Stands still; `clock` gives seconds, the system's monotonic ones if None."""
        self._clock = clock or time.monotonic
        self._since: float | None = None
        self._reported = 0.0

    def start(self) -> None:
        """Counts from this moment: a stream was opened, or it brought something forward."""
        self._since = self._clock()

    def stop(self) -> None:
        """Stands still."""
        self._since = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Leaves a time out: waiting for the reader of stdout is no stall of the server and no progress."""
        since, self._since = self._since, None
        before = self._clock()
        try:
            yield
        finally:
            if since is not None:
                self._since = since + self._clock() - before

    @property
    def idle_seconds(self) -> float:
        """Seconds without progress; 0 while nothing is waited for."""
        since = self._since
        return 0.0 if since is None else self._clock() - since

    def report_due(self) -> bool:
        """Tells, now and then during a long wait, that a person should hear of it."""
        since = self._since
        now = self._clock()
        if since is None or now - max(since, self._reported) < SECONDS_BETWEEN_REPORTS:
            return False
        self._reported = now
        return True


class Watch:
    """Looks after the one stream that a thread reads; another thread may end it.

    Attributes:
        clock: Measures how long the stream has brought nothing forward.
        stalled: It was ended because of that.
    """

    def __init__(self, seconds: float, clock: StallClock | None = None) -> None:
        """Watches nothing yet.

        Args:
            seconds: How long a stream may bring nothing forward.
            clock: Measures that; a new clock if None.
        """
        self.clock = clock or StallClock()
        self.stalled = False
        self._seconds = seconds
        self._call: Call | None = None

    @contextmanager
    def over(self, call: Call) -> Iterator[None]:
        """Looks after a stream, and ends it when the block ends."""
        self._call, self.stalled = call, False
        self.clock.start()
        try:
            yield
        finally:
            self.clock.stop()
            self._call = None
            call.cancel()

    def end_if_stalled(self) -> bool:
        """Ends the stream if it has brought nothing forward for too long; from any thread."""
        if self.clock.idle_seconds <= self._seconds:
            return False
        self.stalled = True
        self.cancel()
        return True

    def cancel(self) -> None:
        """Ends the stream; from any thread."""
        call = self._call
        if call is not None:
            call.cancel()
