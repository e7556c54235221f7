"""Tables out of the rows of information_schema."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.mysql.internal_tables import is_internal_table
from source_planetscale.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ColumnRow(NamedTuple):
    """One row of information_schema.columns."""

    table: str
    ordinal: int
    name: str
    column_type: str
    charset: str | None
    is_nullable: str
    column_key: str


class KeyRow(NamedTuple):
    """One row of information_schema.statistics; the column is None for a part that is an expression."""

    table: str
    key: str
    sequence: int
    column: str | None


def assemble(
    keyspace: str, tables: Mapping[str, int | None], columns: Iterable[ColumnRow], keys: Iterable[KeyRow]
) -> list[Table]:
    """Puts the rows of information_schema together.

    Args:
        keyspace: The keyspace's name, for the tables.
        tables: The base tables to describe, with estimates of their rows; Vitess's internal ones among them
            are left out.
        columns: The columns of these tables, and maybe of others, in any order.
        keys: The parts of their unique keys, and maybe of others, in any order.
    """
    columns_of: defaultdict[str, list[ColumnRow]] = defaultdict(list)
    for column in columns:
        columns_of[column.table].append(column)
    keys_of: defaultdict[str, list[KeyRow]] = defaultdict(list)
    for key in keys:
        keys_of[key.table].append(key)
    # A table that is created between the queries comes without columns: the next run sees it whole.
    return [
        _table(keyspace, name, tables[name], columns_of[name], keys_of[name])
        for name in sorted(tables)
        if columns_of[name] and not is_internal_table(name)
    ]


def _table(keyspace: str, name: str, rows: int | None, columns: list[ColumnRow], keys: list[KeyRow]) -> Table:
    ordered = sorted(columns, key=lambda row: row.ordinal)
    return Table(
        keyspace=keyspace,
        name=name,
        columns=tuple(
            Column(row.name, row.column_type, row.charset or "", row.is_nullable == "YES") for row in ordered
        ),
        primary_key=_primary_key(ordered, keys),
        estimated_rows=rows,
    )


def _primary_key(columns: list[ColumnRow], keys: list[KeyRow]) -> tuple[str, ...]:
    # Where there is no PRIMARY KEY, MySQL marks the columns of the unique key it takes for one: the
    # first over NOT NULL columns. The marks say which columns, the index says in what order.
    marked = {row.name for row in columns if row.column_key == "PRI"}
    indexes: defaultdict[str, list[tuple[int, str | None]]] = defaultdict(list)
    for row in keys:
        indexes[row.key].append((row.sequence, row.column))
    for name in sorted(indexes, key=lambda index: (index != "PRIMARY", index)):
        parts = [column for _, column in sorted(indexes[name], key=lambda part: part[0])]
        if marked and set(parts) == marked:
            return tuple(part for part in parts if part is not None)
    return ()
