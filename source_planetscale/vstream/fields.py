"""The columns that a FIELD event describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.columns.charsets import charset_of_collation
from source_planetscale.columns.families import family_of
from source_planetscale.table import Column

if TYPE_CHECKING:
    from collections.abc import Iterable

    from source_planetscale.vstream.wire import vstream_pb2 as wire

# MySQL's NOT_NULL_FLAG in a field's flags.
_NOT_NULL = 1


def columns_of(fields: Iterable[wire.Field], known: Iterable[Column]) -> tuple[Column, ...]:
    """Reads the columns of a FIELD event; equal to what discovery finds for the same table.

    Args:
        fields: The event's fields.
        known: Discovery's columns. A character set that the fields do not tell (Vitess does not know
            every collation) is taken from the known column of that name.
    """
    charsets = {column.name: column.charset for column in known}
    return tuple(_column(field, charsets.get(field.name, "")) for field in fields)


def _column(field: wire.Field, known_charset: str) -> Column:
    charset = ""
    if family_of(field.column_type).has_charset:
        charset = charset_of_collation(field.charset) or known_charset
    return Column(
        name=field.name,
        column_type=field.column_type,
        charset=charset,
        nullable=not field.flags & _NOT_NULL,
    )
