"""Whether row events of a table's earlier shape are decoded rightly with the shape it has today.

A tablet decodes old row events by column position and type with the schema of the moment, so after some
changes it sends values under the wrong column, or the wrong label, without an error (seen on Vitess 24
without schema tracking). A cursor therefore remembers the shape that its position belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.columns.families import widens

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
        if not widens(before.column_type, now.column_type):
            return f"column `{now.name}` changed from {before.column_type} to {now.column_type}"
    if len(new) < len(old):
        return f"column `{old[len(new)].name}` is gone"
    return None
