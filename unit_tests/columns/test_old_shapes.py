"""Values that were written with another type than the column has today."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.columns import Phase, Spelling, encoder_of
from source_planetscale.columns.families import FAMILIES
from source_planetscale.table import Column, WireColumn
from unit_tests.support.columns import encode_each

UNNAMED = ""


def encoded(
    written: str,
    decoded: str | None,
    target: str,
    value: bytes,
    *,
    charsets: tuple[str, str] = ("", ""),
    labels: bool = True,
    tinyint1_as_boolean: bool = True,
) -> str | None:
    column = WireColumn(
        Column("old", written, charsets[0]),
        None if decoded is None else Column("@1", decoded, charsets[1]),
        Column("new", target, charsets[1]),
    )
    encoder = encoder_of(column, Spelling(Phase.CATCH_UP, labels), tinyint1_as_boolean=tinyint1_as_boolean)
    (text,) = encode_each(encoder, [value])
    return None if text is None else text.decode()


@pytest.mark.parametrize(
    ("written", "decoded", "value", "expected"),
    [
        ("int unsigned", "int", b"-294967296", "4000000000"),
        ("int unsigned", "bigint", b"-294967296", "4000000000"),
        ("int unsigned", UNNAMED, b"-1", "4294967295"),
        ("int unsigned", UNNAMED, b"7", "7"),
        ("int", "bigint unsigned", b"4294967291", "-5"),
        ("int", "int unsigned", b"2147483647", "2147483647"),
        ("int", "int unsigned", b"2147483648", "-2147483648"),
        ("int", UNNAMED, b"-5", "-5"),
        ("tinyint unsigned", UNNAMED, b"-1", "255"),
        ("tinyint", "tinyint unsigned", b"255", "-1"),
        ("tinyint(1)", "tinyint unsigned", b"255", "true"),
        ("smallint unsigned", UNNAMED, b"-32768", "32768"),
        ("mediumint unsigned", UNNAMED, b"-1", "16777215"),
        ("mediumint", "mediumint unsigned", b"16777215", "-1"),
        ("bigint unsigned", UNNAMED, b"-1", "18446744073709551615"),
        ("bigint", "bigint unsigned", b"9223372036854775808", "-9223372036854775808"),
        ("int(5) unsigned zerofill", UNNAMED, b"-1", "4294967295"),
        ("int unsigned", UNNAMED, b"", None),
        ("enum('x','y')", "enum('q','x','y')", b"x", '"y"'),
        ("enum('x','y')", "enum('y','x')", b"x", '"y"'),
        ("enum('x','y')", "enum('x','y','z')", b"y", '"y"'),
        ("enum('x','y')", "enum('q','x','y')", b"", '""'),
        ("enum('x','y')", "enum('q','x','y')", b"y", None),
        ("enum('a','')", "enum('','a')", b"", '"a"'),
        ("enum('é','''')", "enum('''','é')", b"'", '"é"'),
        ("set('x','y','z')", "set('z','y','x')", b"z,y", '"x,y"'),
        ("set('x','y','z')", "set('z','y','x')", b"", '""'),
        ("set('x','y')", "set('q','x','y')", b"q,y", None),
        ("binary(4)", UNNAMED, b"\x00\xff", '"AP8AAA=="'),
        ("binary(4)", "binary(8)", b"\x00\xff\x00\x00", '"AP8AAA=="'),
        ("binary", UNNAMED, b"", '"AA=="'),
        ("varbinary(4)", UNNAMED, b"\x00\xff", '"AP8="'),
        ("char(4)", "binary(4)", b"ab\x00\x00", '"ab"'),
        ("char(4)", UNNAMED, b"ab", '"ab"'),
        ("datetime(1)", "datetime(6)", b"2024-01-02 03:04:05.1", '"2024-01-02T03:04:05.100000"'),
        ("timestamp", "timestamp(3)", b"2024-01-02 03:04:05", '"2024-01-02T03:04:05.000000+00:00"'),
        ("time(6)", "time", b"12:34:56.000001", '"12:34:56.000001"'),
        ("float(7,3)", "double", b"1.2345675E+03", "1234.568"),
        ("json", UNNAMED, b'{"a": 1}', r'"{\"a\": 1}"'),
    ],
)
def test_a_value_that_was_decoded_as_another_type_is_put_right(
    written: str, decoded: str, value: bytes, expected: str | None
) -> None:
    assert encoded(written, decoded, written, value) == expected


def test_text_is_read_in_the_character_set_that_it_was_written_in() -> None:
    assert encoded("varchar(9)", None, "varchar(9)", b"\xe9", charsets=("latin1", "utf8mb4")) == '"é"'


def test_numbers_of_labels_are_looked_up_in_the_labels_that_they_were_written_with() -> None:
    assert encoded("enum('x','y')", "enum('q','x')", "enum('q','x')", b"2", labels=False) == '"y"'


def test_the_copy_is_never_put_right() -> None:
    column = WireColumn(Column("n", "int unsigned"), Column("n", "int"), Column("n", "int"))
    encoder = encoder_of(column, Spelling(Phase.COPY), tinyint1_as_boolean=True)
    assert encode_each(encoder, [b"-1"]) == [b"-1"]


@pytest.mark.parametrize(
    ("written", "target", "value", "expected"),
    [
        ("int", "varchar(9)", b"5", '"5"'),
        ("int", "json", b"5", '"5"'),
        ("int", "bigint", b"5", "5"),
        ("int", "tinyint(1)", b"5", "true"),
        ("int", "bit(1)", b"1", "true"),
        ("int", "bit(1)", b"2", None),
        ("int", "bit(1)", b"-1", None),
        ("int", "decimal(10,2)", b"5", "5"),
        ("bigint", "double", b"9007199254740993", "9007199254740993"),
        ("int", "date", b"20240102", None),
        ("int", "blob", b"5", None),
        ("int", "enum('a','b')", b"1", None),
        ("tinyint(1)", "int", b"5", "5"),
        ("tinyint(1)", "varchar(9)", b"5", '"5"'),
        ("year", "int", b"0000", "0"),
        ("year", "varchar(4)", b"0000", '"0000"'),
        ("decimal(10,2)", "int", b"5.00", "5"),
        ("decimal(10,2)", "int", b"5.01", None),
        ("decimal(10,0)", "bigint", b"-5", "-5"),
        ("decimal(10,2)", "varchar(20)", b"-0.50", '"-0.50"'),
        ("decimal(10,2)", "double", b"-0.50", "-0.50"),
        ("double", "varchar(20)", b"1.5E+00", '"1.5"'),
        ("double", "varchar(20)", b"2E+00", '"2"'),
        ("double", "int", b"2E+00", "2"),
        ("double", "int", b"2.5E+00", None),
        ("double", "bigint", b"1E+300", None),
        ("double", "decimal(10,2)", b"2.5E+00", "2.5"),
        ("bit(12)", "int", b"\x0a\xaa", "2730"),
        ("bit(1)", "int", b"\x01", "1"),
        ("bit(1)", "bit(12)", b"\x01", '"AAE="'),
        ("bit(12)", "bit(1)", b"\x00\x01", "true"),
        ("bit(12)", "bit(1)", b"\x0a\xaa", None),
        ("bit(12)", "bit(20)", b"\x0a\xaa", '"AAqq"'),
        ("date", "datetime", b"2024-02-29", '"2024-02-29T00:00:00.000000"'),
        ("date", "datetime(3)", b"2024-02-29", '"2024-02-29T00:00:00.000000"'),
        ("date", "datetime", b"0000-00-00", None),
        ("date", "timestamp", b"2024-02-29", None),
        ("date", "varchar(10)", b"2024-02-29", '"2024-02-29"'),
        ("datetime", "date", b"2024-02-29 00:00:00", '"2024-02-29"'),
        ("datetime(3)", "date", b"2024-02-29 00:00:00.000", '"2024-02-29"'),
        ("datetime(3)", "date", b"2024-02-29 00:00:00.001", None),
        ("datetime", "date", b"2024-02-29 00:00:01", None),
        ("datetime", "timestamp", b"2024-02-29 00:00:00", None),
        ("datetime", "text", b"2024-02-29 00:00:00", '"2024-02-29 00:00:00"'),
        ("timestamp", "datetime", b"2024-02-29 00:00:00", None),
        ("timestamp", "text", b"2024-02-29 00:00:00", '"2024-02-29T00:00:00.000000+00:00"'),
        ("time", "varchar(20)", b"-838:59:59", '"-838:59:59"'),
        ("time", "datetime", b"12:34:56", None),
        ("varchar(9)", "int", b"5", None),
        ("varchar(9)", "date", b"2024-02-29", None),
        ("varchar(9)", "text", b"5", '"5"'),
        ("varchar(9)", "json", b"5", '"5"'),
        ("varchar(9)", "varbinary(9)", b"\xff5", '"/zU="'),
        ("enum('a')", "varchar(9)", b"a", '"a"'),
        ("varbinary(9)", "varchar(9)", "é".encode(), '"é"'),
        ("varbinary(9)", "varchar(9)", b"\xff", None),
        ("vector(1)", "varchar(9)", bytes(4), None),
        ("newtype", "varchar(9)", b"a", '"a"'),
        ("newtype", "int", b"5", None),
    ],
)
def test_a_value_whose_type_has_changed_takes_the_new_type_where_that_loses_nothing(
    written: str, target: str, value: bytes, expected: str | None
) -> None:
    assert encoded(written, UNNAMED if written != "enum('a')" else None, target, value) == expected


def test_a_flag_stays_a_number_if_the_option_says_so() -> None:
    assert encoded("tinyint(1)", None, "int", b"5", tinyint1_as_boolean=False) == "5"
    assert encoded("int", None, "tinyint(1)", b"5", tinyint1_as_boolean=False) == "5"


TYPES = st.sampled_from(
    [family.example.column_type for family in FAMILIES] + ["int", "tinyint unsigned", "binary(3)", "new"]
)


@given(TYPES, TYPES | st.just(UNNAMED), TYPES, st.binary(max_size=12))
def test_any_change_of_type_gives_a_json_text_or_none(
    written: str, decoded: str, target: str, value: bytes
) -> None:
    encoded(written, decoded, target, value)
