"""A model of a keyspace with several tables and shards, and a destination that counts as Airbyte's do."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from source_planetscale.records.message import RecordBatch
from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import (
    KEYSPACE,
    NOON,
    SHARD,
    TABLE,
    begin,
    change,
    commit,
    copied,
    copy_completed,
    fields,
    gtid,
    last_key,
    response,
    row,
    rows,
    vgtid,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from airbyte_cdk.models import AirbyteMessage

    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor

Transaction: TypeAlias = "list[tuple[str, int, str | None]]"
"""Changes: the table, the key, and the row's new value or None for a deleted row."""


def table(name: str) -> Table:
    """A table like `TABLE`."""
    return replace(TABLE, name=name)


def of_table(name: str, *events: wire.VEvent) -> list[wire.VEvent]:
    """The events as those of another table."""
    renamed = []
    for event in events:
        event = wire.VEvent.FromString(event.SerializeToString())
        if event.type == wire.ROW:
            event.row_event.table_name = f"{KEYSPACE}.{name}"
        elif event.type == wire.FIELD:
            event.field_event.table_name = f"{KEYSPACE}.{name}"
        for entry in event.vgtid.shard_gtids:
            for key in entry.table_p_ks:
                key.table_name = name
        renamed.append(event)
    return renamed


def of_copy(name: str, script: Sequence[wire.VStreamResponse]) -> list[wire.VStreamResponse]:
    """The responses as those of another table."""
    return [response(*of_table(name, *part.events)) for part in script]


def inserts(last: int, shard: str = SHARD, **tables: Sequence[int]) -> wire.VStreamResponse:
    """A transaction that inserts rows with these keys into tables."""
    events = [begin()]
    for name, keys in tables.items():
        new = rows(*(change(None, row(key, f"new {key}", None)) for key in keys))
        events += of_table(name, fields(), new)
    return response(*events, vgtid(gtid(last), shard=shard), commit())


@dataclass
class ShardModel:
    """One shard: the rows before its log begins, its transactions, and the journal that ends it.

    Attributes:
        name: The shard.
        log: The transactions.
        first: The number of transactions before the log.
        base: The rows before the log by table and key.
        journal: The reshard that ends the shard, or None.
    """

    name: str
    log: list[Transaction] = field(default_factory=list)
    first: int = 0
    base: dict[tuple[str, int], str] = field(default_factory=dict)
    journal: wire.Journal | None = None

    @property
    def last(self) -> int:
        """The number of transactions up to the end of the log, the journal's included."""
        return self.first + len(self.log) + (self.journal is not None)

    def content(self, last: int | None = None) -> dict[tuple[str, int], str]:
        """The rows after the transaction with this number, or the last one."""
        present = dict(self.base)
        for changes in self.log[: None if last is None else max(last - self.first, 0)]:
            for name, key, value in changes:
                if value is None:
                    present.pop((name, key), None)
                else:
                    present[name, key] = value
        return present

    def stream(self, cursor: Cursor, tables: Sequence[str]) -> list[wire.VStreamResponse]:
        """What vtgate sends from a cursor to the end of the log, a response for each transaction."""
        start = int(cursor.position.rpartition("-")[2] or 0) if cursor.position else 0
        if not cursor.copying:
            return self._changes(start, tables, None)
        if cursor.last_pk is None:
            return self._copy(tables[0], 0)
        last_pk = wire.QueryResult.FromString(cursor.last_pk)
        caught_up = self._changes(start, tables, last_pk)
        return [*caught_up, *self._copy(tables[0], int(cells(last_pk.rows[0])[0] or b""))]

    def _changes(
        self, start: int, tables: Sequence[str], last_pk: wire.QueryResult | None
    ) -> list[wire.VStreamResponse]:
        described: set[str] = set()
        responses = []
        present = self.content(start)
        for number, changes in enumerate(self.log[max(start - self.first, 0) :], max(start, self.first) + 1):
            events = [begin()]
            for name, key, value in changes:
                before = row(key, present[name, key], None) if (name, key) in present else None
                if value is None:
                    present.pop((name, key), None)
                else:
                    present[name, key] = value
                if name in tables and (before is not None or value is not None):
                    if name not in described:
                        described.add(name)
                        events += of_table(name, fields())
                    after = None if value is None else row(key, value, None)
                    events += of_table(name, rows(change(before, after)))
            place = of_table(tables[0], vgtid(gtid(number), last_pk, shard=self.name))
            responses.append(response(*events, *place, commit()))
        return responses if last_pk is not None else [*responses, *self._end()]

    def _end(self) -> list[wire.VStreamResponse]:
        if self.journal is None:
            return []
        ended = wire.VEvent(type=wire.JOURNAL, journal=self.journal, timestamp=NOON)
        return [response(begin(), ended, vgtid(gtid(self.last), shard=self.name), commit())]

    def _copy(self, name: str, last: int) -> list[wire.VStreamResponse]:
        position = gtid(self.first + len(self.log))
        snapshot = vgtid(position, shard=self.name)
        responses = [response(begin(), *of_table(name, fields())), response(snapshot)]
        for (owner, key), value in sorted(self.content().items()):
            if owner == name and key > last:
                image = row(key, value, None)
                end = vgtid(position, last_key(image), shard=self.name)
                responses.append(response(*of_table(name, copied(image), end), commit()))
        return [
            *responses,
            response(begin(), snapshot, commit()),
            response(copy_completed(self.name), copy_completed()),
            *self._end(),
        ]


