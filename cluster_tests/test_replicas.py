"""Replicas that are behind, lack logs or do not know a table, under a connector that reads from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.support.command import Command, configured
from integration_tests.support.copying import finish_within
from integration_tests.support.live_table import LiveTable
from integration_tests.vitess.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.support.command import Run
    from integration_tests.vitess.real_cluster import RealCluster
    from integration_tests.vitess.tablets import Tablet

SHARD = "0"
SECONDS = 60.0
TIMEOUT_SECONDS = 10
# vtgate streams from no replica that is further behind; 30 s unless it is told otherwise.
LOW_LAG_FLAG = "--discovery-low-replication-lag=2s"
LAG_SECONDS = 5
ON_REPLICA = {"use_replica": True}
IMPATIENT = {**ON_REPLICA, "timeout_seconds": TIMEOUT_SECONDS}
FORKS = 8


@pytest.fixture
def live(real_cluster: RealCluster) -> Iterator[LiveTable]:
    """A table in a keyspace of its own with a primary and a replica."""
    with real_cluster.keyspace("live", {SHARD: 2}) as keyspace:
        yield LiveTable(real_cluster, keyspace)


@pytest.fixture
def strict(real_cluster: RealCluster, live: LiveTable) -> Iterator[LiveTable]:
    """The table behind a vtgate that refuses replicas which are little behind."""
    vtgate = real_cluster.vtgate
    vtgate.kill()
    vtgate.flags.append(LOW_LAG_FLAG)
    real_cluster.start_vtgate()
    yield live
    vtgate.kill()
    vtgate.flags.remove(LOW_LAG_FLAG)
    real_cluster.start_vtgate()


def replica_of(cluster: RealCluster, live: LiveTable) -> Tablet:
    (replica,) = cluster.replicas(live.keyspace, SHARD)
    return replica


def wait_until_caught_up(cluster: RealCluster, live: LiveTable) -> None:
    """Waits until all replicas have what the primary has."""
    executed = cluster.primary(live.keyspace, SHARD).position()
    replicas = cluster.replicas(live.keyspace, SHARD)
    wait_until(lambda: all(tablet.has_executed(executed) for tablet in replicas), "they have it", SECONDS)


def let_fall_behind(cluster: RealCluster, live: LiveTable) -> Tablet:
    """Stops the replica, and waits until vtgate knows that it is behind."""
    replica = replica_of(cluster, live)
    replica.execute("stop replica sql_thread")
    live.write(20)

    def is_behind() -> bool:
        ((lag,),) = [row[7:8] for row in cluster.execute("show vitess_replication_status", live.keyspace)]
        return bool(str(lag).isdecimal() and int(lag) >= LAG_SECONDS)

    wait_until(is_behind, "the replica is behind", SECONDS)
    return replica


def looks_in_vain(cluster: RealCluster) -> int:
    """How often vtgate has found no tablet to stream from."""
    return (cluster.directory / "vtgate.log").read_text().count("No healthy serving tablet found")


def read_until(live: LiveTable, told: str, then: Callable[[], object], **config: object) -> Run:
    """Reads the table, has something happen once a log line says something, and waits for the end."""
    catalog = configured(live.table, namespace=live.keyspace)
    with Command(["read"], {**live.config, **config}, catalog, live.state, warm=True) as command:
        while told not in command.next_message("LOG")["log"]["message"]:
            pass
        then()
        return finish_within(command)


def assert_passes(done: Run, live: LiveTable, words: str) -> None:
    """The sync has failed for a reason that may pass, and says which."""
    assert done.exit_code != 0
    assert done.statuses(live.table)[-1] == "INCOMPLETE"
    (error,) = [error for error in done.errors if "stream_descriptor" in error]
    assert words in error["message"]
    assert error["failure_type"] == "transient_error"


# --- behind -----------------------------------------------------------------------------------------------


def test_replicas_that_are_too_far_behind_are_told_as_that_and_as_passing(
    real_cluster: RealCluster, strict: LiveTable
) -> None:
    strict.sync()
    replica = let_fall_behind(real_cluster, strict)
    refused = strict.try_sync(**IMPATIENT)
    assert_passes(refused, strict, "s behind")
    assert refused.records(strict.table) == []
    replica.execute("start replica sql_thread")
    wait_until_caught_up(real_cluster, strict)
    strict.sync(**ON_REPLICA)
    strict.assert_equal()
    strict.assert_not_copied_again()


def test_a_replica_that_is_too_far_behind_is_waited_for(real_cluster: RealCluster, strict: LiveTable) -> None:
    strict.sync()
    replica = let_fall_behind(real_cluster, strict)
    looked = looks_in_vain(real_cluster)
    catalog = configured(strict.table, namespace=strict.keyspace)
    config = {**strict.config, **ON_REPLICA}
    with Command(["read"], config, catalog, strict.state, warm=True) as command:
        wait_until(lambda: looks_in_vain(real_cluster) > looked, "vtgate has looked for a tablet", SECONDS)
        replica.execute("start replica sql_thread")
        done = finish_within(command)
    strict.load(done)
    assert done.statuses(strict.table)[-1] == "COMPLETE"
    strict.assert_equal()
    strict.assert_not_copied_again()


def test_a_saved_position_ahead_of_the_replica_waits_for_it(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    live.first_sync()
    replica = replica_of(real_cluster, live)
    replica.execute("stop replica sql_thread")
    live.write(20)
    live.sync()
    ahead = live.sync(**ON_REPLICA)
    assert ahead.records(live.table) == []
    live.write(20)
    replica.execute("start replica sql_thread")
    wait_until_caught_up(real_cluster, live)
    live.sync(**ON_REPLICA)
    live.assert_followed()


# --- without logs -----------------------------------------------------------------------------------------


def test_a_position_that_one_of_two_replicas_has_purged_is_read_from_the_other_one(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    real_cluster.add_tablet(live.keyspace, SHARD)
    real_cluster.vtctldclient("ReloadSchemaKeyspace", live.keyspace)
    live.first_sync()
    live.write(20)
    wait_until_caught_up(real_cluster, live)
    first, second = real_cluster.replicas(live.keyspace, SHARD)
    first.purge_binlogs()
    # Which of the two answers is drawn by lot.
    for fork in [live.fork() for _ in range(FORKS)]:
        fork.sync(**ON_REPLICA)
        fork.assert_followed()
    second.purge_binlogs()
    refused = live.fork().try_sync(**ON_REPLICA)
    assert refused.statuses(live.table)[-1] == "INCOMPLETE"
    assert "purged" in refused.errors_of(live.table)[0]
    copied = live.fork().try_sync(**ON_REPLICA, invalid_cdc_cursor_position_behavior="Re-sync data")
    assert copied.statuses(live.table)[-1] == "COMPLETE"
    assert {row["id"] for row in copied.records(live.table)} == {row["id"] for row in live.source()}


# --- a table that they do not know ------------------------------------------------------------------------


def made_past(cluster: RealCluster, live: LiveTable) -> LiveTable:
    """Makes a table of which the replica's vttablet does not hear, with a row."""
    cluster.execute("create table late (id bigint primary key)", live.keyspace)
    cluster.execute("insert into late values (1)", live.keyspace)
    wait_until_caught_up(cluster, live)
    late = live.fork()
    late.table, late.state, late.key, late.columns = "late", None, ["id"], ["id"]
    late.deduped = type(live.deduped)(["id"])
    return late


