"""The query of a copy: key order, and where an interrupted one goes on."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from embedded_database.columns.schema import BLOBS, CHARSETS, GEOMETRIES, INTEGERS
from embedded_database.columns.values import Kept, wide
from embedded_database.errors import StreamError
from embedded_database.storage import Projection, quoted
from embedded_database.vstream.events import fill_row
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from embedded_database.columns.schema import Column, Table
    from embedded_database.storage import Cells

_BYTES = ("binary", "varbinary", "vector", *BLOBS, *GEOMETRIES)


class CopyQuery:
    """Selects one table's rows in key order, after a last primary key where there is one."""

    def __init__(self, table: Table, resume: wire.TableLastPK | None) -> None:
        """Builds the query.

        Raises:
            StreamError: The last primary key has no fields, or text in place of a number.
        """
        self._table = table
        self._key = [table.by_name[name.lower()] for name in table.copy_key]
        self._columns = [table.columns[at] for at in self._key]
        self.projection = Projection(table.columns, binlog=False)
        self.values: list[Kept] = []
        self.never_matches = False
        where = self._where(resume)
        order = ", ".join(quoted(column.name) for column in self._columns)
        self.sql = f"select {self.projection.sql} from {{table}} {where} order by {order}"

    def _where(self, resume: wire.TableLastPK | None) -> str:
        if resume is None or len(resume.lastpk.rows) != 1:
            return ""
        row = resume.lastpk.rows[0]
        if not resume.lastpk.fields:
            text = f"lastpk for table {self._table.name} has no fields defined"
            raise StreamError(grpc.StatusCode.UNKNOWN, text)
        if len(row.lengths) != len(self._columns):
            # A tablet fails on this, vtgate tries again for as long as other events come: nothing is copied.
            self.never_matches = True
            return ""
        cells = _cells(row)
        if None in cells:
            return "where 0"
        self.values = [_key_value(c, cell or b"") for c, cell in zip(self._columns, cells, strict=True)]
        left = ", ".join(_compared(column) for column in self._columns)
        return f"where ({left}) > ({', '.join('?' * len(cells))})"

    def last_pk(self, cells: Cells) -> wire.TableLastPK:
        """The last primary key after a row."""
        last = wire.TableLastPK(table_name=self._table.name)
        for column in self._columns:
            last.lastpk.fields.add(
                name=column.name,
                type=column.wire_type,
                charset=column.wire_charset,
                flags=self._table.field_flags(column),
            )
        fill_row(last.lastpk.rows.add(), [cells[at] for at in self._key])
        return last


def _cells(row: wire.Row) -> list[bytes | None]:
    cells: list[bytes | None] = []
    at = 0
    for length in row.lengths:
        cells.append(None if length < 0 else row.values[at : at + length])
        at += max(length, 0)
    return cells


def _compared(column: Column) -> str:
    """The left side of a comparison; Vitess compares ENUM and SET as text though they order by number."""
    return f"({quoted(column.name)} || '')" if column.labels else quoted(column.name)


def _key_value(column: Column, cell: bytes) -> Kept:
    """A key's cell as a kept value."""
    kind = column.data_type
    if kind == "bit":
        return wide(int.from_bytes(cell, "big"))
    if kind in _BYTES:
        return cell
    codec = CHARSETS[column.charset].codec if column.charset else "utf-8"
    text = cell.decode(codec, "replace")
    try:
        if kind in INTEGERS or kind == "year":
            return wide(int(text))
        return float(text) if kind in ("float", "double") else text
    except ValueError:
        message = f"Unknown column '{text}' in 'where clause' (errno 1054) (sqlstate 42S22)"
        raise StreamError(grpc.StatusCode.UNKNOWN, message) from None
