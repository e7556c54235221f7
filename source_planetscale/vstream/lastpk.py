"""The last primary key of an unfinished copy: whether the server may be asked to go on after it.

vtgate pastes a numeric last primary key unquoted into its copy query, ignores the names in it, and
answers a wrong arity with silence; so a saved one is checked here before it is sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from source_planetscale.columns.families import key_types
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from source_planetscale.table import Column, Table

_INTEGRAL = 256
_DECIMAL_TEXT = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?\Z")


def cells(row: wire.Row) -> list[bytes | None]:
    """Cuts a row into its values: bytes as sent, None for NULL.

    Raises:
        ValueError: The lengths do not fit the bytes.
    """
    values = row.values
    found: list[bytes | None] = []
    end = 0
    for length in row.lengths:
        if length < 0:
            found.append(None)
        else:
            found.append(values[end : end + length])
            end += length
    if end != len(values):
        raise ValueError("the lengths of a row do not add up to its bytes")
    return found


def copy_can_resume(table: Table) -> bool:
    """Tells whether a copy of this table can go on after its last primary key without losing rows."""
    return bool(table.primary_key) and all(key_types(column.column_type) for column in _key_columns(table))


def mismatch(lastpk: wire.QueryResult, table: Table) -> str | None:
    """Compares a last primary key with the table's key as it is today.

    Args:
        lastpk: One row of key values with its fields, as vtgate sent it or a saved cursor holds it.
        table: The table.

    Returns:
        A phrase that says what does not fit, without any value; None if the server may get it.
    """
    names = [field.name for field in lastpk.fields]
    if names != list(table.primary_key):
        return f"it is over ({', '.join(names)}), the table's key over ({', '.join(table.primary_key)})"
    if len(lastpk.rows) != 1:
        return f"it holds {len(lastpk.rows)} rows instead of one"
    try:
        values = cells(lastpk.rows[0])
    except ValueError as error:
        return str(error)
    if len(values) != len(names):
        return f"it holds {len(values)} values for {len(names)} columns"
    for field, column, value in zip(lastpk.fields, _key_columns(table), values, strict=True):
        if field.type not in map(wire.FieldType.Value, key_types(column.column_type)):
            return f"its column `{field.name}` has another type than {column.column_type}"
        if value is None:
            return f"its column `{field.name}` is NULL"
        if _is_pasted_unquoted(field.type) and not _DECIMAL_TEXT.match(value):
            return f"its column `{field.name}` is not a number"
    return None


def _is_pasted_unquoted(field_type: int) -> bool:
    return bool(field_type & _INTEGRAL) or field_type in (wire.DECIMAL, wire.FLOAT64, wire.YEAR)


def _key_columns(table: Table) -> list[Column]:
    by_name = {column.name: column for column in table.columns}
    return [by_name[name] for name in table.primary_key]
