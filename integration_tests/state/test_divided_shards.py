"""A keyspace whose shards are divided between connections: each row comes once, and shards can move."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.database import EmbeddedDatabase
from integration_tests.support.command import configured, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.support.command import Json, Run

SHARDS = ["-40", "40-80", "80-c0", "c0-"]
CATALOG = configured("t", namespace="shop")
ROWS = 400


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    with EmbeddedDatabase({"shop": SHARDS}) as database:
        database.create_table("shop", "create table t (id int primary key, v int)")
        database.load("shop", "t", ((number, 0) for number in range(ROWS)))
        yield database


def read(database: EmbeddedDatabase, shards: str, state: list[Json] | None = None) -> Run:
    done = run("read", config=database.config("shop", shards=shards), catalog=CATALOG, state=state)
    assert done.exit_code == 0
    assert done.statuses("t")[-1] == "COMPLETE"
    return done


def ids(*runs: Run) -> list[int]:
    return sorted(record["id"] for done in runs for record in done.records("t"))


@pytest.mark.parametrize(
    ("one", "other"), [("-80", "80-"), ("-40,80-C0", "shop/40-80 shop/c0-"), ("-4", "40-80,8-c,c-")]
)
def test_two_connections_that_divide_the_shards_give_each_row_once(
    database: EmbeddedDatabase, one: str, other: str
) -> None:
    first, second = read(database, one), read(database, other)
    assert ids(first, second) == list(range(ROWS))
    assert not set(first.stream_state("t")["shards"]) & set(second.stream_state("t")["shards"])
    database.execute("update t set v = 1", "shop")
    assert ids(read(database, one, first.state), read(database, other, second.state)) == list(range(ROWS))


def test_a_shard_moves_to_the_other_connection_with_its_state(database: EmbeddedDatabase) -> None:
    first, second = read(database, "-c0"), read(database, "c0-")
    moved = copy.deepcopy(second.state)
    shards_of(moved)["80-c0"] = shards_of(first.state)["80-c0"]
    database.execute("update t set v = 1", "shop")
    assert ids(read(database, "-80", without(first.state, "80-c0")), read(database, "80-", moved)) == list(
        range(ROWS)
    )


def test_a_shard_that_moves_without_its_state_is_copied_by_its_new_connection(
    database: EmbeddedDatabase,
) -> None:
    first, second = read(database, "-c0"), read(database, "c0-")
    rows_of_the_shard = set(ids(read(database, "80-c0")))
    assert (
        set(ids(read(database, "-80", first.state), read(database, "80-", second.state))) == rows_of_the_shard
    )


def shards_of(state: list[Json]) -> dict[str, Any]:
    shards: dict[str, Any] = state[0]["stream"]["stream_state"]["shards"]
    return shards


def without(state: list[Json], shard: str) -> list[Json]:
    left = copy.deepcopy(state)
    del shards_of(left)[shard]
    return left
