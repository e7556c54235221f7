"""A thread that has tables of one shard read and delivers their records."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from source_planetscale.errors import InternalError, SourceError
from source_planetscale.follow.shard import kind_and_place
from source_planetscale.sync.delivery import Delivery
from source_planetscale.sync.shard_at_worker import ShardAtWorker, WorkerLostError
from source_planetscale.sync.shard_here import ShardHere
from source_planetscale.table import table_key

if TYPE_CHECKING:
    from source_planetscale.follow.stall import StallClock
    from source_planetscale.sync.delivery import Deliveries
    from source_planetscale.sync.shard_task import ShardTask, ShardWork
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.workers.crew import Crew

_JOIN_SECONDS = 5.0


class ShardThread:
    """Delivers the records of a task, which this process reads or a worker.

    Attributes:
        task: The task.
        lane: The connection, of those of its core.
    """

    def __init__(
        self,
        task: ShardTask,
        deliveries: Deliveries,
        lane: str,
        crew: Crew | None = None,
        stall: StallClock | None = None,
    ) -> None:
        """Prepares the thread; `start` begins it.

        Args:
            task: The task.
            deliveries: Where the records go; the last delivery of a table has `ended` set.
            lane: The connection to use.
            crew: The workers that may do the task; None for none.
            stall: Measures how long the server is silent; a new clock if None.
        """
        self.task = task
        self.lane = lane
        self._deliveries = deliveries
        self._crew = crew
        self._closing = threading.Event()
        self._has_delivered = False
        self._work: ShardWork = ShardHere(task, self._closing, lane, stall)
        members = task.members
        name = members[0].name if len(members) == 1 else f"{len(members)} tables"
        self._thread = threading.Thread(target=self._run, name=f"{name}/{task.shard}", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    @property
    def held_back(self) -> list[str]:
        """The keys of the streams that Vitess throttles, as far as is known."""
        return [member.table.key for member in self.task.members] if self._work.is_held_back else []

    def start(self) -> None:
        """Starts the thread."""
        for member in self.task.members:
            self._deliveries.begin(member.table.key)
        self._thread.start()

    def look_after(self) -> None:
        """Ends a stream that stalls, and tells of long waits."""
        self._work.look_after()

    def stop(self) -> bool:
        """Expects a worker to stop before the end; tells whether there is one."""
        work = self._work
        if not (isinstance(work, ShardAtWorker) and self.running):
            return False
        work.stopping = True
        return True

    def close(self) -> None:
        """Ends the thread, wherever it is."""
        self._closing.set()
        self._work.cancel()

    def join(self) -> None:
        """Waits for the thread's end after `close`."""
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        cursors = {member.name: member.cursor for member in self.task.members}
        try:
            self._deliver_all(cursors)
        except Exception as failure:
            error = failure
            if not isinstance(failure, SourceError):
                words = f"Reading {self.task.where} failed unexpectedly: {kind_and_place(failure)}."
                error = InternalError(words)
            for table, cursor in cursors.items():
                ended = Delivery(cursor.shard, cursor, ended=True, error=error)
                self._deliveries.put(table_key(cursor.keyspace, table), ended)

    def _deliver_all(self, cursors: dict[str, Cursor]) -> None:
        """Delivers all that comes; keeps in `cursors` where the tables stand that have not ended."""
        here, at_worker = self._work, self._at_worker()
        try:
            if at_worker is not None:
                self._work = at_worker
            self._deliver(self._work, cursors)
        except WorkerLostError as error:
            if self._has_delivered or self._closing.is_set():
                raise
            self.task.core.logger.warning(
                f"{error.what} It had brought nothing yet, so this process reads instead."
            )
            self._work = here
            self._deliver(here, cursors)

    def _deliver(self, work: ShardWork, cursors: dict[str, Cursor]) -> None:
        for table, delivery in work.deliveries():
            if not self._deliveries.put(table_key(delivery.cursor.keyspace, table), delivery):
                return
            self._has_delivered = True
            cursors[table] = delivery.cursor
            if delivery.ended:
                del cursors[table]

    def _at_worker(self) -> ShardAtWorker | None:
        crew, task = self._crew, self.task
        if crew is None:
            return None
        try:
            stop = task.core.positions.stop(task.shard, task.members[0].name)
        except SourceError:
            # It is met again where the shard is read.
            return None
        engagement = crew.engage() if crew.takes_all or task.is_large(stop) else None
        if engagement is None:
            return None
        task.core.logger.info(f"Reading {task.where} in process {engagement.pid}.")
        return ShardAtWorker(task, engagement, crew.form, stop, self._closing)
