"""Failovers and restarts under a connector that reads a table which is written to all the time."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from integration_tests.support.command import Command, configured
from integration_tests.support.copying import fill, finish_within, read_around
from integration_tests.support.live_table import LiveTable
from integration_tests.vitess.processes import wait_until
from integration_tests.vitess.topology import shard_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.support.command import Run
    from integration_tests.vitess.real_cluster import RealCluster
    from integration_tests.vitess.server import Server
    from integration_tests.vitess.tablets import Tablet

SHARD = "0"
EIGHT = shard_names(8)
# More than the buffers between server and connector hold, in transactions.
PADDING_TRANSACTIONS = 30
PADDING_ROWS = 500
PADDING_IDS = 1_000_000

SECONDS = 60.0
AWAY_SECONDS = 5.0
TIMEOUT_SECONDS = 30.0
AHEAD = r"ahead of the server|lost"


@pytest.fixture
def live(real_cluster: RealCluster) -> Iterator[LiveTable]:
    """A table in a keyspace of its own with a primary and a replica."""
    with real_cluster.keyspace("live", {SHARD: 2}) as keyspace:
        yield LiveTable(real_cluster, keyspace)


@pytest.fixture
def durable(real_cluster: RealCluster) -> Iterator[LiveTable]:
    """A table of which a failover loses nothing that was committed."""
    with real_cluster.keyspace("durable", {SHARD: 3}, durability="semi_sync") as keyspace:
        yield LiveTable(real_cluster, keyspace)


def pad(cluster: RealCluster, live: LiveTable) -> None:
    """Inserts many large rows that nobody writes to afterwards."""
    primary = cluster.primary(live.keyspace, SHARD)
    for number in range(PADDING_TRANSACTIONS):
        first = PADDING_IDS + number * PADDING_ROWS
        fill(primary, live.table, PADDING_ROWS, f"{first} + n, 0, 0, repeat('x', 600)")


def planned(cluster: RealCluster, keyspace: str) -> None:
    """Makes a replica the primary."""
    cluster.planned_reparent(keyspace, SHARD)


def emergency(cluster: RealCluster, keyspace: str) -> None:
    """Kills the primary, and makes a replica one in its place."""
    cluster.primary(keyspace, SHARD).kill()
    cluster.emergency_reparent(keyspace, SHARD)


FAILOVERS = {"planned": planned, "emergency": emergency}


@contextmanager
def in_background(action: Callable[[], object]) -> Iterator[threading.Thread]:
    """An action for another thread to take, which is over when the context ends."""
    failed: list[BaseException] = []

    def act() -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=act, daemon=True)
    try:
        yield thread
    finally:
        thread.join()
    assert failed == []


def read_through(
    cluster: RealCluster, live: LiveTable, action: Callable[[], object], **config: object
) -> Run:
    """Reads the table, and begins an action in the middle of it that may last longer than the sync."""
    config = {**live.config, "checkpoint_target_interval_seconds": 1, **config}
    with in_background(action) as thread:
        done = read_around(cluster, config, live.table, thread.start, state=live.state)
    live.load(done)
    return done


def assert_nothing_twice_that_was_saved(done: Run, table: str) -> None:
    """Rows that nobody writes to do not come again after a state that covers them."""
    covered: set[int] = set()
    came: set[int] = set()
    again: set[int] = set()
    for message in done.messages:
        if message["type"] == "STATE":
            covered |= came
        elif message["type"] == "RECORD" and message["record"]["stream"] == table:
            number = message["record"]["data"]["id"]
            if number >= PADDING_IDS:
                again |= {number} & covered
                came.add(number)
    assert again == set()


# --- failovers that lose nothing ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAILOVERS)
def test_a_failover_in_the_first_copy_is_waited_for(
    real_cluster: RealCluster, durable: LiveTable, kind: str
) -> None:
    pad(real_cluster, durable)
    with durable.written():
        done = read_through(real_cluster, durable, lambda: FAILOVERS[kind](real_cluster, durable.keyspace))
        assert done.statuses(durable.table)[-1] == "COMPLETE"
    durable.sync_the_rest()
    durable.assert_equal()
    assert_nothing_twice_that_was_saved(done, durable.table)


@pytest.mark.parametrize("kind", FAILOVERS)
def test_a_failover_in_catch_up_is_waited_for(
    real_cluster: RealCluster, durable: LiveTable, kind: str
) -> None:
    with durable.written():
        durable.first_sync()
        pad(real_cluster, durable)
        done = read_through(real_cluster, durable, lambda: FAILOVERS[kind](real_cluster, durable.keyspace))
        assert done.statuses(durable.table)[-1] == "COMPLETE"
    durable.sync_the_rest()
    durable.assert_followed()


@pytest.mark.parametrize("kind", FAILOVERS)
def test_a_failover_between_two_syncs_is_not_noticed(
    real_cluster: RealCluster, durable: LiveTable, kind: str
) -> None:
    with durable.written():
        durable.first_sync()
        FAILOVERS[kind](real_cluster, durable.keyspace)
        durable.sync()
    durable.sync_the_rest()
    durable.assert_followed()


# --- failovers that lose transactions -------------------------------------------------------------------


class Loss:
    """A failover that loses what was written since the replica was cut off."""

    def __init__(self, cluster: RealCluster, keyspace: str) -> None:
        """Cuts the replica off from the primary as soon as it has everything."""
        self._cluster = cluster
        self._primary = cluster.primary(keyspace, SHARD)
        (self._replica,) = cluster.replicas(keyspace, SHARD)
        executed = self._primary.position()
        wait_until(lambda: self._replica.has_executed(executed), "the replica has everything", SECONDS)
        # Its vttablet has to run: none starts for a shard whose primary is dead.
        self._replica.execute("stop replica io_thread")

    def fail_over(self) -> None:
        """Kills the primary, and lets the replica take its place with what it has."""
        self._primary.kill()
        self._cluster.emergency_reparent(self._replica.keyspace, SHARD, self._replica)


def test_a_saved_position_that_a_failover_has_lost_is_told(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    live.first_sync()
    loss = Loss(real_cluster, live.keyspace)
    live.write(20)
    live.sync()
    loss.fail_over()
    live.write(20)
    refused = live.try_sync()
    assert refused.exit_code != 0
    assert refused.statuses(live.table)[-1] == "INCOMPLETE"
    (message,) = refused.errors_of(live.table)
    assert re.search(AHEAD, message)
    again = live.try_sync(invalid_cdc_cursor_position_behavior="Re-sync data")
    assert again.statuses(live.table)[-1] == "COMPLETE"
    came = {record["id"] for record in again.records(live.table)}
    assert came >= {row["id"] for row in live.source()}


def test_a_stop_position_that_a_failover_has_lost_ends_all_the_same(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    live.first_sync()
    pad(real_cluster, live)
    loss = Loss(real_cluster, live.keyspace)
    # Beyond what the sync has received when the primary goes, and before where it is to stop.
    live.sql("insert into {t} (id, home, rev, note) values (5000000, 0, 0, 'lost')")
    done = read_through(real_cluster, live, lambda: written_after(loss, live), timeout_seconds=20)
    if done.statuses(live.table)[-1] == "INCOMPLETE":
        (message,) = done.errors_of(live.table)
        assert re.search(AHEAD, message)
    live.sync_the_rest()
    live.assert_followed()


def written_after(loss: Loss, live: LiveTable) -> None:
    """Fails over, and has the table written to for as long as a sync may take to notice."""
    loss.fail_over()
    with live.written():
        time.sleep(40)


def test_a_copy_whose_snapshot_a_failover_has_lost_begins_anew_or_says_why(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    pad(real_cluster, live)
    loss = Loss(real_cluster, live.keyspace)
    live.sql("insert into {t} (id, home, rev, note) values (5000000, 0, 0, 'lost')")
    done = read_through(real_cluster, live, loss.fail_over, timeout_seconds=20)
    if done.statuses(live.table)[-1] == "INCOMPLETE":
        (message,) = done.errors_of(live.table)
        assert re.search(AHEAD, message)
    else:
        came = {record["id"] for record in done.records(live.table)}
        assert came >= {row["id"] for row in live.source()}


# --- servers that are away for some seconds -------------------------------------------------------------


@dataclass(frozen=True)
class Restarted:
    """One of the servers between the table and the connector."""

    server: Server
    primary: Tablet

    def restart(self) -> None:
        """Kills the server, and starts it again some seconds later."""
        self.server.kill()
        time.sleep(AWAY_SECONDS)
        self.server.start()
        if self.server is self.primary.mysqld:
            self.primary.allow_writes()


@pytest.fixture(params=["vtgate", "vttablet", "mysqld"])
def restarted(
    real_cluster: RealCluster, live: LiveTable, request: pytest.FixtureRequest
) -> Iterator[Restarted]:
    """Each of the servers in its turn."""
    primary = real_cluster.primary(live.keyspace, SHARD)
    servers = {"vtgate": real_cluster.vtgate, "vttablet": primary.vttablet, "mysqld": primary.mysqld}
    yield Restarted(servers[request.param], primary)
    real_cluster.start_vtgate()


def test_a_server_that_is_away_in_the_first_copy_is_waited_for(
    real_cluster: RealCluster, live: LiveTable, restarted: Restarted
) -> None:
    pad(real_cluster, live)
    with live.written():
        done = read_through(real_cluster, live, restarted.restart)
        assert done.statuses(live.table)[-1] == "COMPLETE"
    live.sync_the_rest()
    live.assert_equal()
    assert_nothing_twice_that_was_saved(done, live.table)


def test_a_server_that_is_away_in_catch_up_is_waited_for_whatever_max_retries_says(
    real_cluster: RealCluster, live: LiveTable, restarted: Restarted
) -> None:
    with live.written():
        live.first_sync()
        pad(real_cluster, live)
        done = read_through(real_cluster, live, restarted.restart, max_retries=0)
        assert done.statuses(live.table)[-1] == "COMPLETE"
    live.sync_the_rest()
    live.assert_followed()


def test_a_server_that_is_away_when_a_sync_begins_is_waited_for(
    live: LiveTable, restarted: Restarted
) -> None:
    with live.written():
        live.first_sync()
        live.write(20)
        with in_background(restarted.restart) as thread:
            thread.start()
            while restarted.server.running:
                time.sleep(0.01)
            live.sync()
    live.sync_the_rest()
    live.assert_followed()


def test_a_shard_that_stays_away_is_given_up_after_one_timeout_in_all(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    live.first_sync()
    for tablet in real_cluster.tablets(live.keyspace):
        tablet.kill()
    begun = time.monotonic()
    config = {**live.config, "timeout_seconds": TIMEOUT_SECONDS}
    catalog = configured(live.table, namespace=live.keyspace)
    with Command(["read"], config, catalog, live.state, warm=True) as command:
        done = finish_within(command)
    assert done.exit_code != 0
    assert done.statuses(live.table)[-1] == "INCOMPLETE"
    # Not one for its columns, one for its position and one for its rows.
    assert TIMEOUT_SECONDS * 0.9 < time.monotonic() - begun < TIMEOUT_SECONDS * 2


def test_one_of_eight_shards_that_is_down_costs_the_others_nothing_and_is_all_that_the_next_sync_brings(
    real_cluster: RealCluster,
) -> None:
    with real_cluster.keyspace("eight", dict.fromkeys(EIGHT, 1)) as keyspace:
        live = LiveTable(real_cluster, keyspace)
        rows = {
            shard: {
                number for (number,) in real_cluster.execute("select id from live", f"{keyspace}:{shard}")
            }
            for shard in EIGHT
        }
        down = real_cluster.primary(keyspace, EIGHT[3])
        down.kill()
        begun = time.monotonic()
        config = {**live.config, "timeout_seconds": TIMEOUT_SECONDS}
        catalog = configured(live.table, namespace=keyspace)
        with Command(["read"], config, catalog, warm=True) as command:
            missing = set().union(*rows.values()) - rows[down.shard]
            while missing:
                missing.discard(command.next_message("RECORD")["record"]["data"]["id"])
            assert time.monotonic() - begun < TIMEOUT_SECONDS / 2
            done = finish_within(command)
        assert TIMEOUT_SECONDS * 0.9 < time.monotonic() - begun < TIMEOUT_SECONDS * 2
        assert done.statuses(live.table)[-1] == "INCOMPLETE"
        (message,) = done.errors_of(live.table)
        assert f"shard {down.shard}" in message
        live.load(done)
        down.start()
        real_cluster.wait_until_answering([keyspace], SECONDS)
        assert {record["id"] for record in live.sync().records(live.table)} == rows[down.shard]
        live.assert_equal()
