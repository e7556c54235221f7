"""The events of one shard: copies and catch-up, in the groups that vtgate sends.

A group is the list of events of one response. Where nothing is left to send, the generator yields None and
is asked again once something was committed.
"""

from __future__ import annotations

import itertools
import marshal
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc

from embedded_database import gtid
from embedded_database.errors import StreamError
from embedded_database.storage import LogPart, Storage, physical
from embedded_database.vstream.copying import CopyQuery
from embedded_database.vstream.events import TablePlan
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from embedded_database.columns.schema import Table
    from embedded_database.storage import Shard
    from embedded_database.vstream.filters import TableFilter

Group = list[wire.VEvent] | None
_FETCH_ROWS = 1000


class Ask(NamedTuple):
    """What a request asks of each of its shards.

    Attributes:
        tables: The tables and columns.
        flags: The request's flags.
        packet_bytes: A response is closed once its values have this many bytes.
        vgtid: Makes the event of all shards' positions from one shard's new position.
    """

    tables: TableFilter
    flags: wire.VStreamFlags
    packet_bytes: int
    vgtid: Callable[[wire.ShardGtid], wire.VEvent]


class ShardStream:
    """One shard's part of a stream."""

    def __init__(self, storage: Storage, shard: Shard, start: wire.ShardGtid, ask: Ask) -> None:
        """Prepares a stream from the request's entry for the shard: position and unfinished copies."""
        self.shard = shard
        self.journal: wire.Journal | None = None
        self._storage = storage
        self._start = start
        self._ask = ask
        self._position = wire.ShardGtid(keyspace=shard.keyspace, shard=shard.name)
        self._position.table_p_ks.extend(start.table_p_ks)
        self._number = _last_number(start.gtid, shard)
        self._plans: dict[str, TablePlan] = {}
        # During copies, changes of tables whose copy has not begun are held back: their copy will have them.
        self._held_back: set[str] = set()

    def groups(self) -> Iterator[Group]:
        """All groups; ends at a journal.

        Raises:
            StreamError: The stream ends with an error, as a tablet's would.
        """
        if self._start.gtid == "current":
            self._number = self.shard.last
            yield [self._at_position(), self._event(wire.OTHER)]
        if not self._start.gtid or self._start.table_p_ks:
            yield from self._copies()
        while self.journal is None:
            yield from self._catch_up(self.shard.last)
            if self.journal is None:
                yield None

    def _event(self, kind: wire.VEventType.ValueType, part: LogPart | None = None) -> wire.VEvent:
        event = wire.VEvent(type=kind, keyspace=self.shard.keyspace, shard=self.shard.name)
        if part:
            event.timestamp = part.time
            event.current_time = time.time_ns()
        return event

    def _at_position(self) -> wire.VEvent:
        """The VGTID event of the place that the stream has reached."""
        self._position.gtid = gtid.FLAVOR + gtid.text(self.shard.uuid, self._number)
        event = self._ask.vgtid(self._position)
        event.keyspace, event.shard = self.shard.keyspace, self.shard.name
        return event

    def _plan(self, name: str, event_types: Iterable[int], *, in_copy: bool = False) -> TablePlan:
        plan = self._plans.get(name)
        types = tuple(event_types)
        if plan is None or plan.event_types != types:
            table = self._storage.tables.get((self.shard.keyspace, name))
            if table is None:
                raise StreamError(grpc.StatusCode.UNKNOWN, f"unknown table {name} in schema")
            bare = self._ask.flags.exclude_keyspace_from_table_name
            shown = name if bare else f"{self.shard.keyspace}.{name}"
            plan = self._plans[name] = TablePlan(
                self.shard, table, self._ask.tables, types, shown, in_copy=in_copy
            )
        return plan

    # Copies

    def _copies(self) -> Iterator[Group]:
        """Copies the tables one after another, in the order of their names."""
        started = {entry.table_name: entry for entry in self._start.table_p_ks}
        only = set(self._ask.flags.tables_to_copy)
        names = [
            name
            for keyspace, name in sorted(self._storage.tables)
            if keyspace == self.shard.keyspace
            and self._ask.tables.matches(name)
            and (not only or name in only or name in started)
        ]
        if not names:
            text = "stream needs a position or a table to copy"
            raise StreamError(grpc.StatusCode.UNKNOWN, text)
        self._held_back = set(names) - set(started)
        for name in names:
            yield from self._copy(name, started.get(name))
        self._held_back = set()
        yield [self._event(wire.COPY_COMPLETED)]

    def _copy(self, name: str, resume: wire.TableLastPK | None) -> Iterator[Group]:
        """Catches up with the tables copied so far, then copies one from a snapshot."""
        fresh = not self._position.gtid and not self._start.gtid
        table = self._storage.tables[self.shard.keyspace, name]
        query = CopyQuery(table, resume)
        while query.never_matches:
            yield from self._catch_up(self.shard.last)
            yield None
        if not fresh:
            yield from self._catch_up(self.shard.last)
        with self._storage.reader() as reader:
            reader.execute("begin")
            snapshot = _snapshot_number(reader, self.shard)
            if not fresh:
                yield from self._catch_up(snapshot)
            self._number = snapshot
            self._plans.clear()
            plan = self._plan(name, [column.wire_type for column in table.columns], in_copy=True)
            yield [self._event(wire.BEGIN), plan.field_event(in_copy=True)]
            if fresh:
                yield [self._at_position()]
            self._held_back.discard(name)
            yield from self._batches(reader, table, plan, query)
        # Each stretch of binlog is a new stream inside the tablet and announces its fields once more.
        self._plans.clear()
        self._set_last_pk(name, None)
        yield [self._event(wire.BEGIN), self._at_position(), self._event(wire.COMMIT)]

    def _batches(
        self, reader: sqlite3.Connection, table: Table, plan: TablePlan, query: CopyQuery
    ) -> Iterator[Group]:
        """The rows in responses of the packet's size, each with the last primary key in it."""
        sql = query.sql.format(table=physical(self.shard, table.name))
        cursor = reader.execute(sql, query.values)
        batch: list[wire.VEvent] = []
        size, opened = 0, True
        while rows := cursor.fetchmany(_FETCH_ROWS):
            for row in rows:
                cells = query.projection.cells(row)
                event = plan.copied(cells)
                batch.append(event)
                size += len(event.row_event.row_changes[0].after.values)
                if size < self._ask.packet_bytes:
                    continue
                yield from self._batch(batch, query.last_pk(cells), opened=opened)
                batch, size, opened = [], 0, False
        if batch:
            yield from self._batch(batch, query.last_pk(cells), opened=opened)

    def _batch(self, batch: list[wire.VEvent], last: wire.TableLastPK, *, opened: bool) -> Iterator[Group]:
        if not opened:
            yield [self._event(wire.BEGIN)]
        self._set_last_pk(last.table_name, last)
        yield [*batch, self._at_position(), self._event(wire.COMMIT)]

    def _set_last_pk(self, name: str, last: wire.TableLastPK | None) -> None:
        kept = [entry for entry in self._position.table_p_ks if entry.table_name != name]
        del self._position.table_p_ks[:]
        self._position.table_p_ks.extend([*kept, last] if last else kept)

    # Catch-up

    def _catch_up(self, up_to: int) -> Iterator[Group]:
        """The transactions after the position, up to a number."""
        if up_to <= self._number or self.journal is not None:
            return
        with self._storage.reader() as reader:
            parts = self._storage.log(self.shard, self._number, up_to, reader)
            for number, transaction in itertools.groupby(parts, key=lambda part: part.number):
                yield from self._transaction(number, transaction)
                if self.journal is not None:
                    return

    def _transaction(self, number: int, parts: Iterator[LogPart]) -> Iterator[Group]:
        """One transaction, in several responses where it is larger than a packet."""
        first = next(parts)
        if first.kind == "ddl":
            self._number = number
            yield self._ddl(first)
            return
        group = [self._event(wire.BEGIN, first)]
        size = 0
        for part in itertools.chain([first], parts):
            if part.kind == "journal":
                group.append(self._journal_event(part))
            elif part.kind == "rows" and self._is_sent(part.name):
                group += self._rows(part)
                size += len(part.payload)
            if size >= self._ask.packet_bytes:
                yield group
                group, size = [], 0
        self._number = number
        yield [*group, self._at_position(), self._event(wire.COMMIT, first)]

    def _is_sent(self, name: str) -> bool:
        return name not in self._held_back and self._ask.tables.matches(name)

    def _rows(self, part: LogPart) -> list[wire.VEvent]:
        self._ask.tables.check_binlog(part.name)
        types, changes = marshal.loads(part.payload)  # noqa: S302  # written by this process
        plan = self._plan(part.name, types)
        events = [] if plan.field_sent else [plan.field_event(in_copy=False)]
        events.append(plan.changed(changes))
        for event in events:
            event.timestamp, event.current_time = part.time, time.time_ns()
        return events

    def _ddl(self, part: LogPart) -> list[wire.VEvent]:
        names = part.name.split("\n")
        for name in names:
            self._plans.pop(name, None)
        if not any(self._ask.tables.matches(name) for name in names):
            return [self._at_position(), self._event(wire.OTHER, part)]
        event = self._event(wire.DDL, part)
        event.statement = part.payload.decode()
        return [self._at_position(), event]

    def _journal_event(self, part: LogPart) -> wire.VEvent:
        self.journal = wire.Journal.FromString(part.payload)
        event = self._event(wire.JOURNAL, part)
        event.journal.CopyFrom(self.journal)
        return event


def _last_number(position: str, shard: Shard) -> int:
    """The number of the last transaction of a shard that a position holds."""
    if not position.startswith(gtid.FLAVOR):
        return 0
    intervals = gtid.parse(position[len(gtid.FLAVOR) :]).get(shard.uuid, [])
    return max((high for _, high in intervals), default=0)


def _snapshot_number(reader: sqlite3.Connection, shard: Shard) -> int:
    """The last transaction that the reader's snapshot holds."""
    row = reader.execute("select last from positions where uuid = ?", (shard.uuid,)).fetchone()
    return int(row[0])
