"""Reshards that are taken back, or whose logs are lost: nothing is complete without all rows."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, hold
from integration_tests.support.command import RESYNC, Command, configured
from integration_tests.support.copying import finish_within
from integration_tests.vitess.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.support.command import Run
    from integration_tests.support.live_table import LiveTable
    from integration_tests.vitess.real_cluster import RealCluster
    from integration_tests.vitess.workflows import Workflow

ONE = ("-",)
TWO = ("-80", "80-")
SECONDS = 60.0


def assert_true_if_complete(live: LiveTable, done: Run) -> None:
    if done.statuses(live.table)[-1] == "COMPLETE":
        live.assert_equal()


@pytest.fixture
def merging(live: LiveTable, reshard: Callable[..., Workflow]) -> Workflow:
    """A merge of the table's two shards that was made after they had been read, with changes since."""
    live.moves = live.deletes = False
    live.sync()
    workflow = reshard(TWO, ONE)
    live.write(40)
    return workflow


@pytest.mark.parametrize("flags", [None, ("--keep-data",)], ids=["goes on", "cancelled"])
def test_a_first_copy_that_meets_a_switch_and_its_way_back_copies_what_serves(
    real_cluster: RealCluster,
    live: LiveTable,
    reshard: Callable[..., Workflow],
    flags: tuple[str, ...] | None,
) -> None:
    live.moves = live.deletes = False
    with Relay(real_cluster.grpc_port) as proxy:
        proxy.plan(hold(25_000))
        config = {**live.config, "grpc_port": proxy.port}
        catalog = configured(live.table, namespace=live.keyspace)
        with Command(["read"], config, catalog, warm=True) as command:
            wait_until(lambda: bool(proxy.met), "it is copied", SECONDS)
            command.signal(signal.SIGTERM)
            live.load(finish_within(command))
    workflow = reshard(ONE, TWO)
    workflow.switch_traffic()
    workflow.reverse_traffic()
    if flags is not None:
        workflow.cancel(*flags)
    live.write(20)
    assert_true_if_complete(live, live.try_sync())
    live.sync()
    live.assert_equal()


@pytest.mark.parametrize("live", [TWO], ids=["2 shards"], indirect=True)
@pytest.mark.parametrize("purged", TWO)
def test_a_merge_and_its_way_back_with_a_purged_log_is_complete_only_with_all_rows(
    real_cluster: RealCluster, live: LiveTable, merging: Workflow, purged: str
) -> None:
    merging.switch_traffic()
    live.write(40)
    merging.reverse_traffic()
    live.write(40)
    real_cluster.primary(live.keyspace, purged).purge_binlogs()
    assert_true_if_complete(live, live.try_sync(**RESYNC))


@pytest.mark.parametrize("live", [TWO], ids=["2 shards"], indirect=True)
def test_an_old_shard_that_was_purged_before_its_end_is_replaced_by_a_copy_where_that_is_configured(
    real_cluster: RealCluster, live: LiveTable, merging: Workflow
) -> None:
    merging.switch_traffic()
    live.write(40)
    real_cluster.primary(live.keyspace, "80-").purge_binlogs()
    live.sync(timeout_seconds=20, **RESYNC)
    live.assert_equal()
