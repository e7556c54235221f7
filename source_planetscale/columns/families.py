"""The one table of types: MySQL type to JSON schema, encoder, example and documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.columns.binary import Binary, Geometry, Vector
from source_planetscale.columns.charsets import charset_named
from source_planetscale.columns.column_type import ColumnType
from source_planetscale.columns.family import Example, Family, always, by_labels, by_order, by_size
from source_planetscale.columns.numeric import BitFlag, Boolean, Decimal, Float, Integer
from source_planetscale.columns.restoring import restored_label, restored_padding, restored_sign
from source_planetscale.columns.temporal import Date, DateTime, Time
from source_planetscale.columns.text import Text, label_encoder, text_encoder

if TYPE_CHECKING:
    from source_planetscale.columns.encoder import Encoder, Spelling
    from source_planetscale.columns.family import EncoderFactory
    from source_planetscale.table import Column

_STRING = {"type": "string"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
_INTEGER = {"type": "number", "airbyte_type": "integer"}


def _same(column_type: str, value: bytes, json: str) -> Example:
    return Example(column_type, value, value, json)


def _plain(encoder: type[Encoder]) -> EncoderFactory:
    """An encoder that is the same for every column."""
    return lambda _column, _spelling: encoder()


def _float(column: Column, spelling: Spelling) -> Encoder:
    return Float(ColumnType.parse(column.column_type), spelling)


def _datetime(column: Column, _spelling: Spelling) -> Encoder:
    return DateTime(ColumnType.parse(column.column_type))


def _timestamp(column: Column, _spelling: Spelling) -> Encoder:
    return DateTime(ColumnType.parse(column.column_type), offset=b"+00:00")


def _text(column: Column, _spelling: Spelling) -> Encoder:
    return text_encoder(column.charset)


def _labels(column: Column, spelling: Spelling) -> Encoder:
    return label_encoder(ColumnType.parse(column.column_type), column.charset, spelling)


_widens_as_integer = by_order("tinyint", "smallint", "mediumint", "int", "bigint")
_INTEGER_KEYS = {
    "tinyint": ("INT8", "UINT8"),
    "smallint": ("INT16", "UINT16"),
    "mediumint": ("INT24", "UINT24"),
    "int": ("INT32", "UINT32"),
    "bigint": ("INT64", "UINT64"),
}
# A _bin collation makes the server announce text as binary.
_TEXT_KEYS = ("TEXT", "BLOB")
_widens_as_text = by_order("tinytext", "text", "mediumtext", "longtext")
_widens_as_blob = by_order("tinyblob", "blob", "mediumblob", "longblob")


def _widens_in_text(old: ColumnType, new: ColumnType) -> bool:
    return by_size(old, new) if old.base in ("char", "varchar") else _widens_as_text(old, new)


def _widens_in_binary(old: ColumnType, new: ColumnType) -> bool:
    return by_size(old, new) if old.base in ("binary", "varbinary") else _widens_as_blob(old, new)


def _as_written(_column: Column, value: bytes) -> str:
    """The text that MySQL shows."""
    return value.decode("ascii", "backslashreplace")


def _has_gaps(column: Column) -> bool:
    return charset_named(column.charset).has_gaps


def _as_bytes(column: Column, value: bytes) -> str:
    """The bytes as MySQL's own literal."""
    return f"_{column.charset or 'binary'} 0x{value.hex().upper()}"


_INVALID_DATE = "Zero dates, year 0000 and days that do not exist become null"

