"""The kinds of values that a record message can have, by what a catalog declares.

A destination ends at a value of another kind than the one declared, whatever the table has today. So a
value becomes the declared kind where that loses nothing, as the destination itself would take its JSON;
where it would, there is no value.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import repeat
from operator import add, attrgetter, sub
from typing import TYPE_CHECKING, Any

import orjson

from source_planetscale.columns import Form, Moments
from source_planetscale.records.kept import Kept
from source_planetscale.records.varints import LENGTH_DELIMITED, VARINT, Fields, fields, varint
from source_planetscale.records.wire import airbyte_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_Value = wire.AirbyteValueProtobuf

_DATA = bytes([wire.AirbyteRecordMessageProtobuf.DATA_FIELD_NUMBER << 3 | LENGTH_DELIMITED])
# One number for the null of every form of the format, see airbyte.proto.
NULL = _DATA + b"\x02" + bytes([_Value.NULL_FIELD_NUMBER << 3 | VARINT, 1])

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LOCAL_EPOCH = datetime(1970, 1, 1)
_DAY_SECONDS = 86_400
_NANOS = 1_000_000_000
_NANO_DIGITS = 9
_DAYS, _MICROSECONDS = attrgetter("days"), attrgetter("microseconds")
_TIME = re.compile(rb"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?")


class Kind(ABC):
    """One kind of value; works on whole columns."""

    @abstractmethod
    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Lays out the values of a column as fields of their records.

        Args:
            values: At least one value.
            form: What their bytes are.

        Returns:
            One list or several with a part per value; a field is its parts, one behind the other.

        Raises:
            ValueError: At least one of the values cannot be of this kind.
        """


class _Prefixes(Kept):
    """What stands before the bytes of a value, by their number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._tag = bytes([number << 3 | LENGTH_DELIMITED])

    def _make(self, number: int) -> bytes:
        value = self._tag + varint(number)
        return _DATA + varint(len(value) + number) + value


class _Delimited(Kind):
    """Values of any length."""

    _number: int

    def __init__(self) -> None:
        """Compiles nothing: what stands before values is kept by their size."""
        self._prefixes = _Prefixes(self._number)

    def _parts(self, values: Sequence[bytes]) -> Sequence[Sequence[bytes]]:
        return list(map(self._prefixes.__getitem__, map(len, values))), values


class String(_Delimited):
    """Text; of a number or an array its JSON."""

    _number = _Value.STRING_FIELD_NUMBER

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:  # noqa: ARG002
        """Implements `Kind.encode`."""
        return self._parts(values)


class Integer(_Delimited):
    """Whole numbers in digits, as many as there are."""

    _number = _Value.BIG_INTEGER_FIELD_NUMBER
    _known = {b"true": b"1", b"false": b"0"}  # noqa: RUF012 - read only
    _digits = re.compile(rb"([-+]?[0-9]+)(?:\.0*)?")

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        if form is not Form.JSON or b"".join(values).translate(None, b"0123456789-"):
            values = [self._known.get(value) or self._whole(value) for value in values]
        return self._parts(values)

    def _whole(self, value: bytes) -> bytes:
        number = self._digits.fullmatch(value)
        if number is None:
            raise ValueError("not a whole number")
        return number[1]


class Number(_Delimited):
    """Numbers in digits, as many as there are."""

    _number = _Value.BIG_DECIMAL_FIELD_NUMBER
    _known = {b"true": b"1", b"false": b"0"}  # noqa: RUF012 - read only
    _digits = re.compile(rb"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        if form is not Form.JSON or b"".join(values).translate(None, b"0123456789-+.eE"):
            values = [self._known.get(value) or self._decimal(value) for value in values]
        return self._parts(values)

    def _decimal(self, value: bytes) -> bytes:
        if self._digits.fullmatch(value) is None:
            raise ValueError("not a number")
        return value


class Json(_Delimited):
    """JSON of any kind."""

    _number = _Value.JSON_FIELD_NUMBER

    def __init__(self, *, documents: bool = False) -> None:
        """Makes the kind.

        Args:
            documents: Take a text that is an object or an array in JSON for that, not for a string.
        """
        super().__init__()
        self._documents = documents

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        return self._parts(values if form is Form.JSON else [self._json(value) for value in values])

    def _json(self, value: bytes) -> bytes:
        if self._documents and value[:1] in (b"{", b"["):
            with suppress(orjson.JSONDecodeError):
                orjson.loads(value)
                return value
        return orjson.dumps(value.decode())


def _whole(value: bytes) -> bytes:
    return _DATA + varint(len(value)) + value


class Boolean(Kind):
    """True and false; every number but zero is true."""

    def __init__(self) -> None:
        """Compiles both."""
        tag = bytes([_Value.BOOLEAN_FIELD_NUMBER << 3 | VARINT])
        self._true, self._false = _whole(tag + b"\x01"), _whole(tag + b"\x00")
        self._known = {b"true": self._true, b"false": self._false}

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        try:
            return (list(map(self._known.__getitem__, values)),)
        except KeyError:
            return ([self._known.get(value) or self._truth(value, form) for value in values],)

    def _truth(self, value: bytes, form: Form) -> bytes:
        if form is not Form.JSON:
            raise ValueError("not a boolean")
        return self._true if float(value) else self._false


class _Sized(Kept):
    """What stands before a value, by its size."""

    def _make(self, number: int) -> bytes:
        return _DATA + varint(number)


class Date(Kind):
    """Days since 1970-01-01."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = _Sized()

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        since = _since_epoch(values, form)
        if any(moment.seconds or moment.microseconds for moment in since):
            raise ValueError("not a date alone")
        return _prefixed(self._prefixes, fields(wire.SignedColumn, "date", list(map(_DAYS, since))))


