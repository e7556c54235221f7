"""The way from the threads that read shards to the one that emits: a buffer per stream, one bound for all."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from source_planetscale.records.message import RecordBatch

if TYPE_CHECKING:
    from source_planetscale.records.message import Batch
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.wire import vstream_pb2 as wire

# Many small transactions cost little more than a few large ones, and a checkpoint is never far.
_JOINED_BYTES = 256 << 10
# A stream whose turn would end another one's burst waits for as much, or as long.
_DUE_BYTES = 256 << 10
_DUE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one shard hands over to a stream.

    Attributes:
        shard: The shard.
        cursor: Where the shard stands once the batch is emitted.
        batch: Records, or None if only the cursor moved.
        size: Bytes that the batch keeps in memory, roughly.
        ended: The shard has nothing more to deliver.
        error: Why it ended before its stop position, or None.
        journal: The reshard at which it ended, or None.
        anew: The table had been copied, and its copy began again because its log cannot be followed.
    """

    shard: str
    cursor: Cursor
    batch: Batch | None = None
    size: int = 0
    ended: bool = False
    error: Exception | None = None
    journal: wire.Journal | None = None
    anew: bool = False

    @property
    def can_be_joined(self) -> bool:
        """Whether it may be taken as one with others of its shard."""
        return self.batch is None or isinstance(self.batch, RecordBatch)


def _joined(deliveries: list[Delivery]) -> Delivery:
    if len(deliveries) == 1:
        return deliveries[0]
    batches = [delivery.batch for delivery in deliveries if isinstance(delivery.batch, RecordBatch)]
    size = sum(delivery.size for delivery in deliveries)
    batch = batches[0].joined(batches[1:]) if batches else None
    anew = any(delivery.anew for delivery in deliveries)
    return replace(deliveries[-1], batch=batch, size=size, anew=anew)


@dataclass(slots=True)
class _Buffer:
    """What waits for one stream; `since` is when the oldest of it came."""

    items: deque[Delivery]
    size: int = 0
    since: float = 0.0
    ended: bool = False


class Deliveries:
    """Buffers that make their writers wait while all of them together hold too many bytes.

    That wait reaches the server as backpressure, because a waiting thread takes no response from gRPC. The
    reader takes from whichever buffer has something, so a full one is always drained. Streams go by their
    keys, as `Table.key` gives them.
    """

    def __init__(self, max_bytes: int) -> None:
        """Bounds the buffers; a single delivery may exceed `max_bytes` when they are empty."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._buffers: dict[str, _Buffer] = {}
        self._begun: list[str] = []
        self._waiting = 0
        self._closed = False
        self._changed = threading.Condition()

    def begin(self, stream: str) -> None:
        """Notes that the reading of a stream has begun."""
        with self._changed:
            if stream not in self._buffers:
                self._buffers[stream] = _Buffer(deque())
                self._begun.append(stream)
                self._changed.notify_all()

    def put(self, stream: str, delivery: Delivery) -> bool:
        """Adds a delivery once there is room; returns False if the buffers were closed instead."""
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or not self._bytes or self._has_room(delivery))
            self._waiting -= 1
            if self._closed:
                return False
            buffer = self._buffers.setdefault(stream, _Buffer(deque()))
            if not buffer.items:
                buffer.since = time.monotonic()
            buffer.items.append(delivery)
            buffer.size += delivery.size
            buffer.ended = buffer.ended or delivery.ended
            self._bytes += delivery.size
            self._changed.notify_all()
            return True

    def take(self, stream: str) -> Delivery | None:
        """Takes the oldest delivery of a stream, joined with those of the same shard right behind it.

        Returns:
            The delivery, or None if there is none.
        """
        with self._changed:
            buffer = self._buffers.get(stream)
            if buffer is None or not buffer.items:
                return None
            taken = [buffer.items.popleft()]
            size = taken[0].size
            while buffer.items and buffer.items[0].shard == taken[0].shard and size < _JOINED_BYTES:
                if taken[-1].ended or not (taken[-1].can_be_joined and buffer.items[0].can_be_joined):
                    break
                taken.append(buffer.items.popleft())
                size += taken[-1].size
            buffer.size -= size
            buffer.since = time.monotonic()
            buffer.ended = any(delivery.ended for delivery in buffer.items)
            self._bytes -= size
            self._changed.notify_all()
            return _joined(taken)

    def next_stream(self, current: str | None, timeout: float) -> str | None:
        """Chooses the stream whose turn it is.

        Args:
            current: The stream whose records no state covers yet; it goes first, and others only end its
                burst when they have waited. None if there is no such stream.
            timeout: Seconds to wait for one.

        Returns:
            The stream, or None if there was nothing to take in time.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                chosen = self._choose(current)
                left = deadline - time.monotonic()
                if chosen is not None or left <= 0:
                    return chosen
                self._changed.wait(min(left, _DUE_SECONDS / 5) if self._bytes or self._begun else left)

    def close(self) -> None:
        """Lets all writers go; what is in the buffers is dropped."""
        with self._changed:
            self._closed = True
            for buffer in self._buffers.values():
                buffer.items.clear()
            self._bytes = 0
            self._changed.notify_all()

    def _choose(self, current: str | None) -> str | None:
        if current is not None and self._buffers[current].items:
            return current
        if self._begun and (current is None or not self._bytes):
            return self._begun.pop(0)
        full = [(buffer.size, name) for name, buffer in self._buffers.items() if buffer.items]
        if current is not None:
            now = time.monotonic()
            full = [(size, name) for size, name in full if self._is_due(self._buffers[name], now)]
        if full:
            name = max(full)[1]
            if name in self._begun:
                self._begun.remove(name)
            return name
        return None

    def _is_due(self, buffer: _Buffer, now: float) -> bool:
        return (
            self._waiting > 0
            or buffer.ended
            or buffer.size >= _DUE_BYTES
            or now - buffer.since >= _DUE_SECONDS
        )

    def _has_room(self, delivery: Delivery) -> bool:
        return self._bytes + delivery.size <= self._max_bytes
