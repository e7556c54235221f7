"""The reading of a task by a worker, as this process sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from source_planetscale.errors import InternalError, TransientError
from source_planetscale.records.message import FinishedBatch
from source_planetscale.sync.delivery import Delivery
from source_planetscale.workers.link import LinkClosedError
from source_planetscale.workers.messages import (
    Answer,
    Failed,
    Finished,
    HeldBack,
    NumbersAsked,
    Order,
    Said,
    Told,
    TroubleAsked,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from source_planetscale.records.layout import Format
    from source_planetscale.sync.shard_task import ShardTask
    from source_planetscale.vstream.position import Position
    from source_planetscale.workers.crew import Engagement
    from source_planetscale.workers.link import Received


class WorkerLostError(TransientError):
    """The process of a worker has ended.

    Attributes:
        what: What has happened, without what to do.
    """

    def __init__(self, what: str) -> None:
        """Takes what has happened."""
        super().__init__(f"{what} The next sync goes on from the last state.")
        self.what = what


class ShardAtWorker:
    """Has a worker follow a shard; a `ShardWork`.

    Attributes:
        stopping: Whether the worker has been told to stop.
    """

    def __init__(
        self, task: ShardTask, engagement: Engagement, form: Format, stop: Position, closing: threading.Event
    ) -> None:
        """Prepares the reading.

        Args:
            task: The task.
            engagement: The engagement of the worker.
            form: The format of the records.
            stop: Where the reading of the shard ends.
            closing: Set by the caller to end the reading.
        """
        self.is_held_back = False
        self.stopping = False
        self._task = task
        self._engagement = engagement
        self._form = form
        self._stop = stop
        self._closing = closing

    def deliveries(self) -> Iterator[tuple[str, Delivery]]:
        """Implements `ShardWork.deliveries`.

        Raises:
            WorkerLostError: The worker has ended.
            InternalError: It has met a defect.
        """
        engagement, where = self._engagement, self._task.where
        left = {member.name for member in self._task.members}
        with engagement.link as link:
            if self._closing.is_set():
                return
            try:
                link.send(self._order())
                while True:
                    received = link.receive()
                    message = received.message
                    if isinstance(message, Finished):
                        self._task.core.opened.add(message.opened)
                        if left and not self.stopping:
                            raise InternalError(f"Reading {where} ended too soon.")
                        return
                    if isinstance(message, Failed):
                        raise InternalError(f"Reading {where} failed unexpectedly: {message.words}.")
                    if isinstance(message, Told):
                        left.difference_update({message.table} if message.ended else ())
                        yield message.table, self._delivery(message, received)
                    else:
                        self._meet(message)
            except LinkClosedError:
                if self._closing.is_set():
                    return
                raise WorkerLostError(
                    f"The process that read {where} {engagement.end()}; it may have had too little memory "
                    "or too many open files."
                ) from None

    def look_after(self) -> None:
        """Implements `ShardWork.look_after`: the worker does so."""

    def cancel(self) -> None:
        """Implements `ShardWork.cancel`."""
        self._engagement.link.shut()

    def _order(self) -> Order:
        task = self._task
        detours = {port: detour.address for port, detour in task.config.detours.items()}
        return Order(
            self._engagement.name,
            replace(task.config, detours={}),
            detours,
            task.members,
            task.outlets,
            self._stop,
            self._form,
            task.streams,
        )

    def _meet(self, message: object) -> None:
        task, link = self._task, self._engagement.link
        if isinstance(message, NumbersAsked):
            numbers = task.changes[message.table] if message.table else task.records
            link.send(Answer(numbers.take(message.count)))
        elif isinstance(message, TroubleAsked):
            link.send(Answer(task.config.detours[message.port].trouble()))
        elif isinstance(message, Said):
            task.core.logger.log(message.level, message.text)
        elif isinstance(message, HeldBack):
            self.is_held_back = message.value

    def _delivery(self, told: Told, received: Received) -> Delivery:
        shard, batch = told.cursor.shard, None
        if told.partition:
            batch = FinishedBatch(
                received.rows,
                partition=told.partition,
                closes=told.closes,
                free=received.free,
                stream=told.table,
                namespace=self._task.outlets[told.table].namespace,
                shard=shard,
                copied=told.copied,
                count=told.count,
            )
        return Delivery(
            shard,
            told.cursor,
            batch,
            len(received.rows),
            told.ended,
            told.error,
            told.journal,
            told.anew,
        )
