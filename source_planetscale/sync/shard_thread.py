"""A thread that follows tables of one shard and delivers their records."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from source_planetscale.errors import InternalError
from source_planetscale.follow.shard import ShardFollower, kind_and_place
from source_planetscale.sync.delivery import Delivery
from source_planetscale.table import table_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from source_planetscale.follow.core import Core
    from source_planetscale.follow.member import Member, Step
    from source_planetscale.follow.stall import StallClock
    from source_planetscale.records.batches import BatchMaker
    from source_planetscale.sync.delivery import Deliveries

_JOIN_SECONDS = 5.0


class ShardThread:
    """Follows tables of one shard in a thread of its own.

    Attributes:
        core: Connections and settings.
        lane: The connection, of those of its core.
    """

    def __init__(
        self,
        core: Core,
        members: Sequence[Member],
        batches: Mapping[str, BatchMaker],
        deliveries: Deliveries,
        lane: str,
        stall: StallClock | None = None,
    ) -> None:
        """Prepares the thread; `start` begins it.

        Args:
            core: Connections and settings.
            members: The tables, all of one shard.
            batches: Makes the records, by table.
            deliveries: Where they go; the last delivery of a table has `ended` set.
            lane: The connection to use.
            stall: Measures how long the server is silent; a new clock if None.
        """
        self.core = core
        self.lane = lane
        self._members = members
        self._batches = batches
        self._deliveries = deliveries
        self._closing = threading.Event()
        self._follower = ShardFollower(core, members, self._closing, lane=lane, stall=stall)
        shard = members[0].cursor.shard
        name = members[0].name if len(members) == 1 else f"{len(members)} tables"
        self._thread = threading.Thread(target=self._run, name=f"{name}/{shard}", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    @property
    def held_back(self) -> list[str]:
        """The keys of the streams that Vitess throttles, as far as is known."""
        return [member.table.key for member in self._members] if self._follower.is_held_back else []

    def start(self) -> None:
        """Starts the thread."""
        for member in self._members:
            self._deliveries.begin(member.table.key)
        self._thread.start()

    def look_after(self) -> None:
        """Ends a stream that stalls, and tells of long waits."""
        self._follower.look_after()

    def close(self) -> None:
        """Ends the thread, wherever it is."""
        self._closing.set()
        self._follower.cancel()

    def join(self) -> None:
        """Waits for the thread's end after `close`."""
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        open_tables = {member.name: member for member in self._members}
        try:
            for step in self._follower.steps():
                if not self._deliver(step):
                    return
                if step.ended:
                    del open_tables[step.table]
        except Exception as failure:
            for member in open_tables.values():
                words = f"Reading {member.where} failed unexpectedly: {kind_and_place(failure)}."
                cursor = member.cursor
                self._deliveries.put(
                    member.table.key, Delivery(cursor.shard, cursor, ended=True, error=InternalError(words))
                )

    def _deliver(self, step: Step) -> bool:
        delivery = Delivery(
            step.cursor.shard,
            step.cursor,
            self._batches[step.table].batch(step.runs, step.cursor.shard),
            step.size,
            step.ended,
            step.error,
            step.journal,
            step.anew,
        )
        step.runs.clear()
        return self._deliveries.put(table_key(step.cursor.keyspace, step.table), delivery)