@dataclass
class KeyspaceModel:
    """Several shards by name."""

    shards: dict[str, ShardModel]

    @property
    def current(self) -> dict[str, str]:
        """Where each shard is."""
        return {name: gtid(shard.last) for name, shard in self.shards.items()}

    def content(self) -> dict[tuple[str, int], str]:
        """The rows of all shards that have not been replaced."""
        return {
            place: value
            for shard in self.shards.values()
            if shard.journal is None
            for place, value in shard.content().items()
        }

    def serve(self, cursor: Cursor, tables: Sequence[str]) -> list[wire.VStreamResponse]:
        """What vtgate sends."""
        return self.shards[cursor.shard].stream(cursor, tables)


def reshard(number: int, old: Sequence[str], new: Sequence[str], last: int) -> wire.Journal:
    """The journal of shards that are replaced by others, which begin after the transaction `last`."""
    return wire.Journal(
        id=number,
        migration_type=wire.SHARDS,
        shard_gtids=[wire.ShardGtid(keyspace=KEYSPACE, shard=name, gtid=gtid(last)) for name in new],
        participants=[wire.KeyspaceShard(keyspace=KEYSPACE, shard=name) for name in old],
    )


@dataclass
class Destination:
    """Counts and keeps records as a destination does, message by message.

    Attributes:
        uncovered: Records since the last state of any stream, by stream.
        states: The last state of each stream.
        counts: Records by stream.
        rows: The newest value of each key by table, None for a deleted row; by `_ab_cdc_cursor` where it is
            there.
    """

    uncovered: Counter[str] = field(default_factory=Counter)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[tuple[str, int], tuple[int, str | None]] = field(default_factory=dict)

    def take(self, message: AirbyteMessage) -> None:
        """Takes a message; records of two streams must not stand between two states."""
        if message.state is not None and message.state.stream is not None:
            name = message.state.stream.stream_descriptor.name
            assert not set(self.uncovered) - {name}
            self.uncovered.clear()
            self.states[name] = vars(message.state.stream.stream_state)
            return
        for stream, data in _records(message):
            self.uncovered[stream] += 1
            self.counts[stream] += 1
            assert set(self.uncovered) == {stream}
            number = data.get("_ab_cdc_cursor", 0)
            newest, _ = self.rows.get((stream, data["id"]), (-1, None))
            assert number > newest or not number
            gone = data.get("_ab_cdc_deleted_at") is not None
            self.rows[stream, data["id"]] = (number, None if gone else data["label"])

    @property
    def content(self) -> dict[tuple[str, int], str]:
        """The rows that are there."""
        return {place: value for place, (_, value) in self.rows.items() if value is not None}


def _records(message: AirbyteMessage) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(message, RecordBatch):
        for line in message.text.splitlines():
            record = json.loads(line)["record"]
            yield record["stream"], record["data"]
    elif message.record is not None:
        yield message.record.stream, dict(message.record.data)


def random_log(
    random: Random, tables: Sequence[str], *, keys: Sequence[int], length: int
) -> list[Transaction]:
    """Transactions over some of the tables and keys."""
    return [
        [
            (random.choice(tables), random.choice(keys), random.choice(["a", "b", None]))
            for _ in range(random.randint(0, 4))
        ]
        for _ in range(length)
    ]
