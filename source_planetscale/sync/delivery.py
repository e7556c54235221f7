"""The way from the threads that read shards to the one that emits: a queue bounded in bytes."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_planetscale.records.lines import RecordBatch
    from source_planetscale.vstream.cursor import Cursor

# Many small transactions cost little more than a few large ones, and a checkpoint is never far.
_JOINED_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one shard hands over.

    Attributes:
        shard: The shard.
        cursor: Where the shard stands once the batch is emitted.
        batch: Records, or None if only the cursor moved.
        size: Bytes that the batch keeps in memory, roughly.
        ended: The shard has nothing more to deliver.
        error: Why it ended before its stop position, or None.
    """

    shard: str
    cursor: Cursor
    batch: RecordBatch | None = None
    size: int = 0
    ended: bool = False
    error: Exception | None = None


def _joined(deliveries: list[Delivery]) -> Delivery:
    if len(deliveries) == 1:
        return deliveries[0]
    batches = [delivery.batch for delivery in deliveries if delivery.batch is not None]
    size = sum(delivery.size for delivery in deliveries)
    return replace(deliveries[-1], batch=batches[0].joined(batches[1:]) if batches else None, size=size)


class DeliveryQueue:
    """A queue of deliveries that makes its writers wait while it holds too many bytes.

    That wait reaches the server as backpressure, because a waiting thread takes no response from gRPC.
    """

    def __init__(self, max_bytes: int) -> None:
        """Bounds the queue; a single delivery may exceed `max_bytes` when the queue is empty."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: deque[Delivery] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, delivery: Delivery) -> bool:
        """Adds a delivery once there is room; returns False if the queue was closed instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._items or self._has_room(delivery))
            if self._closed:
                return False
            self._items.append(delivery)
            self._bytes += delivery.size
            self._changed.notify_all()
            return True

    def get(self, timeout: float) -> Delivery | None:
        """Takes the oldest delivery, joined with those of the same shard that wait right behind it.

        Args:
            timeout: Seconds to wait for one.

        Returns:
            The delivery, or None if there was none in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout):
                return None
            taken = [self._items.popleft()]
            size = taken[0].size
            while self._items and self._items[0].shard == taken[0].shard and size < _JOINED_BYTES:
                taken.append(self._items.popleft())
                size += taken[-1].size
            self._bytes -= size
            self._changed.notify_all()
            return _joined(taken)

    def close(self) -> None:
        """Lets all writers go; what is in the queue is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def _has_room(self, delivery: Delivery) -> bool:
        return self._bytes + delivery.size <= self._max_bytes