def test_a_table_that_the_replica_does_not_know_yet_is_told_as_passing(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    late = made_past(real_cluster, live)
    assert_passes(late.try_sync(**IMPATIENT), late, "next schema reload")
    real_cluster.vtctldclient("ReloadSchemaKeyspace", live.keyspace)
    late.sync(**ON_REPLICA)
    assert late.deduped.rows() == [{"id": 1}]


def test_a_table_that_the_replica_does_not_know_yet_is_waited_for(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    late = made_past(real_cluster, live)

    def reload() -> None:
        real_cluster.vtctldclient("ReloadSchemaKeyspace", live.keyspace)

    done = read_until(late, "broke off", reload, **ON_REPLICA)
    assert done.statuses(late.table)[-1] == "COMPLETE"
    assert [row["id"] for row in done.records(late.table)] == [1]


def test_a_table_that_a_new_primary_does_not_know_yet_is_told_as_passing(
    real_cluster: RealCluster, live: LiveTable
) -> None:
    late = made_past(real_cluster, live)
    real_cluster.planned_reparent(live.keyspace, SHARD)
    assert_passes(late.try_sync(timeout_seconds=TIMEOUT_SECONDS), late, "next schema reload")
    real_cluster.vtctldclient("ReloadSchemaKeyspace", "--include-primary", live.keyspace)
    late.sync()
    assert late.deduped.rows() == [{"id": 1}]
