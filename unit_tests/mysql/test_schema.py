"""Tables out of the rows of information_schema."""

from __future__ import annotations

from source_planetscale.mysql.schema import ColumnRow, KeyRow, assemble
from source_planetscale.table import Column, Table


def table(columns: list[tuple[str, str]], keys: list[tuple[str, int, str | None]]) -> Table:
    """Assembles a table `t` from columns (name, mark) and parts of keys (name, place, column)."""
    rows = [
        ColumnRow("t", place, name, "int", None, "NO", mark) for place, (name, mark) in enumerate(columns, 1)
    ]
    return assemble("shop", {"t": None}, reversed(rows), [KeyRow("t", *key) for key in reversed(keys)])[0]


def test_tables_and_columns_stand_in_order() -> None:
    rows = [
        ColumnRow("b", 2, "y", "varchar(9)", "latin1", "YES", ""),
        ColumnRow("b", 1, "x", "int", None, "NO", "PRI"),
        ColumnRow("a", 1, "id", "int", None, "NO", "PRI"),
        ColumnRow("a_view", 1, "id", "int", None, "NO", ""),
    ]
    keys = [KeyRow("a", "PRIMARY", 1, "id"), KeyRow("b", "PRIMARY", 1, "x")]
    assert assemble("shop", {"b": 1, "a": None}, rows, keys) == [
        Table("shop", "a", (Column("id", "int", "", False),), ("id",)),
        Table("shop", "b", (Column("x", "int", "", False), Column("y", "varchar(9)", "latin1")), ("x",)),
    ]


def test_a_composite_key_keeps_the_order_of_the_key() -> None:
    twin = [("AA", 1, "a"), ("AA", 2, "b")]
    found = table([("a", "PRI"), ("b", "PRI")], [*twin, ("PRIMARY", 1, "b"), ("PRIMARY", 2, "a")])
    assert found.primary_key == ("b", "a")


def test_ten_and_more_columns_of_a_key_are_ordered_by_number() -> None:
    names = [f"c{number}" for number in range(12)]
    found = table([(name, "PRI") for name in names], [("PRIMARY", i, n) for i, n in enumerate(names, 1)])
    assert found.primary_key == tuple(names)


def test_the_unique_key_that_mysql_marks_stands_in_for_a_primary_key() -> None:
    found = table(
        [("n", "UNI"), ("a", "PRI"), ("b", "UNI")], [("aa", 1, "b"), ("ab", 1, "n"), ("zz", 1, "a")]
    )
    assert found.primary_key == ("a",)


def test_a_unique_key_over_an_expression_is_no_primary_key() -> None:
    found = table([("a", "")], [("u", 1, None)])
    assert found.primary_key == ()


def test_a_table_without_keys_has_none() -> None:
    found = table([("a", ""), ("b", "")], [])
    assert found.primary_key == ()


def test_a_table_that_was_created_between_the_queries_is_left_for_the_next_run() -> None:
    assert assemble("shop", {"new": 0}, [], []) == []
