"""Reads whole statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.ddl.alter import Alteration, dropped_index, read_alteration, read_columns
from source_planetscale.ddl.clauses import CreateTable
from source_planetscale.ddl.options import accept_option
from source_planetscale.ddl.reader import GrammarError, Reader, TableName
from source_planetscale.ddl.renames import renamed
from source_planetscale.ddl.statement import Effect, Statement, TableChange, combined
from source_planetscale.ddl.tokens import LexicalError, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Objects that are no tables and hold no rows: what follows their names is of no interest.
_OBJECTS = (
    *("event", "function", "instance", "json", "library", "logfile", "materialized", "prepare"),
    *("procedure", "resource", "role", "server", "spatial", "tablespace", "trigger", "undo", "user"),
    *("view", "vitess_migration", "vschema"),
)
_ATTRIBUTES = ("algorithm", "definer", "sql", "aggregate")
# How MySQL logs CREATE TABLE ... SELECT from 8.0.21 on. The rows come in the same transaction, so a stream
# that begins behind the statement passes over them.
_ROWS_FOLLOW = ("start", "transaction")
_INDEX_KINDS = ("fulltext", "spatial", "unique")
_DATABASE = ("database", "schema")
_ABOUT_NO_TABLE = frozenset({"flush", "grant", "install", "revoke", "set", "uninstall"})
_MAINTENANCE = frozenset({"analyze", "check", "checksum", "optimize", "repair"})
_NOTHING = frozenset({Effect.HARMLESS})
_CONTENTS_GO = frozenset({Effect.ROWS_REMOVED})
_TABLE_GOES = frozenset({Effect.ROWS_REMOVED, Effect.DROPPED})


def parse(statement: str) -> Statement:
    """Reads a statement as a DDL event carries it.

    sqlglot, the parser at hand, gives up on table swaps, partitions and several types, hence one of our own.

    Args:
        statement: Vitess's normal form, or whatever else a client sent and MySQL has logged.

    Returns:
        What it says. Text of any kind is taken; what is not understood is marked so.
    """
    try:
        tokens = tokens_of(statement)
        while tokens and tokens[-1].keyword == ";":
            tokens.pop()
        return _read(Reader(tokens), statement)
    except (LexicalError, GrammarError):
        return Statement(statement, understood=False)


def _read(reader: Reader, text: str) -> Statement:
    verb = reader.take().keyword
    if verb in _READERS:
        return _READERS[verb](reader, text)
    if verb in _ABOUT_NO_TABLE:
        return Statement(text)
    if verb in _MAINTENANCE:
        reader.accept_any("no_write_to_binlog", "local")
        if not reader.accept_any("table", "tables"):
            raise GrammarError
        return Statement(text, changes=tuple(TableChange(name, _NOTHING) for name in _names(reader)))
    raise GrammarError


def _names(reader: Reader) -> Iterable[TableName]:
    names = [reader.table()]
    while reader.accept(","):
        names.append(reader.table())
    return dict.fromkeys(names)


def _expect_end(reader: Reader) -> None:
    if not reader.at_end:
        raise GrammarError


def _read_truncate(reader: Reader, text: str) -> Statement:
    # A table may itself be called `table` only in quotes.
    reader.accept("table")
    change = TableChange(reader.table(), _CONTENTS_GO)
    _expect_end(reader)
    return Statement(text, changes=(change,))


def _read_drop(reader: Reader, text: str) -> Statement:
    if reader.accept("temporary"):
        return Statement(text)
    if reader.accept_any("table", "tables"):
        reader.accept("if", "exists")
        names = _names(reader)
        reader.accept_any("restrict", "cascade")
        _expect_end(reader)
        return Statement(text, changes=tuple(TableChange(name, _TABLE_GOES, None) for name in names))
    if reader.accept("index"):
        reader.accept("if", "exists")
        effect = dropped_index(reader.name())
        reader.expect("on")
        return Statement(text, changes=(TableChange(reader.table(), frozenset({effect})),))
    if reader.accept_any(*_DATABASE):
        reader.accept("if", "exists")
        # Its tables cannot be known here: a stream does not tell such a statement anyway (seen on Vitess 24).
        return Statement(text)
    return _about_no_table(reader, text)


def _about_no_table(reader: Reader, text: str) -> Statement:
    if not reader.accept_any(*_OBJECTS):
        raise GrammarError
    return Statement(text)


def _read_rename(reader: Reader, text: str) -> Statement:
    if reader.accept("user"):
        return Statement(text)
    if not reader.accept_any("table", "tables"):
        raise GrammarError
    pairs = [_renaming(reader)]
    while reader.accept(","):
        pairs.append(_renaming(reader))
    _expect_end(reader)
    return Statement(text, changes=renamed(pairs))


def _renaming(reader: Reader) -> tuple[TableName, TableName]:
    before = reader.table()
    if not reader.accept_any("to", "as", "="):
        raise GrammarError
    return before, reader.table()


def _read_alter(reader: Reader, text: str) -> Statement:
    reader.accept_any("online", "offline")
    reader.accept("ignore")
    if reader.accept("table"):
        table = reader.table()
        return _altered(text, table, read_alteration(reader))
    if reader.accept_any(*_DATABASE):
        return Statement(text)
    _skip_attributes(reader)
    return _about_no_table(reader, text)


def _altered(text: str, table: TableName, found: Alteration) -> Statement:
    clauses = tuple(found.clauses) if found.understood else None
    changes = [TableChange(table, combined(found.effects | {Effect.HARMLESS}), clauses)]
    if found.exchanged is not None:
        changes.append(TableChange(found.exchanged, frozenset({Effect.ROWS_EXCHANGED})))
    if found.new_name is not None:
        changes += renamed([(table, found.new_name)])
    return Statement(text, understood=found.understood, changes=_merged(changes))


def _merged(changes: Iterable[TableChange]) -> tuple[TableChange, ...]:
    """One change for each table."""
    found: dict[TableName, TableChange] = {}
    for change in changes:
        other = found.get(change.table)
        if other is not None:
            effects = combined(change.effects | other.effects)
            known = change.clauses is not None and other.clauses is not None
            clauses = (*(other.clauses or ()), *(change.clauses or ())) if known else None
            found[change.table] = TableChange(change.table, effects, clauses)
        else:
            found[change.table] = change
    return tuple(found.values())


def _read_create(reader: Reader, text: str) -> Statement:
    replaces = reader.accept("or", "replace")
    if reader.accept("temporary"):
        return Statement(text)
    reader.accept("external")
    if reader.accept("table"):
        return _created(reader, text, frozenset({Effect.ROWS_REMOVED} if replaces else ()))
    if reader.sees("index") or (reader.next.keyword in _INDEX_KINDS and reader.ahead(1).keyword == "index"):
        return _created_index(reader, text)
    _skip_attributes(reader)
    return _about_no_table(reader, text)


def _created(reader: Reader, text: str, effects: frozenset[Effect]) -> Statement:
    if_not_exists = reader.accept("if", "not", "exists")
    if not if_not_exists and not effects:
        effects |= {Effect.MADE_ANEW}
    if reader.ends_with(*_ROWS_FOLLOW):
        effects |= {Effect.ROWS_EXCHANGED}
    table = reader.table()
    found = Alteration(clauses=[CreateTable(if_not_exists)])
    try:
        read_columns(reader, found)
        while accept_option(reader, found.clauses):
            reader.accept(",")
        # A query at the end adds its own columns.
        is_known = reader.at_end or reader.sees("partition", "by") or reader.sees(*_ROWS_FOLLOW)
    except GrammarError:
        is_known = False
    clauses = tuple(found.clauses) if is_known else None
    return Statement(text, changes=(TableChange(table, effects | {Effect.CREATED}, clauses),))


def _created_index(reader: Reader, text: str) -> Statement:
    effect = Effect.UNIQUE_KEYS if reader.take().keyword == "unique" else Effect.HARMLESS
    reader.accept("index")
    reader.accept("if", "not", "exists")
    reader.name()
    while not reader.accept("on"):
        reader.take()
    return Statement(text, changes=(TableChange(reader.table(), frozenset({effect})),))


def _skip_attributes(reader: Reader) -> None:
    """Takes what may stand in front of VIEW, PROCEDURE and the like."""
    while reader.accept_any(*_ATTRIBUTES):
        while not (reader.next.keyword in _OBJECTS or reader.next.keyword in _ATTRIBUTES):
            reader.take()


_READERS: dict[str, Callable[[Reader, str], Statement]] = {
    "alter": _read_alter,
    "create": _read_create,
    "drop": _read_drop,
    "rename": _read_rename,
    "truncate": _read_truncate,
}
