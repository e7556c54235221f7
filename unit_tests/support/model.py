"""A model of one shard: what vtgate sends of it from any cursor, in responses cut anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from hypothesis import strategies as st

from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import (
    NOON,
    SHARD,
    TABLE,
    UUID,
    begin,
    change,
    commit,
    copied,
    copy_completed,
    fields,
    gtid,
    heartbeat,
    last_key,
    response,
    row,
    rows,
    vgtid,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor

Log: TypeAlias = "list[list[tuple[str, int, str | None]]]"
"""Transactions, each a list of changes: a table, a key and its new value, or None for a deleted row."""

TABLES: Final[dict[str, Table]] = {name: replace(TABLE, name=name) for name in ("orders", "parts", "users")}
"""The tables of the model, by name."""


def logs_of(*tables: str) -> st.SearchStrategy[Log]:
    """Logs in which these tables are changed."""
    change_of_row = st.tuples(st.sampled_from(tables), st.integers(1, 6), st.none() | st.sampled_from("abc"))
    return st.lists(st.lists(change_of_row, max_size=4), min_size=1, max_size=8)


LOGS = logs_of("orders")
"""Logs of one table."""


class Server:
    """A model of one shard: a log of transactions, and streams of it as vtgate sends them.

    The log stands in one binlog file or several; a stream leaves out the rows beyond the file that it began
    in, the worst that a tablet can do after a restart of MySQL.
    """

    def __init__(self, log: Log, random: Random) -> None:
        """Takes the whole log; the server has executed some of it, and more with every stream."""
        self.log = log
        self.head = random.randint(0, len(log))
        self._random = random
        self._sequence_numbers = self._number()

    def _number(self) -> list[int]:
        """The number of each transaction in its binlog file; 0 where an old Vitess leaves it out."""
        if self._random.random() < 0.2:
            return [0] * len(self.log)
        numbers: list[int] = []
        for _ in self.log:
            numbers.append(1 if not numbers or self._random.random() < 0.3 else numbers[-1] + 1)
        return numbers

    def content(self, last: int, table: str = "orders") -> dict[int, str]:
        """What a table holds after the transactions 1 to `last`."""
        held: dict[int, str] = {}
        for changes in self.log[:last]:
            for name, key, value in changes:
                if name == table:
                    held.pop(key, None)
                    held |= {} if value is None else {key: value}
        return held

    def stream(self, cursor: Cursor, tables: Sequence[str] = ("orders",)) -> list[wire.VStreamResponse]:
        """The whole stream from a cursor to the head, in responses that begin and end anywhere."""
        self.head = self._random.randint(self.head, len(self.log))
        start = int(cursor.position.rpartition("-")[2] or 0) if cursor.position else 0
        if not cursor.copying:
            return self._cut(self._changes(start, tables, None))
        (table,) = tables
        if cursor.last_pk is None:
            return self._cut([*self._copy(table, 0)])
        lastpk = wire.QueryResult.FromString(cursor.last_pk)
        caught_up = self._changes(start, tables, lastpk)
        return self._cut([*caught_up, *self._copy(table, int(cells(lastpk.rows[0])[0] or b""))])

    def _changes(
        self, start: int, tables: Sequence[str], lastpk: wire.QueryResult | None
    ) -> list[wire.VEvent]:
        events: list[wire.VEvent] = []
        held = {table: self.content(start, table) for table in tables}
        described: set[str] = set()
        beyond_file = False
        for number in range(start, self.head):
            sequence_number = self._sequence_numbers[number]
            beyond_file = beyond_file or (sequence_number == 1 and number > start)
            events.append(begin())
            events[-1].sequence_number, events[-1].event_gtid = sequence_number, f"{UUID}:{number + 1}"
            for name, key, value in self.log[number]:
                if name not in held or (value is None and key not in held[name]):
                    continue
                before = row(key, held[name][key], None) if key in held[name] else None
                if not beyond_file:
                    if name not in described:
                        events.append(fields(TABLES[name]))
                        described.add(name)
                    after = None if value is None else row(key, value, None)
                    events.append(rows(change(before, after), table=name))
                held[name].pop(key, None)
                held[name] |= {} if value is None else {key: value}
            events += [vgtid(gtid(number + 1), lastpk, table=tables[0]), commit()]
        for event in events:
            event.timestamp = 0 if event.type == wire.VGTID else NOON
        return events

    def _copy(self, table: str, last: int) -> list[wire.VEvent]:
        snapshot = gtid(self.head)
        events = [begin(), fields(TABLES[table]), vgtid(snapshot)]
        for key, value in sorted(self.content(self.head, table).items()):
            if key > last:
                image = row(key, value, None)
                batch_end = vgtid(snapshot, last_key(image), table=table)
                events += [copied(image, table=table), batch_end, commit(), begin()]
        return [*events, vgtid(snapshot), commit(), copy_completed(SHARD), copy_completed()]

    def _cut(self, events: list[wire.VEvent]) -> list[wire.VStreamResponse]:
        parts: list[wire.VStreamResponse] = []
        while events:
            size = self._random.randint(1, 6)
            parts.append(response(*events[:size]))
            events = events[size:]
            if self._random.random() < 0.1:
                parts.append(response(heartbeat()))
        return parts
