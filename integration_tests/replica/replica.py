"""The proof that nothing is lost: a destination's copy of random tables, fed by syncs that meet faults."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pymysql

from integration_tests.replica.designs import TableDesign, as_emitted
from integration_tests.support.command import cursors
from integration_tests.support.destination import (
    CURSOR,
    DedupedTable,
    streams_without_a_state_between,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from integration_tests.support.command import Run
    from integration_tests.support.destination import Key, Row


class Difference(AssertionError):  # noqa: N818 - the finding that the proof looks for
    """The replica is not what the source says it must be."""


class Source:
    """The database with the random tables, written to shard by shard through its MySQL port."""

    def __init__(
        self, config: Mapping[str, Any], shards: Sequence[str], tables: Sequence[TableDesign]
    ) -> None:
        """Takes a configuration of the connector that reaches the database."""
        self.tables = tables
        self.shards = shards
        self.keyspace = str(config["database"])
        self._config = config
        self._lock = threading.Lock()
        self._rev = 0

    def next_rev(self) -> int:
        """A number greater than all before it."""
        with self._lock:
            self._rev += 1
            return self._rev

    def connect(self, shard: str) -> pymysql.Connection[Any]:
        """Opens a connection to a shard's primary, in UTC, without autocommit."""
        config = self._config
        connection = pymysql.connect(
            host=config["host"],
            port=config["mysql_port"],
            user=config["username"],
            password=config["password"],
            database=f"{config['database']}:{shard}@primary",
            charset="utf8mb4",
        )
        with connection.cursor() as cursor:
            cursor.execute("set time_zone = '+00:00'")
        return connection

    def rows(self, table: TableDesign) -> dict[Key, Row]:
        """All rows of a table as the connector would emit them, by their identity."""
        found = {}
        for shard in self.shards:
            with closing(self.connect(shard)) as connection, connection.cursor() as cursor:
                cursor.execute(f"select * from {table.name}")  # noqa: S608 - the tests' own table
                names = [column[0] for column in cursor.description]
                for values in cursor.fetchall():
                    row = {
                        name: as_emitted(value, _kind_of(name, table))
                        for name, value in zip(names, values, strict=True)
                    }
                    found[identity(table, row)] = row
        return found


def _kind_of(column: str, table: TableDesign) -> Any:
    kinds = {"k": table.keys, "v": table.values}.get(column[0])
    return kinds[int(column[1:])] if kinds and column[1:].isdigit() else None


def identity(table: TableDesign, row: Row) -> Key:
    """What makes a row that row: its key, or all of it where there is no key."""
    if table.keys:
        return tuple(row[column] for column in table.key_columns)
    return tuple(json.dumps(row[column], sort_keys=True) for column in sorted(row))


def _parsed(record: Row, table: TableDesign) -> Row:
    """A record message with JSON documents as values, since their texts may differ."""
    data = {
        name: json.loads(value) if value is not None and _is_json(name, table) else value
        for name, value in record["data"].items()
    }
    return {**record, "data": data}


def _is_json(column: str, table: TableDesign) -> bool:
    kind = _kind_of(column, table)
    return kind is not None and kind.name == "json"


