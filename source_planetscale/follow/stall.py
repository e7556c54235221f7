"""How long a stream has brought nothing forward."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
