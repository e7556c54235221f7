"""Which shards a stream reads, while its keyspace is split and merged under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.mysql.key_range import KeyRange, cover
from source_planetscale.state import Reshard
from source_planetscale.vstream.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from source_planetscale.state import StreamState
    from source_planetscale.vstream.wire import vstream_pb2 as wire


def reshard_of(journal: wire.Journal) -> Reshard:
    """Takes what is needed out of a journal."""
    return Reshard(
        journal.id,
        tuple(sorted({entry.shard for entry in journal.participants})),
        {entry.shard: entry.gtid for entry in journal.shard_gtids},
    )


def follow(state: StreamState) -> list[Cursor]:
    """Puts new shards in the place of those that have been read to their end together.

    Args:
        state: The state; it is changed.

    Returns:
        The cursors of the new shards: at the positions where they begin, or before their copy if one of the
        old ones had not been copied.
    """
    started: list[Cursor] = []
    for shard, reshard in list(state.reshards.items()):
        if state.reshards.get(shard) != reshard:
            continue
        if any(state.reshards.get(name) != reshard for name in reshard.participants):
            continue
        old = [state.cursors.pop(name) for name in reshard.participants]
        for name in reshard.participants:
            del state.reshards[name]
        shape = next((cursor.shape for cursor in old), None)
        unfinished = any(cursor.copying for cursor in old)
        for name, position in reshard.positions.items():
            fresh = Cursor(old[0].keyspace, name)
            cursor = fresh if unfinished else Cursor(old[0].keyspace, name, position, shape=shape)
            state.cursors[name] = cursor
            started.append(cursor)
    return started


def settle(state: StreamState, selected: Sequence[str], keyspace: str, starting: Mapping[str, str]) -> None:
    """Decides which shards are read first, when a saved state meets the shards of today.

    A shard that no longer serves is read to its end first, and the new ones follow from there. Where an old
    one was never copied to its end, the new ones in its place are copied.

    Args:
        state: The saved state; it is changed. Afterwards its cursors are those to be read.
        selected: The shards that serve, as far as they are to be read.
        keyspace: The keyspace.
        starting: Positions at which shards without a saved one begin, by shard.
    """
    follow(state)
    gone = {name: KeyRange.of(name) for name in state.cursors if name not in selected}
    new = {name: KeyRange.of(name) for name in selected if name not in state.cursors}
    for group in _groups(gone, new):
        old = [name for name in group if name in gone]
        young = [name for name in group if name in new]
        whole = all(cover([gone[name] for name in old], new[name]) for name in young)
        if whole and young and not any(state.cursors[name].copying for name in old):
            continue
        for name in old:
            if young or state.cursors[name].copying:
                state.cursors.pop(name)
                state.reshards.pop(name, None)
        for name in young:
            state.cursors[name] = Cursor(keyspace, name, starting.get(name, ""))


def copy_instead(state: StreamState, lost: str, serving: Sequence[str]) -> list[Cursor]:
    """Gives up a shard whose end can no longer be read, and begins the copy of those in its place.

    Args:
        state: The state; it is changed.
        lost: The shard.
        serving: The shards that serve.

    Returns:
        The cursors of the new shards, before their copy.
    """
    keyspace = state.cursors[lost].keyspace
    # Those that have ended together with it wait for an end that nobody will read.
    given_up = {lost, *(name for name, reshard in state.reshards.items() if lost in reshard.participants)}
    for name in given_up:
        state.cursors.pop(name)
        state.reshards.pop(name, None)
    started = []
    for name in serving:
        own = KeyRange.of(name)
        if name not in state.cursors and any(own.overlaps(KeyRange.of(old)) for old in given_up):
            state.cursors[name] = Cursor(keyspace, name)
            started.append(state.cursors[name])
    return started


def _groups(gone: dict[str, KeyRange], new: dict[str, KeyRange]) -> list[list[str]]:
    """Puts shards that stand for some of the same ids together, directly or over others."""
    groups: list[list[str]] = []
    ranges = {**gone, **new}
    for name, own in ranges.items():
        joined = [group for group in groups if any(own.overlaps(ranges[other]) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([name, *(other for group in joined for other in group)])
    return groups
