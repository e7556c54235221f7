"""Reads CREATE TABLE: sqlglot's tokens, and a grammar of our own that keeps MySQL's types whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot.dialects.mysql import MySQL
from sqlglot.tokens import TokenType

from embedded_database.columns.schema import CHARSETS, TEXTS, Column, Index, Table
from embedded_database.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot.tokens import Token

_SYNONYMS = {
    "integer": "int",
    "bool": "tinyint",
    "boolean": "tinyint",
    "numeric": "decimal",
    "dec": "decimal",
    "fixed": "decimal",
    "real": "double",
    "double precision": "double",
    "int1": "tinyint",
    "int2": "smallint",
    "int4": "int",
    "int8": "bigint",
}
_DEFAULT_ARGS = {"decimal": (10, 0), "bit": (1,), "char": (1,), "binary": (1,), "vector": (2048,)}
_INTEGER_TYPES = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TEXT_TYPES = (*TEXTS, "char", "varchar", "enum", "set")


class TokenStream:
    """A statement's tokens with a place in them."""

    def __init__(self, sql: str) -> None:
        """Splits the statement."""
        self.sql = sql
        self._tokens: Sequence[Token] = [
            token for token in MySQL().tokenize(sql) if token.token_type != TokenType.SEMICOLON
        ]
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether no token is left."""
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        """The text of a coming token in lower case, empty at the end."""
        at = self._at + ahead
        return self._tokens[at].text.lower() if at < len(self._tokens) else ""

    def peek_is_name(self) -> bool:
        """Whether the coming token is a quoted name."""
        return not self.done and self._tokens[self._at].token_type == TokenType.IDENTIFIER

    def next(self) -> str:
        """Takes a token; its text."""
        if self.done:
            raise SqlError(1064, "syntax error at end of statement")
        self._at += 1
        return self._tokens[self._at - 1].text

    def accept(self, *words: str) -> bool:
        """Takes the words if they come next, in any case."""
        if self.peek_is_name() or any(self.peek(i) != word for i, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Takes the words or refuses the statement."""
        if not self.accept(*words):
            raise SqlError(1064, f"syntax error near '{self.peek()}', expected {' '.join(words)}")

    def name(self) -> str:
        """Takes a name, of which a leading `database.` is dropped."""
        name = self.next()
        while self.accept("."):
            name = self.next()
        return name

    def names(self) -> tuple[str, ...]:
        """Takes names in brackets, dropping prefix lengths and directions."""
        self.expect("(")
        found = [self.name()]
        while not self.accept(")"):
            if self.accept(","):
                found.append(self.name())
            elif self.peek() == "(":
                self.bracketed()
            else:
                self.next()
        return tuple(found)

    def bracketed(self) -> str:
        """Takes a bracketed expression; its text without the outer brackets."""
        self.expect("(")
        start, depth = self._tokens[self._at].start, 1
        while depth:
            token = self._tokens[self._at]
            depth += {"(": 1, ")": -1}.get(token.text, 0) * (token.token_type != TokenType.STRING)
            self._at += 1
        return self.sql[start : token.start]

    def expression(self) -> str:
        """Takes one value: a literal with an optional sign, a call or a bracketed expression."""
        start = self._tokens[self._at].start
        if self.peek() == "(":
            return self.bracketed()
        if self.next() in ("-", "+") or self.peek(-1).startswith("_"):
            self.next()
        if self.peek() == "(":
            self.bracketed()
        return self.sql[start : self._tokens[self._at - 1].end + 1]


@dataclass
class Definition:
    """What a CREATE TABLE's body or an ALTER's ADD adds: columns, and keys named with their columns."""

    columns: list[Column]
    indexes: list[Index]


def parse_create(sql: str, keyspace: str) -> tuple[Table, bool]:
    """Reads `CREATE TABLE`.

    Returns:
        The table and whether IF NOT EXISTS was given.

    Raises:
        SqlError: The statement uses something that the embedded database has not.
    """
    tokens = TokenStream(sql)
    tokens.expect("create", "table")
    lenient = tokens.accept("if", "not", "exists")
    name = tokens.name()
    definition = Definition([], [])
    tokens.expect("(")
    while True:
        parse_item(tokens, definition)
        if tokens.accept(")"):
            break
        tokens.expect(",")
    charset, collation = _table_options(tokens)
    columns = [resolve_charset(column, charset, collation) for column in definition.columns]
    return finish(Table(keyspace, name, tuple(columns)), definition.indexes), lenient


def _table_options(tokens: TokenStream) -> tuple[str, str]:
    charset = collation = ""
    while not tokens.done:
        if tokens.accept("character", "set") or tokens.accept("charset"):
            tokens.accept("=")
            charset = tokens.next().lower()
        elif tokens.accept("collate"):
            tokens.accept("=")
            collation = tokens.next().lower()
        else:
            tokens.next()
    return charset, collation


def finish(table: Table, indexes: Sequence[Index]) -> Table:
    """The table with more keys; the columns of a primary key become NOT NULL."""
    table = replace(table, indexes=(*table.indexes, *indexes))
    columns = tuple(
        replace(column, nullable=column.nullable and column.name not in table.primary_key)
        for column in table.columns
    )
    return replace(table, columns=columns)


