"""Syncs of many tables: one stream for each shard's log, and copies side by side."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from embedded_database import EmbeddedDatabase
from embedded_database.relay import Relay, delay
from integration_tests.support.command import read_well
from integration_tests.support.tables import create, insert, on_shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded_database.contract.database import Database
    from integration_tests.support.command import Run

SECONDS_OF_A_FAR_SERVER = 0.05


def names_of(count: int) -> list[str]:
    return [f"many_{number:04}" for number in range(count)]


def streams_opened(done: Run) -> int:
    """The number of VStreams that the sync says it has opened."""
    (count,) = re.findall(r"VStreams opened: ([\d,]+)", "\n".join(done.logs))
    return int(count.replace(",", ""))


@pytest.fixture(scope="module")
def tables(database: Database) -> list[str]:
    """28 tables with a row in each shard."""
    names = names_of(28)
    create(database, "shop", *(f"create table {name} (id bigint primary key, qty int)" for name in names))
    for shard, key in (("-80", 1), ("80-", 2)):
        for name in names:
            insert(database, "shop", shard, name, [(key, 0)])
    return names


def test_changes_of_many_tables_come_over_one_stream_for_each_shard(
    database: Database, tables: list[str]
) -> None:
    config = database.config("shop")
    first = read_well(config, *tables)
    for shard in ("-80", "80-"):
        for name in tables:
            on_shard(database, "shop", shard, f"update {name} set qty = qty + 1")  # noqa: S608 - the test's own
    second = read_well(config, *tables, state=first.state)
    assert streams_opened(second) == 2
    for name in tables:
        assert sorted((row["id"], row["qty"]) for row in second.records(name)) == [(1, 1), (2, 1)]
        assert second.statuses(name)[-1] == "COMPLETE"


def test_tables_at_two_positions_take_one_stream_more_for_each_shard(
    database: Database, tables: list[str]
) -> None:
    config = database.config("shop")
    first = read_well(config, *tables)
    for name in tables:
        on_shard(database, "shop", "-80", f"update {name} set qty = 7")  # noqa: S608 - the test's own
    ahead = read_well(config, *tables[:14], state=first.state)
    for name in tables:
        on_shard(database, "shop", "-80", f"update {name} set qty = 8")  # noqa: S608 - the test's own
    states = {state["stream"]["stream_descriptor"]["name"]: state for state in [*first.state, *ahead.state]}
    done = read_well(config, *tables, state=list(states.values()))
    assert streams_opened(done) <= 4
    for name in tables[:14]:
        assert [row["qty"] for row in done.records(name)] == [8]
    for name in tables[14:]:
        assert [row["qty"] for row in done.records(name)] == [7, 8]


@contextmanager
def filled(count: int) -> Iterator[tuple[EmbeddedDatabase, list[str]]]:
    """A database with so many tables of one row."""
    names = names_of(count)
    tables = {"src": [f"create table {name} (id bigint primary key, qty int)" for name in names]}
    with EmbeddedDatabase.start(tables=tables) as database:
        for name in names:
            database.load("src", name, [(1, 0)])
        yield database, names


def test_small_tables_of_a_far_server_are_copied_side_by_side() -> None:
    with filled(100) as (database, names), Relay(database.grpc_port) as relay:
        relay.always(delay(SECONDS_OF_A_FAR_SERVER))
        done = read_well(database.config("src", grpc_port=relay.port), *names)
        # Each thread has a connection of its own, and a new one is opened only while all others are at work.
        assert relay.most_open >= 6
    assert streams_opened(done) == 100
    assert {name: len(done.records(name)) for name in names} == dict.fromkeys(names, 1)


def test_hundreds_of_tables_are_copied_and_followed_over_one_stream() -> None:
    with filled(300) as (database, names):
        first = read_well(database.config("src"), *names)
        nothing = read_well(database.config("src"), *names, state=first.state)
        on_shard(database, "src", "0", *(f"update {name} set qty = 1" for name in names))  # noqa: S608 - as above
        second = read_well(database.config("src"), *names, state=first.state)
    assert {name: len(first.records(name)) for name in names} == dict.fromkeys(names, 1)
    assert streams_opened(nothing) == 0
    assert streams_opened(second) == 1
    assert {name: len(second.records(name)) for name in names} == dict.fromkeys(names, 1)
