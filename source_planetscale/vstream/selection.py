"""The select list of a stream: which columns of a table are asked for.

A tablet looks the names of a select list up in the table as it is when it first meets rows of it, and takes
the columns that stand at their places: for rows from before a change of columns these may be others, without
an error (two columns of one type that have changed places; seen on Vitess 24). So a list belongs to one
shape, and whoever reads by it has to know that the table had this shape all the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_planetscale.columns.column_type import ColumnType
from source_planetscale.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from source_planetscale.shape import Shape
    from source_planetscale.table import Column, Table


class SelectRefused(Exception):  # noqa: N818 - a finding about the stream, after which all columns are asked for
    """What came is not what a select list asks for."""


@dataclass(frozen=True)
class SelectList:
    """What a stream asks of one table.

    Attributes:
        columns: The names of the columns, in table order.
        shape: The shape of the whole table for which they were chosen.
    """

    columns: tuple[str, ...]
    shape: Shape

    def refuse_others(self, decoded: Iterable[Column]) -> None:
        """Lets the description of exactly these columns pass.

        Raises:
            SelectRefused: It is another one.
        """
        asked = frozenset(self.columns)
        if shape_of(decoded) != tuple(column for column in self.shape if column.name in asked):
            raise SelectRefused


def columns_to_ask_for(table: Table, wanted: Container[str] | None) -> tuple[str, ...] | None:
    """Chooses the columns that have to travel.

    Args:
        table: The table.
        wanted: The names of the columns that records are to have; None for all.

    Returns:
        Their names with those of the key, in table order; None if that is every column, or if the table has
        no key: then nothing but the whole row tells it from others.
    """
    if wanted is None or not table.primary_key or table.name.startswith("/"):
        # A rule for a name that vtgate takes for a pattern holds no list.
        return None
    chosen = {column.name for column in table.columns if column.name in wanted} | set(table.primary_key)
    others = [column for column in table.columns if column.name not in table.primary_key]
    required = [column for column in others if not column.nullable]
    if required and not any(column.name in chosen for column in required):
        # One that is never NULL tells a deleted row from a reduced image (`Images`).
        chosen.add(min(required, key=_size).name)
    if len(chosen) == len(table.columns):
        return None
    return tuple(column.name for column in table.columns if column.name in chosen)


def _size(column: Column) -> int:
    """How large values may be: a number that grows with it."""
    base = ColumnType.parse(column.column_type).base
    if base.endswith(_LARGE):
        return 2
    return 1 if base.endswith(_VARYING) else 0


_LARGE = ("blob", "text", "json", "vector", "geometry", "string", "polygon", "collection")
_VARYING = ("char", "binary")
