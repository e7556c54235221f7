"""Every type: column type, wire bytes of each phase, and the JSON of the record."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from source_planetscale.columns import Phase, Spelling, encode_each, encoder_of, json_schema, stream_schema
from source_planetscale.columns.families import FAMILIES, UNKNOWN, family_of
from source_planetscale.table import Column, Table, WireColumn

if TYPE_CHECKING:
    from source_planetscale.columns.family import Family

NULLED = None


def encode(
    column_type: str,
    value: bytes,
    phase: Phase = Phase.COPY,
    *,
    charset: str = "",
    labels: bool = True,
    tinyint1_as_boolean: bool = True,
) -> str | None:
    column = Column("c", column_type, charset)
    wire_column = WireColumn(column, None, column)
    encoder = encoder_of(wire_column, Spelling(phase, labels), tinyint1_as_boolean=tinyint1_as_boolean)
    (text,) = encode_each(encoder, [value])
    return None if text is None else text.decode()


# column type, wire value (the same in both phases), JSON
SAME: list[tuple[str, bytes, str | None]] = [
    ("tinyint", b"-128", "-128"),
    ("tinyint unsigned", b"255", "255"),
    ("tinyint(4)", b"1", "1"),
    ("tinyint(1) unsigned", b"1", "1"),
    ("tinyint(1)", b"0", "false"),
    ("tinyint(1)", b"1", "true"),
    ("tinyint(1)", b"-5", "true"),
    ("tinyint(1)", b"127", "true"),
    ("smallint", b"-32768", "-32768"),
    ("mediumint unsigned", b"16777215", "16777215"),
    ("int", b"-2147483648", "-2147483648"),
    ("int(11)", b"0", "0"),
    ("bigint", b"-9223372036854775808", "-9223372036854775808"),
    ("bigint unsigned", b"18446744073709551615", "18446744073709551615"),
    ("int", b"", NULLED),
    ("int", b"1,2", NULLED),
    ("int", b"1\n", NULLED),
    ("int", b"1.5", NULLED),
    ("year", b"2024", "2024"),
    ("year", b"1901", "1901"),
    ("year", b"0000", "0"),
    ("decimal(10,2)", b"-0.50", "-0.50"),
    ("decimal(10,2)", b".5", "0.5"),
    ("decimal(10,2)", b"-.5", "-0.5"),
    ("decimal(8,3) unsigned zerofill", b"00001.500", "1.500"),
    ("decimal(5,5)", b"0.00000", "0.00000"),
    ("decimal(65,0)", b"9" * 65, "9" * 65),
    (
        "decimal(65,30)",
        b"12345678901234567890123456789012345.123456789012345678901234567890",
        "12345678901234567890123456789012345.123456789012345678901234567890",
    ),
    ("decimal(10,2)", b".", NULLED),
    ("decimal(10,2)", b"", NULLED),
    ("bit(1)", b"\x00", "false"),
    ("bit(1)", b"\x01", "true"),
    ("bit(1)", b"", NULLED),
    ("bit(5)", b"\x15", '"FQ=="'),
    ("bit(64)", b"\x80\x00\x00\x00\x00\x00\x00\x01", '"gAAAAAAAAAE="'),
    ("date", b"2024-02-29", '"2024-02-29"'),
    ("date", b"0001-01-01", '"0001-01-01"'),
    ("date", b"9999-12-31", '"9999-12-31"'),
    ("date", b"0000-00-00", NULLED),
    ("date", b"0000-01-01", NULLED),
    ("date", b"2020-00-10", NULLED),
    ("date", b"2024-02-31", NULLED),
    ("date", b"2024-W01-1", NULLED),
    ("date", b"20240101", NULLED),
    ("datetime", b"2024-01-02 03:04:05", '"2024-01-02T03:04:05.000000"'),
    ("datetime(1)", b"2024-01-02 03:04:05.1", '"2024-01-02T03:04:05.100000"'),
    ("datetime(3)", b"2024-01-02 03:04:05.120", '"2024-01-02T03:04:05.120000"'),
    ("datetime(6)", b"2024-01-02 03:04:05.000001", '"2024-01-02T03:04:05.000001"'),
    ("datetime", b"0000-00-00 00:00:00", NULLED),
    ("datetime(3)", b"0000-00-00 00:00:00.000", NULLED),
    ("datetime(6)", b"0000-01-01 00:00:00.000000", NULLED),
    ("datetime", b"2020-01-00 00:00:00", NULLED),
    ("datetime", b"2024-02-31 00:00:00", NULLED),
    ("datetime", b"2024-01-02 24:00:00", NULLED),
    ("datetime", b'2024-01-02"03:04:05', NULLED),
    ("timestamp", b"2024-01-02 03:04:05", '"2024-01-02T03:04:05.000000+00:00"'),
    ("timestamp(3)", b"2038-01-19 03:14:07.499", '"2038-01-19T03:14:07.499000+00:00"'),
    ("timestamp(6)", b"2024-01-02 03:04:05.678901", '"2024-01-02T03:04:05.678901+00:00"'),
    ("timestamp", b"0000-00-00 00:00:00", NULLED),
    ("time", b"00:00:00", '"00:00:00"'),
    ("time(6)", b"23:59:59.999999", '"23:59:59.999999"'),
    ("time(2)", b"12:34:56.70", '"12:34:56.70"'),
    ("time", b"24:00:00", NULLED),
    ("time", b"838:59:59", NULLED),
    ("time", b"-00:00:01", NULLED),
    ("time(6)", b"-00:00:00.000001", NULLED),
    ("time", b"00:00:00\n00:00:00", NULLED),
    ("char(5)", b"  ab", '"  ab"'),
    ("varchar(20)", b"", '""'),
    ("varchar(20)", b"tail  ", '"tail  "'),
    ("varchar(20)", b'a"b\\c\n\t\x00\x1f', r'"a\"b\\c\n\t\u0000\u001f"'),
    ("text", "\U0001f600 \u2028 é".encode(), '"\U0001f600 \u2028 é"'),
    ("varchar(20)", b"\xff", NULLED),
    ("binary(4)", b"\x00\xffA\x00", '"AP9BAA=="'),
    ("varbinary(8)", b"", '""'),
    ("longblob", b"\xfb\xff", '"+/8="'),
    ("enum('a,b','it''s')", b"it's", '"it\'s"'),
    ("enum('a')", b"", '""'),
    ("set('r','b')", b"r,b", '"r,b"'),
    ("json", b'{"a": "\xc3\xa9"}', r'"{\"a\": \"' + "é" + r'\"}"'),
    ("json", b"null", '"null"'),
    ("point", struct.pack("<I", 4326) + b"\x01\x02", '"AQI="'),
    ("geomcollection", b"", NULLED),
    ("geometrycollection", b"\x00\x00\x00\x00", NULLED),
    ("vector(3)", struct.pack("<3f", 0.1, -1.5, 3.4028235e38), "[0.1,-1.5,3.4028235e+38]"),
    ("vector(3)", b"", "[]"),
    ("vector(3)", b"\x00\x00\x00", NULLED),
    ("vector(3)", struct.pack("<f", float("nan")), NULLED),
    ("inet6", b"::1", '"::1"'),
    ("inet6", b"\xff", NULLED),
    ("", b"12", '"12"'),
]

# column type, wire value of the copy, of catch-up, JSON
DIFFERENT: list[tuple[str, bytes, bytes, str | None]] = [
    ("int(5) unsigned zerofill", b"00007", b"7", "7"),
    ("int(5) unsigned zerofill", b"00000", b"0", "0"),
    ("float", b"0.1", b"1E-01", "0.1"),
    ("float", b"-0", b"-0E+00", "-0.0"),
    ("float", b"3.40282e38", b"3.4028234E+38", "3.40282e38"),
    ("float", b"1234570", b"1.2345678E+06", "1234570.0"),
    ("float", b"16777200", b"1.6777216E+07", "16777200.0"),
    ("float", b"0.0000001", b"1E-07", "1e-7"),
    # The nearest float32 is 0.12345649, although its shortest decimal seems to round up.
    ("float", b"0.123456", b"1.2345649E-01", "0.123456"),
    ("float(7,3)", b"1.500", b"1.5E+00", "1.5"),
    ("float(7,3)", b"1234.568", b"1.2345675E+03", "1234.568"),
    ("float(10,2)", b"12345678.00", b"1.2345678E+07", "12345678.0"),
    ("float", b"1e999", b"1E+999", NULLED),
    ("float", b"nan", b"NaN", NULLED),
    ("double", b"1e300", b"1E+300", "1e300"),
    ("double", b"-0", b"-0E+00", "-0.0"),
    ("double", b"1.2345678901234568e17", b"1.2345678901234568E+17", "1.2345678901234568e17"),
    ("double", b"5e-324", b"5E-324", "5e-324"),
    ("double(10,3)", b"123456.891", b"1.23456891E+05", "123456.891"),
    ("double unsigned zerofill", b"0000000000000000002.5", b"2.5E+00", "2.5"),
]


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(("column_type", "value", "expected"), SAME)
def test_a_value_that_both_phases_spell_alike(
    column_type: str, value: bytes, expected: str | None, phase: Phase
) -> None:
    assert encode(column_type, value, phase) == expected


@pytest.mark.parametrize(("column_type", "copied", "changed", "expected"), DIFFERENT)
def test_a_value_that_the_phases_spell_differently_comes_out_the_same(
    column_type: str, copied: bytes, changed: bytes, expected: str | None
) -> None:
    from_copy = encode(column_type, copied, Phase.COPY)
    assert from_copy == encode(column_type, changed, Phase.CATCH_UP)
    # JSON has several spellings of an exponent; repr tells -0.0 from 0.0.
    assert repr(json.loads(from_copy or "null")) == repr(json.loads(expected or "null"))


@pytest.mark.parametrize("family", [*FAMILIES, UNKNOWN], ids=lambda family: family.example.column_type)
def test_the_documented_example_of_a_family_is_what_it_emits(family: Family) -> None:
    example = family.example
    assert family_of(example.column_type) is family
    assert encode(example.column_type, example.copy, Phase.COPY) == example.json
    assert encode(example.column_type, example.catch_up, Phase.CATCH_UP) == example.json


def test_enum_labels_of_a_latin1_column_are_utf8_in_catch_up_only() -> None:
    assert encode("enum('é')", b"\xe9", Phase.COPY, charset="latin1") == '"é"'
    assert encode("enum('é')", b"\xc3\xa9", Phase.CATCH_UP, charset="latin1") == '"é"'


@pytest.mark.parametrize(
    ("column_type", "value", "expected"),
    [
        ("enum('2','1')", b"1", '"2"'),
        ("enum('2','1')", b"2", '"1"'),
        ("enum('x,y','it''s','(p)')", b"2", '"it\'s"'),
        ("enum('a')", b"0", '""'),
        ("enum('a')", b"", '""'),
        ("enum('a')", b"2", NULLED),
        ("enum('a')", b"-1", NULLED),
        ("enum('a')", b"a", NULLED),
        ("set('a','9')", b"2", '"9"'),
        ("set('a','b','c')", b"5", '"a,c"'),
        ("set('a','b')", b"0", '""'),
        ("set('a','b')", b"4", NULLED),
    ],
)
def test_ordinals_of_old_servers_become_labels(column_type: str, value: bytes, expected: str | None) -> None:
    assert encode(column_type, value, Phase.CATCH_UP, labels=False) == expected


def test_the_copy_has_labels_even_where_catch_up_has_ordinals() -> None:
    assert encode("enum('2','1')", b"1", Phase.COPY, labels=False) == '"1"'


def test_tinyint1_is_an_integer_if_the_option_says_so() -> None:
    assert encode("tinyint(1)", b"5", tinyint1_as_boolean=False) == "5"
    assert json_schema(Column("c", "tinyint(1)"), tinyint1_as_boolean=False) == {
        "type": ["null", "number"],
        "airbyte_type": "integer",
    }


@pytest.mark.parametrize(
    ("column_type", "expected"),
    [
        ("tinyint(1)", {"type": ["boolean"]}),
        ("tinyint(1) unsigned", {"type": ["number"], "airbyte_type": "integer"}),
        ("bigint unsigned", {"type": ["number"], "airbyte_type": "integer"}),
        ("decimal(10,2)", {"type": ["number"]}),
        ("double", {"type": ["number"]}),
        ("year", {"type": ["number"], "airbyte_type": "integer"}),
        ("date", {"type": ["null", "string"], "format": "date"}),
        (
            "datetime(3)",
            {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
        ),
        (
            "timestamp",
            {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
        ),
        (
            "time",
            {"type": ["null", "string"], "format": "time", "airbyte_type": "time_without_timezone"},
        ),
        ("bit(1)", {"type": ["boolean"]}),
        ("bit(2)", {"type": ["string"], "contentEncoding": "base64"}),
        ("varchar(10)", {"type": ["string"]}),
        ("enum('date')", {"type": ["string"]}),
        ("set('tinyint(1)')", {"type": ["string"]}),
        ("json", {"type": ["string"]}),
        ("blob", {"type": ["string"], "contentEncoding": "base64"}),
        ("geomcollection", {"type": ["string"], "contentEncoding": "base64"}),
        ("vector(3)", {"type": ["array"], "items": {"type": "number"}}),
        ("something new", {"type": ["null", "string"]}),
    ],
)
def test_the_schema_of_a_column_without_null_has_null_if_a_value_can_lack_a_form(
    column_type: str, expected: dict[str, Any]
) -> None:
    column = Column("c", column_type, nullable=False)
    assert json_schema(column, tinyint1_as_boolean=True) == expected


@pytest.mark.parametrize(
    ("charset", "types"), [("utf8mb4", ["string"]), ("ascii", ["string"]), ("gbk", ["null", "string"])]
)
def test_text_can_lack_a_form_in_a_character_set_with_gaps(charset: str, types: list[str]) -> None:
    column = Column("c", "varchar(9)", charset, nullable=False)
    assert json_schema(column, tinyint1_as_boolean=True) == {"type": types}


def test_a_tinyint1_is_an_integer_in_the_key() -> None:
    table = Table("ks", "t", (Column("k", "tinyint(1)", nullable=False), Column("b", "tinyint(1)")), ("k",))
    assert stream_schema(table, tinyint1_as_boolean=True)["properties"] == {
        "k": {"type": ["number"], "airbyte_type": "integer"},
        "b": {"type": ["null", "boolean"]},
    }


def test_no_column_of_the_key_is_nullable_and_a_time_in_it_is_a_string() -> None:
    columns = tuple(
        Column(name, name, nullable=False) for name in ("date", "datetime", "timestamp", "time", "text")
    )
    schema = stream_schema(
        Table("ks", "t", columns, tuple(column.name for column in columns)), tinyint1_as_boolean=True
    )
    assert {name: (each["type"], each.get("format")) for name, each in schema["properties"].items()} == {
        "date": (["string"], "date"),
        "datetime": (["string"], "date-time"),
        "timestamp": (["string"], "date-time"),
        "time": (["string"], None),
        "text": (["string"], None),
    }


def test_a_nullable_column_takes_null_first() -> None:
    assert json_schema(Column("c", "int"), tinyint1_as_boolean=True)["type"] == ["null", "number"]


def test_a_stream_lists_all_columns_in_table_order() -> None:
    table = Table("ks", "t", (Column("b", "int"), Column("a b.c", "date", nullable=False)))
    schema = stream_schema(table, tinyint1_as_boolean=True)
    assert schema["type"] == "object"
    assert list(schema["properties"]) == ["b", "a b.c"]
    assert schema["properties"]["a b.c"]["type"] == ["null", "string"]
