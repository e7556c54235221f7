"""DDL: creates, changes and drops tables on the shards of a keyspace."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from embedded_database.columns.schema import INTEGERS, Column, Table
from embedded_database.columns.values import Kept, keep
from embedded_database.errors import SqlError
from embedded_database.functions import collation
from embedded_database.sql import rewrite
from embedded_database.sql.alter import Alteration, alter, altered_name
from embedded_database.sql.ddl_parser import parse_create
from embedded_database.storage import Storage, Transaction, physical, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embedded_database.storage import Shard

_NUMERIC = (*INTEGERS, "decimal", "float", "double", "bit", "year")
# What strict MySQL puts into the rows of an added NOT NULL column without a default.
_ZEROS = {
    "date": "0000-00-00",
    "datetime": "0000-00-00 00:00:00",
    "timestamp": "0000-00-00 00:00:00",
    "time": "00:00:00",
    "json": "null",
}
_NOW = ("current_timestamp", "now")


def affinity(column: Column) -> str:
    """SQLite's type for a column, which decides how it compares with a literal of another type."""
    kind = column.data_type
    if kind == "bit" or (kind == "bigint" and column.unsigned):
        return ""
    if kind in INTEGERS or kind == "year":
        return "integer"
    if kind in ("float", "double"):
        return "real"
    return "text" if column.collation or kind == "decimal" or kind in _ZEROS else "blob"


def _rowid_key(table: Table) -> str:
    """The column that can be SQLite's row id: a whole primary key of one integer up to 63 bits."""
    if len(table.primary_key) == 1:
        column = table.column(table.primary_key[0])
        if column and affinity(column) == "integer":
            return column.name
    return ""


def evaluate(storage: Storage, sql: str) -> object:
    """The value of an expression of MySQL's that names no column."""
    node = rewrite.parse(f"select {sql}").expressions[0]
    is_literal, value = rewrite.literal(node)
    if is_literal:
        return value
    query = "select now(6)" if sql.lower().startswith(_NOW) else f"select {rewrite.to_sqlite(node)}"
    return storage.writer.execute(query).fetchone()[0]


def default_value(storage: Storage, column: Column) -> Kept:
    """What a column gets where an INSERT leaves it out.

    Raises:
        SqlError: The column is NOT NULL and has no default.
    """
    if column.default is not None:
        return keep(column, evaluate(storage, column.default))
    if column.nullable:
        return None
    raise SqlError(1364, f"Field '{column.name}' doesn't have a default value")


def _filler(storage: Storage, column: Column) -> Kept:
    """What rows that are there already get in an added column."""
    if column.generated:
        return None
    if column.default is not None or column.nullable:
        return default_value(storage, column)
    if column.labels:
        return column.labels[0] if column.data_type == "enum" else ""
    return keep(column, 0 if column.data_type in _NUMERIC else _ZEROS.get(column.data_type, ""))


def with_generated(storage: Storage, table: Table, values: list[Kept]) -> list[Kept]:
    """A row's values with its generated columns worked out."""
    for at, column in enumerate(table.columns):
        if column.generated:
            node = rewrite.parse(f"select {column.generated}").expressions[0]
            row = ", ".join(f"? as {quoted(c.name)}" for c in table.columns)
            query = f"select {rewrite.to_sqlite(node)} from (select {row})"
            values[at] = keep(column, storage.writer.execute(query, values).fetchone()[0])
    return values


