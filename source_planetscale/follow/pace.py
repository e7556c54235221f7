"""How fast a shard's log is read, and how far behind the present."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS_BETWEEN_REPORTS: Final = 30.0


class Pace:
    """Tells now and then how a catch-up comes along.

    Attributes:
        report_due: When to tell next, in seconds of the monotonic clock.
    """

    def __init__(
        self, now: float, transactions: int = 0, wall_clock: Callable[[], float] | None = None
    ) -> None:
        """Starts counting.

        Args:
            now: Seconds of the monotonic clock.
            transactions: How many have been seen.
            wall_clock: Gives seconds since the epoch; the system's if None.
        """
        self._since = now
        self._transactions = transactions
        self._wall_clock = wall_clock or time.time
        self.report_due = now + _SECONDS_BETWEEN_REPORTS

    def report(self, where: str, transactions: int, newest: int, now: float) -> str:
        """Says how fast and how far, and starts counting anew.

        Args:
            where: Tables and shard, for a person.
            transactions: How many have been seen, those of other tables too.
            newest: When the newest of them was committed, in seconds since the epoch; 0 if that is not known.
            now: Seconds of the monotonic clock.
        """
        speed = (transactions - self._transactions) / max(now - self._since, 1e-3)
        # The clock of the server may be ahead.
        behind = max(self._wall_clock() - newest, 0)
        distance = f", {behind:,.0f} s behind" if newest else ""
        self._since, self._transactions = now, transactions
        self.report_due = now + _SECONDS_BETWEEN_REPORTS
        return f"Catching up {where}: {speed:,.0f} transactions/s{distance}."
