"""INSERT, REPLACE, UPDATE and DELETE: SQLite evaluates and stores, each changed row goes to the log."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from embedded_database.columns.values import Kept, ToWire, binlog_form, copy_form, keep
from embedded_database.errors import SqlError
from embedded_database.functions import now
from embedded_database.sql import rewrite
from embedded_database.sql.comparison import with_kept_literals
from embedded_database.sql.tables import default_value, with_generated
from embedded_database.storage import Cells, Storage, Transaction, physical, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedded_database.columns.schema import Column, Index, Table
    from embedded_database.sql.plain_insert import PlainInsert
    from embedded_database.storage import Shard


def _as_bytes(value: Kept) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else str(value).encode()


class TableWriter:
    """Writes rows of one table within one transaction."""

    def __init__(
        self, storage: Storage, transaction: Transaction, table: Table, shards: Sequence[Shard]
    ) -> None:
        """Writes to those shards of the table that the session's target allows."""
        self._storage = storage
        self._transaction = transaction
        self._table = table
        self._shards = shards
        self._forms: list[ToWire] = [binlog_form(c) or _as_bytes for c in table.columns]
        self._marks = ",".join("?" * len(table.columns))
        self._assignments = ", ".join(f"{quoted(c.name)} = ?" for c in table.columns)
        self._vindex = table.by_name[table.vindex_column.lower()]
        self._vindex_form: ToWire = copy_form(table.columns[self._vindex]) or _as_bytes
        self._uniques = [index for index in table.indexes if index.unique]

    def cells(self, values: Sequence[Kept]) -> Cells:
        """A row's image as the log keeps it."""
        return tuple(
            None if value is None else form(value) for form, value in zip(self._forms, values, strict=True)
        )

    def shard_of(self, values: Sequence[Kept]) -> Shard:
        """The shard that a row belongs to."""
        if len(self._shards) == 1:
            return self._shards[0]
        value = values[self._vindex]
        key = b"" if value is None else self._vindex_form(value)
        return next(shard for shard in self._shards if shard.holds(key))

    def insert(self, values: Sequence[Kept]) -> None:
        """Adds a row.

        Raises:
            sqlite3.IntegrityError: A unique key has the row's value already.
        """
        shard = self.shard_of(values)
        sql = f"insert into {physical(shard, self._table.name)} values ({self._marks})"
        self._storage.writer.execute(sql, values)
        self._transaction.record(shard, self._table, (None, self.cells(values)))

    def update(self, shard: Shard, rowid: int, before: Sequence[Kept], after: Sequence[Kept]) -> bool:
        """Changes a row; False where the change changes nothing."""
        if list(before) == list(after):
            return False
        if self.shard_of(after) is not shard:
            message = "VT12001: unsupported: you cannot UPDATE primary vindex columns"
            raise SqlError(1235, message)
        sql = f"update {physical(shard, self._table.name)} set {self._assignments} where _rowid_ = ?"
        self._storage.writer.execute(sql, [*after, rowid])
        self._transaction.record(shard, self._table, (self.cells(before), self.cells(after)))
        return True

    def delete(self, shard: Shard, rowid: int, before: Sequence[Kept]) -> None:
        """Removes a row."""
        sql = f"delete from {physical(shard, self._table.name)} where _rowid_ = ?"
        self._storage.writer.execute(sql, [rowid])
        self._transaction.record(shard, self._table, (self.cells(before), None))

    def conflicts(self, values: Sequence[Kept]) -> list[tuple[Shard, int, list[Kept]]]:
        """The rows that keep a row from being inserted, each with its shard and row id."""
        shard = self.shard_of(values)
        found: dict[int, list[Kept]] = {}
        for index in self._uniques:
            for row in self._storage.writer.execute(*self._lookup(shard, index, values)):
                found[row[0]] = list(row[1:])
        return [(shard, rowid, row) for rowid, row in found.items()]

    def _lookup(self, shard: Shard, index: Index, values: Sequence[Kept]) -> tuple[str, list[Kept]]:
        where = " and ".join(f"{quoted(name)} = ?" for name in index.columns)
        key = [values[self._table.by_name[name.lower()]] for name in index.columns]
        return f"select _rowid_, * from {physical(shard, self._table.name)} where {where}", key

    def matches(self, tail: str, extra: Sequence[str]) -> list[tuple[Shard, int, list[Kept], list[Kept]]]:
        """Rows that a WHERE finds, each with its shard, row id, values and evaluated expressions."""
        select = "".join(f", {expression}" for expression in extra)
        width = len(self._table.columns) + 1
        return [
            (shard, row[0], list(row[1:width]), list(row[width:]))
            for shard in self._shards
            for row in self._storage.writer.execute(
                f"select _rowid_, *{select} from {physical(shard, self._table.name)}"
                f" as {quoted(self._table.name)} {tail}"
            ).fetchall()
        ]