class Timestamp(Kind):
    """Seconds since 1970-01-01 in UTC, and nanoseconds."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = _Prefixes(_Value.TIMESTAMP_WITH_TIMEZONE_FIELD_NUMBER)

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        since = _since_epoch(values, form)
        seconds = [moment.days * _DAY_SECONDS + moment.seconds for moment in since]
        parts = [fields(wire.SignedColumn, "first", seconds)]
        if _has_fractions(values, since):
            nanos = [moment.microseconds * 1000 for moment in since]
            parts.append(fields(wire.UnsignedColumn, "second", nanos))
        return _prefixed(self._prefixes, *parts)


class _Days(Kept):
    """Days since 1970-01-01 behind what stands before their value, by their number."""

    def __init__(self, prefixes: Mapping[int, bytes], width: int) -> None:
        """Takes how many bytes of the value follow."""
        super().__init__()
        self._prefixes = prefixes
        self._width = width

    def _make(self, number: int) -> bytes:
        (field,) = fields(wire.SignedColumn, "first", [number]).texts
        return self._prefixes[len(field) + self._width] + field


class LocalTimestamp(Kind):
    """Days since 1970-01-01, and nanoseconds of the day."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = _Prefixes(_Value.TIMESTAMP_WITHOUT_TIMEZONE_FIELD_NUMBER)
        self._days: dict[int, _Days] = {}

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        since = _since_epoch(values, form)
        if _has_fractions(values, since):
            nanos = [moment.seconds * _NANOS + moment.microseconds * 1000 for moment in since]
        else:
            nanos = [moment.seconds * _NANOS for moment in since]
        of_day = fields(wire.UnsignedColumn, "second", nanos)
        if not of_day.width:
            days = fields(wire.SignedColumn, "first", list(map(_DAYS, since)))
            return _prefixed(self._prefixes, days, of_day)
        openings = self._days.setdefault(of_day.width, _Days(self._prefixes, of_day.width))
        return list(map(openings.__getitem__, map(_DAYS, since))), of_day.texts


def _since_epoch(values: Sequence[bytes], form: Form) -> list[timedelta]:
    """The time from 1970-01-01 to dates and times; a zone that they do not tell is UTC."""
    moments = values.moments if isinstance(values, Moments) else _moments(values, form)
    try:
        return list(map(sub, moments, repeat(_EPOCH if moments[0].tzinfo else _LOCAL_EPOCH)))
    except TypeError:
        raise ValueError("a zone in some of the values alone") from None


