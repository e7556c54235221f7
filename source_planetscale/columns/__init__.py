"""MySQL columns: their JSON schema, and the encoders of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from source_planetscale.columns.charsets import charset_of_collation
from source_planetscale.columns.encoder import Encoded, Encoder, Phase, Wire, complete, encode_each
from source_planetscale.columns.families import family_of
from source_planetscale.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from source_planetscale.vstream.wire import vstream_pb2 as wire

__all__ = [
    "Encoded",
    "Encoder",
    "Phase",
    "Wire",
    "columns_of",
    "complete",
    "encode_each",
    "encoder_of",
    "json_schema",
    "stream_schema",
]

# MySQL's NOT_NULL_FLAG in a field's flags.
_NOT_NULL = 1


def json_schema(column: Column, *, tinyint1_as_boolean: bool) -> dict[str, Any]:
    """The JSON schema of one property of a stream."""
    family = family_of(column.column_type, tinyint1_as_boolean=tinyint1_as_boolean)
    base = family.schema["type"]
    return {**family.schema, "type": ["null", base] if column.nullable else [base]}


def stream_schema(table: Table, *, tinyint1_as_boolean: bool) -> dict[str, Any]:
    """The JSON schema of a table's rows, without any column that the connector adds."""
    properties = {
        column.name: json_schema(column, tinyint1_as_boolean=tinyint1_as_boolean) for column in table.columns
    }
    return {"type": "object", "properties": properties}


def encoder_of(column: Column, wire: Wire, *, tinyint1_as_boolean: bool) -> Encoder:
    """The encoder of a column's values as `wire` spells them."""
    family = family_of(column.column_type, tinyint1_as_boolean=tinyint1_as_boolean)
    return family.encoder(column, wire)


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
