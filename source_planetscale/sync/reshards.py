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
        # A schema change reaches shards at different times.
        shape = old[0].shape if all(cursor.shape == old[0].shape for cursor in old) else None
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
    for name, reshard in list(state.reshards.items()):
        if any(participant not in state.cursors for participant in reshard.participants):
            # Nobody will tell the end of the other one.
            del state.cursors[name], state.reshards[name]
    gone, new = _unmatched(state, selected)
    for group in _groups(gone, new):
        old = [name for name in group if name in gone]
        young = [name for name in selected if name in new and name in group]
        whole = all(cover([gone[name] for name in old], new[name]) for name in young)
        if whole and young and not any(state.cursors[name].copying for name in old):
            continue
        _forget(state, [name for name in old if young or state.cursors[name].copying])
        for name in young:
            state.cursors[name] = Cursor(keyspace, name, starting.get(name, ""))


def copy_instead(state: StreamState, lost: str, serving: Sequence[str]) -> list[Cursor]:
    """Gives up a shard whose end can no longer be read, and begins the copy of those in its place.

    Others that were replaced together with it are given up as well: their rows come with the same copies.

    Args:
        state: The state; it is changed, unless nothing is known to be in the shard's place.
        lost: The shard.
        serving: The shards that serve.

    Returns:
        The cursors of the new shards, before their copy.
    """
    gone, new = _unmatched(state, serving)
    gone[lost] = KeyRange.of(lost)
    group = next(group for group in _groups(gone, new) if lost in group)
    keyspace = state.cursors[lost].keyspace
    started = [Cursor(keyspace, name) for name in serving if name in new and name in group]
    if started:
        _forget(state, [name for name in group if name in gone])
    state.cursors.update({cursor.shard: cursor for cursor in started})
    return started


def _unmatched(state: StreamState, serving: Sequence[str]) -> tuple[dict[str, KeyRange], dict[str, KeyRange]]:
    """The shards of a state that do not serve, and those that serve and do not stand in it."""
    gone = {name: KeyRange.of(name) for name in state.cursors if name not in serving}
    new = {name: KeyRange.of(name) for name in serving if name not in state.cursors}
    return gone, new


def _forget(state: StreamState, shards: Sequence[str]) -> None:
    for name in shards:
        del state.cursors[name]
        state.reshards.pop(name, None)


def _groups(gone: dict[str, KeyRange], new: dict[str, KeyRange]) -> list[list[str]]:
    """Puts shards that stand for some of the same ids together, directly or over others."""
    groups: list[list[str]] = []
    ranges = {**gone, **new}
    for name, own in ranges.items():
        joined = [group for group in groups if any(own.overlaps(ranges[other]) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([name, *(other for group in joined for other in group)])
    return groups
