"""Dates and times as PROTOBUF values: days, seconds and nanoseconds in place of texts."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import repeat
from operator import add, attrgetter, sub
from typing import TYPE_CHECKING

from source_planetscale.columns import Form, Moments
from source_planetscale.records.kept import Kept
from source_planetscale.records.protobuf_column import DATA, Kind, Prefixes
from source_planetscale.records.varints import Fields, fields, varint
from source_planetscale.records.wire import airbyte_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.records.protobuf_column import Values

_Value = wire.AirbyteValueProtobuf

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LOCAL_EPOCH = datetime(1970, 1, 1)
_DAY_SECONDS = 86_400
_NANOS = 1_000_000_000
_NANO_DIGITS = 9
# From this second of a day on its nanoseconds have as many bytes as those of the last one: 7, of 7 bits each.
_WIDE_SECOND = (1 << 6 * 7) // _NANOS + 1
_DAYS, _SECONDS, _MICROSECONDS = attrgetter("days"), attrgetter("seconds"), attrgetter("microseconds")
_TIME = re.compile(rb"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?")


class _Sized(Kept):
    """What stands before a value, by its size."""

    def _make(self, number: int) -> bytes:
        return DATA + varint(number)


class Date(Kind):
    """Days since 1970-01-01."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = _Sized()

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        since = _since_epoch(column)
        if any(moment.seconds or moment.microseconds for moment in since):
            raise ValueError("not a date alone")
        return _prefixed(self._prefixes, fields(wire.SignedColumn, "date", list(map(_DAYS, since))))


class Timestamp(Kind):
    """Seconds since 1970-01-01 in UTC, and nanoseconds."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = Prefixes(_Value.TIMESTAMP_WITH_TIMEZONE_FIELD_NUMBER)

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        since = _since_epoch(column)
        seconds = [moment.days * _DAY_SECONDS + moment.seconds for moment in since]
        parts = [fields(wire.SignedColumn, "first", seconds)]
        if _has_fractions(column, since):
            nanos = [moment.microseconds * 1000 for moment in since]
            parts.append(fields(wire.UnsignedColumn, "second", nanos))
        return _prefixed(self._prefixes, *parts)


class _Days(Kept):
    """Days since 1970-01-01 behind what stands before their value, by their number."""

    def __init__(self, prefixes: Prefixes, width: int) -> None:
        """Takes how many bytes of the value follow."""
        super().__init__()
        self._prefixes = prefixes
        self._width = width

    def _make(self, number: int) -> bytes:
        (field,) = fields(wire.SignedColumn, "first", [number]).texts
        return self._prefixes.one(len(field) + self._width) + field


class LocalTimestamp(Kind):
    """Days since 1970-01-01, and nanoseconds of the day."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = Prefixes(_Value.TIMESTAMP_WITHOUT_TIMEZONE_FIELD_NUMBER)
        # By the size of what follows.
        self._days: dict[int, _Days] = {}

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        since = _since_epoch(column)
        of_day = _nanos_of_moments(column, since)
        return self._openings(list(map(_DAYS, since)), of_day), of_day.texts

    def _openings(self, days: Sequence[int], of_day: Fields) -> Sequence[bytes]:
        """What stands before the nanoseconds of each day."""
        if of_day.width:
            return self._before(of_day.width).of(days)
        widths = list(map(len, of_day.texts))
        # Few times of day have fewer bytes than the others.
        widest = max(widths)
        openings = list(self._before(widest).of(days))
        for row, width in enumerate(widths):
            if width < widest:
                openings[row] = self._before(width).one(days[row])
        return openings

    def _before(self, width: int) -> _Days:
        return self._days.setdefault(width, _Days(self._prefixes, width))


def _nanos_of_moments(column: Values, since: Sequence[timedelta]) -> Fields:
    """The nanoseconds of the day."""
    if _has_fractions(column, since):
        nanos = [moment.seconds * _NANOS + moment.microseconds * 1000 for moment in since]
        return fields(wire.UnsignedColumn, "second", nanos)
    seconds = list(map(_SECONDS, since))
    texts = list(map(_seconds_of_day().__getitem__, seconds))
    return Fields(texts, len(texts[0]) if min(seconds) >= _WIDE_SECOND else 0)


@lru_cache(maxsize=1)
def _seconds_of_day() -> Sequence[bytes]:
    """The nanoseconds of each second of a day: so few are made once, which takes some milliseconds."""
    return fields(wire.UnsignedColumn, "second", range(0, _DAY_SECONDS * _NANOS, _NANOS)).texts


def _since_epoch(column: Values) -> list[timedelta]:
    """The time from 1970-01-01 to dates and times; a zone that they do not tell is UTC."""
    moments = column.texts.moments if isinstance(column.texts, Moments) else _moments(column)
    try:
        return list(map(sub, moments, repeat(_EPOCH if moments[0].tzinfo else _LOCAL_EPOCH)))
    except TypeError:
        raise ValueError("a zone in some of the values alone") from None


def _moments(column: Values) -> Sequence[datetime]:
    if column.form is Form.JSON:
        raise ValueError("not a date")
    texts = b"\n".join(column.texts).decode("ascii").replace("Z", "+00:00").split("\n")
    moments = list(map(datetime.fromisoformat, texts))
    if len(moments) != len(column.texts):
        raise ValueError("not a date")
    return moments


def _has_fractions(column: Values, since: Sequence[timedelta]) -> bool:
    if isinstance(column.texts, Moments) and column.texts.whole:
        return False
    return any(map(_MICROSECONDS, since))


def _prefixed(prefixes: Kept, *parts: Fields) -> Sequence[Sequence[bytes]]:
    """Values of some fields each, and what stands before them by their size."""
    count = len(parts[0].texts)
    if all(part.width for part in parts):
        before: Sequence[bytes] = [prefixes.one(sum(part.width for part in parts))] * count
    else:
        sizes = [map(len, part.texts) for part in parts]
        before = prefixes.of(list(sizes[0] if len(parts) == 1 else map(add, *sizes)))
    return before, *(part.texts for part in parts)


class LocalTime(Kind):
    """Nanoseconds of the day."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = _Sized()

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        nanos = _nanos_of_day(column)
        return _prefixed(self._prefixes, fields(wire.UnsignedColumn, "time_without_timezone", nanos))


class Time(Kind):
    """Nanoseconds of the day in UTC."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = Prefixes(_Value.TIME_WITH_TIMEZONE_FIELD_NUMBER)

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        nanos = _nanos_of_day(column)
        return _prefixed(self._prefixes, fields(wire.UnsignedColumn, "first", nanos))


def _nanos_of_day(column: Values) -> list[int]:
    if column.form is Form.JSON:
        raise ValueError("not a time")
    return list(map(_nanos, column.texts))


def _nanos(value: bytes) -> int:
    time = _TIME.fullmatch(value)
    if time is None:
        raise ValueError("not a time of day")
    hours, minutes, seconds, fraction = time.groups(b"")
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return whole * _NANOS + int(fraction.ljust(_NANO_DIGITS, b"0"))
