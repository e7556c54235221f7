"""MySQL columns: their JSON schema, and the encoders of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from source_planetscale.columns.encoder import Encoded, Encoder, Phase, Spelling, complete, encode_each
from source_planetscale.columns.families import family_of

if TYPE_CHECKING:
    from source_planetscale.table import Column, Table

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


def encoder_of(column: Column, spelling: Spelling, *, tinyint1_as_boolean: bool) -> Encoder:
    """The encoder of a column's values as `spelling` spells them."""
    family = family_of(column.column_type, tinyint1_as_boolean=tinyint1_as_boolean)
    return family.encoder(column, spelling)