class Statements:
    """Runs one data-changing statement at a time for a session."""

    def __init__(self, storage: Storage) -> None:
        """Starts the counters of AUTO_INCREMENT columns."""
        self._storage = storage
        self._counters: dict[tuple[str, str], int] = {}

    def insert(self, writer: TableWriter, table: Table, node: exp.Insert, *, replace: bool) -> int:
        """Runs INSERT and REPLACE; the number of affected rows."""
        affected = 0
        assignments = node.args.get("conflict")
        for values in self._rows(table, node):
            try:
                writer.insert(values)
                affected += 1
            except sqlite3.IntegrityError as error:
                if replace:
                    affected += self._replace(writer, values)
                elif assignments:
                    affected += self._on_duplicate(writer, table, assignments.expressions, values)
                elif not node.args.get("ignore"):
                    raise _duplicate(table, error) from None
        return affected

    def insert_plain(self, writer: TableWriter, table: Table, statement: PlainInsert) -> int:
        """Runs an INSERT of literals; the number of inserted rows."""
        columns = _listed(table, statement.columns)
        for row in statement.rows:
            try:
                writer.insert(self._complete(table, columns, row))
            except sqlite3.IntegrityError as error:
                raise _duplicate(table, error) from None
        return len(statement.rows)

    def _rows(self, table: Table, node: exp.Insert) -> list[list[Kept]]:
        names = [part.name for part in node.this.expressions] if isinstance(node.this, exp.Schema) else []
        columns = _listed(table, names)
        source = node.expression
        if not isinstance(source, exp.Values):
            rows = self._storage.writer.execute(rewrite.to_sqlite(source)).fetchall()
            return [self._complete(table, columns, list(row)) for row in rows]
        rows_of_nodes = [
            item.expressions if isinstance(item, exp.Tuple) else [item] for item in source.expressions
        ]
        return [self._complete(table, columns, nodes) for nodes in rows_of_nodes]

    def _complete(self, table: Table, columns: list[Column], given: list[object]) -> list[Kept]:
        """A whole row from the values that a statement gives, nodes or plain ones."""
        if len(given) != len(columns):
            raise SqlError(1136, "Column count doesn't match value count at row 1")
        by_name = {column.name: value for column, value in zip(columns, given, strict=True)}
        values = [self._value(table, column, by_name) for column in table.columns]
        if any(column.generated for column in table.columns):
            return with_generated(self._storage, table, values)
        return values

    def _value(self, table: Table, column: Column, given: dict[str, object]) -> Kept:
        if column.generated:
            return None
        value = given.get(column.name)
        absent = column.name not in given
        if isinstance(value, exp.Expression):
            if rewrite.is_default(value):
                absent = True
            else:
                value = self._evaluate(value)
        if column.auto_increment:
            return self._numbered(table, column, None if absent else value)
        return default_value(self._storage, column) if absent else keep(column, value)

    def _evaluate(self, node: exp.Expression) -> object:
        is_literal, value = rewrite.literal(node)
        if is_literal:
            return value
        return self._storage.writer.execute(f"select {rewrite.to_sqlite(node)}").fetchone()[0]

    def _numbered(self, table: Table, column: Column, value: object) -> Kept:
        """The value of an AUTO_INCREMENT column: the next number where none is given."""
        key = (table.keyspace, table.name)
        kept = keep(column, 0 if value is None else value)
        number = int(kept or 0) or self._counters.get(key, 0) + 1
        self._counters[key] = max(self._counters.get(key, 0), number)
        return keep(column, number)

    def _replace(self, writer: TableWriter, values: list[Kept]) -> int:
        *others, (shard, rowid, before) = writer.conflicts(values)
        for other_shard, other, other_before in others:
            writer.delete(other_shard, other, other_before)
        writer.update(shard, rowid, before, values)
        return 2

    def _on_duplicate(
        self, writer: TableWriter, table: Table, assignments: list[exp.Expression], values: list[Kept]
    ) -> int:
        shard, rowid, before = writer.conflicts(values)[0]
        inserted = {c.name.lower(): rewrite.value_node(v) for c, v in zip(table.columns, values, strict=True)}
        columns = [_known(table, item.this.name) for item in assignments]
        extra = [rewrite.to_sqlite(item.expression, inserted) for item in assignments]
        found = writer.matches(f"where _rowid_ = {rowid}", extra)
        results = next(row[3] for row in found if row[0] is shard)
        after = self._assigned(table, before, columns, results)
        return 2 if writer.update(shard, rowid, before, after) else 0

    def update(self, writer: TableWriter, table: Table, node: exp.Update) -> int:
        """Runs UPDATE; the number of changed rows."""
        columns = [_known(table, item.this.name) for item in node.expressions]
        extra = [
            "null" if rewrite.is_default(item.expression) else rewrite.to_sqlite(item.expression)
            for item in node.expressions
        ]
        changed = 0
        for shard, rowid, before, results in writer.matches(_tail(node, table), extra):
            after = self._assigned(table, before, columns, results)
            for column, item in zip(columns, node.expressions, strict=True):
                if rewrite.is_default(item.expression):
                    after[table.by_name[column.name.lower()]] = default_value(self._storage, column)
            try:
                changed += writer.update(shard, rowid, before, after)
            except sqlite3.IntegrityError as error:
                raise _duplicate(table, error) from None
        return changed

    def _assigned(
        self, table: Table, before: list[Kept], columns: list[Column], results: list[Kept]
    ) -> list[Kept]:
        """A row after assignments, with what follows from them: generated and ON UPDATE columns."""
        after = list(before)
        for column, value in zip(columns, results, strict=True):
            after[table.by_name[column.name.lower()]] = keep(column, value)
        if after == before:
            return after
        for at, column in enumerate(table.columns):
            if column.on_update_now and column not in columns:
                after[at] = keep(column, now(6))
        return with_generated(self._storage, table, after)

    def delete(self, writer: TableWriter, table: Table, node: exp.Delete) -> int:
        """Runs DELETE; the number of removed rows."""
        found = writer.matches(_tail(node, table), ())
        for shard, rowid, before, _ in found:
            writer.delete(shard, rowid, before)
        return len(found)


def _listed(table: Table, names: Sequence[str]) -> list[Column]:
    """The columns that an INSERT names, all visible ones where it names none."""
    if not names:
        return [column for column in table.columns if not column.invisible]
    return [_known(table, name) for name in names]


def _known(table: Table, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise SqlError(1054, f"Unknown column '{name}' in 'field list'")
    return column


def _duplicate(table: Table, error: sqlite3.IntegrityError) -> SqlError:
    return SqlError(1062, f"Duplicate entry for a key of '{table.name}': {error}")


def _tail(node: exp.Expression, table: Table) -> str:
    """The WHERE, ORDER BY and LIMIT of a statement."""
    parts = [node.args[name] for name in ("where", "order", "limit") if node.args.get(name)]
    for part in parts:
        with_kept_literals(part, {column.name.lower(): column for column in table.columns})
    return " ".join(rewrite.to_sqlite(part) for part in parts)
