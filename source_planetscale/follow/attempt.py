"""One stream of a shard, from the moment it is opened until it ends or breaks off."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_planetscale.follow import advice
from source_planetscale.follow.member import Step
from source_planetscale.follow.pace import Pace
from source_planetscale.follow.stall import Watch
from source_planetscale.follow.statements import about_statement
from source_planetscale.vstream.bundle import Bundle
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.reader import ProtocolError

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from source_planetscale.follow.core import Call, Core
    from source_planetscale.follow.member import Member
    from source_planetscale.follow.selections import Selections
    from source_planetscale.follow.stall import StallClock
    from source_planetscale.follow.throttling import ThrottleWatch
    from source_planetscale.vstream.reader import ShardReader
    from source_planetscale.vstream.table_reader import RowRun

# The position of a table without changes is worth saving, but not at every transaction of others.
_SECONDS_BETWEEN_POSITIONS = 1.0


@dataclass(frozen=True)
class Failure:
    """Why a stream broke off.

    Attributes:
        reason: What happened, for a person.
        error: What the server said, or None if it said nothing.
        misfit: The table whose rows come with a description that does not fit it, or None.
        restarts: Whether a copy has to begin anew.
        silent: Whether it was ended because nothing came of it.
    """

    reason: str
    error: VStreamError | None = None
    misfit: str | None = None
    restarts: bool = False
    silent: bool = False


class Attempt:
    """Opens the streams of one shard, one after the other; `cancel` may be called from any thread."""

    def __init__(
        self,
        core: Core,
        closing: threading.Event,
        lane: str,
        throttling: ThrottleWatch,
        selections: Selections,
        stall: StallClock | None = None,
    ) -> None:
        """Prepares streams over the connection `lane`, until `closing` is set."""
        self._selections = selections
        self._core = core
        self._closing = closing
        self._lane = lane
        self._watch = Watch(core.patience.timeout_seconds, stall)
        self._throttling = throttling

    def look_after(self, where: str) -> None:
        """Ends the running stream if it stalls for the configured time, and tells of long waits before."""
        idle, timeout = self._watch.clock.idle_seconds, self._core.patience.timeout_seconds
        self._throttling.look(idle)
        if not self._watch.end_if_stalled() and self._watch.clock.report_due():
            held = self._throttling.holds_back
            self._core.logger.info(advice.about_wait(where, idle, timeout, throttled=held))

    def cancel(self) -> None:
        """Ends the running stream."""
        self._watch.cancel()

    def run(
        self, reader: ShardReader, members: Mapping[str, Member]
    ) -> Generator[Step, None, Failure | None]:
        """Follows one stream to its end.

        Args:
            reader: Takes the responses.
            members: The reader's tables by name; their cursors move with what is given.

        Returns:
            None if the reader has come to an end of its own, otherwise why the stream broke off.
        """
        try:
            yield from self._follow(reader, members)
        except ProtocolError as error:
            yield from _steps(reader, members, [], 0, quiet=True)
            return Failure(str(error), misfit=error.table)
        except VStreamError as error:
            yield from _steps(reader, members, [], 0, quiet=True)
            self._core.client.reconnect(self._lane)
            if self._watch.stalled:
                seconds = self._core.patience.timeout_seconds
                return Failure(f"nothing came for {seconds:g} seconds", silent=True)
            words = advice.explain(error, self._core.client.endpoint, self._core.client.keyspace)
            return Failure(words, error)
        if self._is_over(reader):
            return None
        yield from _steps(reader, members, [], 0, quiet=True)
        return Failure("the stream ended early")

    def _follow(self, reader: ShardReader, members: Mapping[str, Member]) -> Iterator[Step]:
        core = self._core
        core.opened.add()
        cursor = next(iter(members.values())).cursor
        columns = {name: table.select.columns for name, table in reader.tables.items() if table.select}
        call = core.client.open(cursor, list(members), self._lane, columns)
        placed_at = time.monotonic()
        pace = Pace(placed_at, reader.transactions)
        with self._watch.over(call):
            if self._closing.is_set():
                # `cancel` came before there was a call.
                return
            for raw in _bundled(call, Bundle(reader.goal)):
                # Another shard may wait for the reader of stdout, which is no stall of this one's server.
                with self._watch.clock.held():
                    core.turn.__enter__()
                try:
                    runs = self._take(reader, members, raw)
                    if not self._is_right(reader):
                        return
                    now, over = time.monotonic(), self._is_over(reader)
                    if now >= pace.report_due and not reader.copying and not over:
                        where = advice.several(list(members), core.client.keyspace.place(cursor.shard))
                        core.logger.info(pace.report(where, reader.transactions, reader.newest, now))
                    # All tables stand at one position when the next stream begins there.
                    quiet = over or now - placed_at >= _SECONDS_BETWEEN_POSITIONS
                    placed_at = now if quiet else placed_at
                    steps = _steps(reader, members, runs, len(raw), quiet=quiet)
                    # While it waits for room, a thread holds nothing but its finished text.
                    del raw, runs
                    while steps:
                        with self._watch.clock.held():
                            yield steps.pop(0)
                finally:
                    core.turn.__exit__(None, None, None)
                if over:
                    return

    def _is_over(self, reader: ShardReader) -> bool:
        ended = reader.ended or reader.has_new_source or self._closing.is_set() or not reader.readable
        return ended or self._selections.is_due(reader)

    def _is_right(self, reader: ShardReader) -> bool:
        """Whether what was read may be handed over."""
        if reader.unproven and not reader.widens:
            # The proof reads a stream of its own, which is looked after by itself.
            with self._watch.clock.held():
                self._core.turn.__exit__(None, None, None)
                try:
                    self._selections.prove(reader)
                finally:
                    self._core.turn.__enter__()
        return not reader.widens

    def _take(self, reader: ShardReader, members: Mapping[str, Member], raw: bytes) -> list[RowRun]:
        progress = reader.progress
        runs = reader.read(raw)
        self._selections.observe(runs)
        if reader.progress != progress:
            self._watch.clock.start()
            self._throttling.went_on()
        for table in reader.tables.values():
            while table.statements:
                statement, where = table.statements.pop(0), members[table.name].where
                own = table.reshaping if table.reshaping and table.reshaping.statement is statement else None
                told = about_statement(
                    statement,
                    table.name,
                    where,
                    own.after if own else None,
                    was_there=own is not None and own.before is not None,
                )
                for words in told:
                    self._core.logger.warning(words)
        return runs


def _steps(
    reader: ShardReader, members: Mapping[str, Member], runs: Sequence[RowRun], size: int, *, quiet: bool
) -> list[Step]:
    by_table: defaultdict[str, list[RowRun]] = defaultdict(list)
    for run in runs:
        by_table[run.table].append(run)
    names = members if quiet or len(members) == 1 else by_table
    reader.settle(names)
    rows = sum(len(run.rows) for run in runs) or 1
    steps = []
    for name in names:
        table, member, own = reader.tables[name], members[name], by_table.get(name, [])
        if own or table.cursor is not member.cursor:
            count = sum(len(run.rows) for run in own)
            steps.append(Step(name, table.cursor, own, size * count // rows))
            member.cursor = table.cursor
            member.handed_over = member.handed_over or bool(own)
    return steps


def _bundled(call: Call, bundle: Bundle) -> Iterator[bytes]:
    """Gives the responses of a stream, those in quick succession as one; raises what the stream does."""
    broken: VStreamError | None = None
    try:
        for raw in call:
            bundle.add(raw)
            del raw
            if bundle.due(time.monotonic()):
                yield bundle.take(time.monotonic())
    except VStreamError as error:
        broken = error
    if bundle.size:
        yield bundle.take(time.monotonic())
    if broken is not None:
        raise broken
