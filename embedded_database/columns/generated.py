"""Rows made up by type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from embedded_database.columns.schema import BLOBS, INTEGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded_database.columns.schema import Column, Table


def moment(number: int) -> str:
    """A date and time that follows from a number."""
    return f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d} {number % 24:02d}:{number % 60:02d}:00"


def generated_rows(table: Table, count: int, first: int) -> Iterator[list[object]]:
    """Rows whose values follow from their number and the columns' types."""
    for number in range(first, first + count):
        yield [_generated(column, number) for column in table.columns]


def _generated(column: Column, number: int) -> object:
    kind = column.data_type
    if kind in INTEGERS:
        return number % 2 ** (INTEGERS[kind][0] - 1)
    if column.labels:
        return column.labels[number % len(column.labels)]
    if kind in ("decimal", "float", "double", "bit"):
        return number % 2
    if kind in ("date", "datetime", "timestamp"):
        return moment(number)
    if kind in ("time", "year"):
        return "12:34:56" if kind == "time" else 2024
    if kind == "json":
        return json.dumps({"number": number})
    if kind in BLOBS or kind in ("binary", "varbinary"):
        return str(number).encode()[: column.character_length]
    return f"value {number}"[: column.character_length] if column.charset else None
