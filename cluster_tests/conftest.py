"""What tests of reshards share: a table in a keyspace of its own, and the way to reshard it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.support.live_table import LiveTable
from integration_tests.vitess.workflows import Workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from integration_tests.vitess.real_cluster import RealCluster


@pytest.fixture
def live(real_cluster: RealCluster, request: pytest.FixtureRequest) -> Iterator[LiveTable]:
    """A table in a keyspace of its own, of one shard unless the test says otherwise."""
    shards: Sequence[str] = getattr(request, "param", ("-",))
    with real_cluster.keyspace("live", dict.fromkeys(shards, 1)) as keyspace:
        yield LiveTable(real_cluster, keyspace)


@pytest.fixture
def reshard(real_cluster: RealCluster, live: LiveTable) -> Callable[..., Workflow]:
    """Begins to copy some shards of the table's keyspace to others."""

    def create(sources: Sequence[str], targets: Sequence[str]) -> Workflow:
        name = f"to_{len(targets)}"
        return Workflow.reshard(real_cluster, live.keyspace, sources, dict.fromkeys(targets, 1), name)

    return create
