"""Reads what follows ALTER TABLE and its table's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from source_planetscale.ddl.clauses import (
    AddColumn,
    ChangeColumn,
    Clause,
    ConvertCharset,
    DropColumn,
    RenameColumn,
)
from source_planetscale.ddl.columns import read_definition, read_position
from source_planetscale.ddl.options import accept_option
from source_planetscale.ddl.reader import GrammarError, TableName
from source_planetscale.ddl.statement import Effect
from source_planetscale.ddl.tokens import TokenKind
from source_planetscale.ddl.type_parser import accept_charset, read_collation

if TYPE_CHECKING:
    from source_planetscale.ddl.reader import Reader

# What can be done to partitions without any row coming or going.
_ROWS_STAY = ("analyze", "check", "coalesce", "optimize", "rebuild", "reorganize", "repair")
_KEYS = {
    "primary": Effect.KEY_CHANGED,
    "unique": Effect.UNIQUE_KEYS,
    **dict.fromkeys(("index", "key", "fulltext", "spatial", "check", "foreign"), Effect.HARMLESS),
}
_PRIMARY_INDEX = "primary"


@dataclass
class Alteration:
    """What an ALTER TABLE says, gathered clause by clause.

    Attributes:
        understood: Whether all clauses were.
        effects: What they do to the table.
        clauses: What they do to its columns.
        new_name: The name that it gets.
        exchanged: The table that it exchanges a partition with.
    """

    understood: bool = True
    effects: set[Effect] = field(default_factory=set)
    clauses: list[Clause] = field(default_factory=list)
    new_name: TableName | None = None
    exchanged: TableName | None = None

    def add(self, clause: Clause) -> None:
        """Adds what happens to a column, with its effects."""
        self.clauses.append(clause)
        self.effects |= clause.effects


def read_alteration(reader: Reader) -> Alteration:
    """Takes all clauses up to the end.

    Args:
        reader: Stands behind the table's name.

    Returns:
        What they say; `understood` is False if one of them is not known.
    """
    found = Alteration()
    try:
        _read_clauses(reader, found)
    except GrammarError:
        reader.skip_rest()
        found.understood = False
        found.effects.add(Effect.UNKNOWN)
    return found


def read_columns(reader: Reader, found: Alteration) -> None:
    """Takes definitions of columns and keys in parentheses.

    Raises:
        GrammarError: They are not understood.
    """
    reader.expect("(")
    while True:
        if not _read_key(reader, found):
            found.add(AddColumn(read_definition(reader)))
        if reader.accept(")"):
            return
        reader.expect(",")


def _read_clauses(reader: Reader, found: Alteration) -> None:
    while not reader.at_end:
        if accept_option(reader, found.clauses):
            found.effects.add(Effect.HARMLESS)
            # Options may stand side by side.
            reader.accept(",")
        elif reader.accept("partition", "by") or reader.accept("remove", "partitioning"):
            found.effects.add(Effect.HARMLESS)
            reader.skip_rest()
        else:
            _read_clause(reader, found)
            # The division into partitions follows without a comma.
            if not (reader.at_end or reader.sees("partition", "by") or reader.sees("remove")):
                reader.expect(",")


def _read_clause(reader: Reader, found: Alteration) -> None:
    if reader.accept("add"):
        _read_add(reader, found)
    elif reader.accept("drop"):
        _read_drop(reader, found)
    elif reader.accept("modify"):
        _read_change(reader, found, renames=False)
    elif reader.accept("change"):
        _read_change(reader, found, renames=True)
    elif reader.accept("rename"):
        _read_rename(reader, found)
    elif reader.accept("convert", "to"):
        _read_conversion(reader, found)
    else:
        found.effects |= _read_other(reader, found)


def _read_add(reader: Reader, found: Alteration) -> None:
    if reader.accept("partition"):
        found.effects.add(Effect.HARMLESS)
        reader.skip_rest()
        return
    if not reader.accept("column") and _read_key(reader, found):
        return
    if_not_exists = reader.accept("if", "not", "exists")
    if reader.sees("("):
        read_columns(reader, found)
        return
    definition = read_definition(reader)
    found.add(AddColumn(definition, read_position(reader), if_not_exists))


def _read_key(reader: Reader, found: Alteration) -> bool:
    """Takes the definition of a key or constraint, if one is next."""
    if reader.accept("constraint") and reader.next.keyword not in _KEYS:
        reader.name()
        if reader.next.keyword not in _KEYS:
            raise GrammarError
    effect = _KEYS.get(reader.next.keyword)
    if effect is None:
        return False
    found.effects.add(effect)
    while not (reader.at_end or reader.sees(",") or reader.sees(")")):
        if reader.sees("("):
            reader.skip_parentheses()
        else:
            reader.take()
    return True


def _read_drop(reader: Reader, found: Alteration) -> None:
    if reader.accept("primary", "key"):
        found.effects.add(Effect.KEY_CHANGED)
    elif reader.accept("partition"):
        found.effects.add(Effect.ROWS_REMOVED)
        reader.skip_rest()
    elif reader.accept("foreign", "key") or reader.accept("check"):
        reader.accept("if", "exists")
        reader.name()
        found.effects.add(Effect.HARMLESS)
    elif reader.accept_any("index", "key", "constraint"):
        reader.accept("if", "exists")
        found.effects.add(dropped_index(reader.name()))
    else:
        reader.accept("column")
        if_exists = reader.accept("if", "exists")
        found.add(DropColumn(reader.name(), if_exists))
        reader.accept_any("restrict", "cascade")


def dropped_index(name: str) -> Effect:
    """What dropping an index of that name does; which of the others are unique cannot be seen."""
    return Effect.KEY_CHANGED if name.lower() == _PRIMARY_INDEX else Effect.UNIQUE_KEYS


def _read_change(reader: Reader, found: Alteration, *, renames: bool) -> None:
    reader.accept("column")
    if_exists = reader.accept("if", "exists")
    column = reader.name() if renames else ""
    definition = read_definition(reader)
    position = read_position(reader)
    found.add(ChangeColumn(column or definition.name, definition, position, if_exists))


def _read_rename(reader: Reader, found: Alteration) -> None:
    if reader.accept("column"):
        column = reader.name()
        reader.expect("to")
        found.add(RenameColumn(column, reader.name()))
    elif reader.accept_any("index", "key"):
        reader.name()
        reader.expect("to")
        reader.name()
        found.effects.add(Effect.HARMLESS)
    else:
        reader.accept_any("to", "as", "=")
        found.new_name = reader.table()


def _read_conversion(reader: Reader, found: Alteration) -> None:
    if not accept_charset(reader):
        raise GrammarError
    charset = None if reader.accept("default") else read_collation(reader, is_charset=True)
    if reader.accept("collate"):
        collation = read_collation(reader)
        charset = charset or collation
    found.add(ConvertCharset(charset))


def _read_other(reader: Reader, found: Alteration) -> set[Effect]:
    if reader.accept("truncate", "partition"):
        reader.skip_rest()
        return {Effect.ROWS_REMOVED}
    if reader.accept("exchange", "partition"):
        reader.name()
        reader.expect("with", "table")
        found.exchanged = reader.table()
        if reader.accept_any("with", "without"):
            reader.expect("validation")
        return {Effect.ROWS_EXCHANGED}
    if reader.sees("discard") or reader.sees("import"):
        return _read_tablespace(reader)
    if reader.next.keyword in _ROWS_STAY and reader.ahead(1).keyword == "partition":
        reader.skip_rest()
        return {Effect.HARMLESS}
    _read_harmless(reader)
    return {Effect.HARMLESS}


def _read_tablespace(reader: Reader) -> set[Effect]:
    effect = Effect.ROWS_EXCHANGED if reader.take().keyword == "import" else Effect.ROWS_REMOVED
    if not reader.accept("tablespace"):
        reader.expect("partition")
        reader.skip_rest()
    return {effect}


def _read_harmless(reader: Reader) -> None:
    if reader.accept("alter"):
        reader.skip_clause()
    elif reader.accept("order", "by"):
        _skip_order(reader)
    elif reader.accept_any("enable", "disable"):
        reader.expect("keys")
    elif reader.accept_any("with", "without"):
        reader.expect("validation")
    elif not (reader.accept_any("force", "secondary_load", "secondary_unload", "upgrade")):
        raise GrammarError
    reader.accept("partitioning")


def _skip_order(reader: Reader) -> None:
    while True:
        reader.table()
        reader.accept_any("asc", "desc")
        follows = reader.ahead(2)
        more = follows.kind is TokenKind.END or follows.keyword in (",", "asc", "desc", ".")
        if not (reader.sees(",") and more):
            return
        reader.take()
