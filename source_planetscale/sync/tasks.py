"""The threads of one sync: a pass for each shard's log, and copies side by side."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING

from source_planetscale.sync.shard_task import ShardTask
from source_planetscale.sync.shard_thread import ShardThread

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from source_planetscale.follow.core import Core
    from source_planetscale.follow.member import Member
    from source_planetscale.sync.delivery import Deliveries
    from source_planetscale.sync.reading import Reading
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.workers.crew import Crew

_STREAMS_AT_ONCE = 16
_SECONDS_BETWEEN_LOOKS = 0.5
# Streams whose shard was replaced hear of it one after the other, and go on together.
_SECONDS_TO_GATHER = 1.0


@dataclass
class _Task:
    """What one thread reads."""

    members: list[Member] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def add(self, reading: Reading, member: Member) -> None:
        self.members.append(member)
        self.readings.append(reading)

    @property
    def core(self) -> Core:
        # A thread reads one keyspace.
        return self.readings[0].core

    def for_thread(self, streams: int) -> ShardTask:
        readings = self.readings
        return ShardTask(
            self.core,
            readings[0].config,
            self.members,
            {reading.stream: reading.outlet for reading in readings},
            {reading.stream: reading.changes for reading in readings},
            readings[0].records,
            streams,
        )


class Tasks:
    """Starts threads as others end; all methods are called by one thread."""

    def __init__(
        self, deliveries: Deliveries, interrupted: threading.Event, crew: Crew | None = None
    ) -> None:
        """Starts nothing yet.

        Args:
            deliveries: Where the records go.
            interrupted: Set when nothing more is to be started.
            crew: Processes that help to read; None for none.
        """
        self._crew = crew
        self._streams = 1
        self._deliveries = deliveries
        self._interrupted = interrupted
        self._waiting: deque[_Task] = deque()
        self._running: list[ShardThread] = []
        self._joining: list[tuple[Reading, Cursor]] = []
        self._gathered_at = 0.0
        self._looked_at = 0.0

    def add(self, readings: Iterable[Reading]) -> None:
        """Takes in the shards of streams: those that are copied share one pass for each shard."""
        self._queue((reading, member) for reading in readings for member in reading.members())

    def join(self, reading: Reading, cursors: Iterable[Cursor]) -> None:
        """Takes in further shards of a stream, which follow others; streams that do so together share."""
        self._joining += [(reading, cursor) for cursor in cursors]
        self._gathered_at = time.monotonic()

    def look_after(self) -> None:
        """Starts what may start, and looks after what runs."""
        now = time.monotonic()
        if self._joining and now - self._gathered_at >= _SECONDS_TO_GATHER:
            joining, self._joining = self._joining, []
            self._queue((reading, reading.member(cursor)) for reading, cursor in joining)
        self._running = [thread for thread in self._running if thread.running]
        while self._waiting and len(self._running) < _STREAMS_AT_ONCE and not self._interrupted.is_set():
            self._start(self._waiting.popleft())
        if now - self._looked_at >= _SECONDS_BETWEEN_LOOKS:
            self._looked_at = now
            for thread in self._running:
                thread.look_after()

    @property
    def held_back(self) -> set[str]:
        """The keys of the streams that wait for Vitess's throttler, as far as is known."""
        return {stream for thread in self._running if thread.running for stream in thread.held_back}

    def stop_workers(self) -> list[ShardThread]:
        """Has workers cover what they have read, and end; gives the threads that wait for that."""
        stopping = [thread for thread in self._running if thread.stop()]
        if self._crew is not None and stopping:
            self._crew.stop()
        return stopping

    def close(self) -> None:
        """Ends all threads."""
        self._deliveries.close()
        self._waiting.clear()
        for thread in self._running:
            thread.close()
        for thread in self._running:
            thread.join()
        if self._crew is not None:
            self._crew.close()

    def _queue(self, members: Iterable[tuple[Reading, Member]]) -> None:
        passes: dict[tuple[str, str], _Task] = {}
        copies: list[_Task] = []
        for reading, member in members:
            if member.cursor.copying:
                copies.append(_Task([member], [reading]))
            else:
                log = (member.cursor.keyspace, member.cursor.shard)
                passes.setdefault(log, _Task()).add(reading, member)
        # The log is purged after a while, a table is not.
        self._waiting.extend([*passes.values(), *copies])
        self._streams = min(len(self._waiting) + len(self._running), _STREAMS_AT_ONCE)
        for task in self._waiting:
            task.core.client.share(self._streams)

    def _start(self, task: _Task) -> None:
        taken = {thread.lane for thread in self._running if thread.task.core is task.core}
        # The first one uses the connection over which the shard's position was asked for.
        shard = task.members[0].cursor.shard
        lanes = chain([shard], (f"{shard} {number}" for number in count(2)))
        lane = next(lane for lane in lanes if lane not in taken)
        crew = self._crew
        if crew is not None and not (crew.takes_all or self._waiting or self._running):
            # A single task leaves other cores nothing to do.
            crew = None
        thread = ShardThread(task.for_thread(self._streams), self._deliveries, lane, crew)
        self._running.append(thread)
        thread.start()
