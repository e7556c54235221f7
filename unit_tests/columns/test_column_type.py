"""The text of a column's type, as information_schema and FIELD events write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.columns.column_type import ColumnType
from source_planetscale.columns.families import FAMILIES, family_of, key_types
from source_planetscale.vstream.wire import vstream_pb2 as wire


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int", ColumnType("int")),
        ("int(11)", ColumnType("int", (11,))),
        ("bigint unsigned", ColumnType("bigint", unsigned=True)),
        ("int(5) unsigned zerofill", ColumnType("int", (5,), unsigned=True)),
        ("decimal(10,2) unsigned", ColumnType("decimal", (10, 2), unsigned=True)),
        ("FLOAT(7, 3)", ColumnType("float", (7, 3))),
        ("enum('unsigned','(3)')", ColumnType("enum", labels=("unsigned", "(3)"))),
        ("set('')", ColumnType("set", labels=("",))),
        ("something new", ColumnType("something")),
        ("", ColumnType("")),
    ],
)
def test_a_type_is_read(text: str, expected: ColumnType) -> None:
    assert ColumnType.parse(text) == expected


@pytest.mark.parametrize(
    ("column_type", "labels"),
    [
        ("enum('a','b')", ("a", "b")),
        ("enum('it''s','''','')", ("it's", "'", "")),
        ("set('x,y','(p)','d\"d')", ("x,y", "(p)", 'd"d')),
        (r"enum('a\\b','n\nl','r\rl','z\0z')", ("a\\b", "n\nl", "r\rl", "z\0z")),
        ("enum('tab\there','é')", ("tab\there", "é")),
    ],
)
def test_labels_are_read_as_the_information_schema_writes_them(
    column_type: str, labels: tuple[str, ...]
) -> None:
    assert ColumnType.parse(column_type).labels == labels


@given(st.lists(st.text(), min_size=1))
def test_any_labels_come_back(labels: list[str]) -> None:
    escapes = str.maketrans({"'": "''", "\\": r"\\", "\0": r"\0", "\n": r"\n", "\r": r"\r"})
    quoted = ",".join(f"'{label.translate(escapes)}'" for label in labels)
    assert ColumnType.parse(f"enum({quoted})").labels == tuple(labels)


@given(st.text())
def test_any_text_is_some_type(text: str) -> None:
    ColumnType.parse(text)
    family_of(text)
    key_types(text)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.example.column_type)
def test_the_types_of_keys_are_types_of_the_wire(family: object) -> None:
    assert isinstance(family, type(FAMILIES[0]))
    for names in family.key_types.values():
        assert all(name in wire.FieldType.keys() for name in names)  # noqa: SIM118 - no mapping
