"""MySQL columns: their JSON schema, and the encoders of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from source_planetscale.columns.column_type import ColumnType
from source_planetscale.columns.conversion import converted
from source_planetscale.columns.encoder import (
    Encoded,
    Encoder,
    Phase,
    Rewritten,
    Spelling,
    complete,
    encode_each,
)
from source_planetscale.columns.families import family_of

if TYPE_CHECKING:
    from source_planetscale.table import Column, Table, WireColumn

__all__ = [
    "Encoded",
    "Encoder",
    "Phase",
    "Spelling",
    "complete",
    "encode_each",
    "encoder_of",
    "json_schema",
    "stream_schema",
]


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


def encoder_of(column: WireColumn, spelling: Spelling, *, tinyint1_as_boolean: bool) -> Encoder:
    """The encoder of a column's values as `spelling` spells them, into the JSON of the column's target."""
    written, decoded = column.written, column.decoded
    family = family_of(written.column_type, tinyint1_as_boolean=tinyint1_as_boolean)
    encoder = family.encoder(written, spelling)
    if column.target is not None and column.target.column_type != written.column_type:
        target = family_of(column.target.column_type, tinyint1_as_boolean=tinyint1_as_boolean)
        encoder = converted(encoder, family, target, column)
    if decoded is not None and not spelling.is_copy:
        rewrite = family.restore(
            ColumnType.parse(written.column_type), ColumnType.parse(decoded.column_type), spelling
        )
        if rewrite is not None:
            encoder = Rewritten(rewrite, encoder)
    return encoder
