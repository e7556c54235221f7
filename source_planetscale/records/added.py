"""The columns that the connector adds to a table's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from source_planetscale.config import Config

METADATA_COLUMN = "_planetscale_metadata"
UPDATED_AT_COLUMN = "_ab_cdc_updated_at"
DELETED_AT_COLUMN = "_ab_cdc_deleted_at"
CDC_CURSOR_COLUMN = "_ab_cdc_cursor"
ADDED_COLUMNS = frozenset({METADATA_COLUMN, UPDATED_AT_COLUMN, DELETED_AT_COLUMN, CDC_CURSOR_COLUMN})


def added_properties(config: Config) -> dict[str, Any]:
    """Gives the JSON schema of the columns that the configuration adds to every stream."""
    properties: dict[str, Any] = {}
    if config.include_metadata:
        properties[METADATA_COLUMN] = {"type": ["object"], "airbyte_type": "object"}
    if config.include_cdc_columns:
        # Plain strings, as Airbyte's MySQL source declares them, for models that were written for it.
        properties[UPDATED_AT_COLUMN] = {"type": ["string"]}
        properties[DELETED_AT_COLUMN] = {"type": ["null", "string"]}
        properties[CDC_CURSOR_COLUMN] = {"type": ["number"], "airbyte_type": "integer"}
    return properties


@dataclass(frozen=True, slots=True)
class Metadata:
    """`_planetscale_metadata` of neighbouring rows.

    Attributes:
        position: The position of the rows.
        extracted_at_ns: Nanoseconds since the epoch.
        numbers: A sequence number per row.
    """

    position: str
    extracted_at_ns: int
    numbers: range


def metadata_text(metadata: Metadata) -> bytes:
    """The JSON of `_planetscale_metadata`, with a `%d` for the number of each row."""
    position = orjson.dumps(metadata.position).replace(b"%", b"%%")
    text = b'{"vgtid_position":%b,"extracted_at":%d,"sequence_number":%%d}'
    return text % (position, metadata.extracted_at_ns)


@dataclass(frozen=True, slots=True)
class ChangeColumns:
    """The change columns of neighbouring rows.

    Attributes:
        changed_at: When they were changed: an ISO 8601 text.
        deleted: Whether they were deleted.
        cursors: A value of `_ab_cdc_cursor` per row.
    """

    changed_at: str
    deleted: bool
    cursors: range


@dataclass(frozen=True, slots=True)
class Added:
    """What the connector adds to neighbouring rows that have most of it in common.

    Attributes:
        count: The number of rows.
        metadata: None if it is not asked for.
        changes: None if they are not asked for.
    """

    count: int
    metadata: Metadata | None
    changes: ChangeColumns | None
