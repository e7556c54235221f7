"""SELECT: tables become the SQLite tables of the target's shards, session functions become their values."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import expressions as exp
from sqlglot import parse_one

from embedded_database.errors import SqlError
from embedded_database.sql import information_schema, rewrite
from embedded_database.sql.comparison import with_kept_literals
from embedded_database.storage import physical, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embedded_database.columns.schema import Column
    from embedded_database.columns.values import Kept
    from embedded_database.storage import Shard, Storage

# vtgate's configured text, whatever MySQL runs below it.
VERSION = "8.4.6-Vitess"
_INFORMATION_SCHEMA = "information_schema"


@dataclass(frozen=True)
class Result:
    """What a statement answers.

    Attributes:
        names: The header, empty for a statement that is no query.
        columns: Per column of the result the table's column that it shows, None for an expression.
        rows: Kept values: text for decimals and times, 20 digits for integers beyond 63 bits.
        affected: Changed rows.
    """

    names: tuple[str, ...] = ()
    columns: tuple[Column | None, ...] = ()
    rows: Sequence[tuple[Kept, ...]] = ()
    affected: int = 0

    @classmethod
    def table(cls, names: Sequence[str], rows: Sequence[tuple[Kept, ...]]) -> Result:
        """A result of plain texts, as SHOW gives it."""
        return cls(tuple(names), (None,) * len(names), rows)


@dataclass(frozen=True)
class Scope:
    """Where a query runs.

    Attributes:
        keyspace: The session's keyspace, empty without one.
        shards: The shards that the session's target names, all serving ones without a shard target.
        database: What `database()` answers outside of information_schema.
        has_shard: Whether the target names a shard.
    """

    keyspace: str
    shards: Sequence[Shard]
    database: str
    has_shard: bool


class Queries:
    """Answers SELECTs."""

    def __init__(self, storage: Storage) -> None:
        """Reads the storage's tables."""
        self._storage = storage

    def select(self, node: exp.Expression, scope: Scope, connection: sqlite3.Connection | None) -> Result:
        """Runs a query, on the connection of the session's transaction where it has one.

        Raises:
            SqlError: A table or column is not there, or SQLite cannot run the query.
        """
        if connection:
            return self._run(node, scope, connection)
        with self._storage.reader() as reader:
            return self._run(node, scope, reader)

    def _run(self, node: exp.Expression, scope: Scope, connection: sqlite3.Connection) -> Result:
        tree = _with_headers(node.copy())
        tables = list(tree.find_all(exp.Table))
        on_schema = any(table.db.lower() == _INFORMATION_SCHEMA for table in tables)
        if on_schema:
            information_schema.attach(connection, self._storage, scope.shards[0])
            tree = _with_physical_schema(tree, scope)
        tree = rewrite.walk(tree, lambda part: _session_value(part, scope, on_schema=on_schema))
        shown: dict[str, Column] = {}
        for table in list(tree.find_all(exp.Table)):
            if table.db.lower() != _INFORMATION_SCHEMA:
                shown.update(self._place(table, scope))
        with_kept_literals(tree, shown)
        try:
            cursor = connection.execute(rewrite.to_sqlite(tree))
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            unknown = str(error).partition("no such column: ")[2]
            if unknown:
                raise SqlError(1054, f"column '{unknown}' not found") from None
            raise SqlError(1105, str(error)) from None
        finally:
            if on_schema:
                connection.execute("detach information_schema")
        names = tuple(column[0] for column in cursor.description)
        return Result(names, tuple(shown.get(name.lower()) for name in names), rows)

    def _place(self, table: exp.Table, scope: Scope) -> dict[str, Column]:
        """Puts the SQLite tables of the shards in a table's place; its columns by lower-case name."""
        keyspace, shards = scope.keyspace, scope.shards
        if table.db and table.db != keyspace:
            keyspace, shards = table.db, self._storage.serving(table.db)
        known = self._storage.tables.get((keyspace, table.name))
        if known is None:
            if len(shards) > 1:
                # A sharded keyspace is asked of vtgate's schema, an unsharded one of MySQL itself.
                raise SqlError(1105, f"table {table.name} not found")
            raise SqlError(1146, f"Table '{keyspace}.{table.name}' doesn't exist")
        parts = [f"select * from {physical(shard, table.name)}" for shard in shards]
        query = f"select * from ({' union all '.join(parts)}) as {quoted(table.alias or table.name)}"
        source = parse_one(query, dialect="sqlite").find(exp.Subquery)
        table.replace(source)
        return {column.name.lower(): column for column in known.columns}