BOOLEAN = Family(
    ("tinyint(1)",),
    {"type": "boolean"},
    _plain(Boolean),
    _same("tinyint(1)", b"1", "true"),
    existing="numbers other than 0 and 1 emitted as numbers",
    note="Every number but 0 is true. An integer in keys and with *Do not treat tinyint(1) as boolean*",
    key_types=_INTEGER_KEYS,
    widens=_widens_as_integer,
    restore=restored_sign,
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
        key_types=_INTEGER_KEYS,
        widens=_widens_as_integer,
        restore=restored_sign,
    ),
    Family(
        ("year",),
        _INTEGER,
        _plain(Integer),
        _same("year", b"2024", "2024"),
        existing="declared as string, emitted as number; rows with 0000 lost",
        note="MySQL's year 0000 is 0",
        key_types={"year": ("YEAR",)},
    ),
    Family(
        ("decimal", "numeric"),
        {"type": "number"},
        _plain(Decimal),
        _same("decimal(20,2)", b"123456789012345678.90", "123456789012345678.90"),
        note="All digits, as a JSON number",
        key_types={"decimal": ("DECIMAL",)},
        widens=by_size,
    ),
    Family(
        ("float", "double", "real"),
        {"type": "number"},
        _float,
        Example("float", b"1234570", b"1.2345678E+06", "1234570.0"),
        existing="FLOAT rounded in the copy, exact afterwards",
        note="FLOAT has the 6 digits that MySQL shows (FLOAT(M,D) its D decimals), DOUBLE all",
        # A FLOAT is compared inexactly: the rows of the last key would be repeated.
        key_types={"double": ("FLOAT64",)},
    ),
    Family(
        ("bit(1)",),
        {"type": "boolean"},
        _plain(BitFlag),
        _same("bit(1)", b"\x01", "true"),
        existing="string with the raw byte",
        key_types={"bit": ("BIT",)},
    ),
    Family(
        ("bit",),
        _BASE64,
        _plain(Binary),
        _same("bit(12)", b"\x0a\xaa", '"Cqo="'),
        existing="string of raw bytes, damaged from 0x80 on",
        note="Base64 of the bits as a big-endian number",
        key_types={"bit": ("BIT",)},
    ),
    Family(
        ("date",),
        {"type": "string", "format": "date"},
        _plain(Date),
        _same("date", b"2024-02-29", '"2024-02-29"'),
        existing="airbyte_type date, which Airbyte does not know; zero date emitted as 1970-01-01",
        note=_INVALID_DATE,
        key_types={"date": ("DATE",)},
        lacks_form=always,
        key_text=_as_written,
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
        key_types={"datetime": ("DATETIME",)},
        lacks_form=always,
        key_text=_as_written,
        widens=by_size,
    ),
    Family(
        ("timestamp",),
        {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
        _timestamp,
        _same("timestamp", b"2024-02-29 12:34:56", '"2024-02-29T12:34:56.000000+00:00"'),
        existing='emitted as "2024-02-29 12:34:56", without offset',
        note="Always UTC. Zero timestamps become null",
        key_types={"timestamp": ("TIMESTAMP",)},
        lacks_form=always,
        key_text=_as_written,
        widens=by_size,
    ),
    Family(
        ("time",),
        {"type": "string", "format": "time", "airbyte_type": "time_without_timezone"},
        _plain(Time),
        _same("time(3)", b"12:34:56.789", '"12:34:56.789"'),
        existing="airbyte_type time_with_timezone; every value emitted as it is",
        note="Negative times and those of 24 hours and more become null. A plain string in a primary key",
        key_types={"time": ("TIME",)},
        lacks_form=always,
        key_text=_as_written,
        # A span of time is no time of day: a destination's type for those would not take it.
        key_schema=_STRING,
        widens=by_size,
    ),
    Family(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
        _STRING,
        _text,
        _same("varchar(20)", "Grüße".encode(), '"Grüße"'),
        existing="character sets other than UTF-8 damaged",
        note="Decoded from the character set of the column",
        has_charset=True,
        key_types={
            "char": ("CHAR", "BINARY"),
            "varchar": ("VARCHAR", "VARBINARY"),
            "tinytext": _TEXT_KEYS,
            "text": _TEXT_KEYS,
            "mediumtext": _TEXT_KEYS,
            "longtext": _TEXT_KEYS,
        },
        widens=_widens_in_text,
        restore=restored_padding,
        lacks_form=_has_gaps,
        key_text=_as_bytes,
    ),
    Family(
        ("enum",),
        _STRING,
        _labels,
        _same("enum('small','large')", b"large", '"large"'),
        existing="labels that are digits or hold commas mistaken for others",
        note="The label; empty for MySQL's invalid value",
        has_charset=True,
        # A copy is ordered by the labels' numbers, a resume compares their text: rows would be skipped.
        widens=by_labels,
        restore=restored_label,
        key_text=_as_bytes,
    ),
    Family(
        ("set",),
        _STRING,
        _labels,
        _same("set('red','green')", b"red,green", '"red,green"'),
        existing="crash on labels that are digits",
        note="The labels in the order of the definition, with commas between",
        has_charset=True,
        # A copy is ordered by the labels' numbers, a resume compares their text: rows would be skipped.
        widens=by_labels,
        restore=restored_label,
        key_text=_as_bytes,
    ),
    Family(
        ("json",),
        _STRING,
        _plain(Text),
        _same("json", b'{"a": 1}', r'"{\"a\": 1}"'),
        note="The document as text. Some details differ in the copy and in changes: see below",
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
        key_types={
            "binary": ("BINARY",),
            "varbinary": ("VARBINARY",),
            "tinyblob": ("BLOB",),
            "blob": ("BLOB",),
            "mediumblob": ("BLOB",),
            "longblob": ("BLOB",),
        },
        widens=_widens_in_binary,
        restore=restored_padding,
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
    lacks_form=always,
    key_text=_as_bytes,
)

BY_NAME = {name: family for family in FAMILIES for name in family.names}


def family_of(column_type: str, *, tinyint1_as_boolean: bool = True) -> Family:
    """Finds the row of the table for a MySQL column type such as `int unsigned`."""
    family = BY_NAME.get(column_type)
    if family is None or (family is BOOLEAN and not tinyint1_as_boolean):
        family = BY_NAME.get(ColumnType.parse(column_type).base, UNKNOWN)
    return family


def widens(old: str, new: str) -> bool:
    """Whether row events of one column type read right under another one."""
    return old == new or family_of(old).widens(ColumnType.parse(old), ColumnType.parse(new))


def key_types(column_type: str) -> tuple[str, ...]:
    """What the wire may call the type of a key column that a copy can be resumed after; none if it cannot."""
    return family_of(column_type).key_types.get(ColumnType.parse(column_type).base, ())
