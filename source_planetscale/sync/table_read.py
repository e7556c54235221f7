"""The shards of one table side by side: their threads, the queue they share, and the one consumer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from source_planetscale.errors import TransientError
from source_planetscale.sync.delivery import Delivery, DeliveryQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from source_planetscale.sync.context import Sync
    from source_planetscale.sync.shard_read import ShardRead
    from source_planetscale.vstream.cursor import Cursor

# Enough to keep the emitting thread busy, and little beside the memory of the process.
_QUEUE_BYTES = 1 << 20
_SHARDS_AT_ONCE = 16
_POLL_SECONDS = 0.5


class TableRead:
    """The reading of all shards of one table."""

    def __init__(
        self, sync: Sync, cursors: Sequence[Cursor], make: Callable[[Cursor, DeliveryQueue], ShardRead]
    ) -> None:
        """Prepares the reads.

        Args:
            sync: What the reads share.
            cursors: Where the shards stand, in the order in which their reads may start.
            make: Makes the read of a shard, which delivers into the queue.
        """
        self._sync = sync
        self._queue = DeliveryQueue(_QUEUE_BYTES)
        self._reads = [make(cursor, self._queue) for cursor in cursors]
        self._started = 0
        self._checked = time.monotonic()

    def start(self) -> None:
        """Starts as many reads as may run side by side, unless the sync was interrupted before."""
        while not self._sync.interrupted.is_set() and self._started < min(_SHARDS_AT_ONCE, len(self._reads)):
            self._start_next()

    def deliveries(self) -> Iterator[Delivery]:
        """Gives what the shards deliver, in order per shard, until each has ended.

        Raises:
            SourceError: The sync was interrupted.
        """
        open_shards = {read.shard for read in self._reads}
        while open_shards:
            self._look_after_reads()
            delivery = self._queue.get(_POLL_SECONDS)
            if delivery is None:
                continue
            if delivery.ended:
                open_shards.discard(delivery.shard)
                self._start_next()
            yield delivery

    def close(self) -> None:
        """Ends all threads."""
        self._queue.close()
        for read in self._reads:
            read.close()
        for read in self._reads:
            read.join()

    def _start_next(self) -> None:
        if self._started < len(self._reads):
            self._reads[self._started].start()
            self._started += 1

    def _look_after_reads(self) -> None:
        if self._sync.interrupted.is_set():
            # Ends every wait for the server at once.
            self._sync.client.close()
            raise TransientError(
                "The sync was told to stop before it was done. What was read is saved; the next sync goes on "
                "from there."
            )
        now = time.monotonic()
        if now - self._checked >= _POLL_SECONDS:
            self._checked = now
            for read in self._reads:
                read.look_after()
