"""Integers, decimals, floating point numbers and the two booleans."""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING

import orjson

from source_planetscale.columns.encoder import Encoded, Encoder, Form, Spelling

if TYPE_CHECKING:
    from source_planetscale.columns.column_type import ColumnType

_TRUE, _FALSE = b"true", b"false"


class Integer(Encoder):
    """Whole numbers of any size; zerofill's leading zeros, which only the copy sends, are dropped."""

    _alphabet = b"0123456789-,"
    _number = re.compile(rb"(-?)0*([0-9]+)()")

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        if _are_json_numbers(values, self._alphabet):
            return values, Form.JSON
        return [self._rewrite(value) for value in values], Form.JSON

    def _rewrite(self, value: bytes) -> bytes:
        number = self._number.fullmatch(value)
        if number is None:
            raise ValueError("not a number")
        sign, whole, fraction = number.groups()
        return b"%b%b%b" % (sign, whole or b"0", fraction)


class Decimal(Integer):
    """Exact decimals: every digit is kept, a missing zero before the point is added."""

    _alphabet = b"0123456789-.,"
    _number = re.compile(rb"(-?)0*([0-9]*)(\.[0-9]+|(?<=[0-9]))")


def _are_json_numbers(values: list[bytes], alphabet: bytes) -> bool:
    """Whether each value is a JSON number as it stands.

    One parse of all of them costs less than a test of each. A value with a comma in it shows in the
    count; `alphabet` keeps blanks and line ends out, which JSON would take.
    """
    joined = b",".join(values)
    if joined.translate(None, alphabet):
        return False
    try:
        return len(orjson.loads(b"[%b]" % joined)) == len(values)
    except orjson.JSONDecodeError:
        return False


class Float(Encoder):
    """FLOAT and DOUBLE: the same number, in the same spelling, from both phases.

    The copy sends a FLOAT as MySQL prints it, rounded to 6 significant digits (FLT_DIG), or to the
    column's own decimals if it is declared as FLOAT(M,D); catch-up sends the exact value, which is
    rounded here likewise.
    """

    def __init__(self, column_type: ColumnType, spelling: Spelling) -> None:
        """Compiles the rounding for one column."""
        is_single = column_type.base == "float"
        decimals = column_type.arguments[1:2]
        self._array_type = "f" if is_single and not spelling.is_copy else "d"
        self._rounding = ""
        if not spelling.is_copy and (decimals or is_single):
            self._rounding = f"%.{decimals[0]}f " if decimals else "%.6g "

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        numbers = list(map(float, values))
        if self._rounding:
            exact = array(self._array_type, numbers)
            numbers = list(map(float, (self._rounding * len(exact) % tuple(exact)).split()))
        texts = orjson.dumps(numbers)[1:-1].split(b",")
        # orjson writes infinities and NaN as null.
        if b"null" in texts:
            raise ValueError("not a finite number")
        return texts, Form.JSON


class Boolean(Encoder):
    """TINYINT(1) as a boolean: every number but zero is true, as in MySQL."""

    _known = {b"0": _FALSE, b"1": _TRUE}  # noqa: RUF012 - read only

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        try:
            return [self._known[value] for value in values], Form.JSON
        except KeyError:
            return [_TRUE if int(value) else _FALSE for value in values], Form.JSON


class BitFlag(Encoder):
    """BIT(1): one byte."""

    _known = {b"\x00": _FALSE, b"\x01": _TRUE}  # noqa: RUF012 - read only

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        try:
            return [self._known[value] for value in values], Form.JSON
        except KeyError as error:
            raise ValueError("not a single bit") from error
