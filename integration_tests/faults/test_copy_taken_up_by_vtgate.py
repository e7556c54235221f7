"""Copies that vtgate itself takes up, on another tablet or in its next part of time: no row is left out.

vtgate goes on behind the last key that it has sent and tells the client nothing. For some keys that skips
rows: those that MySQL sorts otherwise than it compares them with a literal, and those that can be null.
"""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from integration_tests.support.command import Command, configured, read
from integration_tests.support.copying import fill, finish_within, is_copying, read_around
from integration_tests.support.followed_table import FollowedTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.support.command import Run
    from integration_tests.vitess.real_cluster import RealCluster

# More than the buffers between server and connector hold.
ROWS = 10_000
NOTE = "repeat('x', 600)"
SECONDS_OF_A_FILE = 0.3
FILES = 4


@dataclass(frozen=True)
class Key:
    """A key that a copy may or may not go on from.

    Attributes:
        columns: The columns of the key, and the key, as CREATE TABLE has them.
        values: Expressions for these columns, of the row's number `n`.
    """

    columns: str
    values: str


KEYS = {
    "bigint": Key("id bigint, primary key (id)", "n"),
    "varchar": Key("id bigint, name varchar(20), primary key (name)", "n, concat('k', n)"),
    # Labels sort by their number and are compared by their text, in which they go backwards.
    "enum": Key(
        "kind enum('z', 'm', 'b', 'a'), id bigint, primary key (kind, id)",
        "elt(1 + n % 4, 'z', 'm', 'b', 'a'), n",
    ),
    "set": Key(
        "kinds set('z', 'm', 'b', 'a'), id bigint, primary key (kinds, id)",
        "elt(1 + n % 4, 'z', 'm', 'b', 'a'), n",
    ),
    # Each of them is less than the decimal number that stands for it.
    "float": Key(
        "amount float, id bigint, primary key (amount, id)", "elt(1 + n % 4, 0.7, 0.9, 1.4, 2.3), n"
    ),
    # Nothing is greater than null.
    "none": Key("part int, id bigint", "if(n % 10, null, n), n"),
    "nullable": Key("part int, id bigint, unique key (part, id)", "if(n % 10, null, n), n"),
}


@pytest.fixture(scope="module")
def keyspace(real_cluster: RealCluster) -> Iterator[str]:
    """A keyspace whose two tablets can take over from each other."""
    with real_cluster.keyspace("taken_up", {"0": 2}) as keyspace:
        yield keyspace


@pytest.fixture(scope="module")
def impatient(real_cluster: RealCluster) -> Iterator[str]:
    """A keyspace whose tablet ends each part of a copy after a moment."""
    flags = ("--vreplication-copy-phase-duration=150ms",)
    with real_cluster.keyspace("impatient", {"0": 1}, tablet_flags=flags) as keyspace:
        yield keyspace


def filled_table(cluster: RealCluster, keyspace: str, kind: str) -> FollowedTable:
    """A table of many rows with a kind of key."""
    key = KEYS[kind]
    table = FollowedTable(cluster, keyspace, f"create table keyed_{kind} ({key.columns}, note varchar(1000))")
    fill(cluster.primary(keyspace, "0"), table.table, ROWS, f"{key.values}, {NOTE}")
    return table


def missing(done: Run, table: FollowedTable) -> int:
    """How many rows a sync has left out without saying so."""
    if done.statuses(table.table)[-1] == "INCOMPLETE":
        assert done.exit_code != 0
        return 0
    return ROWS - len({record["id"] for record in done.records(table.table)})


@pytest.mark.parametrize("kind", KEYS)
def test_a_failover_in_a_copy_leaves_no_row_out(real_cluster: RealCluster, keyspace: str, kind: str) -> None:
    table = filled_table(real_cluster, keyspace, kind)
    old = real_cluster.primary(keyspace, "0")

    def fail_over() -> None:
        assert is_copying(old, table.table)
        real_cluster.planned_reparent(keyspace, "0")

    done = read_around(real_cluster, table.config, table.table, fail_over)
    assert missing(done, table) == 0


@pytest.mark.parametrize("kind", KEYS)
def test_a_copy_longer_than_the_servers_time_for_a_part_leaves_no_row_out(
    real_cluster: RealCluster, impatient: str, kind: str
) -> None:
    table = filled_table(real_cluster, impatient, kind)
    assert missing(read(table.config, table.table), table) == 0


@contextmanager
def new_binlog_files(cluster: RealCluster, keyspace: str, files: int) -> Iterator[None]:
    """Has a MySQL server begin so many binlog files at most, each with a transaction in it."""
    beside = FollowedTable(cluster, keyspace, "create table beside (id bigint auto_increment primary key)")
    primary = cluster.primary(keyspace, "0")
    ended = threading.Event()

    def begin_files() -> None:
        with closing(primary.connect()) as connection, connection.cursor() as cursor:
            for _ in range(files):
                cursor.execute(f"insert into {primary.database}.{beside.table} values ()")  # noqa: S608 - our own
                cursor.execute("flush binary logs")
                if ended.wait(SECONDS_OF_A_FILE):
                    return

    thread = threading.Thread(target=begin_files, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def read_meanwhile(cluster: RealCluster, keyspace: str, table: FollowedTable, files: int) -> Run:
    """Reads a table while binlog files begin."""
    catalog = configured(table.table, namespace=keyspace)
    with (
        new_binlog_files(cluster, keyspace, files),
        Command(["read"], table.config, catalog, warm=True) as command,
    ):
        return finish_within(command)


@pytest.mark.parametrize("kind", KEYS)
def test_a_copy_whose_parts_lie_in_several_binlog_files_comes_to_an_end(
    real_cluster: RealCluster, impatient: str, kind: str
) -> None:
    table = filled_table(real_cluster, impatient, kind)
    can_go_on = kind in ("bigint", "varchar")
    # Each of them costs a copy that goes on a second or two; one that cannot sees no end of them.
    done = read_meanwhile(real_cluster, impatient, table, FILES if can_go_on else FILES * 1000)
    assert missing(done, table) == 0
    if can_go_on:
        assert done.statuses(table.table)[-1] == "COMPLETE"
    elif done.statuses(table.table)[-1] == "INCOMPLETE":
        assert "--vreplication-copy-phase-duration" in done.errors_of(table.table)[0]


@pytest.mark.parametrize("kind", KEYS)
def test_binlog_files_that_begin_during_a_copy_in_one_part_are_nothing_to_it(
    real_cluster: RealCluster, keyspace: str, kind: str
) -> None:
    table = filled_table(real_cluster, keyspace, kind)
    done = read_meanwhile(real_cluster, keyspace, table, FILES)
    assert done.statuses(table.table)[-1] == "COMPLETE"
    assert missing(done, table) == 0
    assert not any("starts again" in line or "broke off" in line for line in done.logs)
