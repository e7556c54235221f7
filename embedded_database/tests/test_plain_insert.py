"""The quick way of INSERT reads the same values as the SQL parser, or leaves the statement to it."""

# ruff: noqa: S608 - statements that are only read

from __future__ import annotations

import pymysql.converters
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_database.sql import rewrite
from embedded_database.sql.plain_insert import scan

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**64),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)


def spelled(value: object) -> str:
    """A value as PyMySQL writes it into a statement."""
    return str(pymysql.converters.escape_item(value, "utf8mb4"))


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=4))
def test_values_are_read_as_they_were_meant(rows: list[list[object]]) -> None:
    text = ", ".join(f"({', '.join(map(spelled, row))})" for row in rows)

    plain = scan(f"insert into t (a, `b`) values {text}")

    assert plain is not None
    assert (plain.table, plain.columns, plain.rows) == ("t", ["a", "b"], rows)


@pytest.mark.parametrize(
    "value",
    [
        "-1.50",
        "1e-7",
        "'it''s'",
        r"'a\'b\\\n%'",
        "x'00fF'",
        "007",
        "'('",
        "null",
        "_binary X'00ff'",
        "_binary'a'",
    ],
)
def test_literals_have_the_parsers_values(value: str) -> None:
    plain = scan(f"INSERT INTO t VALUES ({value})")
    node = rewrite.parse(f"select {value}").expressions[0]

    assert plain is not None
    assert plain.rows == [[rewrite.literal(node)[1]]]


@pytest.mark.parametrize(
    "sql",
    [
        "insert into t values (now())",
        "insert into t values (1 + 1)",
        "insert into t values (default)",
        "insert into t values ('a' 'b')",
        "insert into t values (1) on duplicate key update a = 1",
        "insert ignore into t values (1)",
        "insert into other.t values (1)",
        "insert into t select 1",
        "insert into t values (1), ",
        "insert into t values (1",
        "replace into t values (1)",
    ],
)
def test_anything_else_is_left_to_the_parser(sql: str) -> None:
    assert scan(sql) is None
