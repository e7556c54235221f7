"""Numbers as PROTOBUF writes them: seven bits a byte, of which the last one is below 0x80.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import re
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.records.wire import airbyte_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Fields(NamedTuple):
    """A field of many messages.

    Attributes:
        texts: Its bytes in each of them.
        width: The bytes that it has in every one of them; 0 if they differ in that.
    """

    texts: Sequence[bytes]
    width: int = 0


def fields(
    column: type[wire.SignedColumn | wire.UnsignedColumn], name: str, numbers: Sequence[int]
) -> Fields:
    """Numbers as a field of many messages: the library writes one behind the other.

    Args:
        column: Which numbers they are.
        name: The field.
        numbers: At least one number.
    """
    text = column(**{name: numbers}).SerializeToString()
    low, high = min(numbers), max(numbers)
    # A number with a sign has one bit more: 0, -1, 1, -2 are written as 0, 1, 2, 3.
    sign = 1 if column is wire.SignedColumn else 0
    sizes = [max((end.bit_length() + sign + 6) // 7, 1) for end in (low, high)]
    if low >= 0 and sizes[0] == sizes[1]:
        width = len(text) // len(numbers)
        return Fields(unpack(f"{width}s" * len(numbers), text), width)
    return Fields(_FIELD.findall(text))
