"""Reads a column's type, with the attributes that belong to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from source_planetscale.ddl.reader import GrammarError
from source_planetscale.ddl.tokens import TokenKind
from source_planetscale.ddl.types import (
    BINARY,
    INTEGERS,
    NATIONAL,
    ColumnType,
    charset_name,
    charset_of_collation,
    known_name,
)

if TYPE_CHECKING:
    from source_planetscale.ddl.reader import Reader

_TEXT_WORDS = ("char", "character", "varchar", "varcharacter")
_FLOAT_DIGITS = 24
_DECIMAL_DIGITS = 10
# The length of types that have one, where a statement names none.
_DEFAULT_LENGTHS = {"char": 1, "binary": 1, "bit": 1, "vector": 2048}
_LENGTH_NEEDED = frozenset({"varchar", "varbinary"})


def read_type(reader: Reader) -> ColumnType:
    """Takes a type.

    Args:
        reader: Stands in front of it.

    Returns:
        The type.

    Raises:
        GrammarError: It is no known type.
    """
    found = _attributes(reader, _sized(reader, _name(reader)))
    if found.name == "char" and found.charset == BINARY:
        return replace(found, name="binary")
    return found


def accept_charset(reader: Reader) -> bool:
    """Takes the words in front of a character set's name, if they are next."""
    return reader.accept("character", "set") or reader.accept("char", "set") or reader.accept("charset")


def read_collation(reader: Reader, *, is_charset: bool = False) -> str:
    """Takes the name of a collation or of a character set, which may stand in quotes.

    Returns:
        The name of the character set.

    Raises:
        GrammarError: No name is next.
    """
    token = reader.take()
    if token.kind is TokenKind.MARK:
        raise GrammarError
    return charset_name(token.text) if is_charset else charset_of_collation(token.text)


def _name(reader: Reader) -> ColumnType:
    word = reader.take().keyword
    if word in ("bool", "boolean"):
        return ColumnType("tinyint", (1,))
    if word == "serial":
        return ColumnType("bigint", unsigned=True)
    if word == "long":
        return _long(reader)
    if word in ("nchar", "nvarchar", "national"):
        return _national(reader, word)
    if word == "double":
        reader.accept("precision")
    name = known_name(word)
    if word in ("char", "character") and reader.accept("varying"):
        name = "varchar"
    return ColumnType(name)


def _long(reader: Reader) -> ColumnType:
    if reader.accept("varbinary"):
        return ColumnType("mediumblob")
    if not reader.accept("varchar") and reader.sees("char", "varying"):
        reader.expect("char", "varying")
    return ColumnType("mediumtext")


def _national(reader: Reader, word: str) -> ColumnType:
    if word == "national":
        word = reader.accept_any(*_TEXT_WORDS)
        if not word:
            raise GrammarError
    varies = word in ("nvarchar", "varchar", "varcharacter")
    if not varies:
        varies = bool(reader.accept_any("varying", "varchar", "varcharacter"))
    return ColumnType("varchar" if varies else "char", charset=NATIONAL)


def _sized(reader: Reader, found: ColumnType) -> ColumnType:
    if found.name in ("enum", "set"):
        return replace(found, labels=_labels(reader))
    arguments = found.arguments
    if reader.accept("("):
        arguments = (reader.number(),)
        if reader.accept(","):
            arguments += (reader.number(),)
        reader.expect(")")
    if found.name == "float" and len(arguments) == 1:
        return replace(found, name="float" if arguments[0] <= _FLOAT_DIGITS else "double", arguments=())
    if found.name == "decimal":
        digits, fraction = (*arguments, 0, 0)[:2]
        return replace(found, arguments=(digits or _DECIMAL_DIGITS, fraction))
    if not arguments and found.name in _LENGTH_NEEDED:
        raise GrammarError
    if not arguments and found.name in _DEFAULT_LENGTHS:
        arguments = (_DEFAULT_LENGTHS[found.name],)
    return replace(found, arguments=arguments)


def _labels(reader: Reader) -> tuple[str, ...]:
    reader.expect("(")
    labels = [reader.string()]
    while reader.accept(","):
        labels.append(reader.string())
    reader.expect(")")
    return tuple(labels)


def _attributes(reader: Reader, found: ColumnType) -> ColumnType:
    while True:
        if reader.accept("unsigned"):
            found = replace(found, unsigned=True)
        elif reader.accept("zerofill"):
            found = _zerofilled(found)
        elif accept_charset(reader):
            found = replace(found, charset=read_collation(reader, is_charset=True))
        elif reader.accept("ascii"):
            found = replace(found, charset="latin1")
        elif reader.accept("unicode"):
            found = replace(found, charset="ucs2")
        elif reader.accept("byte"):
            found = replace(found, charset=BINARY)
        elif reader.accept("collate"):
            found = with_collation(found, read_collation(reader))
        elif not (reader.accept("signed") or reader.accept("binary")):
            return found


def with_collation(found: ColumnType, charset: str) -> ColumnType:
    """The type with the character set of a collation, unless it has one already."""
    return found if found.charset is not None else replace(found, charset=charset)


def _zerofilled(found: ColumnType) -> ColumnType:
    width = INTEGERS.get(found.name)
    arguments = found.arguments if width is None or any(found.arguments) else (width,)
    return replace(found, zerofill=True, arguments=arguments)
