"""Following the tables of one shard from their cursors to the shard's stop position.

One piece without thread, queue or framework: legs, attempts and their retries, the next binlog file, changes
of columns, copies that begin anew. What is read comes out of a generator, step by step.
"""

from __future__ import annotations

import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from source_planetscale.errors import InternalError, SourceError, TransientError
from source_planetscale.follow import advice
from source_planetscale.follow.attempt import Attempt, Failure
from source_planetscale.follow.legs import next_leg
from source_planetscale.follow.members import Members
from source_planetscale.follow.patience import backoff_seconds
from source_planetscale.follow.positions import SilentShardError
from source_planetscale.follow.selections import Selections
from source_planetscale.follow.shapes import ShapeFinder
from source_planetscale.follow.statements import about_replaced_columns
from source_planetscale.follow.throttling import ThrottleWatch
from source_planetscale.shape import shape_of
from source_planetscale.vstream.lastpk import copy_can_resume
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import ShardReader
from source_planetscale.vstream.table_reader import CopyBroken, TableReader

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from source_planetscale.follow.core import Core
    from source_planetscale.follow.member import Member, Step
    from source_planetscale.follow.shapes import Unread
    from source_planetscale.follow.stall import StallClock


class ShardFollower:
    """Follows tables of one shard; `steps` does the work, the other methods may be called meanwhile."""

    def __init__(
        self,
        core: Core,
        members: Sequence[Member],
        closing: threading.Event,
        *,
        lane: str = "",
        stall: StallClock | None = None,
    ) -> None:
        """Prepares the reading.

        Args:
            core: Connections and settings.
            members: The tables, all of one shard; at least one.
            closing: Set by the caller to end the reading.
            lane: The connection to use; the shard's own if empty.
            stall: Measures how long the server is silent; a new clock if None.
        """
        self._core = core
        self._members = Members(core, members)
        self._closing = closing
        lane = lane or self._members.shard
        self._throttling = ThrottleWatch(core, self._members.shard)
        self._shapes = ShapeFinder(core, self._members.shard, closing, lane)
        self._selections = Selections(core, self._shapes)
        self._attempt = Attempt(core, closing, lane, self._throttling, self._selections, stall)
        self._where = self._members.where(members)

    def look_after(self) -> None:
        """Ends the running stream if it stalls for the configured time, and tells of long waits before."""
        self._attempt.look_after(self._where)
        self._shapes.look_after()

    @property
    def is_held_back(self) -> bool:
        """Whether Vitess throttles the stream, as far as is known."""
        return self._throttling.holds_back

    def cancel(self) -> None:
        """Ends the wait for the server, after `closing` was set."""
        self._attempt.cancel()
        self._shapes.cancel()

    def steps(self) -> Iterator[Step]:
        """Reads; gives what comes, and an ended step for each table."""
        try:
            yield from self._steps()
        except SourceError as error:
            yield from self._members.end(self._members.all, error=error)
        except Exception as failure:
            words = f"Reading {self._where} failed unexpectedly: {kind_and_place(failure)}."
            yield from self._members.end(self._members.all, error=InternalError(words))

    def _steps(self) -> Iterator[Step]:
        members = self._members
        members.stop = self._core.positions.stop(members.shard, members.all[0].name)
        members.look_for_moved()
        yield from members.settle_cursors(members.all)
        yield from self._end_unread(self._shapes.prepare(members.all))
        while members and not self._closing.is_set():
            yield from members.end(members.at_stop())
            behind = [member for member in members.all if not member.cursor.copying]
            positions = {member.name: Position.parse(member.cursor.position) for member in behind}
            leg = next_leg(positions, members.stop)
            if leg is not None:
                boarded = [member for member in behind if member.name in leg.tables]
                yield from self._read(boarded, leg.goal)
            elif members:
                # Copies that begin anew come after what can be followed.
                yield from self._read(members.all[:1], members.stop)
        yield from members.end(members.all)

    def _read(
        self, members: list[Member], goal: Position, failures: int = 0, since: float | None = None
    ) -> Iterator[Step]:
        """Reads tables at one position to the goal, or one table that is being copied.

        Args:
            members: The tables; those that cannot be read leave.
            goal: Where to end.
            failures: Attempts without progress that were made before.
            since: When the first of these began, in seconds of the monotonic clock.
        """
        self._log_start(members)
        since = time.monotonic() if since is None else since
        copying = members[0].cursor.copying
        while members and not self._closing.is_set():
            place, cursors = self._place(members), [member.cursor for member in members]
            reader = self._new_reader(members, goal)
            failure = yield from self._attempt.run(reader, {member.name: member for member in members})
            if self._selections.meet(reader, failure, self._members.where(members)):
                # What else the reader found is met again.
                continue
            failure = (yield from self._meet_findings(reader)) or failure
            if reader.journal is not None:
                yield from self._members.end(members, journal=reader.journal)
                return
            members = self._staying(members, copying=copying)
            if self._closing.is_set() or not members:
                return
            if reader.reshaped:
                tables = [reader.tables[member.name] for member in members]
                yield from self._end_unread(self._shapes.settle(tables, members))
                self._tell_of_replaced_columns(tables, members)
                members = self._staying(members, copying=copying)
            if reader.done:
                return
            if self._place(members) != place:
                failures, since = 0, time.monotonic()
            if reader.at_next_file and [member.cursor for member in members] == cursors:
                failure = failure or Failure("the stream ended early")
            if failure is not None:
                failures += 1
                halves = yield from self._meet_failure(members, failure, failures, since)
                for half in halves:
                    yield from self._read(half, goal, failures - 1, since)
                if halves:
                    return
            if self._renewed_stop(reader, failure):
                return
            members = self._staying(members, copying=copying)

    def _tell_of_replaced_columns(self, tables: Iterable[TableReader], members: Iterable[Member]) -> None:
        for table, member in zip(tables, members, strict=True):
            reshaping = table.reshaping
            if reshaping is None or reshaping.before is None or not member.cursor.position:
                continue
            today = shape_of(member.table.columns)
            words = about_replaced_columns(
                reshaping.statement, member.name, member.where, reshaping.before, today
            )
            if words:
                self._core.logger.warning(words)

    def _end_unread(self, unread: Unread) -> Iterator[Step]:
        for member, error in unread:
            yield from self._members.end([member], error=error)

    def _staying(self, members: Sequence[Member], *, copying: bool) -> list[Member]:
        """Those that are read on together: a copy that begins anew has a stream of its own."""
        return [member for member in self._members.still(members) if copying or not member.cursor.copying]

    def _new_reader(self, members: Sequence[Member], goal: Position) -> ShardReader:
        served = self._members.served(members)
        full_images = served is None or served.full_images
        lists = self._selections.lists(members, full_images=full_images)
        tables = [
            TableReader(
                member.table,
                member.cursor,
                member.renames,
                track_changes=self._core.track_changes,
                full_images=full_images,
                select=lists.get(member.name),
            )
            for member in members
        ]
        return ShardReader(tables, goal, partial(self._core.positions.started, self._members.shard))

    def _meet_findings(self, reader: ShardReader) -> Generator[Step, None, Failure | None]:
        """Deals with tables that cannot be read on; gives a failure for a copy that broke off."""
        broken = None
        for table in reader.tables.values():
            parted = reader.copying and (reader.at_next_file or reader.reshaped)
            if parted and not copy_can_resume(table.table):
                # The server reads the log between two parts of a copy, so this one has been parted.
                table.finding = table.finding or CopyBroken("its longest time on the server was over")
            if isinstance(table.finding, CopyBroken):
                where = self._members.where(self._members.still(self._members.all))
                words = advice.about_broken_copy(
                    table.finding, where, has_an_order=copy_can_resume(table.table)
                )
                broken = Failure(words, restarts=True)
            yield from self._members.meet_finding(table)
        return broken

    def _meet_failure(
        self, members: list[Member], failure: Failure, failures: int, since: float
    ) -> Generator[Step, None, list[list[Member]]]:
        """Waits for the next attempt, or ends what cannot be read; gives halves to be read by themselves."""
        core, error = self._core, failure.error
        named = error.names(member.name for member in members) if error else failure.misfit
        culprits = [member for member in members if named in (None, member.name)]
        alone = len(culprits) == 1 or (error is not None and error.is_about_everything)
        permanent = error is not None and error.permanent
        seconds = time.monotonic() - since
        over = core.patience.is_over(failures, seconds) or (
            failure.restarts and failures > core.patience.max_retries
        )
        if (permanent or over) and not alone:
            middle = len(members) // 2
            return [members[:middle], members[middle:]]
        if error is not None and permanent:
            for member in culprits:
                yield from self._members.meet_permanent(member, error, failure.reason)
        elif over and failure.misfit:
            yield from self._members.meet_misfit(culprits)
        elif over:
            reason = core.positions.trouble_of_replicas(self._members.shard) or failure.reason
            for member in culprits:
                words = advice.about_giving_up(member.where, failures, reason)
                if error is not None and error.table_is_unknown:
                    words = advice.about_unknown_table(member.where)
                kind = SilentShardError if failure.silent else TransientError
                yield from self._members.end([member], error=kind(words))
        else:
            wait = backoff_seconds(failures)
            where, retries = self._members.where(members), core.patience.max_retries
            core.logger.warning(
                advice.about_retry(
                    where, failure.reason, failures, retries, wait, resumes=not failure.restarts
                )
            )
            self._closing.wait(wait)
            if failure.misfit:
                self._shapes.renew(culprits)
        core.positions.forget_served(self._members.shard)
        yield from self._members.settle_cursors(members, moved=True)
        return []

    def _renewed_stop(self, reader: ShardReader, failure: Failure | None) -> bool:
        """Whether the stop position cannot be reached any more, and there is a new one.

        A failover can lose transactions that were part of it. A new server shows in the positions.
        """
        if failure is None and not reader.has_new_source:
            return False
        renewed = self._core.positions.renewed_stop(self._members.shard, self._members.all[0].name)
        if renewed is None:
            return False
        self._members.stop = renewed
        return True

    def _place(self, members: Sequence[Member]) -> list[tuple[str, bytes | None]]:
        stop = self._members.stop
        return [
            # A copy that waits is not brought forward by changes beyond the stop position.
            ("", cursor.last_pk)
            if cursor.copying and cursor.position and Position.parse(cursor.position).contains(stop)
            else (cursor.position, cursor.last_pk)
            for cursor in (member.cursor for member in members)
        ]

    def _log_start(self, members: Sequence[Member]) -> None:
        cursor = members[0].cursor
        if cursor.last_pk is not None:
            what = "going on with the copy after its last key"
        elif cursor.copying:
            what = "copying from the start"
        else:
            what = f"catching up from the saved position {advice.shortened(cursor.position)}"
        over = f" {len(members)} tables share one stream." if len(members) > 1 else ""
        where = advice.several([member.name for member in members], self._members.place, all_names=True)
        self._core.logger.info(f"Reading {where}: {what}.{over}")


def kind_and_place(failure: Exception) -> str:
    """Says what was raised where, for a defect: the text of an exception may hold what was read."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{type(failure).__name__} in {Path(frame.filename).name}, line {frame.lineno}"
