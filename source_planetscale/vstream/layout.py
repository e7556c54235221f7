"""How the rows behind a FIELD event are laid out: which columns they were written with, and decoded as.

A row event carries no names, signs, labels or character sets. The tablet fills them in from the table as it
is today, or not at all (`@1`, `@2`), so a FIELD event says how the bytes were decoded; what they mean is said
by the shape that the table had when the rows were written, column by column. Seen on Vitess 24 with
`BEST_EFFORT`; without schema tracking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.shape import Shape, ShapeColumn, shape_of
from source_planetscale.table import Column, WireColumn
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from source_planetscale.table import Table


class ShapeUnknown(Exception):  # noqa: N818 - a finding about the table, handled by a policy
    """Rows came whose columns nobody can tell; says why."""


class ShapeMismatch(ValueError):  # noqa: N818 - a finding, told apart from other values
    """A FIELD event fits neither the shape that rows were written with nor the table of today."""


_INTEGERS = frozenset(
    {
        wire.INT8,
        wire.UINT8,
        wire.INT16,
        wire.UINT16,
        wire.INT24,
        wire.UINT24,
        wire.INT32,
        wire.UINT32,
        wire.INT64,
        wire.UINT64,
    }
)
_STRINGS = frozenset({wire.CHAR, wire.VARCHAR, wire.TEXT, wire.BINARY, wire.VARBINARY, wire.BLOB})
# Groups that a tablet tells apart by the row event alone.
_GROUPS: tuple[tuple[frozenset[str], frozenset[int]], ...] = (
    (frozenset({"tinyint", "smallint", "mediumint", "int", "integer", "bigint"}), _INTEGERS),
    (
        frozenset(f"{size}{kind}" for size in ("tiny", "", "medium", "long") for kind in ("text", "blob"))
        | {"char", "varchar", "binary", "varbinary"},
        _STRINGS,
    ),
    (frozenset({"decimal", "numeric"}), frozenset({wire.DECIMAL})),
    (frozenset({"float"}), frozenset({wire.FLOAT32})),
    (frozenset({"double", "real"}), frozenset({wire.FLOAT64})),
    (frozenset({"year"}), frozenset({wire.YEAR})),
    (frozenset({"date"}), frozenset({wire.DATE})),
    (frozenset({"datetime"}), frozenset({wire.DATETIME})),
    (frozenset({"timestamp"}), frozenset({wire.TIMESTAMP})),
    (frozenset({"time"}), frozenset({wire.TIME})),
    (frozenset({"bit"}), frozenset({wire.BIT})),
    (frozenset({"enum"}), frozenset({wire.ENUM})),
    (frozenset({"set"}), frozenset({wire.SET_TYPE})),
    (frozenset({"json"}), frozenset({wire.JSON})),
)
# A tablet puts the names and types of today on a row whose columns are as many and of the same kind: numbers
# of one of these kinds, or anything else but ENUM and SET (seen on Vitess 24).
_KINDS_OF_NUMBERS = (
    _INTEGERS | {wire.YEAR},
    frozenset({wire.FLOAT32, wire.FLOAT64}),
    frozenset({wire.DECIMAL}),
    frozenset({wire.BIT}),
)
_LABELED = frozenset({wire.ENUM, wire.SET_TYPE})
_WIRE_TYPES = {name: types for names, types in _GROUPS for name in names}


def is_unnamed(columns: Sequence[Column], table: Table) -> bool:
    """Whether the server named the columns by their number because they do not fit the table of today.

    A table may have columns that are really named `@1`: those fit the table by name and type.
    """
    own = {column.name: column.column_type for column in table.columns}
    return any(
        column.name == f"@{number}" and own.get(column.name) != column.column_type
        for number, column in enumerate(columns, 1)
    )


def layout(
    fields: Sequence[wire.Field],
    decoded: Sequence[Column],
    written: Shape,
    table: Table,
    renames: Mapping[str, str | None],
) -> tuple[WireColumn, ...]:
    """Puts the written shape on the columns of a FIELD event, by position.

    Args:
        fields: The event's fields.
        decoded: The same as columns.
        written: The shape that the rows were written with.
        table: The table of today, whose columns take the values.
        renames: Written name -> today's name of columns that were renamed since; None for one that is gone
            though its name is there.

    Returns:
        A column for each value of a row.

    Raises:
        ShapeMismatch: The event fits neither the written shape nor the table of today.
    """
    if _fits(fields, decoded, written, table):
        columns = [_written(column, seen) for column, seen in zip(written, decoded, strict=True)]
    elif shape_of(decoded) == shape_of(table.columns):
        # A statement that came without its text has changed the table.
        columns = list(decoded)
    else:
        raise ShapeMismatch("a description of columns fits neither the table that was nor the one that is")
    targets: dict[str | None, Column] = {column.name: column for column in table.columns}
    return tuple(
        WireColumn(
            column,
            None if _as_written(column, seen) else seen,
            targets.get(renames.get(column.name, column.name)),
        )
        for column, seen in zip(columns, decoded, strict=True)
    )


def plain_layout(decoded: Sequence[Column], table: Table) -> tuple[WireColumn, ...]:
    """The layout of rows that were decoded with the columns that they have, as in the copy phase."""
    targets = {column.name: column for column in table.columns}
    return tuple(WireColumn(column, None, targets.get(column.name)) for column in decoded)


def _fits(fields: Sequence[wire.Field], decoded: Sequence[Column], written: Shape, table: Table) -> bool:
    if len(fields) != len(written):
        return False
    unnamed = is_unnamed(decoded, table)
    return all(_may_be(field, column, unnamed) for field, column in zip(fields, written, strict=True))


def _may_be(field: wire.Field, column: ShapeColumn, unnamed: bool) -> bool:
    base = column.column_type.partition("(")[0].partition(" ")[0].lower()
    known = _WIRE_TYPES.get(base)
    if known is not None and field.type in known:
        return True
    if unnamed:
        # What the row event itself says stands in the type; only text and bytes are not told apart by it.
        return known is None or (field.type in _STRINGS and known <= _STRINGS)
    own = known or frozenset()
    return not (own | {field.type}) & _LABELED and _number(own) == _number(frozenset({field.type}))


def _number(types: frozenset[int]) -> frozenset[int]:
    """The kind of numbers that types are; empty for anything else."""
    return next((kind for kind in _KINDS_OF_NUMBERS if types and types <= kind), frozenset())


def _written(column: ShapeColumn, seen: Column) -> Column:
    # Whether a column takes NULL stands in no shape, but a column of today is known to the server.
    return Column(*column, nullable=seen.nullable or seen.name != column.name)


def _as_written(column: Column, seen: Column) -> bool:
    return (column.column_type, column.charset) == (seen.column_type, seen.charset)
