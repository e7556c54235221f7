"""One task of a worker: it follows tables of one shard and sends their rows as they are to leave."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from source_planetscale.connections import connections
from source_planetscale.follow.checkpoint import CheckpointPolicy
from source_planetscale.follow.shard import ShardFollower, kind_and_place
from source_planetscale.records.batches import BatchMaker
from source_planetscale.workers.ledger import Ledger
from source_planetscale.workers.link import LinkClosedError
from source_planetscale.workers.messages import Failed, Finished, HeldBack, Told
from source_planetscale.workers.port import DetourFrom, LogTo, NumbersFrom, Port

if TYPE_CHECKING:
    from source_planetscale.follow.core import Core
    from source_planetscale.follow.member import Step
    from source_planetscale.records.layout import Layout
    from source_planetscale.workers.ledger import Entry
    from source_planetscale.workers.link import Link
    from source_planetscale.workers.messages import Order


class Job:
    """A task in a thread of its own, from its order to its end; `look_after` is called by another thread."""

    def __init__(self, link: Link, turn: threading.Lock) -> None:
        """Waits for the order as soon as it is started.

        Args:
            link: The link to the connector, for this task alone.
            turn: What `Core.turn` is for all tasks of this process.
        """
        self.link = link
        self._port = Port(link)
        self._turn = turn
        self._closing = threading.Event()
        self._held_back = False
        self._follower: ShardFollower | None = None
        self._ledgers: dict[str, Ledger] = {}
        # Held from the layout of rows to their entry in a ledger.
        self._booking = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def closing(self) -> bool:
        """Whether the task has been told to end."""
        return self._closing.is_set()

    @property
    def running(self) -> bool:
        """Whether the task goes on."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins the task."""
        self._thread.start()

    def close(self) -> None:
        """Ends the task, wherever it is."""
        self._closing.set()
        if self._follower is not None:
            self._follower.cancel()

    def look_after(self) -> None:
        """Ends a stream that stalls, tells of long waits, and closes partitions that are due."""
        follower = self._follower
        if follower is None:
            return
        follower.look_after()
        self._tell_whether_held_back(follower)
        if self._booking.acquire(blocking=False):
            try:
                for name, ledger in self._ledgers.items():
                    self._port.try_to_send(partial(_closed, name, ledger))
            finally:
                self._booking.release()

    def _tell_whether_held_back(self, follower: ShardFollower) -> None:
        if follower.is_held_back != self._held_back:
            self._held_back = follower.is_held_back
            self._port.say(HeldBack(self._held_back))

    def _run(self) -> None:
        with self.link, suppress(LinkClosedError):
            try:
                order: Order = self.link.receive().message
                core = self._core(order)
                with closing(core.client):
                    whole = self._follow(order, core)
                    self._port.send(Finished(core.opened.value, whole=whole))
            except LinkClosedError:
                raise
            except Exception as failure:
                self._port.send(Failed(kind_and_place(failure)))

    def _core(self, order: Order) -> Core:
        logger = logging.Logger("worker", logging.INFO)
        logger.addHandler(LogTo(self._port))
        detours = {
            number: DetourFrom(self._port, number, address) for number, address in order.detours.items()
        }
        config = replace(order.config, detours=detours)
        cursor = order.members[0].cursor
        core = connections(config, logger, self._closing, self._turn)(cursor.keyspace)
        core.client.share(order.streams)
        core.positions.keep_stop(cursor.shard, order.stop)
        return core

    def _follow(self, order: Order, core: Core) -> bool:
        """Follows the shard; tells whether that was done to the end."""
        config, now = order.config, time.monotonic()
        metadata = NumbersFrom(self._port, "")
        makers: dict[str, BatchMaker] = {}
        layouts: dict[str, Layout] = {}
        for number, member in enumerate(order.members):
            outlet = order.outlets[member.name]
            changes = NumbersFrom(self._port, member.name)
            makers[member.name] = BatchMaker(outlet.table, config, changes, metadata, outlet.wanted)
            layouts[member.name] = order.form.layout(outlet.table.name, outlet.namespace, outlet.properties)
            policy = CheckpointPolicy(config.checkpoint_seconds, now)
            self._ledgers[member.name] = Ledger(member.cursor, f"{order.name}.{number}", policy)
        self._follower = follower = ShardFollower(core, order.members, self._closing)
        for step in follower.steps():
            if self._closing.is_set():
                # Steps that end tables now are no word of the server's.
                with self._booking:
                    self._close_all()
                return False
            # The platform is told before the rows come.
            self._tell_whether_held_back(follower)
            with self._booking:
                self._tell(step, makers[step.table], layouts[step.table])
                if step.ended:
                    del self._ledgers[step.table]
        return True

    def _close_all(self) -> None:
        for name, ledger in self._ledgers.items():
            entry = ledger.close(time.monotonic())
            if entry is not None:
                self._port.send(_told(name, entry))

    def _tell(self, step: Step, maker: BatchMaker, layout: Layout) -> None:
        ledger = self._ledgers[step.table]
        rows = maker.rows(step.runs)
        copied = all(run.copied for run in step.runs)
        step.runs.clear()
        count = sum(run.count for run in rows)
        data = b"".join([layout.records(run, ledger.partition) for run in rows])
        del rows
        final = step.ended or step.anew or not step.cursor.position
        entry = ledger.enter(step.cursor, count, time.monotonic(), final=final)
        told = _told(step.table, entry)
        self._port.send(
            replace(
                told,
                count=count,
                copied=copied,
                ended=step.ended,
                error=step.error,
                journal=step.journal,
                anew=step.anew,
            ),
            data,
        )


def _told(table: str, entry: Entry) -> Told:
    return Told(table, entry.cursor, partition=entry.partition, closes=entry.closes)


def _closed(table: str, ledger: Ledger) -> Told | None:
    entry = ledger.close_if_due(time.monotonic())
    return None if entry is None else _told(table, entry)
