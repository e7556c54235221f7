"""Which tables a configuration has listed."""

from __future__ import annotations

from typing import Any

import pytest

from source_planetscale.config import Config
from source_planetscale.errors import ConfigError

MINIMAL = {"host": "db.example.com", "database": "shop", "username": "u", "password": "pw-1234"}


def patterns(filters: Any) -> tuple[str, ...]:
    return Config.parse({**MINIMAL, "table_filters": filters}).keyspace.table_patterns


def entry(*names: str, database: str = "shop") -> dict[str, Any]:
    return {"database_name": database, "table_name_patterns": list(names)}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, ()),
        ([], ()),
        ([entry("order%")], ("order%",)),
        ([entry("order%", "a_b"), entry("order%", "c")], ("order%", "a_b", "c")),
        ([{"Database_Name": "shop", "TABLE_NAME_PATTERNS": ["a"]}], ("a",)),
    ],
)
def test_the_patterns_of_all_filters_count(filters: Any, expected: tuple[str, ...]) -> None:
    assert patterns(filters) == expected


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ("order%", "table_filters must be a list of objects"),
        (["order%"], "table_filters must be a list of objects"),
        ([entry("a", database="other")], "table_filters.database_name must be shop"),
        ([{"table_name_patterns": ["a"]}], "table_filters.database_name is missing"),
        ([entry()], "table_filters.table_name_patterns is missing"),
        ([entry(" ")], "table_filters.table_name_patterns must be a list of texts"),
        ([{"database_name": "shop", "table_name_patterns": "a"}], "must be a list of texts"),
    ],
)
def test_a_filter_of_another_form_is_refused_by_its_field(filters: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        patterns(filters)
    assert sentence in caught.value.message
