"""Column types: read as statements spell them, written as information_schema does."""

from __future__ import annotations

from dataclasses import dataclass

from source_planetscale.ddl.reader import GrammarError

# The character set of bytes, and the one of NCHAR.
BINARY = "binary"
NATIONAL = "utf8mb3"

# Type -> the digits of its display width, which only zerofill still shows.
INTEGERS = {"tinyint": 3, "smallint": 5, "mediumint": 8, "int": 10, "bigint": 20}
_NUMBERS = frozenset({*INTEGERS, "float", "double", "decimal"})
# Text type -> the bytes that it becomes in the character set `binary`.
_BYTES_OF = {
    "char": "binary",
    "varchar": "varbinary",
    "tinytext": "tinyblob",
    "text": "blob",
    "mediumtext": "mediumblob",
    "longtext": "longblob",
}
_LABELED = frozenset({"enum", "set"})
_FRACTIONAL = frozenset({"time", "datetime", "timestamp"})
_SIZED = frozenset({"char", "varchar", "binary", "varbinary", "bit", "vector"})
_PLAIN = frozenset(
    {"date", "year", "json", "geometry", "point", "linestring", "polygon"}
    | {"multipoint", "multilinestring", "multipolygon", "geomcollection"}
)
_ALIASES = {
    "int1": "tinyint",
    "int2": "smallint",
    "int3": "mediumint",
    "middleint": "mediumint",
    "int4": "int",
    "integer": "int",
    "int8": "bigint",
    "dec": "decimal",
    "numeric": "decimal",
    "fixed": "decimal",
    "float4": "float",
    "float8": "double",
    "real": "double",
    "character": "char",
    "varcharacter": "varchar",
    "geometrycollection": "geomcollection",
}
_TYPES = frozenset({*_NUMBERS, *_BYTES_OF, *_BYTES_OF.values(), *_LABELED, *_FRACTIONAL, *_SIZED, *_PLAIN})
# The families that a length picks a member of, with the bytes that each member holds.
_BY_LENGTH = {
    kind: tuple(
        (prefix + kind, (1 << bits) - 1)
        for prefix, bits in (("tiny", 8), ("", 16), ("medium", 24), ("long", 32))
    )
    for kind in ("text", "blob")
}
_WIDEST_CHARACTER = {
    **dict.fromkeys(("utf8mb4", "utf16", "utf16le", "utf32", "gb18030"), 4),
    **dict.fromkeys(("utf8", "utf8mb3", "ujis", "eucjpms"), 3),
    **dict.fromkeys(("ucs2", "big5", "cp932", "euckr", "gb2312", "gbk", "sjis"), 2),
}
_LABEL_ESCAPES = str.maketrans({"'": "''", "\\": "\\\\", "\0": "\\0", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class ColumnType:
    """A type as a statement names it.

    Attributes:
        name: The type's own name, never an alias.
        arguments: The numbers in parentheses.
        labels: The labels of an ENUM or SET, with the blanks at their ends.
        unsigned: Whether it is unsigned.
        zerofill: Whether it is padded with zeros, which makes it unsigned as well.
        charset: The character set that the statement names, also by a collation; None if it names none.
    """

    name: str
    arguments: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    unsigned: bool = False
    zerofill: bool = False
    charset: str | None = None

    @property
    def has_charset(self) -> bool:
        """Whether its values are text."""
        return self.name in _BYTES_OF or self.name in _LABELED

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number of a fixed number of bytes."""
        return self.name in INTEGERS

    def spelled(self, charset: str) -> str:
        """Writes it as information_schema.columns.column_type does.

        Args:
            charset: The character set of the column, which may be `binary`; empty for types without.
        """
        name = self.name
        if charset == BINARY:
            name = _BYTES_OF.get(name, name)
        if name in _LABELED:
            # Only bytes keep the blanks at their end.
            labels = self.labels if charset == BINARY else [label.rstrip(" ") for label in self.labels]
            return f"{name}({','.join(map(_quoted, labels))})"
        if name in _NUMBERS:
            return self._number()
        if name in _BY_LENGTH and self.arguments:
            return _member(name, self.arguments[0] * _WIDEST_CHARACTER.get(charset, 1))
        if name in _SIZED:
            return f"{name}({self.arguments[0]})"
        return f"{name}({self.arguments[0]})" if name in _FRACTIONAL and any(self.arguments) else name

    def _number(self) -> str:
        shows_size = not self.is_integer or self.zerofill or self._is_boolean
        size = f"({','.join(map(str, self.arguments))})" if self.arguments and shows_size else ""
        sign = " unsigned" if self.unsigned or self.zerofill else ""
        return f"{self.name}{size}{sign}{' zerofill' if self.zerofill else ''}"

    @property
    def _is_boolean(self) -> bool:
        return (self.name, self.arguments, self.unsigned) == ("tinyint", (1,), False)


def known_name(word: str) -> str:
    """The type's own name for a word in lower case, which may be an alias.

    Raises:
        GrammarError: There is no such type.
    """
    name = _ALIASES.get(word, word)
    if name not in _TYPES:
        raise GrammarError
    return name


def charset_of_collation(collation: str) -> str:
    """The name of the character set that a collation belongs to."""
    return charset_name(collation.partition("_")[0])


def charset_name(name: str) -> str:
    """A character set's name as information_schema spells it."""
    folded = name.lower()
    return NATIONAL if folded == "utf8" else folded


def converted(column_type: str, before: str, after: str) -> str:
    """The type of a text column after CONVERT TO CHARACTER SET.

    A TEXT becomes wide enough for as many characters as it could hold before.

    Args:
        column_type: The type before, as information_schema spells it.
        before: The character set before, which is not `binary`.
        after: The character set after.

    Returns:
        The type after.
    """
    base, parenthesis, size = column_type.partition("(")
    if after == BINARY:
        return _BYTES_OF.get(base, base) + parenthesis + size
    narrow, wide = (_WIDEST_CHARACTER.get(charset, 1) for charset in (before, after))
    most = dict(_BY_LENGTH["text"]).get(base, 0)
    return _member("text", most // narrow * wide) if most and wide > narrow else column_type


def _member(kind: str, size: int) -> str:
    for name, most in _BY_LENGTH[kind]:
        if size <= most:
            return name
    return _BY_LENGTH[kind][-1][0]


def _quoted(label: str) -> str:
    return f"'{label.translate(_LABEL_ESCAPES)}'"
