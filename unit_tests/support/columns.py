"""What an encoder makes of a column, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from source_planetscale import columns
from source_planetscale.columns import Form

if TYPE_CHECKING:
    from source_planetscale.columns import Encoded, Encoder


def complete(encoded: Encoded) -> list[bytes]:
    """The JSON of an encoded column."""
    values, form = encoded
    return list(values) if form is Form.JSON else [orjson.dumps(value.decode()) for value in values]


def encode_each(encoder: Encoder, values: list[bytes]) -> list[bytes | None]:
    """The JSON of each value; None for one that has no right form."""
    encoded, form = columns.encode_each(encoder, values)
    return [None if value is None else complete(([value], form))[0] for value in encoded]
