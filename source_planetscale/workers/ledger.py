"""Which partition rows belong to that a worker lays out, and which cursor may be saved meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from source_planetscale.follow.checkpoint import CheckpointPolicy
    from source_planetscale.vstream.cursor import Cursor


class Entry(NamedTuple):
    """What is told of rows.

    Attributes:
        cursor: The cursor that may be saved.
        partition: The partition of the rows; empty where no row is open.
        closes: Whether the partition ends with them.
    """

    cursor: Cursor
    partition: str = ""
    closes: bool = False


class Ledger:
    """Keeps the books of one table's rows in one task.

    A destination takes a state for good once it holds exactly the rows of its partition. Rows of one worker
    are laid out before anybody knows which state will cover them, so they have partitions of their own, and
    the cursor moves when one is closed. Times are seconds of one monotonic clock.
    """

    def __init__(self, cursor: Cursor, prefix: str, policy: CheckpointPolicy) -> None:
        """Starts at a cursor.

        Args:
            cursor: Where the table stands.
            prefix: What sets its partitions apart from all others.
            policy: When a partition is to be closed.
        """
        self._saved = self._newest = cursor
        self._prefix = prefix
        self._policy = policy
        self._number = 1
        self._open = 0

    @property
    def partition(self) -> str:
        """The partition of the rows that come now."""
        return f"{self._prefix}-{self._number}"

    def enter(self, cursor: Cursor, rows: int, now: float, *, final: bool = False) -> Entry:
        """Enters rows.

        Args:
            cursor: Where the table stands with them.
            rows: How many they are.
            now: The time.
            final: Whether everything has to be closed.
        """
        self._newest = cursor
        self._open += rows
        self._policy.observe(rows, moved=cursor != self._saved)
        if not self._open:
            self._saved = cursor
            return Entry(cursor)
        if final or self._policy.due(now):
            return self._close(now)
        return Entry(self._saved, self.partition)

    def close_if_due(self, now: float) -> Entry | None:
        """Closes the partition if that is due and it has rows."""
        return self.close(now) if self._policy.due(now) else None

    def close(self, now: float) -> Entry | None:
        """Closes the partition if it has rows."""
        return self._close(now) if self._open else None

    def _close(self, now: float) -> Entry:
        entry = Entry(self._newest, self.partition, closes=True)
        self._saved = self._newest
        self._open = 0
        self._number += 1
        self._policy.done(now)
        return entry
