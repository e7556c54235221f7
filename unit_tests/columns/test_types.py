"""Every type: column type, wire bytes of each phase, and the JSON of the record."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.contract.type_cases import CASES, Case
from embedded_database.contract.type_fields import FIELDS
from source_planetscale.columns import Phase, Spelling, encoder_of, json_schema, stream_schema
from source_planetscale.columns.families import FAMILIES, UNKNOWN, family_of
from source_planetscale.table import Column, Table, WireColumn
from unit_tests.support.columns import encode_each

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


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.definition}-{case.literal}")
def test_the_bytes_of_a_value_give_its_json_in_both_phases(case: Case) -> None:
    column_type = FIELDS[case.definition].column_type
    for phase, value, text in (
        (Phase.COPY, case.copy, case.json),
        (Phase.CATCH_UP, case.changed, case.json_of_change or case.json),
        (Phase.CATCH_UP, case.changed_by(22), case.json_of_change or case.json),
    ):
        if value is not None:
            encoded = encode(column_type, value, phase, charset=case.charset)
            assert ("null" if encoded is None else encoded) == text


# Column type, wire value of both phases, JSON: what older servers send, and what none should.
OTHERS: list[tuple[str, bytes, str | None]] = [
    ("tinyint(4)", b"1", "1"),
    ("tinyint(1) unsigned", b"1", "1"),
    ("int(11)", b"0", "0"),
    ("int", b"", NULLED),
    ("int", b"1,2", NULLED),
    ("int", b"1\n", NULLED),
    ("int", b"1.5", NULLED),
    ("decimal(10,2)", b".5", "0.5"),
    ("decimal(10,2)", b"-.5", "-0.5"),
    ("decimal(10,2)", b".", NULLED),
    ("decimal(10,2)", b"", NULLED),
    ("float", b"1e999", NULLED),
    ("float", b"nan", NULLED),
    ("bit(1)", b"", NULLED),
    ("date", b"2024-W01-1", NULLED),
    ("date", b"20240101", NULLED),
    ("datetime", b"2024-01-02 24:00:00", NULLED),
    ("datetime", b'2024-01-02"03:04:05', NULLED),
    ("time", b"00:00:00\n00:00:00", NULLED),
    ("varchar(20)", b'a"b\\c\n\t\x00\x1f', r'"a\"b\\c\n\t\u0000\u001f"'),
    ("varchar(20)", b"\xff", NULLED),
    ("geomcollection", b"", NULLED),
    ("geometrycollection", b"\x00\x00\x00\x00", NULLED),
    ("vector(3)", b"", "[]"),
    ("vector(3)", b"\x00\x00\x00", NULLED),
    ("vector(3)", struct.pack("<f", float("nan")), NULLED),
    ("inet6", b"::1", '"::1"'),
    ("inet6", b"\xff", NULLED),
    ("", b"12", '"12"'),
]


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(("column_type", "value", "expected"), OTHERS)
def test_a_value_that_no_server_of_today_sends(
    column_type: str, value: bytes, expected: str | None, phase: Phase
) -> None:
    assert encode(column_type, value, phase) == expected


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
