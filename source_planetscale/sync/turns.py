"""Which stream emits next: bursts of one stream, each covered by a state before another one's turn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from airbyte_cdk.models import (
    AirbyteStreamStatus,
    AirbyteStreamStatusReason,
    AirbyteStreamStatusReasonType,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message

from source_planetscale.errors import TransientError
from source_planetscale.sync.reading import PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airbyte_cdk.models import AirbyteMessage

    from source_planetscale.sync.context import Sync
    from source_planetscale.sync.reading import Reading

_POLL_SECONDS = 0.25
_BURST_SECONDS = 2.0
# How long what workers have read is waited for when a sync is told to stop.
_STOP_SECONDS = 3.0
_BURST_RECORDS = 10_000
_RATE_LIMITED = AirbyteStreamStatusReason(type=AirbyteStreamStatusReasonType.RATE_LIMITED)
# The platform takes a source for dead that gives neither records nor states for an hour or more.
HEARTBEAT_SECONDS: Final = 600.0


class Turns:
    """Takes the generators of streams in turns."""

    def __init__(
        self,
        sync: Sync,
        readings: Mapping[str, Reading],
        read: Callable[[str], Iterator[AirbyteMessage]],
    ) -> None:
        """Prepares the turns.

        Args:
            sync: What the reads share.
            readings: The readings by the key of their stream.
            read: Gives the messages of the stream with a key, with a `PAUSE` wherever it has nothing at hand.
        """
        self._sync = sync
        self._readings = dict(readings)
        self._read = read
        self._running: dict[str, Iterator[AirbyteMessage]] = {}
        self._current: str | None = None
        self._burst_since = 0.0
        self._burst_records = 0
        self._emitted_at = time.monotonic()
        self._looked_at = self._emitted_at
        self._rate_limited: set[str] = set()
        # What the platform sees of a source that lives, and how long it may go without.
        self._seen = (Type.STATE,) if sync.heartbeat else (Type.RECORD, Type.STATE)
        self._silence_seconds = sync.config.checkpoint_seconds if sync.heartbeat else HEARTBEAT_SECONDS

    def messages(self) -> Iterator[AirbyteMessage]:
        """Gives the messages of all streams."""
        self._sync.tasks.add(self._readings.values())
        for stream, reading in self._readings.items():
            if reading.ended:
                # Nothing will be delivered that could bring its turn.
                self._sync.deliveries.begin(stream)
        while self._readings:
            self._sync.tasks.look_after()
            if self._sync.interrupted.is_set():
                yield from self._stop_workers()
                yield from self._interrupted()
                return
            yield from self._keep_alive()
            chosen = self._sync.deliveries.next_stream(self._uncovered(), _POLL_SECONDS)
            yield from self._tell_rate_limits()
            if chosen is not None and chosen in self._readings:
                yield from self._turn_to(chosen)

    def _uncovered(self) -> str | None:
        """The stream whose burst goes on: between records of two streams there has to be a state."""
        current = self._current
        if current is None or not self._readings[current].uncovered:
            return None
        over = self._burst_records >= _BURST_RECORDS or time.monotonic() - self._burst_since >= _BURST_SECONDS
        return None if over else current

    def _turn_to(self, stream: str) -> Iterator[AirbyteMessage]:
        """Lets a stream emit, after the current one has covered what it has emitted."""
        if stream != self._current:
            yield from self._leave()
            self._current = stream
            self._burst_since, self._burst_records = time.monotonic(), 0
        yield from self._advance(stream)

    def _leave(self) -> Iterator[AirbyteMessage]:
        """Has the current stream cover what it has emitted."""
        if self._current is not None and self._readings[self._current].uncovered:
            yield from self._cover(self._current)

    def _cover(self, stream: str) -> Iterator[AirbyteMessage]:
        self._readings[stream].want_state()
        yield from self._advance(stream)

    def _advance(self, stream: str) -> Iterator[AirbyteMessage]:
        """Lets a stream emit until it pauses or ends."""
        if stream not in self._running:
            self._running[stream] = self._read(stream)
        before = self._readings[stream].uncovered
        for message in self._running[stream]:
            if message is PAUSE:
                self._burst_records += max(self._readings[stream].uncovered - before, 0)
                return
            if message.type in self._seen:
                self._emitted_at = time.monotonic()
            yield message
        self._readings.pop(stream)
        self._running.pop(stream)
        if self._current == stream:
            self._current = None

    def _keep_alive(self) -> Iterator[AirbyteMessage]:
        """Saves positions that have moved without records, and repeats a state where nothing moves at all."""
        now = time.monotonic()
        if now - self._looked_at < _POLL_SECONDS:
            return
        self._looked_at = now
        seconds = self._sync.config.checkpoint_seconds
        for stream in list(self._running):
            reading = self._readings[stream]
            if reading.moved and now - reading.covered_at >= seconds:
                yield from self._leave()
                if reading.moved:
                    yield from self._cover(stream)
        if (self._running or self._sync.heartbeat) and now - self._emitted_at >= self._silence_seconds:
            yield from self._leave()
            yield from self._cover(next(iter(self._running or self._readings)))

    def _tell_rate_limits(self) -> Iterator[AirbyteMessage]:
        """Says which streams wait for Vitess's throttler, and when they go on."""
        held = self._sync.tasks.held_back & self._running.keys()
        for stream in sorted(held ^ self._rate_limited):
            if stream in self._running:
                reading = self._readings[stream]
                descriptor = StreamDescriptor(name=reading.stream, namespace=reading.namespace)
                # Vitess does not say until when, which `quota_reset` would.
                reasons = [_RATE_LIMITED] if stream in held else None
                yield as_airbyte_message(descriptor, AirbyteStreamStatus.RUNNING, reasons)
        self._rate_limited = held

    def _stop_workers(self) -> Iterator[AirbyteMessage]:
        """Emits what workers have read, with the states that cover it."""
        stopping = self._sync.tasks.stop_workers()
        deadline = time.monotonic() + _STOP_SECONDS
        while stopping and time.monotonic() < deadline:
            # What a thread has delivered is there when it has ended.
            running = any(thread.running for thread in stopping)
            chosen = self._sync.deliveries.next_stream(None, _POLL_SECONDS if running else 0.0)
            if chosen is not None and chosen in self._readings:
                yield from self._turn_to(chosen)
            elif not running:
                return

    def _interrupted(self) -> Iterator[AirbyteMessage]:
        error = TransientError(
            "The sync was told to stop before it was done. The next sync goes on from its last state."
        )
        yield from self._leave()
        for stream, reading in list(self._readings.items()):
            reading.interrupt(error)
            yield from self._advance(stream)
