"""A table that random statements alter and write to, and what a destination must have of it."""

# ruff: noqa: S608 - names are the proof's own

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pymysql

from integration_tests.replica.altered_columns import (
    KINDS,
    RELATED,
    are_alike,
    family,
    has_labels,
    takes_default_charset,
)
from integration_tests.replica.designs import ColumnKind, as_emitted
from integration_tests.support.tables import create

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from integration_tests.support.destination import Key, Row
    from integration_tests.vitess.cluster import VitessCluster

_KEYS = 30
_MOST_COLUMNS = 8
_LONGEST_STATEMENT = 300
_INTEGERS = ("id", "rev")


@dataclass
class _Column:
    """A column of the table.

    Attributes:
        name: Its name of today.
        kind: Its type of today.
        since: Rows that were written with a greater `rev` have its very value in the destination.
        read: Rows up to this `rev` may have the value of another column that had the name: they may have been
            read by then, and nothing tells a dropped column from a new one under its name.
        held: `rev` of a row -> the values that the column had in it, under each of its types.
    """

    name: str
    kind: ColumnKind
    since: int
    read: int = 0
    held: dict[int, list[tuple[str, object]]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class _Clause:
    """A part of an ALTER TABLE.

    Attributes:
        text: Its text.
        took_place: Carries on what the proof knows of the table.
        kind: The type that a column gets by it, or None.
    """

    text: str
    took_place: Callable[[], None] = lambda: None
    kind: ColumnKind | None = None

    @property
    def defaults(self) -> bool:
        """Whether it leaves the character set of a column to the table's default."""
        return self.kind is not None and takes_default_charset(self.kind)


class AlteredTable:
    """One random table of the keyspace `src`, whose statements depend on its random numbers alone.

    Attributes:
        name: Its name.
        labeled: Whether it may have ENUM and SET columns.
        untold: Whether, since it was read to its end, a statement has left the character set of a column to
            the table's default and a later one may have hidden it: nothing tells the first one's shape then.
        log: What has happened to it, oldest first.
        alters: How many statements have altered it.
    """

    def __init__(self, vitess: VitessCluster, name: str, chance: random.Random) -> None:
        """Makes the table with some columns."""
        self.name = name
        self._session = vitess.connect_mysqld("vt_src_0")
        with self._session.cursor() as cursor:
            cursor.execute("set names utf8mb4, time_zone = '+00:00'")
        self._chance = chance
        # A table with labels is refused often.
        self.labeled = chance.random() < 0.3
        self._columns = [_Column(f"c{n}", self._kind(), 0) for n in range(chance.randint(1, 4))]
        self._free = [f"c{n}" for n in range(4, 12)]
        self._others: list[_Column] = []
        self._held_by_name: dict[tuple[str, int], list[object]] = defaultdict(list)
        self._rev = 0
        self._read = 0
        columns = ", ".join(f"{column.name} {column.kind.ddl} null" for column in self._columns)
        charset = chance.choice(("utf8mb4", "utf8mb4", "latin1"))
        made = f"create table {name} (id int primary key, {columns}, rev bigint not null) charset {charset}"
        create(vitess, "src", made)
        self.log = [made]
        self.alters = 0
        self.untold = False
        self._defaulted = False

    def _kind(self, like: ColumnKind | None = None) -> ColumnKind:
        """A random type, of the same family if one is given."""
        kinds = KINDS if like is None else RELATED[family(like)]
        return self._chance.choice([kind for kind in kinds if self.labeled or not has_labels(kind)])

    def _run(self, statement: str, *, lenient: bool = False) -> bool:
        with self._session.cursor() as cursor:
            cursor.execute("set sql_mode = ''" if lenient else "set sql_mode = default")
            try:
                cursor.execute(statement)
            except pymysql.MySQLError:
                # Not every value takes every type.
                return False
        self.log.append(f"{statement[:_LONGEST_STATEMENT]}{' -- lenient' if lenient else ''}")
        return True

    def write(self) -> None:
        """Inserts, replaces and deletes some rows."""
        for _ in range(self._chance.randint(1, 4)):
            key = self._chance.randrange(_KEYS)
            if self._chance.random() < 0.2:
                self._run(f"delete from {self.name} where id = {key}")
                continue
            self._rev += 1
            names = ["id", *(column.name for column in self._columns), "rev"]
            values = [str(key), *(self._literal(column.kind) for column in self._columns), str(self._rev)]
            self._run(f"replace into {self.name} ({', '.join(names)}) values ({', '.join(values)})")
        self._remember()

    def _literal(self, kind: ColumnKind) -> str:
        if self._chance.random() < 0.1:
            return "null"
        return kind.literal(self._chance.randrange(min(kind.capacity, 1000)))

    def alter(self) -> None:
        """Alters the table by one statement, where its values allow it."""
        # No column is named twice in one statement.
        self._others = self._chance.sample(self._columns, len(self._columns))
        count = min(len(self._columns), self._chance.choice((1, 1, 2, 3)))
        clauses = [self._clause(self._others.pop()) for _ in range(count) if self._others]
        lenient = self._chance.random() < 0.4
        texts = ", ".join(clause.text for clause in clauses)
        if self._run(f"alter table {self.name} {texts}", lenient=lenient):
            self.alters += 1
            self.untold = self.untold or self._defaulted
            self._defaulted = self._defaulted or any(clause.defaults for clause in clauses)
            for clause in clauses:
                clause.took_place()
            self._remember()

    def _clause(self, column: _Column) -> _Clause:
        ways: list[Callable[[_Column], _Clause]] = [
            self._add,
            self._add,
            self._drop,
            self._drop,
            self._rename,
            self._swap,
            self._move,
            self._modify,
            self._modify,
            self._modify,
            self._change,
            self._renew,
            self._move_an_integer,
            self._convert,
        ]
        return self._chance.choice(ways)(column)

    def _new_name(self) -> str:
        # Those of columns that are gone come again.
        return self._chance.choice(self._free)

    def _place(self) -> str:
        others = ["id", "rev", *(column.name for column in self._columns)]
        return self._chance.choice(["", "", " first", *(f" after {name}" for name in others)])

    def _related(self, column: _Column) -> ColumnKind:
        return self._kind(column.kind if self._chance.random() < 0.7 else None)

    def _add(self, column: _Column) -> _Clause:
        if len(self._columns) >= _MOST_COLUMNS:
            return self._drop(column)
        new = _Column(self._new_name(), self._kind(), self._rev, self._rev)
        return _Clause(
            f"add column {new.name} {new.kind.ddl} null{self._place()}",
            lambda: self._columns.append(new),
            new.kind,
        )

    def _drop(self, column: _Column) -> _Clause:
        def drop() -> None:
            self._columns.remove(column)
            self._free.append(column.name)

        return _Clause(f"drop column {column.name}", drop)

    def _rename(self, column: _Column) -> _Clause:
        new = self._new_name()
        return _Clause(f"rename column {column.name} to {new}", lambda: self._renamed(column, new))

    def _renamed(self, column: _Column, name: str) -> None:
        # What was read before is in the destination under the old name.
        self._free.append(column.name)
        self._free.remove(name)
        column.name, column.since, column.read = name, max(column.since, self._read), self._read

    def _swap(self, column: _Column) -> _Clause:
        if not self._others:
            return self._rename(column)
        other = self._others.pop()
        one, two = column.name, other.name

        def swap() -> None:
            for renamed, name in ((column, two), (other, one)):
                renamed.name, renamed.since, renamed.read = name, max(renamed.since, self._read), self._read

        return _Clause(f"rename column {one} to {two}, rename column {two} to {one}", swap)

    def _move(self, column: _Column) -> _Clause:
        # The character set of a column that names none becomes the table's.
        since = self._rev if family(column.kind) == "texts" else column.since
        return _Clause(
            f"modify {column.name} {column.kind.ddl} null{self._place()}",
            lambda: setattr(column, "since", since),
            column.kind,
        )

    def _modify(self, column: _Column) -> _Clause:
        kind = self._related(column)
        return _Clause(
            f"modify column {column.name} {kind.ddl} null{self._chance.choice(('', '', self._place()))}",
            lambda: self._retyped(column, kind),
            kind,
        )

    def _retyped(self, column: _Column, kind: ColumnKind) -> None:
        column.kind, column.since = kind, self._rev

    def _change(self, column: _Column) -> _Clause:
        name, kind = self._new_name(), self._related(column)

        def change() -> None:
            self._renamed(column, name)
            self._retyped(column, kind)

        return _Clause(f"change {column.name} {name} {kind.ddl} null{self._place()}", change, kind)

    def _renew(self, column: _Column) -> _Clause:
        name = self._chance.choice((column.name, self._new_name()))
        new = _Column(name, self._related(column), self._rev, self._rev)

        def renew() -> None:
            self._columns[self._columns.index(column)] = new
            if name != column.name:
                self._free.append(column.name)
                self._free.remove(name)

        return _Clause(
            f"drop column {column.name}, add column {name} {new.kind.ddl} null{self._place()}",
            renew,
            new.kind,
        )

    def _move_an_integer(self, _: _Column) -> _Clause:
        name = self._chance.choice(_INTEGERS)
        return _Clause(f"modify {name} {'int' if name == 'id' else 'bigint'} not null{self._place()}")

    def _convert(self, _: _Column) -> _Clause:
        charset = self._chance.choice(("utf8mb4", "latin1", "utf8mb3"))
        if self._chance.random() < 0.5:
            return _Clause(f"default character set {charset}")

        def convert() -> None:
            for column in self._columns:
                kind = column.kind
                column.kind = replace(kind, ddl=kind.ddl.partition(" character set ")[0])
                column.since = self._rev

        return _Clause(f"convert to character set {charset}", convert)

    def close(self) -> None:
        """Ends its session."""
        self._session.close()

    def note_read(self, rev: int) -> None:
        """Notes that rows up to this `rev` may have been read, under the names of today."""
        self._read = max(self._read, rev)

    def note_end(self) -> None:
        """Notes that all of it has been read."""
        self.untold = self._defaulted = False

    def begin_anew(self) -> None:
        """Notes that the destination is empty and the table will be copied."""
        for column in self._columns:
            column.since = column.read = 0

    def difference(self, found: Mapping[Key, Row]) -> str | None:
        """Says what of a destination's rows is not what the source says it must be; None if all of them are.

        Args:
            found: The rows by key.
        """
        wanted = self._source()
        keys = {key for (key,) in found}
        if wanted.keys() != keys:
            return f"the source has {sorted(wanted)}, the destination {sorted(keys)}"
        for key, row in wanted.items():
            for column in self._columns:
                there = found[(key,)].get(column.name)
                if column.kind.base == "json":
                    there = _document(there)
                if row[column.name] != there and not self._may_differ(column, row["rev"], there):
                    return (
                        f"row {key}, rev {row['rev']}, column {column.name} ({column.kind.name}): the source "
                        f"has {row[column.name]!r}, the destination {there!r}"
                    )
        return None

    def _may_differ(self, column: _Column, rev: int, there: object) -> bool:
        """Whether the destination may have another value in a row than the source has today."""
        if rev > column.since:
            return False
        held = column.held[rev]
        if rev <= column.read:
            held = [*held, *(("", value) for value in self._held_by_name[column.name, rev])]
        elif there is None:
            # A value that the type of today cannot take; types of one family take each other's.
            return len({kind for kind, _ in held}) > 1 or any(value is None for _, value in held)
        return there is None or any(are_alike(value, there) for _, value in held)

    def _remember(self) -> None:
        for row in self._source().values():
            for column in self._columns:
                value = (family(column.kind), row[column.name])
                if value not in column.held[row["rev"]]:
                    column.held[row["rev"]].append(value)
                self._held_by_name[column.name, row["rev"]].append(value[1])

    def _source(self) -> dict[int, Row]:
        kinds: dict[str, ColumnKind | None] = {column.name: column.kind for column in self._columns}
        names = ["id", *kinds, "rev"]
        # PyMySQL takes the bytes of newer types for text.
        selected = [
            f"unhex(hex({name}))" if (kind := kinds.get(name)) and kind.base in ("point", "vector") else name
            for name in names
        ]
        with self._session.cursor() as cursor:
            cursor.execute(f"select {', '.join(selected)} from {self.name}")
            return {
                values[0]: {
                    name: as_emitted(value, kinds.get(name))
                    for name, value in zip(names, values, strict=True)
                }
                for values in cursor.fetchall()
            }


def _document(value: object) -> object:
    """A JSON document parsed; what was read under another type may be none."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
