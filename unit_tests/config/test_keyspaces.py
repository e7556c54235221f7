"""Which keyspaces a configuration reads, and what of each."""

from __future__ import annotations

from typing import Any

import pytest

from source_planetscale.config import Config
from source_planetscale.endpoint import Keyspace
from source_planetscale.errors import ConfigError

MINIMAL = {"host": "db.example.com", "database": "shop", "username": "u", "password": "pw-1234"}


def parse(**fields: Any) -> Config:
    return Config.parse({**MINIMAL, **fields})


def refusal(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(**fields)
    return caught.value.message


def entry(database: str, *patterns: str) -> dict[str, Any]:
    return {"database_name": database, "table_name_patterns": list(patterns)}


@pytest.mark.parametrize("text", ["", " , ", "shop", "shop, shop"])
def test_a_database_alone_is_read_as_ever(text: str) -> None:
    config = parse(keyspaces=text, shards="-80,src/-80")
    assert config == parse(shards="-80,src/-80")
    assert config.keyspace == Keyspace("shop", shards=("-80", "src/-80"))


@pytest.mark.parametrize("text", ["users,tenant_%", " users , tenant_%,", "users tenant_%\nshop,users"])
def test_further_keyspaces_are_names_and_patterns(text: str) -> None:
    choice = parse(keyspaces=text).keyspaces
    assert choice.names == ("shop", "users")
    assert choice.patterns == ("tenant_%",)
    assert choice.several


@pytest.mark.parametrize("text", ["users@replica", "users/-80", "users:-80"])
def test_a_target_is_no_keyspace(text: str) -> None:
    assert "keyspaces must list bare names" in refusal(keyspaces=text)


def test_shards_are_those_of_the_database_or_of_the_keyspace_before_them() -> None:
    config = parse(keyspaces="users, t%", shards="-80, users/80-, t1:0, shop/80-")
    assert config.keyspace_named("shop").shards == ("-80", "shop/80-")
    assert config.keyspace_named("users").shards == ("users/80-",)
    assert config.keyspace_named("t1").shards == ("t1:0",)
    assert config.keyspace_named("t2").shards == ()


def test_shards_of_a_keyspace_that_is_not_read_are_refused() -> None:
    assert "shards names a keyspace that this source does not read" in refusal(
        keyspaces="users", shards="-80, other/-80"
    )


def test_filters_are_for_one_keyspace_each() -> None:
    filters = [entry("users", "a%"), entry("shop", "b"), entry("users", "c", "a%")]
    config = parse(keyspaces="users,t%", table_filters=filters)
    assert config.keyspace_named("shop").table_patterns == ("b",)
    assert config.keyspace_named("users").table_patterns == ("a%", "c")
    assert config.keyspace_named("t1").table_patterns == ()


def test_filters_of_a_keyspace_that_is_not_read_are_refused() -> None:
    assert "table_filters.database_name names a keyspace that this source does not read" in refusal(
        keyspaces="users", table_filters=[entry("other", "a")]
    )


def test_shards_are_shown_with_their_keyspace_where_there_are_several() -> None:
    assert parse().keyspace.place("-80") == "-80"
    assert parse(keyspaces="users").keyspace.place("-80") == "shop/-80"
    assert parse(keyspaces="users").keyspace_named("users").place("-80") == "users/-80"