class Tables:
    """Runs DDL; each statement is a transaction of its own, logged on each shard of the keyspace."""

    def __init__(self, storage: Storage) -> None:
        """Works on the storage's tables."""
        self._storage = storage

    def get(self, keyspace: str, name: str) -> Table:
        """The table of that name.

        Raises:
            SqlError: There is none.
        """
        table = self._storage.tables.get((keyspace, name))
        if table is None:
            raise SqlError(1146, f"Table '{keyspace}.{name}' doesn't exist")
        return table

    def create(self, sql: str, keyspace: str, vindex_column: str = "") -> None:
        """Runs CREATE TABLE; rows go to shards by the vindex column, the key's first one by default."""
        table, lenient = parse_create(sql, keyspace)
        if (keyspace, table.name) in self._storage.tables:
            if lenient:
                return
            raise SqlError(1050, f"Table '{table.name}' already exists")
        vindex = vindex_column or (table.primary_key or (table.columns[0].name,))[0]
        table = replace(table, vindex_column=vindex)
        self._run(keyspace, (table.name,), sql, None, table, lambda s: self.create_on(s, table))

    def set_vindex(self, keyspace: str, name: str, column: str) -> None:
        """Chooses the column that decides a row's shard; the table is to be empty."""
        self._storage.tables[keyspace, name] = replace(self.get(keyspace, name), vindex_column=column)

    def drop(self, keyspace: str, names: Sequence[str], *, lenient: bool) -> None:
        """Runs DROP TABLE."""
        for name in names:
            if lenient and (keyspace, name) not in self._storage.tables:
                continue
            self._drop(keyspace, self.get(keyspace, name))

    def _drop(self, keyspace: str, table: Table) -> None:
        sql = f"DROP TABLE `{table.name}` /* generated by server */"
        self._run(keyspace, (table.name,), sql, table, None, lambda s: self._drop_on(s, table.name))

    def truncate(self, keyspace: str, name: str) -> None:
        """Runs TRUNCATE TABLE."""
        table = self.get(keyspace, name)

        def empty(shard: Shard) -> None:
            self._storage.writer.execute(f"delete from {physical(shard, name)}")

        self._run(keyspace, (name,), f"truncate table {name}", table, table, empty)

    def rename(self, sql: str, keyspace: str, old: str, new: str) -> None:
        """Gives a table another name."""
        table = self.get(keyspace, old)
        if (keyspace, new) in self._storage.tables:
            raise SqlError(1050, f"Table '{new}' already exists")
        renamed = replace(table, name=new)
        self._run(keyspace, (old, new), sql, table, renamed, lambda s: self._rename_on(s, old, new))

    def alter(self, sql: str, keyspace: str) -> None:
        """Runs ALTER TABLE, CREATE INDEX or DROP INDEX."""
        name, tokens, statement = altered_name(sql)
        table = self.get(keyspace, name)
        change = alter(table, tokens, statement)
        if change.table.name != name:
            self.rename(sql, keyspace, name, change.table.name)
            return
        self._run(
            keyspace, (name,), statement, table, change.table, lambda s: self._rebuild_on(s, table, change)
        )

    def _run(
        self,
        keyspace: str,
        names: tuple[str, ...],
        statement: str,
        old: Table | None,
        new: Table | None,
        change: Callable[[Shard], None],
    ) -> None:
        """Applies a change on each shard and in the catalog, and logs it."""
        text = " ".join(statement.split()).rstrip(";").encode()
        transaction = Transaction(self._storage)
        try:
            for shard in self._storage.serving(keyspace):
                change(shard)
                transaction.entry(shard, "ddl", "\n".join(names), text)
        except BaseException:
            transaction.rollback()
            raise
        if old:
            del self._storage.tables[keyspace, old.name]
        if new:
            self._storage.tables[keyspace, new.name] = new
        transaction.commit()

    def create_on(self, shard: Shard, table: Table) -> None:
        """Creates the empty SQLite table of one shard."""
        rowid = _rowid_key(table)
        lines = []
        for column in table.columns:
            if column.labels:
                self._storage.know_labels(column)
            key = " primary key" * (column.name == rowid)
            order = quoted(collation(column))
            lines.append(f"{quoted(column.name)} {affinity(column)}{key} collate {order}")
        lines += [
            f"unique ({', '.join(map(quoted, index.columns))})"
            for index in table.indexes
            if index.unique and not (rowid and index.name == "PRIMARY")
        ]
        target = physical(shard, table.name)
        self._storage.writer.execute(f"create table {target} ({', '.join(lines)})")

    def _drop_on(self, shard: Shard, name: str) -> None:
        self._storage.writer.execute(f"drop table {physical(shard, name)}")

    def _rename_on(self, shard: Shard, old: str, new: str) -> None:
        sql = f"alter table {physical(shard, old)} rename to {physical(shard, new)}"
        self._storage.writer.execute(sql)

    def _rebuild_on(self, shard: Shard, old: Table, change: Alteration) -> None:
        writer, new, aside = self._storage.writer, change.table, f"{old.name}/old"
        self._rename_on(shard, old.name, aside)
        self.create_on(shard, new)
        fillers = [_filler(self._storage, column) for column in new.columns]
        marks = ",".join("?" * len(new.columns))
        for row in writer.execute(f"select * from {physical(shard, aside)}").fetchall():
            values = [
                filler if at is None else keep(column, row[at])
                for column, at, filler in zip(new.columns, change.sources, fillers, strict=True)
            ]
            values = with_generated(self._storage, new, values)
            writer.execute(f"insert into {physical(shard, new.name)} values ({marks})", values)
        self._drop_on(shard, aside)
