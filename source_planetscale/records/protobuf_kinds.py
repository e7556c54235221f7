"""The kinds of values that a record message can have, by what a catalog declares.

A destination ends at a value of another kind than the one declared, whatever the table has today. So a
value becomes the declared kind where that loses nothing, as the destination itself would take its JSON;
where it would, there is no value.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from source_planetscale.columns import Form
from source_planetscale.records.protobuf_column import DATA, NULL, Kind, Prefixes
from source_planetscale.records.protobuf_times import Date, LocalTime, LocalTimestamp, Time, Timestamp
from source_planetscale.records.varints import VARINT, varint
from source_planetscale.records.wire import airbyte_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from source_planetscale.records.protobuf_column import Values

_Value = wire.AirbyteValueProtobuf


class _Delimited(Kind):
    """Values of any length."""

    _number: int

    def __init__(self) -> None:
        """Compiles nothing: what stands before values is kept by their size."""
        self._prefixes = Prefixes(self._number)

    def _unchanged(self, column: Values) -> Sequence[Sequence[bytes]]:
        if column.sizes is None:
            return self._parts(column.texts)
        return self._prefixes.of(column.sizes()), column.texts

    def _parts(self, texts: Sequence[bytes]) -> Sequence[Sequence[bytes]]:
        return self._prefixes.of(list(map(len, texts))), texts


class String(_Delimited):
    """Text; of a number or an array its JSON."""

    _number = _Value.STRING_FIELD_NUMBER

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        return self._unchanged(column)


class Integer(_Delimited):
    """Whole numbers in digits, as many as there are."""

    _number = _Value.BIG_INTEGER_FIELD_NUMBER
    _known = {b"true": b"1", b"false": b"0"}  # noqa: RUF012 - read only
    _digits = re.compile(rb"([-+]?[0-9]+)(?:\.0*)?")

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        if column.form is not Form.JSON or b"".join(column.texts).translate(None, b"0123456789-"):
            return self._parts([self._known.get(text) or self._whole(text) for text in column.texts])
        return self._unchanged(column)

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

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        if column.form is not Form.JSON or b"".join(column.texts).translate(None, b"0123456789-+.eE"):
            return self._parts([self._known.get(text) or self._decimal(text) for text in column.texts])
        return self._unchanged(column)

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

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        if column.form is Form.JSON:
            return self._unchanged(column)
        return self._parts([self._json(text) for text in column.texts])

    def _json(self, value: bytes) -> bytes:
        if self._documents and value[:1] in (b"{", b"["):
            with suppress(orjson.JSONDecodeError):
                orjson.loads(value)
                return value
        return orjson.dumps(value.decode())


def _whole(value: bytes) -> bytes:
    return DATA + varint(len(value)) + value


class Boolean(Kind):
    """True and false; every number but zero is true."""

    def __init__(self) -> None:
        """Compiles both."""
        tag = bytes([_Value.BOOLEAN_FIELD_NUMBER << 3 | VARINT])
        self._true, self._false = _whole(tag + b"\x01"), _whole(tag + b"\x00")
        self._known = {b"true": self._true, b"false": self._false}

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        try:
            return (list(map(self._known.__getitem__, column.texts)),)
        except KeyError:
            return ([self._known.get(text) or self._truth(text, column.form) for text in column.texts],)

    def _truth(self, value: bytes, form: Form) -> bytes:
        if form is not Form.JSON:
            raise ValueError("not a boolean")
        return self._true if float(value) else self._false


class Unknown(Kind):
    """A type that destinations do not know: they store null, whatever comes."""

    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Implements `Kind.encode`."""
        return ([NULL] * len(column.texts),)


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
