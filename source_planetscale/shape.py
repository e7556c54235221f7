"""The shape of a table: what of its columns decides how its row events are read.

A tablet decodes old row events by column position and type with the schema of the moment, so after some
changes it sends values under the wrong column, or the wrong label, without an error (seen on Vitess 24
without schema tracking). A cursor therefore remembers the shape that its position belongs to.
"""

from __future__ import annotations

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
