"""Which types hold everything that another one held."""

from __future__ import annotations

import pytest

from source_planetscale.columns.families import widens


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("int", "int"),
        ("enum('x','y')", "enum('x','y','q')"),
        ("set('x')", "set('x','y')"),
        ("int", "bigint"),
        ("int unsigned", "bigint unsigned"),
        ("int(11)", "int"),
        ("varchar(10)", "varchar(20)"),
        ("decimal(10,2)", "decimal(12,4)"),
        ("datetime", "datetime(6)"),
        ("text", "longtext"),
    ],
)
def test_a_wider_type_of_the_same_kind_holds_all_values(old: str, new: str) -> None:
    assert widens(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("enum('x','y')", "enum('q','x','y')"),
        ("enum('x','y')", "enum('x')"),
        ("enum('x')", "enum('xx','x')"),
        ("bigint", "int"),
        ("int", "bigint unsigned"),
        ("int unsigned", "bigint"),
        ("varchar(20)", "varchar(10)"),
        ("varchar(20)", "text"),
        ("float", "double"),
    ],
)
def test_a_narrower_type_or_one_of_another_kind_does_not(old: str, new: str) -> None:
    assert not widens(old, new)