def parse_item(tokens: TokenStream, definition: Definition) -> None:
    """Reads one column or key of a table's body into the definition."""
    index = _parse_index(tokens)
    if index is not None:
        definition.indexes.append(index)
        return
    column, key = parse_column(tokens)
    definition.columns.append(column)
    if key:
        name = "PRIMARY" if key == "primary" else column.name
        definition.indexes.append(Index(name, (column.name,), unique=True))


def _parse_index(tokens: TokenStream) -> Index | None:
    if tokens.accept("constraint"):
        tokens.name()
    if tokens.accept("primary key") or tokens.accept("primary", "key"):
        return Index("PRIMARY", tokens.names(), unique=True)
    for unique, words in (
        (True, ("unique", "key")), (True, ("unique", "index")), (True, ("unique",)),
        (False, ("key",)), (False, ("index",)),
    ):  # fmt: skip
        if tokens.accept(*words):
            name = "" if tokens.peek() == "(" else tokens.name()
            columns = tokens.names()
            return Index(name or columns[0], columns, unique)
    return None


def parse_column(tokens: TokenStream) -> tuple[Column, str]:
    """Reads one column; with it `primary` or `unique` if it is declared as a key by itself."""
    name = tokens.next()
    spelled = tokens.next().lower()
    data_type = _SYNONYMS.get(spelled, spelled)
    column = Column(name, data_type)
    if tokens.peek() == "(":
        column = _with_args(column, tokens)
    elif spelled in ("bool", "boolean"):
        column = replace(column, args=(1,))
    column = replace(column, args=_kept_args(column))
    key = ""
    while not tokens.done and tokens.peek() not in (",", ")", "after", "first"):
        column, found = _attribute(tokens, column)
        key = key or found
    if data_type in _INTEGER_TYPES and not column.zerofill and column.args != (1,):
        # MySQL 8 shows a display width for tinyint(1) and zerofill columns alone.
        column = replace(column, args=())
    return column, key


def _with_args(column: Column, tokens: TokenStream) -> Column:
    tokens.expect("(")
    items = [tokens.next()]
    while not tokens.accept(")"):
        tokens.expect(",")
        items.append(tokens.next())
    if column.data_type in ("enum", "set"):
        return replace(column, labels=tuple(items))
    return replace(column, args=tuple(map(int, items)))


def _kept_args(column: Column) -> tuple[int, ...]:
    args = column.args or _DEFAULT_ARGS.get(column.data_type, ())
    if column.data_type == "decimal" and len(args) == 1:
        return (args[0], 0)
    if column.data_type in ("datetime", "timestamp", "time") and args == (0,):
        return ()
    return () if column.data_type in ("year", *TEXTS) or column.data_type.endswith("blob") else args


def _attribute(tokens: TokenStream, column: Column) -> tuple[Column, str]:
    """Reads one attribute of a column; the changed column and the key that the attribute makes."""
    if tokens.accept("unsigned"):
        return replace(column, unsigned=True), ""
    if tokens.accept("zerofill"):
        return replace(column, zerofill=True, unsigned=True), ""
    if tokens.accept("not", "null"):
        return replace(column, nullable=False), ""
    if tokens.accept("character", "set") or tokens.accept("charset"):
        return replace(column, charset=tokens.next().lower()), ""
    if tokens.accept("collate"):
        return replace(column, collation=tokens.next().lower()), ""
    if tokens.accept("default"):
        return replace(column, default=_default(tokens.expression())), ""
    if tokens.accept("on", "update"):
        tokens.expression()
        return replace(column, on_update_now=True), ""
    if tokens.accept("auto_increment"):
        return replace(column, auto_increment=True), ""
    if tokens.accept("invisible"):
        return replace(column, invisible=True), ""
    if tokens.accept("generated", "always", "as") or tokens.accept("as"):
        return replace(column, generated=tokens.bracketed()), ""
    if tokens.accept("stored"):
        return replace(column, stored=True), ""
    if tokens.accept("primary key") or tokens.accept("primary", "key"):
        return column, "primary"
    if tokens.accept("unique"):
        tokens.accept("key")
        return column, "unique"
    if tokens.accept("comment") or tokens.accept("srid"):
        tokens.next()
    elif not any(tokens.accept(word) for word in ("null", "virtual", "visible", "key", "signed")):
        raise SqlError(1064, f"syntax error near '{tokens.peek()}' in column {column.name}")
    return column, ""


def _default(sql: str) -> str | None:
    return None if sql.lower() == "null" else sql


def resolve_charset(column: Column, charset: str = "", collation: str = "") -> Column:
    """The column with its character set and collation spelled out, from the table's where it has none."""
    if column.data_type not in _TEXT_TYPES:
        return replace(column, charset="", collation="")
    own = column.charset or column.collation.split("_")[0]
    if not own:
        charset = charset or collation.split("_")[0] or "utf8mb4"
        own, column = charset, replace(column, collation=collation)
    own = {"utf8": "utf8mb3", "binary": "utf8mb4"}.get(own, own)
    if own not in CHARSETS:
        raise SqlError(1115, f"Unknown character set: '{own}'")
    return replace(column, charset=own, collation=column.collation or CHARSETS[own].default_collation)
