"""The one table of types: MySQL type to JSON schema, encoder, example and documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from source_planetscale.columns.binary import Binary, Geometry, Vector
from source_planetscale.columns.numeric import BitFlag, Boolean, Decimal, Float, Integer
from source_planetscale.columns.temporal import Date, DateTime, Time
from source_planetscale.columns.text import Text, label_encoder, text_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from source_planetscale.columns.encoder import Encoder, Wire
    from source_planetscale.table import Column

EncoderFactory: TypeAlias = "Callable[[Column, Wire], Encoder]"

_STRING = {"type": "string"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
_INTEGER = {"type": "number", "airbyte_type": "integer"}


@dataclass(frozen=True)
class Example:
    """A value on its way: what MySQL sends in each phase, and what the record has."""

    column_type: str
    copy: bytes
    catch_up: bytes
    json: str


@dataclass(frozen=True)
class Family:
    """Types that share a schema and an encoder.

    Attributes:
        names: Base names (`int`), or whole column types where the width decides (`bit(1)`).
        schema: JSON schema of a value, NULL aside.
        encoder: Builds the encoder of one column.
        example: One value of the first name.
        existing: What the connector that this one succeeds declares or emits where that differs.
        note: What a reader of the documentation should know.
        has_charset: Whether columns have a character set.
    """

    names: tuple[str, ...]
    schema: Mapping[str, Any]
    encoder: EncoderFactory
    example: Example
    existing: str = ""
    note: str = ""
    has_charset: bool = False


def _same(column_type: str, value: bytes, json: str) -> Example:
    return Example(column_type, value, value, json)


def _plain(encoder: type[Encoder]) -> EncoderFactory:
    """An encoder that is the same for every column."""
    return lambda _column, _wire: encoder()


def _float(column: Column, wire: Wire) -> Encoder:
    return Float(column.column_type, wire)


def _datetime(column: Column, _wire: Wire) -> Encoder:
    return DateTime(column.column_type)


def _timestamp(column: Column, _wire: Wire) -> Encoder:
    return DateTime(column.column_type, offset=b"+00:00")


def _text(column: Column, _wire: Wire) -> Encoder:
    return text_encoder(column.charset)


def _labels(column: Column, wire: Wire) -> Encoder:
    return label_encoder(column.column_type, column.charset, wire)


_INVALID_DATE = "Zero dates, year 0000 and days that do not exist become null"

BOOLEAN = Family(
    ("tinyint(1)",),
    {"type": "boolean"},
    _plain(Boolean),
    _same("tinyint(1)", b"1", "true"),
    existing="numbers other than 0 and 1 emitted as numbers",
    note="Every number but 0 is true. An integer if *Do not treat tinyint(1) as boolean* is on",
)

FAMILIES = (
    BOOLEAN,
    Family(
        ("tinyint", "smallint", "mediumint", "int", "bigint"),
        _INTEGER,
        _plain(Integer),
        _same("bigint unsigned", b"18446744073709551615", "18446744073709551615"),
        existing="rows with a zerofill value lost in the copy",
        note="Signed and unsigned, all digits",
    ),
    Family(
        ("year",),
        _INTEGER,
        _plain(Integer),
        _same("year", b"2024", "2024"),
        existing="declared as string, emitted as number; rows with 0000 lost",
        note="MySQL's year 0000 is 0",
    ),
    Family(
        ("decimal", "numeric"),
        {"type": "number"},
        _plain(Decimal),
        _same("decimal(20,2)", b"123456789012345678.90", "123456789012345678.90"),
        note="All digits, as a JSON number",
    ),
    Family(
        ("float", "double", "real"),
        {"type": "number"},
        _float,
        Example("float", b"1234570", b"1.2345678E+06", "1234570.0"),
        existing="FLOAT rounded in the copy, exact afterwards",
        note="FLOAT has the 6 digits that MySQL shows (FLOAT(M,D) its D decimals), DOUBLE all",
    ),
    Family(
        ("bit(1)",),
        {"type": "boolean"},
        _plain(BitFlag),
        _same("bit(1)", b"\x01", "true"),
        existing="string with the raw byte",
    ),
    Family(
        ("bit",),
        _BASE64,
        _plain(Binary),
        _same("bit(12)", b"\x0a\xaa", '"Cqo="'),
        existing="string of raw bytes, damaged from 0x80 on",
        note="Base64 of the bits as a big-endian number",
    ),
    Family(
        ("date",),
        {"type": "string", "format": "date"},
        _plain(Date),
        _same("date", b"2024-02-29", '"2024-02-29"'),
        existing="airbyte_type date, which Airbyte does not know; zero date emitted as 1970-01-01",
        note=_INVALID_DATE,
    ),
    Family(
        ("datetime",),
        {
            "type": "string",
            "format": "date-time",
            "airbyte_type": "timestamp_without_timezone",
        },
        _datetime,
        _same("datetime(3)", b"2024-02-29 12:34:56.789", '"2024-02-29T12:34:56.789000"'),
        existing="zero datetime emitted as 1970-01-01T00:00:00.000000 or unchanged",
        note=_INVALID_DATE,
    ),
    Family(
        ("timestamp",),
        {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
        _timestamp,
        _same("timestamp", b"2024-02-29 12:34:56", '"2024-02-29T12:34:56.000000+00:00"'),
        existing='emitted as "2024-02-29 12:34:56", without offset',
        note="Always UTC. Zero timestamps become null",
    ),
    Family(
        ("time",),
        {"type": "string", "format": "time", "airbyte_type": "time_without_timezone"},
        _plain(Time),
        _same("time(3)", b"12:34:56.789", '"12:34:56.789"'),
        existing="airbyte_type time_with_timezone; every value emitted as it is",
        note="Negative times and those of 24 hours and more become null",
    ),
    Family(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
        _STRING,
        _text,
        _same("varchar(20)", "Grüße".encode(), '"Grüße"'),
        existing="character sets other than UTF-8 damaged",
        note="Decoded from the character set of the column",
        has_charset=True,
    ),
    Family(
        ("enum",),
        _STRING,
        _labels,
        _same("enum('small','large')", b"large", '"large"'),
        existing="labels that are digits or hold commas mistaken for others",
        note="The label; empty for MySQL's invalid value",
        has_charset=True,
    ),
    Family(
        ("set",),
        _STRING,
        _labels,
        _same("set('red','green')", b"red,green", '"red,green"'),
        existing="crash on labels that are digits",
        note="The labels in the order of the definition, with commas between",
        has_charset=True,
    ),
    Family(
        ("json",),
        _STRING,
        _plain(Text),
        _same("json", b'{"a": 1}', r'"{\"a\": 1}"'),
        note="The document as text. MySQL orders keys differently in the copy and in changes",
    ),
    Family(
        (
            "binary",
            "varbinary",
            "tinyblob",
            "blob",
            "mediumblob",
            "longblob",
        ),
        _BASE64,
        _plain(Binary),
        _same("varbinary(8)", b"\x00\xff", '"AP8="'),
        existing="string of raw bytes, damaged from 0x80 on",
        note="Base64. BINARY(n) has its padding",
    ),
    Family(
        (
            "geometry",
            "point",
            "linestring",
            "polygon",
            "multipoint",
            "multilinestring",
            "multipolygon",
            "geomcollection",
            "geometrycollection",
        ),
        _BASE64,
        _plain(Geometry),
        _same(
            "point",
            bytes(4) + bytes.fromhex("0101000000000000000000f03f0000000000000040"),
            '"AQEAAAAAAAAAAADwPwAAAAAAAABA"',
        ),
        existing="string of raw bytes, damaged from 0x80 on",
        note="Base64 of the well-known binary form (WKB), without SRID",
    ),
    Family(
        ("vector",),
        {"type": "array", "items": {"type": "number"}},
        _plain(Vector),
        _same("vector(2)", bytes.fromhex("cdcccc3d0000c03f"), "[0.1,1.5]"),
        existing="declared as string; crash",
    ),
)

UNKNOWN = Family(
    (),
    _STRING,
    _plain(Text),
    _same("newtype", b"text", '"text"'),
    note="A type that is not in this table is given as text; null if it is not UTF-8",
)

_BY_NAME = {name: family for family in FAMILIES for name in family.names}
_BASE_NAME = re.compile(r"[a-z]+")


def family_of(column_type: str, *, tinyint1_as_boolean: bool = True) -> Family:
    """Finds the row of the table for a MySQL column type such as `int unsigned`."""
    family = _BY_NAME.get(column_type)
    if family is None or (family is BOOLEAN and not tinyint1_as_boolean):
        base = _BASE_NAME.match(column_type)
        family = _BY_NAME.get(base[0] if base else "", UNKNOWN)
    return family
