"""A model of a keyspace whose shards were replaced, which tests of reads through a reshard share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unit_tests.support.fakes import FakeVtgate, cursors_of
from unit_tests.support.keyspace import KeyspaceModel, ShardModel, Transaction, reshard, table
from unit_tests.support.reading import after, saved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES = ("ants", "bees")
TABLES = tuple(map(table, NAMES))
OLD = ("-80", "80-")
NEW = ("-40", "40-c0", "c0-")
KEYS = {"-80": range(1, 6), "80-": range(11, 16)}
NEW_KEYS: Mapping[str, Sequence[int]] = {"-40": [1, 2, 3], "40-c0": [4, 5, 11, 12], "c0-": [13, 14, 15]}
BEGINS = 50


def resharded(old: Mapping[str, list[Transaction]], new: Mapping[str, list[Transaction]]) -> KeyspaceModel:
    """A keyspace whose old shards, with these logs, were replaced together."""
    journal = reshard(7, tuple(old), tuple(new), BEGINS)
    shards = {name: ShardModel(name, log, journal=journal) for name, log in old.items()}
    content = {place: value for shard in shards.values() for place, value in shard.content().items()}
    for name, log in new.items():
        own = {place: value for place, value in content.items() if place[1] in NEW_KEYS.get(name, [place[1]])}
        shards[name] = ShardModel(name, log, BEGINS, own)
    return KeyspaceModel(shards)


def small(new: Sequence[str] = NEW) -> KeyspaceModel:
    """A keyspace with a few transactions on both sides of a reshard."""
    old: dict[str, list[Transaction]] = {
        shard: [[(name, keys[0] + number, "old") for name in NAMES] for number in range(3)]
        for shard, keys in KEYS.items()
    }
    later: dict[str, list[Transaction]] = {
        shard: [[(name, (NEW_KEYS.get(shard) or [1])[0], "new") for name in NAMES]] for shard in new
    }
    return resharded(old, later)


def serve(model: KeyspaceModel) -> FakeVtgate:
    """A server of the model."""
    return FakeVtgate(serve=model.serve, current=model.current)


def shards_of(state: Mapping[str, Any]) -> dict[str, str]:
    """The positions in a state, by shard."""
    return {shard: cursor.position for shard, cursor in cursors_of(state).items()}


# The saved state from before the reshard.
START = saved(after(1), after(1, shard="80-"))
