"""Reads the definition of a column: its type and everything that may follow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from source_planetscale.ddl.clauses import ColumnDefinition, Position
from source_planetscale.ddl.reader import GrammarError
from source_planetscale.ddl.tokens import TokenKind
from source_planetscale.ddl.type_parser import read_collation, read_type, with_collation

if TYPE_CHECKING:
    from source_planetscale.ddl.reader import Reader

# In front of a string: bits, hexadecimal digits, national text. A character set has an underscore.
_STRING_PREFIXES = ("b", "x", "n")


def read_definition(reader: Reader) -> ColumnDefinition:
    """Takes a column's name and definition, up to its position or the end of the clause.

    Args:
        reader: Stands in front of the name.

    Returns:
        The definition.

    Raises:
        GrammarError: It is not understood.
    """
    name = reader.name()
    is_serial = reader.sees("serial")
    found = ColumnDefinition(name, read_type(reader))
    if is_serial:
        found = replace(found, not_null=True, is_auto_increment=True, is_unique=True)
    while True:
        following = _attribute(reader, found)
        if following is None:
            return found
        found = following


def read_position(reader: Reader) -> Position | None:
    """Takes FIRST or AFTER and a column, if one of them is next."""
    if reader.accept("first"):
        return Position(None)
    return Position(reader.name()) if reader.accept("after") else None


def _attribute(reader: Reader, found: ColumnDefinition) -> ColumnDefinition | None:
    if reader.accept("not", "null"):
        return replace(found, not_null=True)
    if reader.accept("null"):
        return found
    if reader.accept("default"):
        return replace(found, has_default=not _skip_value(reader))
    if reader.accept("auto_increment"):
        return replace(found, is_auto_increment=True)
    if reader.accept("serial", "default", "value"):
        return replace(found, not_null=True, is_auto_increment=True, is_unique=True)
    if reader.accept("unique"):
        reader.accept("key")
        return replace(found, is_unique=True)
    if reader.accept("primary", "key") or reader.accept("primary") or reader.accept("key"):
        return replace(found, is_primary_key=True)
    if reader.accept("collate"):
        return replace(found, type=with_collation(found.type, read_collation(reader)))
    if reader.accept("generated", "always", "as") or reader.accept("as"):
        reader.skip_parentheses()
        reader.accept_any("virtual", "stored", "persistent")
        return replace(found, is_generated=True)
    return found if _skip_attribute(reader) else None


def _skip_attribute(reader: Reader) -> bool:
    """Takes an attribute that says nothing of the column's values, if one is next."""
    if reader.accept_any("visible", "invisible") or reader.accept("not", "secondary"):
        return True
    if reader.accept("on", "update"):
        _skip_value(reader)
        return True
    if reader.accept_any("comment", "column_format", "storage", "srid"):
        reader.take()
        return True
    if reader.accept_any("engine_attribute", "secondary_engine_attribute"):
        reader.accept("=")
        reader.take()
        return True
    if reader.accept("references"):
        _skip_reference(reader)
        return True
    return _skip_check(reader)


def _skip_check(reader: Reader) -> bool:
    if reader.accept("constraint") and not reader.sees("check"):
        reader.name()
    if not reader.accept("check"):
        return False
    reader.skip_parentheses()
    if not reader.accept("not", "enforced"):
        reader.accept("enforced")
    return True


def _skip_reference(reader: Reader) -> None:
    reader.table()
    if reader.sees("("):
        reader.skip_parentheses()
    if reader.accept("match"):
        reader.take()
    while reader.accept("on", "delete") or reader.accept("on", "update"):
        if not (reader.accept("set") or reader.accept("no")):
            if not reader.accept_any("cascade", "restrict"):
                raise GrammarError
        else:
            reader.take()


def _skip_value(reader: Reader) -> bool:
    """Takes a value or an expression in parentheses, and says whether it is NULL."""
    if reader.sees("("):
        is_null = reader.ahead(1).keyword == "null" and reader.ahead(2).keyword == ")"
        reader.skip_parentheses()
        return is_null
    is_null = reader.sees("null")
    reader.accept_any("+", "-")
    token = reader.take()
    if token.kind is TokenKind.MARK and token.text != ".":
        raise GrammarError
    if token.kind is TokenKind.STRING:
        _skip_strings(reader)
    elif token.text == ".":
        _skip_exponent(reader, reader.take().keyword)
    elif token.keyword.startswith("_") or token.keyword in _STRING_PREFIXES:
        _skip_strings(reader)
    else:
        _skip_number_or_call(reader, token.keyword)
    return is_null


def _skip_strings(reader: Reader) -> None:
    while reader.next.kind is TokenKind.STRING:
        reader.take()


def _skip_number_or_call(reader: Reader, word: str) -> None:
    if reader.sees("("):
        reader.skip_parentheses()
    elif reader.accept(".") and word.isdecimal():
        if reader.next.keyword[:1].isdecimal():
            word = reader.take().keyword
        _skip_exponent(reader, word)
    else:
        _skip_exponent(reader, word)


def _skip_exponent(reader: Reader, word: str) -> None:
    if word[:1].isdecimal() and word.endswith("e") and reader.accept_any("+", "-"):
        reader.take()
