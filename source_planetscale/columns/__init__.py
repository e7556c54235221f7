"""MySQL columns: their JSON schema, and the encoders of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from source_planetscale.columns.column_type import ColumnType
from source_planetscale.columns.conversion import converted
from source_planetscale.columns.encoder import (
    Encoded,
    Encoder,
    Form,
    Moments,
    Phase,
    Rewritten,
    Spelling,
    encode_each,
)
from source_planetscale.columns.families import family_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from source_planetscale.table import Column, Table, WireColumn

__all__ = [
    "Encoded",
    "Encoder",
    "Form",
    "Moments",
    "Phase",
    "Spelling",
    "encode_each",
    "encoder_of",
    "json_schema",
    "key_text_of",
    "stream_schema",
]


def json_schema(column: Column, *, tinyint1_as_boolean: bool, in_key: bool = False) -> dict[str, Any]:
    """The JSON schema of one property of a stream.

    Args:
        column: The column.
        tinyint1_as_boolean: Whether TINYINT(1) is a boolean.
        in_key: Whether the column belongs to the primary key, in which no value becomes null, and no two
            become one: a TINYINT(1) is an integer there.
    """
    family = family_of(column.column_type, tinyint1_as_boolean=tinyint1_as_boolean and not in_key)
    schema = family.key_schema if in_key and family.key_schema else family.schema
    nullable = column.nullable or (not in_key and family.lacks_form(column))
    return {**schema, "type": ["null", schema["type"]] if nullable else [schema["type"]]}


def stream_schema(table: Table, *, tinyint1_as_boolean: bool) -> dict[str, Any]:
    """The JSON schema of a table's rows, without any column that the connector adds."""
    properties = {
        column.name: json_schema(
            column, tinyint1_as_boolean=tinyint1_as_boolean, in_key=column.name in table.primary_key
        )
        for column in table.columns
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


def key_text_of(column: WireColumn, *, tinyint1_as_boolean: bool) -> Callable[[bytes], bytes] | None:
    """What gives a value of a key that has no right form as text in UTF-8; None if there is no such text."""
    if column.target is None:
        return None
    written, target = (
        family_of(each.column_type, tinyint1_as_boolean=tinyint1_as_boolean)
        for each in (column.written, column.target)
    )
    text = written.key_text
    if text is None or target.schema["type"] != "string":
        return None
    return lambda value: text(column.written, value).encode()
