"""Types whose wire values are bytes: BINARY, BLOB, BIT, geometry and VECTOR."""

from __future__ import annotations

import struct
from array import array
from binascii import b2a_base64
from typing import TYPE_CHECKING

from source_planetscale.columns.encoder import Encoded, Encoder, Form

if TYPE_CHECKING:
    from collections.abc import Sequence

# MySQL puts the spatial reference before the well-known binary form.
_SRID_BYTES = 4
_FLOAT_BYTES = 4
# Every float32 is told apart by 9 significant digits; fewer than 6 never lose one (FLT_DIG).
_FLOAT_DIGITS = (6, 7, 8, 9)


class Binary(Encoder):
    """Standard base64 with padding, as Airbyte's MySQL source gives binary columns."""

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        return [b2a_base64(value, newline=False) for value in values], Form.BARE


class Geometry(Encoder):
    """Base64 of the well-known binary form (WKB), without MySQL's SRID in front."""

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        if min(map(len, values)) <= _SRID_BYTES:
            raise ValueError("not a geometry")
        bodies = [value[_SRID_BYTES:] for value in values]
        return [b2a_base64(body, newline=False) for body in bodies], Form.BARE


class Vector(Encoder):
    """An array of numbers, each the shortest decimal that gives the stored float32 back."""

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        return [self._array(value) for value in values], Form.JSON

    def _array(self, value: bytes) -> bytes:
        count, rest = divmod(len(value), _FLOAT_BYTES)
        if rest:
            raise ValueError("not a vector of float32")
        texts = _shortest(struct.unpack(f"<{count}f", value))
        return b"[%b]" % ",".join(texts).encode()


def _shortest(numbers: Sequence[float]) -> list[str]:
    """The shortest decimals that read back as the same float32, digit count by digit count."""
    texts = [""] * len(numbers)
    pending = list(enumerate(numbers))
    for digits in _FLOAT_DIGITS:
        spelling = f"%.{digits}g"
        tried = [spelling % number for _, number in pending]
        read_back = array("f", map(float, tried))
        missed = []
        for item, text, number in zip(pending, tried, read_back, strict=True):
            if number == item[1]:
                texts[item[0]] = text
            else:
                missed.append(item)
        pending = missed
    if pending:
        raise ValueError("not a finite number")
    return texts
