"""The proof that no row is read by the wrong columns: random direct DDL and changes between random syncs."""

# ruff: noqa: S608 - names are the proof's own

from __future__ import annotations

import json
import random
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql

from integration_tests.replica.designs import VALUE_KINDS, ColumnKind, as_emitted
from integration_tests.replica.replica import Difference
from integration_tests.schema.changed_table import TABLE, ChangedTable
from integration_tests.support.destination import DedupedTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.support.command import Run
    from integration_tests.support.destination import Row
    from integration_tests.vitess.cluster import VitessCluster

_KEYS = 30
_MOST_COLUMNS = 7
_LABELED = ("enum", "set")
# Why a table may not be read on: with labels, and after a sync that was cut right behind a statement that
# leaves the character set of a column to the table's default.
_LABELS = "that has an ENUM or SET column"
_CUT = "the statements in between do not tell"


@dataclass
class _Column:
    """A column of the table.

    Attributes:
        name: Its name of today.
        kind: Its type.
        since: Rows that were written with a greater `rev` have its value in the destination.
    """

    name: str
    kind: ColumnKind
    since: int


class AlteredTable:
    """One random table and its life, which depends on the seed alone."""

    def __init__(self, vitess: VitessCluster, seed: int) -> None:
        """Makes the table with some columns and rows."""
        self._chance = random.Random(seed)  # noqa: S311 - a test's choices
        self._seed = seed
        kinds: tuple[ColumnKind, ...] = VALUE_KINDS
        if self._chance.random() < 0.7:
            kinds = tuple(kind for kind in VALUE_KINDS if kind.name not in _LABELED)
        self._kinds = kinds
        self._columns = [_Column(f"c{n}", self._chance.choice(kinds), 0) for n in range(3)]
        self._named = len(self._columns)
        self._rev = 0
        self._is_cut = False
        self._read = 0
        self._log: list[str] = []
        columns = ", ".join(f"{column.name} {column.kind.ddl} null" for column in self._columns)
        create = f"create table {TABLE} (id int primary key, {columns}, rev bigint not null) charset utf8mb4"
        self._table = ChangedTable(vitess, create)
        self._destination = DedupedTable(["id"])
        self._log.append(create)
        self.syncs = 0
        self.refusals = 0

    def live(self, steps: int) -> None:
        """Does so many things to the table, then reads it to the end.

        Raises:
            Difference: The destination is not what the source says it must be.
        """
        things: list[Callable[[], None]] = [self._write, self._write, self._write, self._alter, self._sync]
        for _ in range(steps):
            self._chance.choice(things)()
        self._sync(cuts=False)

    def _run(self, statement: str) -> bool:
        with closing(self._table.vitess.connect_mysqld("vt_src_0")) as session, session.cursor() as cursor:
            cursor.execute("set names utf8mb4, time_zone = '+00:00'")
            with suppress(pymysql.MySQLError):
                cursor.execute(statement)
                self._log.append(statement)
                return True
        return False

    def _write(self) -> None:
        for _ in range(self._chance.randint(1, 4)):
            key = self._chance.randrange(_KEYS)
            if self._chance.random() < 0.2:
                self._run(f"delete from {TABLE} where id = {key}")
                continue
            self._rev += 1
            names = [column.name for column in self._columns]
            values = [self._literal(column.kind) for column in self._columns]
            self._run(
                f"replace into {TABLE} (id, {', '.join([*names, 'rev'])}) "
                f"values ({key}, {', '.join([*values, str(self._rev)])})"
            )

    def _literal(self, kind: ColumnKind) -> str:
        if self._chance.random() < 0.1:
            return "null"
        return kind.literal(self._chance.randrange(min(kind.capacity, 1000)))

    def _alter(self) -> None:
        column = self._chance.choice(self._columns)
        what = self._chance.choice(("add", "add", "drop", "rename", "swap", "move", "modify", "replace"))
        getattr(self, f"_{what}")(column)

    def _new(self) -> _Column:
        self._named += 1
        return _Column(f"c{self._named}", self._chance.choice(self._kinds), self._rev)

    def _place(self) -> str:
        others = ["id", *(column.name for column in self._columns)]
        return self._chance.choice(["", *(f" after {name}" for name in others)])

    def _add(self, _: _Column) -> None:
        new = self._new()
        if len(self._columns) < _MOST_COLUMNS and self._run(
            f"alter table {TABLE} add column {new.name} {new.kind.ddl} null{self._place()}"
        ):
            self._columns.append(new)

    def _drop(self, column: _Column) -> None:
        if len(self._columns) > 1 and self._run(f"alter table {TABLE} drop column {column.name}"):
            self._columns.remove(column)

    def _rename(self, column: _Column) -> None:
        new = self._new().name
        if self._run(f"alter table {TABLE} rename column {column.name} to {new}"):
            # What was read before is in the destination under the old name.
            column.name, column.since = new, max(column.since, self._read)

    def _swap(self, column: _Column) -> None:
        other = self._chance.choice(self._columns)
        one, two = column.name, other.name
        if one != two and self._run(
            f"alter table {TABLE} rename column {one} to {two}, rename column {two} to {one}"
        ):
            column.name, other.name = two, one
            for renamed in (column, other):
                renamed.since = max(renamed.since, self._read)

    def _move(self, column: _Column) -> None:
        self._run(f"alter table {TABLE} modify {column.name} {column.kind.ddl} null{self._place()}")

    def _modify(self, column: _Column) -> None:
        kind = self._chance.choice(self._kinds)
        if self._run(f"alter table {TABLE} modify {column.name} {kind.ddl} null"):
            column.kind, column.since = kind, self._rev

    def _replace(self, column: _Column) -> None:
        new = self._new()
        if self._run(
            f"alter table {TABLE} drop column {column.name}, add column {new.name} {new.kind.ddl} null"
        ):
            self._columns[self._columns.index(column)] = new

    def _sync(self, *, cuts: bool = True) -> None:
        self.syncs += 1
        if cuts and self._chance.random() < 0.3:
            # A sync that ends before so many records have come ends by itself.
            done = self._table.cut(after=self._chance.randint(1, 6))
            self._load(done)
            self._is_cut = self._is_cut or done.statuses(TABLE)[-1] != "COMPLETE"
            self._log.append(f"-- a cut sync: {done.statuses(TABLE)[-1]}")
            return
        done = self._table.sync()
        self._load(done)
        self._log.append(f"-- a sync: {done.statuses(TABLE)[-1]}")
        if done.statuses(TABLE)[-1] != "COMPLETE":
            self._refused(done)
            return
        self._is_cut = False
        self._compare()

    def _load(self, done: Run) -> None:
        self._destination.load(done.record_messages(TABLE))
        self._read = max(self._read, *(record["rev"] for record in done.records(TABLE)), 0)

    def _refused(self, done: Run) -> None:
        self.refusals += 1
        (message,) = done.errors_of(TABLE)
        allowed = (self._kinds is VALUE_KINDS and _LABELS in message) or (self._is_cut and _CUT in message)
        if f"table {TABLE}, shard 0" not in message or not allowed:
            raise self._difference(f"it could not be read: {message}")
        # As after 'Refresh this stream and remove its records'.
        self._table.state = []
        self._destination = DedupedTable(["id"])
        self._sync(cuts=False)

    def _compare(self) -> None:
        wanted = self._source()
        found = {key[0]: row for key, row in self._destination.by_key.items()}
        if wanted.keys() != found.keys():
            raise self._difference(f"the source has {sorted(wanted)}, the destination {sorted(found)}")
        for key, row in wanted.items():
            for column in self._columns:
                there = _parsed(found[key].get(column.name), column.kind)
                if row["rev"] > column.since and row[column.name] != there:
                    raise self._difference(
                        f"row {key}, column {column.name} ({column.kind.name}): the source has "
                        f"{row[column.name]!r}, the destination {there!r}"
                    )

    def _source(self) -> dict[int, Row]:
        kinds = {column.name: column.kind for column in self._columns}
        with closing(self._table.vitess.connect_mysqld("vt_src_0")) as session, session.cursor() as cursor:
            cursor.execute("set names utf8mb4, time_zone = '+00:00'")
            cursor.execute(f"select * from {TABLE}")
            names = [described[0] for described in cursor.description]
            return {
                values[0]: {
                    name: as_emitted(value, kinds.get(name))
                    for name, value in zip(names, values, strict=True)
                }
                for values in cursor.fetchall()
            }

    def _difference(self, words: str) -> Difference:
        life = ";\n".join(self._log)
        return Difference(f"Seed {self._seed}: {words}.\n{life}")


def _parsed(value: Any, kind: ColumnKind) -> object:
    return json.loads(value) if kind.name == "json" and value is not None else value


def prove_for(vitess: VitessCluster, seed: int, seconds: float) -> tuple[int, int, int]:
    """Lets tables live, one after the other, until the time is over; at least one.

    Args:
        vitess: The cluster, with the keyspace `src`.
        seed: The first table's seed; each further one has the next.
        seconds: How long to begin with further tables.

    Returns:
        The numbers of tables, of their syncs, and of refusals with a reason.

    Raises:
        Difference: A destination is not what its source says it must be.
    """
    deadline = time.monotonic() + seconds
    tables = syncs = refusals = 0
    while not tables or time.monotonic() < deadline:
        table = AlteredTable(vitess, seed + tables)
        table.live(steps=20)
        tables += 1
        syncs += table.syncs
        refusals += table.refusals
    return tables, syncs, refusals
