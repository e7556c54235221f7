"""Numbers as PROTOBUF writes them: seven bits a byte, of which the last one is below 0x80.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import re
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.records.wire import airbyte_pb2 as wire

# Wire types.
VARINT = 0
LENGTH_DELIMITED = 2

# 1 for a byte behind which a number goes on.
_IS_CONTINUED = bytes(0x80) + b"\1" * 0x80
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
    width, rest = divmod(len(text), len(numbers))
    # One byte below 0x80 is the tag, the next one ends the number.
    if not rest and text.translate(_IS_CONTINUED) == b"\0%b\0" % (b"\1" * (width - 2)) * len(numbers):
        return Fields(unpack(f"{width}s" * len(numbers), text), width)
    return Fields(_FIELD.findall(text))
