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
    unfinished = [name for name, cursor in state.cursors.items() if cursor.copying]
    _forget(state, waiting_in_vain(state, unfinished))
    _forget(state, [name for name in unfinished if name not in selected])
    _cover(state, selected, keyspace, starting)


def leads_to_copies(state: StreamState, reshard: Reshard) -> bool:
    """Whether all shards of a reshard have ended, and some of them before they had been copied."""
    ended = all(state.reshards.get(name) == reshard for name in reshard.participants)
    return ended and any(state.cursors[name].copying for name in reshard.participants)


def copy_again(state: StreamState, reshard: Reshard) -> None:
    """Has the shards of a reshard begin their copies anew: they serve again, or do still."""
    for name in reshard.participants:
        _restart(state, name)


def go_on(state: StreamState, serving: list[str]) -> list[Cursor]:
    """Goes on after a shard was read to its end, as the state tells already.

    Args:
        state: The state; it is changed.
        serving: The shards that serve, as far as is known; brought to what the ends tell of them.

    Returns:
        The cursors of the shards that follow.
    """
    before = set(state.cursors)
    started = follow(state)
    ended = before - set(state.cursors)
    serving[:] = [name for name in serving if name not in ended]
    ranges = [KeyRange.of(name) for name in serving]
    # Where others serve, shards have been in between.
    serving += [
        cursor.shard
        for cursor in started
        if not any(KeyRange.of(cursor.shard).overlaps(found) for found in ranges)
    ]
    return started


def waiting_in_vain(state: StreamState, begun: Sequence[str] = ()) -> list[str]:
    """Names the shards that wait for an end that nobody will tell.

    Args:
        state: The state.
        begun: Shards whose copy begins after the ends that are waited for.

    Returns:
        Those that wait for the end of a shard that is not read, nor all those that may come before it; and
        those of two that each wait for the other one to end differently.
    """
    ranges = [KeyRange.of(name) for name in state.cursors if name not in begun or name in state.reshards]
    return [
        shard
        for shard, reshard in state.reshards.items()
        if any(
            not cover(ranges, KeyRange.of(name))
            or (state.reshards.get(name, reshard) != reshard and shard in state.reshards[name].participants)
            for name in reshard.participants
        )
    ]


def untold(state: StreamState) -> list[str]:
    """Names the shards that have been read, and of whose end others have told that it is theirs as well."""
    names = dict.fromkeys(name for reshard in state.reshards.values() for name in reshard.participants)
    return [name for name in names if name in state.cursors and name not in state.reshards]


def meet_overdue(
    state: StreamState, waited: Mapping[str, Reshard], serving: Sequence[str], *, copies_again: bool
) -> list[str]:
    """Finds shards that still wait for ends when a sync is over, and has them copied where it may.

    What they lead to is not read, and a shard that serves again has had changes since its own end.

    Args:
        state: The state; it is changed.
        waited: The ends that were waited for when the sync began, by the shard that waits.
        serving: The shards that serve. An end whose shards all do so may yet be told, by a replica that is
            behind.
        copies_again: Whether shards that cannot be followed are copied again. Those whose partners were
            copied from the shards in their place are so in any case.

    Returns:
        The shards that wait; in the state those of them still do that were not given up.
    """
    overdue = list(state.reshards.items())
    for shard, reshard in overdue:
        replaced = any(name in state.cursors for name in reshard.positions)
        too_long = waited.get(shard) == reshard
        if replaced or (too_long and copies_again and not all(name in serving for name in reshard.positions)):
            _restart(state, shard)
    return [shard for shard, _ in overdue]


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
    if not _has_replacement(state, lost, serving):
        return []
    keyspace = state.cursors[lost].keyspace
    _forget(state, [lost])
    return _cover(state, serving, keyspace, {})


def copied_anew(state: StreamState, shard: str, serving: Sequence[str]) -> list[Cursor]:
    """Meets a shard that had been copied, and whose log is lost so that its copy began anew.

    The end that others wait for was in that log.

    Args:
        state: The state; it is changed. A shard that does not serve is given up for those in its place.
        shard: The shard.
        serving: The shards that serve.

    Returns:
        The cursors of other shards that are to be read now, before their copy.
    """
    if shard not in serving:
        return copy_instead(state, shard, serving)
    _forget(state, waiting_in_vain(state, [shard]))
    return _cover(state, serving, state.cursors[shard].keyspace, {})


def _restart(state: StreamState, shard: str) -> None:
    """Has a shard that has ended begin its copy anew."""
    state.cursors[shard] = state.cursors[shard].restarted()
    del state.reshards[shard]


def _has_replacement(state: StreamState, shard: str, serving: Sequence[str]) -> bool:
    """Whether something is known to serve in a shard's place; that may be a new one of its name."""
    own = KeyRange.of(shard)
    return any(
        name == shard or (name not in state.cursors and own.overlaps(KeyRange.of(name))) for name in serving
    )


def _cover(
    state: StreamState, serving: Sequence[str], keyspace: str, starting: Mapping[str, str]
) -> list[Cursor]:
    """Begins with the shards that serve, unless old ones are read from which all of a shard follows."""
    started: dict[str, Cursor] = {}
    while uncovered := _first_uncovered(state, serving):
        old, young = uncovered
        _forget(state, old)
        begun = {name: Cursor(keyspace, name, starting.get(name, "")) for name in young}
        state.cursors.update(begun)
        started.update(begun)
    return list(started.values())


def _first_uncovered(state: StreamState, serving: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Finds shards that do not serve and those in their place, where the latter do not follow from them."""
    gone = {name: KeyRange.of(name) for name in state.cursors if name not in serving}
    new = {name: KeyRange.of(name) for name in serving if name not in state.cursors}
    for group in _groups(gone, new):
        old = [name for name in group if name in gone]
        young = [name for name in serving if name in new and name in group]
        if not all(cover([gone[name] for name in old], new[name]) for name in young):
            return old, young
    return None


def _forget(state: StreamState, shards: Sequence[str]) -> None:
    """Takes shards out of the state, and those whose end waits for theirs."""
    while shards:
        for name in shards:
            state.cursors.pop(name, None)
            state.reshards.pop(name, None)
        shards = waiting_in_vain(state)


def _groups(gone: dict[str, KeyRange], new: dict[str, KeyRange]) -> list[list[str]]:
    """Puts shards that stand for some of the same ids together, directly or over others."""
    groups: list[list[str]] = []
    ranges = {**gone, **new}
    for name, own in ranges.items():
        joined = [group for group in groups if any(own.overlaps(ranges[other]) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([name, *(other for group in joined for other in group)])
    return groups
