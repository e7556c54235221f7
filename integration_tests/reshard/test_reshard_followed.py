"""A reshard of a real cluster under a table that is written to: followed, not copied again.

`make cluster` shows much more of the kind: `cluster_tests/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.support.live_table import LiveTable
from integration_tests.vitess.workflows import Workflow

if TYPE_CHECKING:
    from integration_tests.vitess.real_cluster import RealCluster

ONE = ("-",)
TWO = ("-80", "80-")


@pytest.mark.parametrize(("sources", "targets"), [(ONE, TWO), (TWO, ONE)], ids=["split", "merge"])
def test_a_reshard_between_two_syncs_is_followed(
    real_cluster: RealCluster, sources: tuple[str, ...], targets: tuple[str, ...]
) -> None:
    with real_cluster.keyspace("followed", dict.fromkeys(sources, 1)) as keyspace:
        live = LiveTable(real_cluster, keyspace)
        live.moves = False
        with live.written():
            live.first_sync()
            workflow = Workflow.reshard(
                real_cluster, keyspace, sources, dict.fromkeys(targets, 1), "followed"
            )
            workflow.switch_traffic()
            live.sync()
            workflow.complete()
            live.sync()
        live.sync_the_rest()
        live.assert_followed()