class Writer:
    """Random changes, one transaction after the other."""

    def __init__(self, source: Source, chance: random.Random) -> None:
        """Prepares changes that depend on `chance` alone."""
        self._source = source
        self._chance = chance
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_until_stopped, daemon=True)
        self.transactions = 0

    def start(self) -> None:
        """Begins to write in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Waits until the transaction at hand is over."""
        self._stopped.set()
        self._thread.join()

    def fill(self, table: TableDesign, rows: int) -> None:
        """Inserts so many rows, spread over the shards."""
        for index, shard in enumerate(self._source.shards):
            with closing(self._source.connect(shard)) as connection:
                statement = self._insert(table, index, 0, rows // len(self._source.shards))
                with connection.cursor() as cursor:
                    cursor.execute(statement)
                connection.commit()

    def write(self, connection: pymysql.Connection[Any], shard_index: int) -> None:
        """Runs one random transaction."""
        chance = self._chance
        statements = [
            statement
            for _ in range(chance.choice((1, 1, 1, 2, 5)))
            for statement in self._changes(chance.choice(self._source.tables), shard_index)
        ]
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            if chance.random() < 0.05:
                connection.rollback()
            else:
                connection.commit()
        except pymysql.IntegrityError:
            # A changed key that exists.
            connection.rollback()
        self.transactions += 1

    def _write_until_stopped(self) -> None:
        connections: dict[int, pymysql.Connection[Any]] = {}
        while not self._stopped.is_set():
            index = self._chance.randrange(len(self._source.shards))
            try:
                if index not in connections:
                    connections[index] = self._source.connect(self._source.shards[index])
                self.write(connections[index], index)
            except pymysql.MySQLError:
                # The server was killed on purpose.
                connections.pop(index, None)
                self._stopped.wait(0.1)
            self._stopped.wait(self._chance.choice((0.0, 0.005, 0.05)))
        for connection in connections.values():
            connection.close()

    def _changes(self, table: TableDesign, shard_index: int) -> list[str]:
        chance, name = self._chance, table.name
        action, number = chance.random(), self._number(table, shard_index)
        rev = self._source.next_rev()
        if action < 0.35 or not table.keys:
            if not table.keys and action > 0.7:
                # What has no key only grows otherwise, and vtgate answers with 10,000 rows at most.
                low, high = (0, rev - 3000) if chance.random() < 0.1 else (rev - 50, rev - 45)
                return [f"delete from {name} where rev between {low} and {high}"]  # noqa: S608
            many = chance.random() < 0.03
            return [self._insert(table, shard_index, number, chance.randint(200, 3000) if many else 1)]
        where = table.key_is(number)
        if action < 0.65:
            return [f"update {name} set {self._assignments(table)}, rev = {rev} where {where}"]  # noqa: S608
        if action < 0.75:
            low = chance.randrange(rev)
            return [
                f"update {name} set rev = {rev} where rev between {low} and {low + chance.randint(1, 300)}"  # noqa: S608
            ]
        if action < 0.85:
            pairs = zip(table.key_columns, table.key_literals(self._number(table, shard_index)), strict=True)
            moved = ", ".join(f"{column} = {literal}" for column, literal in pairs)
            return [f"update {name} set {moved}, rev = {rev} where {where}"]  # noqa: S608
        if action < 0.97:
            return [f"delete from {name} where {where}"]  # noqa: S608
        return [f"delete from {name} where {where}", self._insert(table, shard_index, number, 1)]  # noqa: S608

    def _number(self, table: TableDesign, shard_index: int) -> int:
        shards = len(self._source.shards)
        # Each shard has numbers of its own: a row's key is in one shard only.
        return self._chance.randrange(min(table.capacity, 4000) // shards) * shards + shard_index

    def _insert(self, table: TableDesign, shard_index: int, first: int, count: int) -> str:
        shards = len(self._source.shards)
        first -= first % shards
        numbers = [first + step * shards + shard_index for step in range(max(count, 1))]
        rows = [self._row(table, number) for number in numbers if number < table.capacity]
        rows = rows or [self._row(table, shard_index)]
        columns = [*table.key_columns, "rev", *(f"v{i}" for i in range(len(table.values))), "filler"]
        verb = "replace" if table.keys else "insert"
        return f"{verb} into {table.name} ({', '.join(columns)}) values {', '.join(rows)}"

    def _row(self, table: TableDesign, number: int) -> str:
        rev = self._source.next_rev()
        values = [self._value(kind) for kind in table.values]
        filler = f"'{'x' * self._chance.choice((0, 10, 10, 400, 2500))}'"
        return f"({', '.join([*table.key_literals(number), str(rev), *values, filler])})"

    def _assignments(self, table: TableDesign) -> str:
        return ", ".join(f"v{index} = {self._value(kind)}" for index, kind in enumerate(table.values))

    def _value(self, kind: Any) -> str:
        return "null" if self._chance.random() < 0.1 else kind.literal(self._chance.randrange(kind.capacity))


@dataclass
class Tally:
    """What a proof has seen."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """The counts in one line."""
        return ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))


class Replica:
    """The destination's side of all tables, through several syncs.

    Attributes:
        state: The last state that reached stdout, for the next sync.
    """

    def __init__(self, source: Source, *, cdc: bool, tally: Tally) -> None:
        """Starts with empty tables and without a state."""
        self._source = source
        self._cdc = cdc
        self._tally = tally
        self._loaded = {table.name: self._empty(table) for table in source.tables}
        # A copy that cannot go on in the middle may start again within a sync.
        self._copied_again = {table.name for table in source.tables if not table.resumable}
        self._stale: dict[str, set[Key]] = {}
        self._before: dict[str, dict[Key, Row]] = {}
        self._rev_before = 0
        self._read: Sequence[TableDesign] = ()
        self.state: list[Row] = []

    def before_sync(self, tables: Sequence[TableDesign]) -> None:
        """Notes what a sync of some tables that begins must bring at least."""
        self._read = tables
        self._rev_before = self._source.next_rev()
        self._before = {table.name: self._source.rows(table) for table in tables}

    def clear(self, table: TableDesign) -> None:
        """Forgets a table and its state, as the platform does where a person clears a stream."""
        self.state = [state for state in self.state if _descriptor(state) != table.name]
        self._loaded[table.name] = self._empty(table)
        self._stale.pop(table.name, None)

    def after_sync(self, run: Run, *, keep_uncovered: bool) -> None:
        """Applies what a sync emitted, and holds its statuses against the source.

        Args:
            run: The sync.
            keep_uncovered: Whether the platform keeps records that no state covers.

        Raises:
            Difference: A stream is COMPLETE and something is missing or wrong.
        """
        self._tally.counts["syncs"] += 1
        self._remember_states(run)
        if mixed := streams_without_a_state_between(run.messages):
            raise Difference(f"no state stands between records of {' and '.join(mixed)}")
        for error in run.errors:
            # The CDK's own summary of the streams is a config error whatever they are.
            if error.get("stream_descriptor") and error["failure_type"] != "transient_error":
                raise Difference(f"a fault that passes ended in {error['failure_type']}: {error['message']}")
        for table in self._read:
            records = run.record_messages(table.name) if keep_uncovered else covered_records(run, table.name)
            self._tally.counts["records"] += len(records)
            loaded = self._loaded[table.name]
            loaded.load(_parsed(record, table) for record in records)
            if loaded.late:
                raise Difference(f"{table}: {CURSOR} does not grow for {loaded.late[0]}")
            self._note_copies(table)
            statuses = run.statuses(table.name)
            outcome = statuses[-1] if statuses else "none"
            self._tally.counts[f"streams {outcome}"] += 1
            if outcome == "COMPLETE":
                self._check(table)
        if run.exit_code == 0 and not all(
            run.statuses(table.name)[-1:] == ["COMPLETE"] for table in self._read
        ):
            raise Difference("a run that did not complete every stream ended with exit code 0")

    def check_equal(self) -> None:
        """Holds the replica against a source that nobody writes to.

        Raises:
            Difference: They are not equal.
        """
        self.before_sync(self._source.tables)
        for table in self._read:
            self._check(table)

    def _empty(self, table: TableDesign) -> DedupedTable:
        # Without change columns the record that came last counts, and rows that were deleted stay.
        return DedupedTable(partial(identity, table), CURSOR if self._cdc else None)

    def _remember_states(self, run: Run) -> None:
        fresh = {_descriptor(state): state for state in run.state}
        self.state = list({**{_descriptor(state): state for state in self.state}, **fresh}.values())

    def _check(self, table: TableDesign) -> None:
        before, after = self._before[table.name], self._source.rows(table)
        replica = self._loaded[table.name].by_key
        for key, row in before.items():
            held = replica.get(key)
            if after.get(key) == row:
                if held != row:
                    raise Difference(f"{table}: {key}: {_differences(held, row)}")
            elif held is not None and held["rev"] < row["rev"]:
                raise Difference(
                    f"{table}: {key} is older than at the sync's start: {_differences(held, row)}"
                )
        self._tally.counts["rows compared"] += len(before)
        if self._cdc:
            self._check_deletes(table, before, after)

    def _check_deletes(self, table: TableDesign, before: Mapping[Key, Row], after: Mapping[Key, Row]) -> None:
        rows = self._loaded[table.name].by_key
        known = before.keys() | after.keys()
        gone = {key for key in rows.keys() - known if rows[key]["rev"] < self._rev_before}
        if table.name in self._copied_again:
            # Deletes between a copy that was cut and the next one of the same table are in neither, also
            # those since this sync began.
            self._copied_again.discard(table.name)
            self._stale[table.name] = rows.keys() - after.keys()
        left = gone - self._stale.get(table.name, set())
        if left:
            raise Difference(
                f"{table}: {len(left)} deleted rows are still there, such as {min(left, key=str)}"
            )
        self._tally.counts["deleted rows compared"] += len(known)

    def _note_copies(self, table: TableDesign) -> None:
        states = [
            state["stream"]["stream_state"]
            for state in self.state
            if state["stream"]["stream_descriptor"]["name"] == table.name
        ]
        begun = bool(states) and all(
            cursor.position for cursor in cursors(states[0], self._source.keyspace).values()
        )
        if not begun:
            self._copied_again.add(table.name)


def _differences(held: Row | None, row: Row) -> str:
    if held is None:
        return "is missing"
    names = [name for name in {**row, **held} if row.get(name) != held.get(name)]
    return ", ".join(
        f"{name} is {str(held.get(name))[:80]!r} instead of {str(row.get(name))[:80]!r}" for name in names
    )


def covered_records(run: Run, stream: str) -> list[Row]:
    """The `record` of a stream's record messages up to its last state."""
    records: list[Row] = []
    covered = 0
    for message in run.messages:
        if message["type"] == "RECORD" and message["record"]["stream"] == stream:
            records.append(message["record"])
        elif message["type"] == "STATE" and _descriptor(message["state"]) == stream:
            covered = len(records)
    return records[:covered]


def _descriptor(state: Row) -> str:
    return str(state["stream"]["stream_descriptor"]["name"])