def _moments(values: Sequence[bytes], form: Form) -> Sequence[datetime]:
    if form is Form.JSON:
        raise ValueError("not a date")
    texts = b"\n".join(values).decode("ascii").replace("Z", "+00:00").split("\n")
    moments = list(map(datetime.fromisoformat, texts))
    if len(moments) != len(values):
        raise ValueError("not a date")
    return moments


def _has_fractions(values: Sequence[bytes], since: Sequence[timedelta]) -> bool:
    if isinstance(values, Moments) and values.whole:
        return False
    return any(map(_MICROSECONDS, since))


def _prefixed(prefixes: Mapping[int, bytes], *parts: Fields) -> Sequence[Sequence[bytes]]:
    """Values of some fields each, and what stands before them by their size."""
    count = len(parts[0].texts)
    if all(part.width for part in parts):
        before = [prefixes[sum(part.width for part in parts)]] * count
    else:
        sizes = [map(len, part.texts) for part in parts]
        before = list(map(prefixes.__getitem__, sizes[0] if len(parts) == 1 else map(add, *sizes)))
    return before, *(part.texts for part in parts)


class LocalTime(Kind):
    """Nanoseconds of the day."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = _Sized()

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        nanos = _nanos_of_day(values, form)
        return _prefixed(self._prefixes, fields(wire.UnsignedColumn, "time_without_timezone", nanos))


class Time(Kind):
    """Nanoseconds of the day in UTC."""

    def __init__(self) -> None:
        """Compiles nothing."""
        self._prefixes = _Prefixes(_Value.TIME_WITH_TIMEZONE_FIELD_NUMBER)

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        nanos = _nanos_of_day(values, form)
        return _prefixed(self._prefixes, fields(wire.UnsignedColumn, "first", nanos))


def _nanos_of_day(values: Sequence[bytes], form: Form) -> list[int]:
    if form is Form.JSON:
        raise ValueError("not a time")
    return list(map(_nanos, values))


def _nanos(value: bytes) -> int:
    time = _TIME.fullmatch(value)
    if time is None:
        raise ValueError("not a time of day")
    hours, minutes, seconds, fraction = time.groups(b"")
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return whole * _NANOS + int(fraction.ljust(_NANO_DIGITS, b"0"))


class Unknown(Kind):
    """A type that destinations do not know: they store null, whatever comes."""

    def encode(self, values: Sequence[bytes], form: Form) -> Sequence[Sequence[bytes]]:  # noqa: ARG002
        """Implements `Kind.encode`."""
        return ([NULL] * len(values),)


def kind_of(schema: Any) -> Kind:
    """The kind of the values of a property, as the destination reads its JSON schema."""
    alternatives = list(_alternatives(schema))
    if len(alternatives) > 1:
        return Json()
    return _kind(alternatives[0]) if alternatives else Unknown()


def _alternatives(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The types that a schema allows, one in each; null does not count."""
    if not isinstance(schema, dict):
        return
    for several in ("oneOf", "anyOf"):
        for alternative in schema.get(several, ()):
            yield from _alternatives(alternative)
    types = schema.get("type", ())
    for name in [types] if isinstance(types, str) else types:
        if name != "null":
            yield {**schema, "type": name}


def _kind(schema: Mapping[str, Any]) -> Kind:
    name, detail = schema["type"], schema.get("airbyte_type")
    if name == "string":
        by_format: dict[tuple[Any, bool], type[Kind]] = {
            ("date", False): Date,
            ("date-time", False): Timestamp,
            ("date-time", True): LocalTimestamp,
            ("time", False): Time,
            ("time", True): LocalTime,
        }
        local = detail in ("timestamp_without_timezone", "time_without_timezone")
        return by_format.get((schema.get("format"), local), String)()
    if name == "number":
        return Integer() if detail == "integer" else Number()
    if name in ("array", "object"):
        return Json(documents=True)
    return {"boolean": Boolean, "integer": Integer}.get(name, Unknown)()
