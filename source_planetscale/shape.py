"""Whether row events of a table's earlier shape are decoded rightly with the shape it has today.

A tablet decodes old row events by column position and type with the schema of the moment, so after some
changes it sends values under the wrong column, or the wrong label, without an error (seen on Vitess 24
without schema tracking). A cursor therefore remembers the shape that its position belongs to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from source_planetscale.table import Column


class ShapeColumn(NamedTuple):
    """What of a column decides how its row events are decoded: see `Column` for the fields."""

    name: str
    column_type: str
    charset: str


Shape = tuple[ShapeColumn, ...]


def shape_of(columns: Iterable[Column]) -> Shape:
    """Takes the shape from a table's columns, in table order."""
    return tuple(ShapeColumn(column.name, column.column_type, column.charset) for column in columns)


def hazard(old: Shape, new: Shape) -> str | None:
    """Names the first difference that makes old row events come out wrong under the new shape.

    Harmless are: columns added at the end, labels added at the end of an ENUM or SET, and types that
    hold everything that the old ones held and are stored alike.

    Args:
        old: The shape when the events were written.
        new: The shape with which the server decodes them.

    Returns:
        A phrase such as "column `a` is now `b`", or None if old events are decoded rightly.
    """
    for before, now in zip(old, new, strict=False):
        if before.name != now.name:
            return f"column `{before.name}` stands where `{now.name}` stands in the table today"
        if before.charset != now.charset:
            return f"the character set of column `{now.name}` changed from {before.charset} to {now.charset}"
        if not _widens(_TypeText.parse(before.column_type), _TypeText.parse(now.column_type)):
            return f"column `{now.name}` changed from {before.column_type} to {now.column_type}"
    if len(new) < len(old):
        return f"column `{old[len(new)].name}` is gone"
    return None


class _TypeText(NamedTuple):
    base: str
    argument: str
    attributes: str

    @classmethod
    def parse(cls, text: str) -> _TypeText:
        base, parenthesis, rest = text.partition("(")
        if not parenthesis:
            word, _, attributes = text.partition(" ")
            return cls(word.lower(), "", attributes.strip())
        argument, _, attributes = rest.rpartition(")")
        return cls(base.lower(), argument, attributes.strip())


# Each family is stored alike on the binlog and ordered from narrow to wide.
_WIDENING = (
    ("tinyint", "smallint", "mediumint", "int", "bigint"),
    ("tinytext", "text", "mediumtext", "longtext"),
    ("tinyblob", "blob", "mediumblob", "longblob"),
)
_SIZED = frozenset({"char", "varchar", "binary", "varbinary", "decimal", "datetime", "timestamp", "time"})
_LABELED = frozenset({"enum", "set"})


def _widens(old: _TypeText, new: _TypeText) -> bool:
    if old == new:
        return True
    if ("unsigned" in old.attributes) != ("unsigned" in new.attributes):
        return False
    for family in _WIDENING:
        if old.base in family and new.base in family:
            return family.index(old.base) <= family.index(new.base)
    if old.base != new.base:
        return False
    if old.base in _SIZED:
        return _sizes_grow(old.argument, new.argument)
    if old.base in _LABELED:
        return new.argument == old.argument or new.argument.startswith(old.argument + ",")
    return False


def _sizes_grow(old: str, new: str) -> bool:
    before, now = ([int(size) for size in re.findall(r"\d+", text)] or [0] for text in (old, new))
    return len(before) == len(now) and all(a <= b for a, b in zip(before, now, strict=True))
