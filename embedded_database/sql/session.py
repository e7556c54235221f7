"""One SQL session: its target, its transaction, and which room runs which statement."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, cast

import sqlglot.errors
from sqlglot import expressions as exp

from embedded_database.errors import SqlError
from embedded_database.sql import rewrite
from embedded_database.sql.ddl_parser import TokenStream
from embedded_database.sql.dml import Statements, TableWriter
from embedded_database.sql.plain_insert import scan
from embedded_database.sql.query import Queries, Result, Scope, query_of
from embedded_database.sql.tables import Tables
from embedded_database.storage import Shard, Storage, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embedded_database.columns.schema import Table
    from embedded_database.columns.values import Kept

TABLET_TYPES = ("PRIMARY", "REPLICA", "RDONLY")
_TARGET = re.compile(r"(?P<keyspace>[^:/@]*)(?:[:/](?P<shard>[^@]*))?(?:@(?P<type>\w+))?")
_SYSTEM_DATABASES = ("information_schema", "mysql", "sys", "performance_schema")
_VINDEX = re.compile(
    r"alter\s+vschema\s+on\s+(?:`?(\w+)`?\.)?`?([^`\s]+)`?\s+add\s+vindex\s+\S+?\s*\(`?([^`)]+)`?\)", re.I
)
_FAULT = re.compile(r"set\s+@@(?:global\.|session\.)?fault\s*=\s*'(.*)'\s*", re.IGNORECASE | re.DOTALL)
_STATEMENT_MARK = "statement"


class Engine:
    """What all sessions share."""

    def __init__(self, storage: Storage, control: Callable[[str], None]) -> None:
        """Works on a storage; `control` takes the text of `set @@fault = '...'`."""
        self.storage = storage
        self.tables = Tables(storage)
        self.queries = Queries(storage)
        self.statements = Statements(storage)
        self.control = control


class Session:
    """Runs statements, one after another."""

    def __init__(self, engine: Engine, target: str = "") -> None:
        """Starts in autocommit mode.

        Raises:
            SqlError: The target names a keyspace that is not there.
        """
        self._engine = engine
        self._storage = engine.storage
        self._transaction: Transaction | None = None
        self._autocommit = True
        self.target = ""
        if target:
            self.use(target)

    def use(self, target: str) -> None:
        """Sets the target: `keyspace`, `keyspace:shard`, either with `@type`."""
        found = _TARGET.fullmatch(target)
        if not found or found["keyspace"] not in {*self._storage.shards, ""}:
            raise SqlError(1049, f"VT05003: unknown database '{target.split('@')[0]}' in vschema")
        self.target = target

    def close(self) -> None:
        """Undoes an open transaction."""
        if self._transaction:
            self._transaction.rollback()
            self._transaction = None

    def _scope(self) -> Scope:
        found = cast("re.Match[str]", _TARGET.fullmatch(self.target))
        keyspace, shard_name = found["keyspace"] or "", found["shard"]
        shards: Sequence[Shard] = self._storage.serving(keyspace)
        if shard_name:
            shard = self._storage.shard(keyspace, shard_name)
            if shard is None or shard.down:
                tablet = f"{keyspace}.{shard_name}.{found['type'] or 'primary'}"
                raise SqlError(1105, f"target: {tablet}: no healthy tablet available")
            shards = [shard]
        return Scope(keyspace, shards, self.target, bool(shard_name))

    def execute(self, sql: str) -> Result:
        """Runs one statement.

        Raises:
            SqlError: The statement failed; what it changed is undone.
        """
        sql = sql.strip().rstrip(";").strip()
        words = re.findall(r"[a-z]+", sql[:64].lower())[:3]
        try:
            return self._dispatch(sql, words)
        except (sqlglot.errors.SqlglotError, IndexError) as error:
            raise SqlError(1064, f"syntax error: {str(error).splitlines()[0]}") from None
        except sqlite3.Error as error:
            raise SqlError(1105, str(error)) from None

    def _dispatch(self, sql: str, words: list[str]) -> Result:
        first, second = ([*words, "", ""])[:2]
        if first in ("select", "with"):
            connection = self._storage.writer if self._transaction else None
            scope = self._scope() if self.target else self._anywhere()
            return self._engine.queries.select(query_of(sql), scope, connection)
        if first in ("insert", "replace", "update", "delete"):
            return self._change(sql, replace=first == "replace")
        if first == "show":
            return self._show(sql)
        if first == "use":
            self.use(sql[3:].strip().strip("`"))
        elif first in ("begin", "start", "commit", "rollback", "savepoint", "release"):
            self._transact(sql, words)
        elif first == "set":
            self._set(sql)
        elif (first, second) == ("alter", "vschema"):
            self._add_vindex(sql)
        elif first in ("create", "alter", "drop", "truncate", "rename"):
            self._define(sql, first, second)
        elif first not in ("lock", "unlock", "flush", "analyze", "kill"):
            raise SqlError(1064, f"syntax error at position 1 near '{first}'")
        return Result()

    def _anywhere(self) -> Scope:
        """The scope of a session without a target: functions and variables work, tables do not."""
        every = [shard for shards in self._storage.shards.values() for shard in shards]
        return Scope("", every[:1], "", has_shard=False)

    def _transact(self, sql: str, words: list[str]) -> None:
        first, name = words[0], sql.split()[-1].strip("`")
        if first in ("begin", "start"):
            self._commit()
            self._transaction = Transaction(self._storage)
        elif first == "commit":
            self._commit()
        elif first == "savepoint" and self._transaction:
            self._transaction.savepoint(f"user {name}")
        elif first == "release" and self._transaction:
            self._transaction.release(f"user {name}")
        elif "to" in words and self._transaction:
            self._transaction.rollback_to(f"user {name}")
        else:
            self.close()

    def _commit(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction:
            transaction.commit()

    def _set(self, sql: str) -> None:
        fault = _FAULT.fullmatch(sql)
        if fault:
            self._engine.control(fault[1])
        switch = re.search(r"autocommit\s*=\s*(0|1|off|on|false|true)", sql, re.IGNORECASE)
        if switch:
            self._autocommit = switch[1].lower() in ("1", "on", "true")
            if self._autocommit:
                self._commit()

    def _table_of(self, node: exp.Expression) -> tuple[Table, Sequence[Shard]]:
        named = node.find(exp.Table)
        if named is None:
            raise SqlError(1064, "syntax error: no table")
        scope = self._scope()
        if named.db and named.db != scope.keyspace:
            return self._engine.tables.get(named.db, named.name), self._storage.serving(named.db)
        return self._engine.tables.get(scope.keyspace, named.name), scope.shards

    def _change(self, sql: str, *, replace: bool) -> Result:
        plain = scan(sql)
        if plain:
            scope = self._scope()
            table = self._engine.tables.get(scope.keyspace, plain.table)
            insert = self._engine.statements.insert_plain
            return self._write(table, scope.shards, lambda writer: insert(writer, table, plain))
        node = rewrite.parse(re.sub(r"^\s*replace", "insert", sql, flags=re.I) if replace else sql)
        table, shards = self._table_of(node.this if isinstance(node, exp.Insert) else node)
        if replace and len(shards) > 1:
            raise SqlError(1235, "VT12001: unsupported: REPLACE INTO with sharded keyspace")
        return self._write(table, shards, lambda writer: self._apply(node, writer, table, replace))

    def _write(self, table: Table, shards: Sequence[Shard], change: Callable[[TableWriter], int]) -> Result:
        """Runs a change within the session's transaction, or within one of its own."""
        own = self._transaction is None
        transaction = self._transaction or Transaction(self._storage)
        transaction.savepoint(_STATEMENT_MARK)
        try:
            affected = change(TableWriter(self._storage, transaction, table, shards))
            transaction.release(_STATEMENT_MARK)
        except BaseException:
            transaction.rollback_to(_STATEMENT_MARK)
            if own:
                transaction.rollback()
            raise
        if own and self._autocommit:
            transaction.commit()
        elif own:
            self._transaction = transaction
        return Result(affected=affected)

    def _apply(self, node: exp.Expression, writer: TableWriter, table: Table, replace: bool) -> int:
        statements = self._engine.statements
        if isinstance(node, exp.Insert):
            return statements.insert(writer, table, node, replace=replace)
        if isinstance(node, exp.Update):
            return statements.update(writer, table, node)
        if isinstance(node, exp.Delete):
            return statements.delete(writer, table, node)
        raise SqlError(1064, f"cannot run {type(node).__name__}")

    def _define(self, sql: str, first: str, second: str) -> None:
        self._commit()
        keyspace = self._scope().keyspace
        tables = self._engine.tables
        if first == "create" and second == "table":
            tables.create(sql, keyspace)
        elif first == "truncate":
            tables.truncate(keyspace, sql.split()[-1].strip("`").split(".")[-1].strip("`"))
        elif first == "drop" and second == "table":
            self._drop(sql, keyspace)
        elif first == "rename":
            self._rename(sql, keyspace)
        elif second in ("table", "index", "unique"):
            tables.alter(sql, keyspace)
        else:
            raise SqlError(1064, f"{first} {second} is not supported")

    def _drop(self, sql: str, keyspace: str) -> None:
        tokens = TokenStream(sql)
        tokens.expect("drop", "table")
        lenient = tokens.accept("if", "exists")
        names = [tokens.name()]
        while tokens.accept(","):
            names.append(tokens.name())
        self._engine.tables.drop(keyspace, names, lenient=lenient)

    def _rename(self, sql: str, keyspace: str) -> None:
        # sqlglot takes a leading RENAME for a command without tokens.
        tokens = TokenStream(sql.strip()[len("rename") :])
        tokens.expect("table")
        old = tokens.name()
        tokens.expect("to")
        self._engine.tables.rename(sql, keyspace, old, tokens.name())

    def _add_vindex(self, sql: str) -> None:
        found = _VINDEX.match(sql)
        if not found:
            raise SqlError(1064, "syntax error in ALTER VSCHEMA")
        self._engine.tables.set_vindex(found[1] or self._scope().keyspace, found[2], found[3])

    def _show(self, sql: str) -> Result:
        words = sql.lower().replace("`", "").split()
        every = [shard for shards in self._storage.shards.values() for shard in shards if shard.serving]
        if words[1] == "vitess_shards":
            return Result.table(["Shards"], sorted((f"{s.keyspace}/{s.name}",) for s in every))
        if words[1] == "vitess_tablets":
            return _tablets(every)
        if words[1] in ("keyspaces", "vitess_keyspaces"):
            return Result.table(["Database"], sorted((name,) for name in self._storage.shards))
        if words[1] in ("databases", "schemas"):
            names = [*sorted(self._storage.shards), *_SYSTEM_DATABASES]
            return Result.table(["Database"], [(name,) for name in names])
        if "tables" in words[:3]:
            return self._show_tables(full=words[1] == "full")
        if words[1:3] == ["global", "gtid_executed"]:
            return Result.table(
                ["db_name", "gtid_executed", "shard"],
                [(s.keyspace, s.executed, s.name) for s in every if s.keyspace == words[-1]],
            )
        if words[1] in ("warnings", "variables", "status", "collation"):
            return Result.table(["Variable_name", "Value"], [])
        raise SqlError(1064, f"syntax error: {sql}")

    def _show_tables(self, *, full: bool) -> Result:
        keyspace = self._scope().keyspace
        names = sorted(name for owner, name in self._storage.tables if owner == keyspace)
        header = f"Tables_in_{self.target}"
        if full:
            return Result.table([header, "Table_type"], [(name, "BASE TABLE") for name in names])
        return Result.table([header], [(name,) for name in names])


def _tablets(shards: Sequence[Shard]) -> Result:
    names = (
        "Cell", "Keyspace", "Shard", "TabletType", "State", "Alias", "Hostname", "PrimaryTermStartTime",
    )  # fmt: skip
    rows: list[tuple[Kept, ...]] = []
    for shard in sorted(shards, key=lambda shard: (shard.keyspace, shard.name)):
        for tablet_type in TABLET_TYPES:
            state = "NOT_SERVING" if shard.down else "SERVING"
            alias = f"local-{len(rows) + 1:010d}"
            rows.append(("local", shard.keyspace, shard.name, tablet_type, state, alias, "localhost", ""))
    return Result.table(names, rows)
