"""Any sequence of splits, merges, cuts and removed shards: a stream always follows a whole keyspace."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.mysql.key_range import KeyRange
from source_planetscale.state import Reshard, StreamState
from source_planetscale.sync.reshards import copied_anew, copy_instead, go_on, meet_overdue, settle
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.events import KEYSPACE, gtid

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Keyspace:
    """A keyspace that is resharded, and a stream that follows it.

    Attributes:
        serving: The shards that serve.
        names_come_again: Whether a shard may have the name of an earlier one.
        logs: The logs that are still there, by the number of the reshard that began them and their shard;
            of one that has ended the reshard, of the others None.
        names: The names of all shards that there ever were.
        state: The state of the stream.
        known: The shards that serve as far as the running sync knows.
        reshards: How many there have been.
    """

    names_come_again: bool
    serving: list[str] = field(default_factory=lambda: ["-"])
    names: set[str] = field(default_factory=lambda: {"-"})
    logs: dict[tuple[int, str], Reshard | None] = field(default_factory=lambda: {(0, "-"): None})
    state: StreamState = field(default_factory=StreamState)
    known: list[str] = field(default_factory=list)
    reshards: int = 0

    def reshard(self, first: int, count: int, bounds: set[int]) -> None:
        """Puts other shards in the place of some that stand side by side."""
        old = self.serving[first : first + count]
        low, high = eighths(old[0])[0], eighths(old[-1])[1]
        edges = sorted({low, high, *(bound for bound in bounds if low < bound < high)})
        new = [named(start, edges[number]) for number, start in enumerate(edges[:-1], 1)]
        if not set(new) & (set(old) if self.names_come_again else self.names):
            self.names.update(new)
            self.reshards += 1
            end = Reshard(self.reshards, tuple(old), dict.fromkeys(new, gtid(100 + self.reshards)))
            self.logs |= {log: end for log, over in self.logs.items() if log[1] in old and over is None}
            self.logs |= {(self.reshards, name): None for name in new}
            self.serving[first : first + count] = new

    def remove_oldest(self) -> None:
        """Takes the old shards of the oldest reshard away, as `complete` does."""
        ends = [end.number for end in self.logs.values() if end is not None]
        self.logs = {log: end for log, end in self.logs.items() if end is None or end.number != min(ends)}

    def log_of(self, cursor: Cursor) -> tuple[int, str] | None:
        """The log that a position is of, if it is still there."""
        read = number_of(cursor)
        return next(
            (
                (begun, shard)
                for (begun, shard), end in self.logs.items()
                if shard == cursor.shard and begun <= read and (end is None or read < end.number)
            ),
            None,
        )

    def begin_sync(self) -> None:
        self.known = list(self.serving)
        settle(self.state, self.known, KEYSPACE, {})

    def read(self, shard: str, *, to_its_end: bool) -> None:
        """Reads a shard: its copy, or up to the journal that ends it, as far as its log is there."""
        cursor = self.state.cursors[shard]
        log = self.log_of(cursor)
        if shard in self.state.reshards:
            return
        if cursor.copying:
            if shard in self.serving:
                self.state.cursors[shard] = Cursor(KEYSPACE, shard, gtid(100 + self.reshards))
        elif log is not None:
            end = self.logs[log]
            if to_its_end and end is not None:
                self.state.reshards[shard] = end
                go_on(self.state, self.known)
        elif any(name == shard for _, name in self.logs):
            # The server does not know the position: the name is that of another shard now.
            copied_anew(self.state, shard, self.known)
            if shard in self.state.cursors:
                self.state.cursors[shard] = Cursor(KEYSPACE, shard)
        elif shard not in self.known:
            copy_instead(self.state, shard, self.known)

    def sync(self) -> None:
        """Reads everything there is to its end."""
        self.begin_sync()
        waited = dict(self.state.reshards)
        before = None
        while self.state.to_json() != before:
            before = self.state.to_json()
            for shard in list(self.state.cursors):
                if shard in self.state.cursors:
                    self.read(shard, to_its_end=True)
        meet_overdue(self.state, waited, self.known, copies_again=True)


def number_of(cursor: Cursor) -> int:
    """The reshard with which a shard began, or the last one before its copy."""
    return int(cursor.position.rpartition("-")[2]) - 100 if cursor.position else 0


def named(start: int, end: int) -> str:
    first = "" if start == 0 else f"{start * 32:02x}"
    last = "" if end == 8 else f"{end * 32:02x}"
    return f"{first}-{last}"


def eighths(shard: str) -> tuple[int, int]:
    found = KeyRange.of(shard)
    return found.start >> 61, found.end >> 61


def covered(shards: Iterable[str]) -> list[int]:
    return sorted(part for shard in shards for part in range(*eighths(shard)))


@settings(deadline=None)
@given(st.booleans(), st.data())
def test_the_shards_that_a_stream_follows_always_tile_the_ids(
    names_come_again: bool, data: st.DataObject
) -> None:
    keyspace = Keyspace(names_come_again)
    keyspace.begin_sync()
    for _ in range(data.draw(st.integers(1, 20))):
        action = data.draw(st.sampled_from(["reshard", "reshard", "copy", "read", "read", "cut", "remove"]))
        if action == "reshard":
            first = data.draw(st.integers(0, len(keyspace.serving) - 1))
            count = data.draw(st.integers(1, len(keyspace.serving) - first))
            keyspace.reshard(first, count, data.draw(st.sets(st.integers(1, 7), max_size=3)))
        elif action == "remove":
            keyspace.remove_oldest()
        elif action == "cut":
            saved_state = json.loads(json.dumps(keyspace.state.to_json()))
            keyspace.state = StreamState.parse(saved_state, keyspace=KEYSPACE, stream="orders")
            keyspace.begin_sync()
        else:
            shard = data.draw(st.sampled_from(sorted(keyspace.state.cursors)))
            keyspace.read(shard, to_its_end=action == "read")
        assert covered(keyspace.state.cursors) == list(range(8))
        assert set(keyspace.state.reshards) <= set(keyspace.state.cursors)
    for _ in range(2 * keyspace.reshards + 2):
        keyspace.sync()
    assert sorted(keyspace.state.cursors) == sorted(keyspace.serving)
    assert keyspace.state.reshards == {}
    assert not any(cursor.copying for cursor in keyspace.state.cursors.values())
    assert all(keyspace.log_of(cursor) for cursor in keyspace.state.cursors.values())
