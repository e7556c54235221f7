"""The messages of a data channel, taken out of its bytes as strictly as Airbyte's destinations do."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from source_planetscale.records.wire import airbyte_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from integration_tests.support.command import Json


class BadMessageError(Exception):
    """Something that ends the destination."""


class Messages(ABC):
    """The messages of one socket."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._rest = b""

    @abstractmethod
    def feed(self, data: bytes) -> Iterator[Json]:
        """Takes bytes and gives the messages that are complete, in the form of the JSON protocol.

        Raises:
            BadMessageError: One cannot be taken.
        """

    def end(self) -> None:
        """Takes the end of the socket.

        Raises:
            BadMessageError: A message is cut off.
        """
        if self._rest:
            raise BadMessageError("the last message is cut off")


class JsonLines(Messages):
    """A message per line."""

    def feed(self, data: bytes) -> Iterator[Json]:
        """Implements `Messages.feed`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line:
                continue
            if b"\r" in line:
                raise BadMessageError("a carriage return ends a line")
            try:
                message = json.loads(line.decode(), parse_float=Decimal, parse_constant=_refuse)
            except ValueError as error:
                raise BadMessageError(f"an unreadable line: {error}") from None
            if not isinstance(message, dict):
                raise BadMessageError("a line that is no object")
            yield message


class Protobuf(Messages):
    """A message behind its length; values in the order of the catalog's properties, of the declared kinds."""

    def __init__(self, streams: Mapping[tuple[str | None, str], Json]) -> None:
        """Takes the streams of the catalog by namespace and name."""
        super().__init__()
        self._properties = {
            key: [
                (name, stream["json_schema"]["properties"][name])
                for name in sorted(
                    stream["json_schema"]["properties"], key=lambda name: name.encode("utf-16-be")
                )
            ]
            for key, stream in streams.items()
        }

    def feed(self, data: bytes) -> Iterator[Json]:
        """Implements `Messages.feed`."""
        self._rest += data
        position = 0
        while True:
            size, start = _length(self._rest, position)
            if size is None or len(self._rest) < start + size:
                break
            position = start + size
            try:
                message = wire.AirbyteMessageProtobuf.FromString(self._rest[start:position])
            except DecodeError as error:
                raise BadMessageError(f"an unreadable message: {error}") from None
            yield self._message(message)
        self._rest = self._rest[position:]

    def _message(self, message: wire.AirbyteMessageProtobuf) -> Json:
        kind = message.WhichOneof("message")
        if kind == "record":
            return {"type": "RECORD", "record": self._record(message.record)}
        if kind == "airbyte_protocol_message":
            parsed: Json = json.loads(message.airbyte_protocol_message)
            return parsed
        raise BadMessageError(f"a message of kind {kind}")

    def _record(self, record: wire.AirbyteRecordMessageProtobuf) -> Json:
        namespace = record.stream_namespace if record.HasField("stream_namespace") else None
        properties = self._properties.get((namespace, record.stream_name))
        if properties is None:
            raise BadMessageError(f"an unknown stream: {namespace}, {record.stream_name}")
        if len(record.data) != len(properties):
            raise BadMessageError(f"{len(record.data)} values for {len(properties)} properties")
        data = {
            name: _value(schema, value) for (name, schema), value in zip(properties, record.data, strict=True)
        }
        content: Json = {"stream": record.stream_name, "data": data, "emitted_at": record.emitted_at_ms}
        content["partition_id"] = record.partition_id
        if namespace is not None:
            content["namespace"] = namespace
        if record.meta.changes:
            content["meta"] = {"changes": [_change(change) for change in record.meta.changes]}
        return content


def _length(data: bytes, position: int) -> tuple[int | None, int]:
    """The number that begins at a position, None if it is cut off, and where it ends."""
    number = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, position
    return None, position


def _change(change: wire.AirbyteRecordMessageMetaChange) -> Json:
    return {
        "field": change.field,
        "change": wire.AirbyteRecordChangeType.Name(change.change),
        "reason": wire.AirbyteRecordChangeReasonType.Name(change.reason),
    }


_TYPES = {
    ("string", "date", ""): ("date",),
    ("string", "date-time", "timestamp_without_timezone"): ("timestamp_without_timezone",),
    ("string", "date-time", ""): ("timestamp_with_timezone",),
    ("string", "time", "time_without_timezone"): ("time_without_timezone",),
    ("string", "time", ""): ("time_with_timezone",),
    ("string", "", ""): ("string",),
    ("boolean", "", ""): ("boolean",),
    ("number", "", "integer"): ("integer", "big_integer"),
    ("integer", "", ""): ("integer", "big_integer"),
    ("number", "", ""): ("number", "big_decimal"),
    ("array", "", ""): ("json",),
    ("object", "", ""): ("json",),
}
# What each type has that matters for its kind.
_FORMATS = ("date", "date-time", "time")
_DETAILS = ("timestamp_without_timezone", "time_without_timezone", "integer")


def _allowed(schema: Json) -> tuple[str, ...]:
    types = [name for name in _types(schema) if name != "null"]
    if len(types) != 1:
        return ("json",)
    form = schema.get("format") if schema.get("format") in _FORMATS and types[0] == "string" else ""
    detail = schema.get("airbyte_type") if schema.get("airbyte_type") in _DETAILS else ""
    return _TYPES.get((types[0], form or "", detail or ""), ())


def _types(schema: Json) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _value(schema: Json, value: wire.AirbyteValueProtobuf) -> object:
    """The value as JSON has it."""
    if value.SerializeToString() == b"\x68\x01":
        return None
    kind = value.WhichOneof("value")
    allowed = _allowed(schema)
    if kind not in allowed:
        raise BadMessageError(f"a value of kind {kind} where the catalog says {schema}")
    return _READ[str(kind)](getattr(value, str(kind)))


def _day(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days)).isoformat()


def _time(nanos: int) -> str:
    _check_range(nanos, 86_400_000_000_000)
    seconds, fraction = divmod(nanos, 10**9)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction // 1000:06}"


def _check_range(number: int, limit: int) -> None:
    if not 0 <= number < limit:
        raise BadMessageError(f"{number} is out of range")


def _instant(value: wire.TimestampWithTimezone) -> str:
    _check_range(value.nano, 10**9)
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(
        seconds=value.epoch_second, microseconds=value.nano // 1000
    )
    return moment.isoformat(timespec="microseconds")


_READ: dict[str, Callable[[Any], object]] = {
    "boolean": bool,
    "string": str,
    "integer": int,
    "big_integer": int,
    "number": float,
    "big_decimal": Decimal,
    "date": _day,
    "time_with_timezone": lambda value: _time(value.nanos_of_day),
    "time_without_timezone": _time,
    "timestamp_with_timezone": _instant,
    "timestamp_without_timezone": lambda value: (
        f"{_day(value.date_days_since_epoch)}T{_time(value.nanos_of_day)}"
    ),
    "json": lambda text: json.loads(text, parse_float=Decimal),
}


def reader_of(serialization: str, streams: Mapping[tuple[str | None, str], Json]) -> Messages:
    """Makes the reader of a socket for a serialization; `streams` is the catalog by namespace and name."""
    return Protobuf(streams) if serialization == "PROTOBUF" else JsonLines()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
