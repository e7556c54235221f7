"""A model of one shard: what vtgate sends of it from any cursor, in responses cut anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hypothesis import strategies as st

from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import (
    NOON,
    SHARD,
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
    from random import Random

    from source_planetscale.vstream.cursor import Cursor

Log: TypeAlias = "list[list[tuple[int, str | None]]]"
"""Transactions, each a list of changes: a key and its new value, or None for a deleted row."""

LOGS = st.lists(
    st.lists(st.tuples(st.integers(1, 6), st.none() | st.sampled_from("abc")), max_size=4),
    min_size=1,
    max_size=8,
)


class Server:
    """A model of one shard: a log of transactions, and streams of it as vtgate sends them.

    The log stands in one binlog file or several; a stream leaves out the rows beyond the file that it began
    in, the worst that a tablet can do after a restart of MySQL.
    """

    def __init__(self, log: list[list[tuple[int, str | None]]], random: Random) -> None:
        """Takes a list of transactions, each a list of changes: a key and its new value or None."""
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

    def content(self, last: int) -> dict[int, str]:
        table: dict[int, str] = {}
        for changes in self.log[:last]:
            for key, value in changes:
                if value is None:
                    table.pop(key, None)
                else:
                    table[key] = value
        return table

    def stream(self, cursor: Cursor) -> list[wire.VStreamResponse]:
        """The whole stream from a cursor to the head, in responses that begin and end anywhere."""
        self.head = self._random.randint(self.head, len(self.log))
        start = int(cursor.position.rpartition("-")[2] or 0) if cursor.position else 0
        if not cursor.copying:
            return self._cut(self._changes(start, None))
        if cursor.last_pk is None:
            return self._cut([*self._copy(0)])
        lastpk = wire.QueryResult.FromString(cursor.last_pk)
        caught_up = self._changes(start, lastpk)
        return self._cut([*caught_up, *self._copy(int(cells(lastpk.rows[0])[0] or b""))])

    def _changes(self, start: int, lastpk: wire.QueryResult | None) -> list[wire.VEvent]:
        events = [fields()]
        table = self.content(start)
        beyond_file = False
        for number in range(start, self.head):
            sequence_number = self._sequence_numbers[number]
            beyond_file = beyond_file or (sequence_number == 1 and number > start)
            events.append(begin())
            events[-1].sequence_number, events[-1].event_gtid = sequence_number, f"{UUID}:{number + 1}"
            for key, value in self.log[number]:
                before = row(key, table[key], None) if key in table else None
                if value is None and before is None:
                    continue
                if not beyond_file:
                    events.append(rows(change(before, None if value is None else row(key, value, None))))
                if value is None:
                    del table[key]
                else:
                    table[key] = value
            events += [vgtid(gtid(number + 1), lastpk), commit()]
        for event in events:
            event.timestamp = 0 if event.type == wire.VGTID else NOON
        return events

    def _copy(self, last: int) -> list[wire.VEvent]:
        snapshot = gtid(self.head)
        events = [begin(), fields(), vgtid(snapshot)]
        for key, value in sorted(self.content(self.head).items()):
            if key > last:
                image = row(key, value, None)
                events += [copied(image), vgtid(snapshot, last_key(image)), commit(), begin()]
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
