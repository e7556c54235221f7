"""Numbers as PROTOBUF writes them: seven bits a byte, of which the last one is below 0x80.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_planetscale.records.wire.airbyte_pb2 import SignedColumn, UnsignedColumn

# Wire types.
VARINT = 0
LENGTH_DELIMITED = 2

_FIELD = re.compile(rb"[\x00-\x7f][\x80-\xff]*[\x00-\x7f]")


def varint(number: int) -> bytes:
    """One number that is not negative."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def fields(column: SignedColumn | UnsignedColumn) -> list[bytes]:
    """The numbers of a column, each with its tag: the library writes one behind the other."""
    return _FIELD.findall(column.SerializeToString())