def _with_headers(node: exp.Expression) -> exp.Expression:
    """The query with MySQL's headers spelled out where SQLite would choose others."""
    if isinstance(node, exp.Select):
        for item in node.expressions:
            if not isinstance(item, (exp.Alias, exp.Column, exp.Star)):
                text = item.sql(dialect="mysql").lower().replace("schema()", "database()")
                item.replace(exp.alias_(item.copy(), text, quoted=True))
    return node


def _with_physical_schema(tree: exp.Expression, scope: Scope) -> exp.Expression:
    """Vtgate's own rewriting: a keyspace compared with TABLE_SCHEMA becomes the physical name.

    Only without a shard target, and only in a comparison with `=`.
    """
    if scope.has_shard:
        return tree

    def change(part: exp.Expression) -> exp.Expression:
        if (
            isinstance(part, exp.EQ)
            and part.left.name.lower() == "table_schema"
            and isinstance(part.right, exp.Literal)
            and part.right.name == scope.keyspace
        ):
            part.set("expression", exp.Literal.string(scope.shards[0].database))
        return part

    return rewrite.walk(tree, change)


_SESSION_FUNCTIONS: dict[str, Callable[[Scope], object]] = {
    "database": lambda scope: scope.database or None,
    "schema": lambda scope: scope.database or None,
    "version": lambda _: VERSION,
    "connection_id": lambda _: 1,
    "user": lambda _: "local",
}


def variable(name: str, scope: Scope) -> object:
    """The value of a system variable."""
    shard = scope.shards[0] if scope.shards else None
    values: dict[str, object] = {
        "gtid_executed": shard.executed if shard else "",
        "gtid_purged": shard.purged_gtids if shard else "",
        "version": VERSION,
        "version_comment": "Vitess",
        "autocommit": 1,
        "tx_isolation": "REPEATABLE-READ",
        "transaction_isolation": "REPEATABLE-READ",
        "time_zone": "SYSTEM",
        "system_time_zone": "UTC",
        "sql_mode": "STRICT_TRANS_TABLES",
        "max_allowed_packet": 67108864,
        "lower_case_table_names": 0,
        "character_set_client": "utf8mb4",
        "binlog_row_image": "FULL",
        "server_uuid": shard.uuid if shard else "",
        "gtid_mode": "ON",
    }
    if name.lower() not in values:
        raise SqlError(1193, f"Unknown system variable '{name}'")
    return values[name.lower()]


def _session_value(part: exp.Expression, scope: Scope, *, on_schema: bool) -> exp.Expression:
    if isinstance(part, exp.SessionParameter):
        return rewrite.value_node(variable(part.name, scope))
    if isinstance(part, (exp.CurrentSchema, exp.CurrentDatabase)):
        name = "database"
    elif isinstance(part, (exp.CurrentVersion, exp.CurrentUser)):
        name = "version" if isinstance(part, exp.CurrentVersion) else "user"
    elif isinstance(part, exp.Anonymous):
        name = str(part.this).lower()
    else:
        return part
    if name in ("database", "schema") and on_schema:
        return exp.Literal.string(scope.shards[0].database)
    function = _SESSION_FUNCTIONS.get(name)
    return rewrite.value_node(function(scope)) if function else part


def query_of(sql: str) -> exp.Expression:
    """Reads a query; locking clauses mean nothing here."""
    node = rewrite.parse(sql)
    node.set("locks", None)
    return node
