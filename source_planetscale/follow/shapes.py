"""Finding out which columns a table has at a position of its shard's log.

The server tells a table's columns of today alone. What they were in between follows from the statements in
the log, as far as these say it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from source_planetscale import ddl
from source_planetscale.errors import SourceError, TransientError
from source_planetscale.follow import advice
from source_planetscale.follow.patience import backoff_seconds
from source_planetscale.follow.reshaping import may_hold_renames, renames, settled
from source_planetscale.follow.retries import patiently
from source_planetscale.follow.stall import Watch
from source_planetscale.shape import shape_of
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.position import Goal, Position
from source_planetscale.vstream.table_reader import RESHAPING
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from source_planetscale.ddl import Statement
    from source_planetscale.follow.core import Call, Core
    from source_planetscale.follow.member import Member
    from source_planetscale.table import Table
    from source_planetscale.vstream.table_reader import Reshaping, TableReader


Unread: TypeAlias = "list[tuple[Member, TransientError]]"
"""Tables whose statements could not be read, with the reason."""


@dataclass(frozen=True)
class _Ahead:
    """The statements between tables' positions and the present.

    Attributes:
        read: Tables with their statements, oldest first.
        unread: Those whose statements could not be read, where reading their rows may not fail as well.
    """

    read: Sequence[tuple[Member, Sequence[Statement]]] = ()
    unread: Unread = field(default_factory=list)


class ShapeFinder:
    """Finds the shapes of the tables of one shard, reading statements ahead of the rows where it must."""

    def __init__(self, core: Core, shard: str, closing: threading.Event, lane: str) -> None:
        """Opens nothing yet; `lane` is the connection to use, and `closing` ends waits."""
        self._core = core
        self._shard = shard
        self._closing = closing
        self._lane = lane
        self._watch = Watch(core.patience.timeout_seconds)

    def look_after(self) -> None:
        """Ends the running stream if it stalls for the configured time; from any thread."""
        self._watch.end_if_stalled()

    def cancel(self) -> None:
        """Ends the wait for the server; from any thread."""
        self._watch.cancel()

    def prepare(self, members: Sequence[Member]) -> Unread:
        """Finds shapes that saved cursors do not hold, and the names of today of renamed columns.

        A shape that cannot be told stays unknown.

        Args:
            members: Tables with their cursors, before anything is read.

        Returns:
            Those of the tables whose statements could not be read.
        """
        # An unfinished copy catches up before it goes on.
        following = [member for member in members if member.cursor.position]
        shapeless = [member for member in following if member.cursor.shape is None]
        renaming = [
            member
            for member in following
            if member.cursor.shape is not None and may_hold_renames(member.cursor.shape, member.table)
        ]
        if not shapeless and not renaming:
            return []
        today = self._today([member.name for member in (*shapeless, *renaming)])
        ahead = self._ahead([*shapeless, *renaming])
        for member, statements in ahead.read:
            if member.cursor.shape is not None:
                member.renames = renames(member.cursor.shape, member.table, statements)
            elif not statements and member.name in today:
                member.cursor = replace(member.cursor, shape=shape_of(today[member.name].columns))
        return ahead.unread

    def settle(self, tables: Sequence[TableReader], members: Sequence[Member]) -> Unread:
        """Finds the shapes behind statements that have changed them.

        Args:
            tables: What was read of each table, in the order of `members`.
            members: The tables; their cursors stand right behind the statements.

        Returns:
            Those of the tables whose later statements could not be read.
        """
        changed = [
            (member, table.reshaping)
            for member, table in zip(members, tables, strict=True)
            if table.reshaping is not None
        ]
        if not changed:
            return []
        today = self._today([member.name for member, _ in changed])
        unknown: dict[str, Reshaping] = {}
        following: list[Member] = []
        for member, reshaping in changed:
            member.table = today.get(member.name, member.table)
            if not member.cursor.position:
                # A copy that begins anew is told its shape by the server.
                continue
            member.renames = {}
            shape = settled(reshaping, today.get(member.name))
            member.cursor = replace(member.cursor, shape=shape)
            if shape is None or may_hold_renames(shape, member.table):
                unknown[member.name] = reshaping
                following.append(member)
        ahead = self._ahead(following)
        for member, statements in ahead.read:
            reshaping = unknown[member.name]
            shape = member.cursor.shape or settled(reshaping, today.get(member.name), statements)
            if shape is None and not statements and member.name in today:
                shape = shape_of(member.table.columns)
            if shape is not None:
                member.cursor = replace(member.cursor, shape=shape)
                member.renames = renames(shape, member.table, statements)
        return ahead.unread

    def renew(self, members: Sequence[Member]) -> None:
        """Asks again which columns tables have today: a statement that no stream tells may have changed them.

        Args:
            members: The tables.
        """
        today = self._today([member.name for member in members])
        for member in members:
            member.table = today.get(member.name, member.table)

    def unchanged(self, since: str, table: Table) -> str:
        """Makes sure that a table has had the same columns all the time since a position.

        Args:
            since: The position.
            table: The table as it was at a time after it.

        Returns:
            The position up to which it had them; empty if it may have had others.
        """
        # The connection of the stream that waits for this may be full.
        core, lane = self._core, f"{self._lane} shapes"
        start = Cursor(core.client.keyspace.name, self._shard, since)
        try:
            end = core.client.current_position(table.name, self._shard, core.patience.timeout_seconds)
            columns = {table.name: table.primary_key}
            statements = self._statements(start, [table.name], end, lane, columns)
            today = self._described([table.name])
        except (VStreamError, SourceError):
            return ""
        finally:
            core.client.reconnect(lane)
        return end if today == [table] and not statements[table.name] else ""

    def described_now(self, names: Sequence[str]) -> tuple[str, dict[str, Table]]:
        """Asks which columns tables have, at a time after a position; gives both, or nothing at all."""
        core = self._core
        try:
            here = core.client.current_position(names[0], self._shard, core.patience.timeout_seconds)
            return here, {table.name: table for table in self._described(names)}
        except (VStreamError, SourceError):
            return "", {}

    def _today(self, names: Sequence[str]) -> dict[str, Table]:
        tables = patiently(lambda: self._described(names), self._core.patience, self._closing)
        return {table.name: table for table in tables}

    def _described(self, names: Sequence[str]) -> list[Table]:
        database = self._core.database
        # A shard that was replaced has a log, but answers no more: the new ones have its tables.
        serves = self._shard in database.shards()
        return database.tables(names, self._shard if serves else None)

    def _ahead(self, members: Sequence[Member], failures: int = 0, since: float | None = None) -> _Ahead:
        """Reads the statements from each table's position to the present.

        Args:
            members: The tables.
            failures: Attempts that have failed before.
            since: When the first of them began, in seconds of the monotonic clock.
        """
        if not members:
            return _Ahead()
        cursors = [member.cursor for member in members]
        oldest = cursors[0]
        for cursor in cursors:
            if Position.parse(oldest.position).contains(Position.parse(cursor.position)):
                oldest = cursor
        since = time.monotonic() if since is None else since
        while True:
            try:
                names = [member.name for member in members]
                end = self._core.client.current_position(
                    names[0], self._shard, self._core.patience.timeout_seconds
                )
                found = self._statements(oldest, names, end, self._lane)
            except VStreamError as error:
                self._core.client.reconnect(self._lane)
                failures += 1
                over = self._core.patience.is_over(failures, time.monotonic() - since)
                if not (error.permanent or over):
                    if self._closing.wait(backoff_seconds(failures)):
                        return _Ahead()
                elif len(members) > 1 and not error.is_about_everything:
                    # One that cannot be read hides the statements of the others.
                    middle = len(members) // 2
                    ahead = self._ahead(members[:middle], failures - 1, since)
                    others = self._ahead(members[middle:], failures - 1, since)
                    return _Ahead([*ahead.read, *others.read], [*ahead.unread, *others.unread])
                elif error.permanent:
                    # Reading the rows meets it as well, and what it means is decided there.
                    return _Ahead()
                else:
                    return _Ahead(unread=[(each, self._given_up(each, failures, error)) for each in members])
            else:
                own = [Position.parse(cursor.position) for cursor in cursors]
                return _Ahead(
                    [
                        (member, [statement for at, statement in found[member.name] if not here.contains(at)])
                        for member, here in zip(members, own, strict=True)
                    ]
                )

    def _given_up(self, member: Member, failures: int, error: VStreamError) -> TransientError:
        client = self._core.client
        words = advice.explain(error, client.endpoint, client.keyspace)
        return TransientError(advice.about_giving_up(member.where, failures, words))

    def _statements(
        self,
        cursor: Cursor,
        names: Sequence[str],
        end: str,
        lane: str,
        columns: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> dict[str, list[tuple[Position, Statement]]]:
        """Reads the statements that change the columns of tables, with their positions, up to `end`."""
        core = self._core
        found: dict[str, list[tuple[Position, Statement]]] = {name: [] for name in names}
        goal = Goal(Position.parse(end))
        if goal.reached_by(cursor.position):
            return found
        core.opened.add()
        call = core.client.open(replace(cursor, last_pk=None), names, lane, columns)
        here = cursor.position
        try:
            with self._watch.over(call):
                for event in _events(call):
                    if event.type == wire.VGTID:
                        here = next((e.gtid for e in event.vgtid.shard_gtids if e.shard == self._shard), here)
                        self._watch.clock.start()
                    elif event.type == wire.DDL:
                        statement = ddl.parse(event.statement)
                        for name in ddl.touches(statement, names):
                            if statement.effects_on(name) & RESHAPING:
                                found[name].append((Position.parse(here), statement))
                    # The log of a shard that was replaced ends at its journal.
                    replaced = event.type == wire.JOURNAL and event.journal.migration_type == wire.SHARDS
                    if replaced or (event.type in _ENDS and goal.reached_by(here)):
                        return found
        except VStreamError:
            if self._watch.stalled:
                words = f"nothing came for {core.patience.timeout_seconds:g} seconds"
                raise VStreamError(grpc.StatusCode.ABORTED, words) from None
            raise
        raise VStreamError(grpc.StatusCode.ABORTED, "the stream ended early")


_ENDS = frozenset({wire.COMMIT, wire.OTHER, wire.DDL})


def _events(call: Call) -> Iterator[wire.VEvent]:
    for raw in call:
        try:
            response = wire.VStreamResponse.FromString(raw)
        except DecodeError:
            return
        yield from response.events
