"""Dates and times. MySQL stores some that no calendar has; those have no form in JSON."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING

from source_planetscale.columns.encoder import Encoded, Encoder, Form, Moments

if TYPE_CHECKING:
    from source_planetscale.columns.column_type import ColumnType

_MICROSECOND_DIGITS = 6


class Date(Encoder):
    """DATE: `YYYY-MM-DD`. Zero dates, year 0000 and days that do not exist are refused."""

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        lines = b"\n".join(values)
        # Python also reads week dates and dates without hyphens.
        if len(lines) != 11 * len(values) - 1 or lines.translate(None, b"0123456789-\n"):
            raise ValueError("not a date")
        list(map(date.fromisoformat, lines.decode("ascii").split("\n")))
        return values, Form.BARE


class DateTime(Encoder):
    """DATETIME and TIMESTAMP: `YYYY-MM-DDTHH:MM:SS.ffffff`, a TIMESTAMP with its offset.

    A TIMESTAMP is UTC on the wire, whatever the time zone of the server.
    """

    def __init__(self, column_type: ColumnType, offset: bytes = b"") -> None:
        """Compiles the padding for one column.

        Args:
            column_type: Its type, with the precision: `datetime(3)`.
            offset: What follows the microseconds: `+00:00`, or nothing.
        """
        digits = column_type.arguments[0] if column_type.arguments else 0
        self._whole = not digits
        # Python before 3.11 reads fractions of three and of six digits alone.
        self._padding = b"0" * (_MICROSECOND_DIGITS - digits) if digits else b""
        self._ending = (b".000000" if self._whole else b"") + offset
        self._width = len("2024-01-02 03:04:05" if self._whole else "2024-01-02 03:04:05.678901")

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        lines = b"\n".join(values) + b"\n"
        if self._padding:
            lines = lines.replace(b"\n", self._padding + b"\n")
        return Moments(
            partial(self._texts, lines), self._moments(lines, len(values)), whole=self._whole
        ), Form.BARE

    def _moments(self, lines: bytes, count: int) -> list[datetime]:
        line = self._width + 1
        # Python reads more spellings than MySQL writes: the length, the place of the blank and the
        # characters leave this one.
        if (
            len(lines) != line * count
            or lines[10::line] != b" " * count
            or lines.translate(None, b"0123456789-:. \n")
        ):
            raise ValueError("not a date and time")
        return list(map(datetime.fromisoformat, lines[:-1].decode("ascii").split("\n")))

    def _texts(self, lines: bytes) -> list[bytes]:
        lines = lines.replace(b" ", b"T")
        if self._ending:
            lines = lines.replace(b"\n", self._ending + b"\n")
        return lines[:-1].split(b"\n")


class Time(Encoder):
    """TIME: `HH:MM:SS[.ffffff]` of one day. MySQL's TIME is a span from -838 to 838 hours as well."""

    _times = re.compile(rb"(?:(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,6})?\n)+")

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        lines = b"\n".join(values) + b"\n"
        if self._times.fullmatch(lines) is None or lines.count(b"\n") != len(values):
            raise ValueError("not a time of day")
        return values, Form.BARE
