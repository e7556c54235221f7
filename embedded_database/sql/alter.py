"""ALTER TABLE's clauses, applied to a table one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from embedded_database.columns.schema import Column, Index, Table
from embedded_database.errors import SqlError
from embedded_database.sql.ddl_parser import (
    Definition,
    TokenStream,
    finish,
    parse_column,
    parse_item,
    resolve_charset,
)

# Clauses that change nothing that a row shows.
_IGNORED = ("engine", "algorithm", "lock", "comment", "auto_increment", "row_format", "force", "order")


@dataclass(frozen=True)
class Alteration:
    """A changed table.

    Attributes:
        table: The table as the statement leaves it.
        sources: Per column, the place of its values in the table before; None for an added column.
        statement: The statement as the log has it.
    """

    table: Table
    sources: tuple[int | None, ...]
    statement: str


def altered_name(sql: str) -> tuple[str, TokenStream, str]:
    """The table of an ALTER TABLE, CREATE INDEX or DROP INDEX, its clauses, its text as an ALTER."""
    tokens = TokenStream(sql)
    if tokens.accept("alter", "table"):
        return tokens.name(), tokens, sql
    if tokens.accept("drop", "index"):
        index = tokens.name()
        tokens.expect("on")
        table = tokens.name()
        return table, TokenStream(f"drop key `{index}`"), f"alter table {table} drop key {index}"
    tokens.expect("create")
    kind = "unique key" if tokens.accept("unique") else "key"
    tokens.expect("index")
    index = tokens.name()
    tokens.expect("on")
    table = tokens.name()
    clause = f"add {kind} {index} ({', '.join(tokens.names())})"
    return table, TokenStream(clause), f"alter table {table} {clause}"


def alter(table: Table, tokens: TokenStream, statement: str) -> Alteration:
    """Applies all clauses.

    Raises:
        SqlError: A clause is unknown or names a column that is not there.
    """
    work = _Work(table)
    while not tokens.done:
        work.clause(tokens)
        if not tokens.done:
            tokens.expect(",")
    return work.result(statement)


class _Work:
    """A table on its way from one shape to the next."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._name = table.name
        self._columns: list[tuple[Column, int | None]] = [
            (column, at) for at, column in enumerate(table.columns)
        ]
        self._indexes = list(table.indexes)
        self._vindex = table.vindex_column

    def result(self, statement: str) -> Alteration:
        changed = replace(
            self._table,
            name=self._name,
            columns=tuple(column for column, _ in self._columns),
            indexes=tuple(index for index in self._indexes if index.columns),
            vindex_column=self._vindex,
        )
        return Alteration(finish(changed, ()), tuple(at for _, at in self._columns), statement)

    def clause(self, tokens: TokenStream) -> None:
        word = tokens.peek()
        if tokens.accept("add"):
            self._add(tokens)
        elif tokens.accept("drop"):
            self._drop(tokens)
        elif tokens.accept("rename", "column"):
            old = tokens.name()
            tokens.expect("to")
            at = self._at(old)
            self._put(at, replace(self._columns[at][0], name=tokens.name()))
        elif tokens.accept("rename"):
            _ = tokens.accept("to") or tokens.accept("as")
            self._name = tokens.name()
        elif tokens.accept("modify") or tokens.accept("change"):
            tokens.accept("column")
            at = self._at(tokens.name() if word == "change" else tokens.peek())
            column, _ = parse_column(tokens)
            self._put(at, resolve_charset(column))
            self._place(tokens, at)
        elif word in _IGNORED:
            while not tokens.done and tokens.peek() != ",":
                tokens.next()
        else:
            raise SqlError(1064, f"syntax error near '{word}' in ALTER TABLE")

    def _at(self, name: str) -> int:
        for at, (column, _) in enumerate(self._columns):
            if column.name.lower() == name.lower():
                return at
        raise SqlError(1054, f"Unknown column '{name}' in '{self._table.name}'")

    def _put(self, at: int, column: Column) -> None:
        """Gives a column another definition, and the keys over it its new name."""
        old, source = self._columns[at]
        self._columns[at] = (column, source)
        self._vindex = column.name if self._vindex == old.name else self._vindex
        self._indexes = [
            replace(index, columns=tuple(column.name if c == old.name else c for c in index.columns))
            for index in self._indexes
        ]

    def _place(self, tokens: TokenStream, at: int) -> None:
        """Moves a column where FIRST or AFTER says."""
        if tokens.accept("first"):
            self._columns.insert(0, self._columns.pop(at))
        elif tokens.accept("after"):
            moved = self._columns.pop(at)
            self._columns.insert(self._at(tokens.name()) + 1, moved)

    def _add(self, tokens: TokenStream) -> None:
        tokens.accept("column")
        listed = tokens.accept("(")
        while True:
            found = Definition([], [])
            parse_item(tokens, found)
            for column in found.columns:
                if any(c.name.lower() == column.name.lower() for c, _ in self._columns):
                    raise SqlError(1060, f"Duplicate column name '{column.name}'")
                self._columns.append((resolve_charset(column), None))
                self._place(tokens, len(self._columns) - 1)
            self._indexes += found.indexes
            if not listed or tokens.accept(")"):
                return
            tokens.expect(",")

    def _drop(self, tokens: TokenStream) -> None:
        if tokens.accept("primary key") or tokens.accept("primary", "key"):
            self._drop_index("PRIMARY")
        elif tokens.accept("key") or tokens.accept("index"):
            self._drop_index(tokens.name())
        else:
            tokens.accept("column")
            column, _ = self._columns.pop(self._at(tokens.name()))
            self._indexes = [
                Index(i.name, tuple(c for c in i.columns if c != column.name), i.unique)
                for i in self._indexes
            ]

    def _drop_index(self, name: str) -> None:
        kept = [index for index in self._indexes if index.name != name]
        if len(kept) == len(self._indexes):
            raise SqlError(1091, f"Can't DROP '{name}'; check that column/key exists")
        self._indexes = kept
