"""How a cluster is divided: keyspaces, shards and tablets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CELL = "test"


def shard_names(count: int) -> list[str]:
    """Names `count` shards that share the key range evenly, as Vitess does: `-80`, `80-`."""
    if count == 1:
        return ["0"]
    bounds = ["", *(f"{256 * number // count:02x}" for number in range(1, count)), ""]
    return [f"{low}-{high}" for low, high in pairwise(bounds)]


def vttest_topology(keyspaces: Mapping[str, int], replicas: int, rdonlys: int) -> str:
    """Describes the cluster in the text form of Vitess's `vttest.VTTestTopology` message."""
    described = []
    for keyspace, count in keyspaces.items():
        shards = " ".join(f'shards:{{name:"{name}"}}' for name in shard_names(count))
        # Vitess counts the primary as a replica.
        tablets = f"replica_count:{replicas + 1} rdonly_count:{rdonlys}"
        described.append(f'keyspaces:{{name:"{keyspace}" {shards} {tablets}}}')
    return " ".join([*described, f'cells:"{CELL}"'])
