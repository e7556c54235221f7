"""What a person who follows the log of a sync is told of one stream."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

_SECONDS_BETWEEN_REPORTS: Final = 30.0


class ProgressLog:
    """Counts rows per shard and says now and then how far and how fast; times in monotonic seconds."""

    def __init__(
        self,
        table: str,
        logger: logging.Logger,
        now: float,
        estimates: Mapping[str, int] | None = None,
        place: Callable[[str], str] = str,
    ) -> None:
        """Starts at `now`.

        Args:
            table: The table's name.
            logger: Where to say it.
            now: The time.
            estimates: About how many rows the copies of shards bring, as far as that is known.
            place: Gives a shard as a person is told of it.
        """
        self._table = table
        self._estimates = estimates or {}
        self._place = place
        self._logger = logger
        self._rows: Counter[str] = Counter()
        self._started = now
        self._reported = now

    def rows(self, shard: str, count: int, *, copying: bool, now: float) -> None:
        """Notes emitted rows and reports if it is time."""
        self._rows[shard] += count
        if now - self._reported >= _SECONDS_BETWEEN_REPORTS:
            self._reported = now
            phase = "copy phase" if copying else "catch-up"
            estimate = self._estimates.get(shard) if copying else None
            figures = self._figures(shard, now, estimate)
            self._logger.info(f"Table {self._table}, shard {self._place(shard)}, {phase}: {figures}.")

    def ended(self, shard: str, error: Exception | None, now: float) -> None:
        """Reports the end of a shard."""
        outcome = "failed" if error else "read up to its stop position"
        text = f"Table {self._table}, shard {self._place(shard)} {outcome}: {self._figures(shard, now)}."
        if error:
            self._logger.error(f"{text} {error}")
        else:
            self._logger.info(text)

    def _figures(self, shard: str, now: float, estimate: int | None = None) -> str:
        rows, seconds = self._rows[shard], now - self._started
        speed = f", {rows / seconds:,.0f} rows/s" if rows and seconds > 0 else ""
        whole = f" of about {estimate:,}" if estimate else ""
        return f"{rows:,}{whole} rows in {seconds:.1f} s{speed}"
