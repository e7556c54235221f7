"""Reshards that are taken back, or whose logs are lost: nothing is complete without all rows."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, hold
from integration_tests.support.command import Command, configured
from integration_tests.support.copying import finish_within
from integration_tests.support.live_table import LiveTable
from integration_tests.vitess.processes import wait_until
from integration_tests.vitess.workflows import Workflow

if TYPE_CHECKING:
    from integration_tests.support.command import Run
    from integration_tests.vitess.real_cluster import RealCluster

TWO = ("-80", "80-")
RESYNC = {"invalid_cdc_cursor_position_behavior": "Re-sync data"}
SECONDS = 60.0


def assert_true_if_complete(live: LiveTable, done: Run) -> None:
    if done.statuses(live.table)[-1] == "COMPLETE":
        live.assert_equal()


@pytest.mark.parametrize("flags", [None, ("--keep-data",)], ids=["goes on", "cancelled"])
def test_a_first_copy_that_meets_a_switch_and_its_way_back_copies_what_serves(
    real_cluster: RealCluster, flags: tuple[str, ...] | None
) -> None:
    with real_cluster.keyspace("live", {"-": 1}) as keyspace:
        live = LiveTable(real_cluster, keyspace)
        live.moves = live.deletes = False
        with Relay(real_cluster.grpc_port) as proxy:
            proxy.plan(hold(25_000))
            config = {**live.config, "grpc_port": proxy.port}
            with Command(["read"], config, configured(live.table, namespace=keyspace), warm=True) as command:
                wait_until(lambda: bool(proxy.met), "it is copied", SECONDS)
                command.signal(signal.SIGTERM)
                live.load(finish_within(command))
        workflow = Workflow.reshard(real_cluster, keyspace, ["-"], dict.fromkeys(TWO, 1))
        workflow.switch_traffic()
        workflow.reverse_traffic()
        if flags is not None:
            workflow.cancel(*flags)
        live.write(20)
        assert_true_if_complete(live, live.try_sync())
        live.sync()
        live.assert_equal()


@pytest.mark.parametrize("purged", TWO)
def test_a_merge_and_its_way_back_with_a_purged_log_is_complete_only_with_all_rows(
    real_cluster: RealCluster, purged: str
) -> None:
    with real_cluster.keyspace("live", dict.fromkeys(TWO, 1)) as keyspace:
        live = LiveTable(real_cluster, keyspace)
        live.moves = live.deletes = False
        live.sync()
        workflow = Workflow.reshard(real_cluster, keyspace, TWO, {"-": 1}, "merge")
        live.write(40)
        workflow.switch_traffic()
        live.write(40)
        workflow.reverse_traffic()
        live.write(40)
        real_cluster.primary(keyspace, purged).purge_binlogs()
        assert_true_if_complete(live, live.try_sync(**RESYNC))


def test_an_old_shard_that_was_purged_before_its_end_is_replaced_by_a_copy_where_that_is_configured(
    real_cluster: RealCluster,
) -> None:
    with real_cluster.keyspace("live", dict.fromkeys(TWO, 1)) as keyspace:
        live = LiveTable(real_cluster, keyspace)
        live.moves = live.deletes = False
        live.sync()
        workflow = Workflow.reshard(real_cluster, keyspace, TWO, {"-": 1}, "merge")
        live.write(40)
        workflow.switch_traffic()
        live.write(40)
        real_cluster.primary(keyspace, "80-").purge_binlogs()
        live.sync(timeout_seconds=20, **RESYNC)
        live.assert_equal()
