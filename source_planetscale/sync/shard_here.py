"""The reading of a task in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.follow.shard import ShardFollower
from source_planetscale.records.batches import BatchMaker
from source_planetscale.records.message import batch_of
from source_planetscale.sync.delivery import Delivery

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from source_planetscale.follow.stall import StallClock
    from source_planetscale.sync.shard_task import ShardTask


class ShardHere:
    """Follows a shard in the thread that asks; a `ShardWork`."""

    def __init__(
        self, task: ShardTask, closing: threading.Event, lane: str, stall: StallClock | None = None
    ) -> None:
        """Prepares the reading.

        Args:
            task: The task.
            closing: Set by the caller to end the reading.
            lane: The connection to use.
            stall: Measures how long the server is silent; a new clock if None.
        """
        self._outlets = task.outlets
        self._batches = {
            name: BatchMaker(outlet.table, task.config, task.changes[name], task.records, outlet.wanted)
            for name, outlet in task.outlets.items()
        }
        self._follower = ShardFollower(task.core, task.members, closing, lane=lane, stall=stall)

    def deliveries(self) -> Iterator[tuple[str, Delivery]]:
        """Implements `ShardWork.deliveries`."""
        for step in self._follower.steps():
            outlet, shard = self._outlets[step.table], step.cursor.shard
            batch = batch_of(self._batches[step.table], step.runs, shard, outlet.namespace)
            # While it waits for room, a thread holds nothing but its encoded rows.
            step.runs.clear()
            yield (
                step.table,
                Delivery(
                    shard,
                    step.cursor,
                    batch,
                    step.size,
                    step.ended,
                    step.error,
                    step.journal,
                    step.anew,
                ),
            )

    @property
    def is_held_back(self) -> bool:
        """Implements `ShardWork.is_held_back`."""
        return self._follower.is_held_back

    def look_after(self) -> None:
        """Implements `ShardWork.look_after`."""
        self._follower.look_after()

    def cancel(self) -> None:
        """Implements `ShardWork.cancel`."""
        self._follower.cancel()
