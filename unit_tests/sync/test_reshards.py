"""Which shards a stream reads while its keyspace is split and merged under it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.config import InvalidPositionPolicy
from source_planetscale.mysql.key_range import KeyRange
from source_planetscale.shape import shape_of
from source_planetscale.state import Reshard, StreamState
from source_planetscale.sync.reshards import copy_instead, follow, reshard_of, settle
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.events import (
    KEYSPACE,
    SHARD,
    TABLE,
    begin,
    commit,
    fields,
    gtid,
    inserted,
    journal,
    response,
    small_copy,
    vgtid,
)
from unit_tests.support.fakes import CONFIG, DEADLINE, FakeVtgate, Item, Reading, broken
from unit_tests.support.reading import ONE, THREE, TWO, saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from source_planetscale.vstream.wire import vstream_pb2 as wire

FAILED_PRECONDITION = StatusCode.FAILED_PRECONDITION
SHAPE = shape_of(TABLE.columns)


def copied(shard: str, last: int = 5) -> Cursor:
    return Cursor(KEYSPACE, shard, gtid(last), shape=SHAPE)


def unfinished(shard: str) -> Cursor:
    return Cursor(KEYSPACE, shard)


def state(*cursors: Cursor, **ended: Reshard) -> StreamState:
    return StreamState({cursor.shard: cursor for cursor in cursors}, dict(ended))


def reshard(old: Sequence[str], new: Iterable[str], number: int = 7) -> Reshard:
    return Reshard(number, tuple(old), {shard: gtid(100 + number) for shard in new})


def ended(*cursors: Cursor, by: Reshard) -> StreamState:
    """The state after all of these shards have been read to their end."""
    return StreamState(
        {cursor.shard: cursor for cursor in cursors},
        {cursor.shard: by for cursor in cursors if cursor.shard in by.participants},
    )


def settled(before: StreamState, *selected: str, starting: dict[str, str] | None = None) -> StreamState:
    settle(before, selected, KEYSPACE, starting or {})
    return before


def test_a_journal_names_the_shards_that_end_and_those_that_begin() -> None:
    event = journal(gtid(9), ["-40", "40-80"], participants=["80-", SHARD, SHARD]).journal
    assert reshard_of(event) == Reshard(7, (SHARD, "80-"), {"-40": gtid(9), "40-80": gtid(9)})


# Following.


def test_a_split_shard_is_followed_by_its_parts() -> None:
    after_split = ended(copied("-80"), copied("80-"), by=reshard(["-80"], ["-40", "40-80"]))
    started = follow(after_split)
    assert started == [copied("-40", 107), copied("40-80", 107)]
    assert after_split == state(copied("80-"), *started)


def test_a_merged_shard_begins_once_all_of_its_parts_have_ended() -> None:
    merge = reshard(["-40", "40-80"], ["-80"])
    half = StreamState({"-40": copied("-40"), "40-80": copied("40-80", 6)}, {"-40": merge})
    assert follow(half) == []
    assert half.reshards == {"-40": merge}
    half.reshards["40-80"] = merge
    assert follow(half) == [copied("-80", 107)]
    assert half == state(copied("-80", 107))


def test_two_shards_become_three() -> None:
    three = reshard(["-80", "80-"], ["-55", "55-aa", "aa-"])
    after_all = ended(copied("-80"), copied("80-"), by=three)
    assert [cursor.shard for cursor in follow(after_all)] == ["-55", "55-aa", "aa-"]
    assert set(after_all.cursors) == {"-55", "55-aa", "aa-"}


def test_a_reshard_that_is_taken_back_gives_the_old_shard_its_new_position() -> None:
    back = ended(copied("-40"), copied("40-80"), by=reshard(["-40", "40-80"], ["-80"], 8))
    follow(back)
    assert back == state(copied("-80", 108))


def test_two_reshards_at_once_are_followed_each_by_its_own() -> None:
    one, other = reshard(["-80"], ["-40", "40-80"], 1), reshard(["80-"], ["80-c0", "c0-"], 2)
    both = StreamState({"-80": copied("-80"), "80-": copied("80-")}, {"-80": one, "80-": other})
    follow(both)
    assert {name: cursor.position for name, cursor in both.cursors.items()} == {
        "-40": gtid(101),
        "40-80": gtid(101),
        "80-c0": gtid(102),
        "c0-": gtid(102),
    }


def test_a_shard_that_was_never_copied_to_its_end_has_its_parts_copied() -> None:
    merge = reshard(["-40", "40-80"], ["-80"])
    middle = replace(copied("40-80"), last_pk=b"")
    for copying in (unfinished("40-80"), middle):
        assert follow(ended(copied("-40"), copying, by=merge)) == [unfinished("-80")]


def test_shards_of_different_shapes_do_not_tell_that_of_the_shard_in_their_place() -> None:
    merge = reshard(["-40", "40-80"], ["-80"])
    other = replace(copied("40-80"), shape=SHAPE[:1])
    assert follow(ended(copied("-40"), other, by=merge)) == [replace(copied("-80", 107), shape=None)]


# A saved state meets the shards of today.


def test_shards_that_still_serve_are_read_on() -> None:
    same = state(copied("-80"), unfinished("80-"))
    assert settled(same, "-80", "80-") == state(copied("-80"), unfinished("80-"))


def test_a_stream_that_was_never_read_begins_with_all_shards() -> None:
    first = settled(StreamState(), "-80", "80-", starting={"80-": gtid(3)})
    assert first == state(unfinished("-80"), Cursor(KEYSPACE, "80-", gtid(3)))


def test_a_shard_that_no_longer_serves_is_read_to_its_end_first() -> None:
    old = state(copied("-80"), copied("80-"))
    assert settled(old, "-40", "40-80", "80-") == state(copied("-80"), copied("80-"))


def test_shards_that_have_been_split_again_wait_for_the_first_one() -> None:
    old = state(copied("-80"), copied("80-"))
    assert settled(old, "-20", "20-40", "40-80", "80-") == state(copied("-80"), copied("80-"))


def test_a_saved_end_is_followed_at_once() -> None:
    old = ended(copied("-80"), copied("80-"), by=reshard(["-80"], ["-40", "40-80"]))
    assert settled(old, "-40", "40-80", "80-") == state(
        copied("-40", 107), copied("40-80", 107), copied("80-")
    )


def test_shards_in_the_place_of_an_unfinished_copy_are_copied() -> None:
    old = state(unfinished("-80"), copied("80-"))
    assert settled(old, "-40", "40-80", "80-") == state(copied("80-"), unfinished("-40"), unfinished("40-80"))


def test_one_unfinished_copy_of_a_merge_has_the_merged_shard_copied() -> None:
    merge = reshard(["-40", "40-80"], ["-80"])
    old = StreamState({"-40": copied("-40"), "40-80": unfinished("40-80")}, {"-40": merge})
    assert settled(old, "-80") == state(unfinished("-80"))


def test_a_shard_of_which_only_a_part_was_read_is_copied() -> None:
    assert settled(state(copied("-40")), "-80", "80-") == state(unfinished("-80"), unfinished("80-"))


def test_an_end_that_waits_for_a_shard_that_nobody_reads_is_given_up() -> None:
    merge = reshard(["-40", "40-80"], ["-80"])
    alone = ended(copied("-40"), by=merge)
    assert settled(alone, "-40", "40-80") == state(unfinished("-40"), unfinished("40-80"))


def test_a_state_without_its_shard_is_left_alone() -> None:
    """Nothing stands in its place: where it went is for its own end to tell."""
    assert settled(state(copied("-80"), copied("80-")), "-80") == state(copied("-80"), copied("80-"))


# Shards whose end cannot be read any more.


def test_the_shards_in_the_place_of_a_lost_one_are_copied() -> None:
    lost = state(copied("-80"), copied("80-"))
    assert copy_instead(lost, "-80", ["-40", "40-80", "80-"]) == [unfinished("-40"), unfinished("40-80")]
    assert lost == state(copied("80-"), unfinished("-40"), unfinished("40-80"))


def test_shards_that_were_replaced_together_with_a_lost_one_are_given_up_with_it() -> None:
    lost = state(copied("-40"), copied("40-80"), copied("80-"))
    assert copy_instead(lost, "-40", ["-80", "80-"]) == [unfinished("-80")]
    assert lost == state(copied("80-"), unfinished("-80"))


def test_a_lost_shard_in_whose_place_nothing_is_known_is_kept() -> None:
    lost = state(copied("-80"), copied("80-"))
    assert copy_instead(lost, "-80", ["-80", "80-"]) == []
    assert lost == state(copied("-80"), copied("80-"))


def test_an_end_that_waited_for_a_lost_shard_is_given_up_with_it() -> None:
    merge = reshard(["-40", "40-80"], ["-80"])
    waiting = StreamState({"-40": copied("-40"), "40-80": copied("40-80")}, {"-40": merge})
    assert copy_instead(waiting, "40-80", ["-80"]) == [unfinished("-80")]
    assert waiting == state(unfinished("-80"))


# In a sync.


def test_a_shard_whose_end_is_saved_is_not_read_again() -> None:
    """It may be gone by now, and what it had to tell is known."""
    merge = reshard(["-40", "40-80"], ["-80"])
    end = [journal(gtid(7), ["-80"], participants=["-40", "40-80"]), vgtid(gtid(7), shard="40-80"), commit()]
    end[0].journal.shard_gtids[0].gtid = merge.positions["-80"]
    vtgate = FakeVtgate(
        {
            "40-80": [[response(begin(), *end)]],
            "-80": [
                [response(begin(), fields(), inserted(ONE), vgtid(gtid(200)), commit())],
            ],
        },
        current={"40-80": gtid(9), "-80": gtid(200)},
    )
    before = saved(copied("-40"), copied("40-80"), reshards={"-40": merge})
    outcome = Reading(vtgate, shards=("-80",), state=before).run()
    assert (outcome.error, outcome.ids) == (None, [1])
    assert outcome.positions == {"-80": gtid(200)}


@pytest.mark.usefixtures("_in_no_time")
def test_what_a_shard_still_tells_that_was_given_up_with_a_lost_one_is_left_out() -> None:
    gone = broken("shard provided in VGTID, -40, not found in the shop keyspace", FAILED_PRECONDITION)
    told = Event()

    def wait() -> None:
        assert told.wait(DEADLINE)

    position = vgtid(gtid(9), shard="40-80")
    late = response(begin(), fields(), inserted(ONE), position, commit())
    vtgate = FakeVtgate(
        {"-40": [[gone]], "40-80": [[wait, late]], "-80": [of_shard("-80", small_copy(TWO, THREE, last=9))]},
        current=gtid(9),
    )
    reading = Reading(
        vtgate,
        shards=("-80",),
        state=saved(copied("-40"), copied("40-80")),
        config=replace(CONFIG, invalid_position_policy=InvalidPositionPolicy.RESYNC),
    )
    outcome = reading.run(on_record=told.set)
    assert (outcome.error, outcome.ids, outcome.positions) == (None, [2, 3], {"-80": gtid(9)})


def of_shard(shard: str, script: Iterable[wire.VStreamResponse]) -> list[Item]:
    """A script of the usual shard as one of another."""
    moved: list[Item] = []
    for part in script:
        for event in part.events:
            for entry in event.vgtid.shard_gtids:
                entry.shard = shard
        moved.append(part)
    return moved


# Any sequence of reshards and cuts.


@dataclass
class Keyspace:
    """A keyspace that is resharded, and a stream that follows it.

    Attributes:
        serving: The shards that serve.
        names_come_again: Whether a shard may have the name of an earlier one.
        journals: How shards ended, oldest first, of those whose log is still there.
        names: The names of all shards that there ever were.
        state: The state of the stream.
        reshards: How many there have been.
    """

    names_come_again: bool
    serving: list[str] = field(default_factory=lambda: ["-"])
    names: set[str] = field(default_factory=lambda: {"-"})
    journals: list[Reshard] = field(default_factory=list)
    state: StreamState = field(default_factory=StreamState)
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
            self.journals.append(reshard(old, new, self.reshards))
            self.serving[first : first + count] = new

    def journal_behind(self, cursor: Cursor) -> Reshard | None:
        """The next end of a shard behind a position of its log."""
        return next(
            (
                end
                for end in self.journals
                if cursor.shard in end.participants and end.number > number_of(cursor)
            ),
            None,
        )

    def is_lost(self, shard: str) -> bool:
        """Whether a shard is followed whose log is gone."""
        known = {*self.serving, *(name for end in self.journals for name in end.participants)}
        return shard in self.state.cursors and shard not in known


def number_of(cursor: Cursor) -> int:
    """The reshard with which a shard began; 0 for the first one, and for a copy."""
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
    keyspace.state = settled(StreamState(), *keyspace.serving)
    for _ in range(data.draw(st.integers(1, 20))):
        action = data.draw(st.sampled_from(["reshard", "reshard", "copy", "read", "read", "cut", "remove"]))
        if action == "reshard":
            first = data.draw(st.integers(0, len(keyspace.serving) - 1))
            count = data.draw(st.integers(1, len(keyspace.serving) - first))
            keyspace.reshard(first, count, data.draw(st.sets(st.integers(1, 7), max_size=3)))
        elif action == "remove":
            # `complete` takes the old shards of the oldest reshard away.
            del keyspace.journals[:1]
        elif action == "cut":
            saved_state = json.loads(json.dumps(keyspace.state.to_json()))
            keyspace.state = StreamState.parse(saved_state, keyspace=KEYSPACE, stream="orders")
            settle(keyspace.state, keyspace.serving, KEYSPACE, {})
        else:
            shard = data.draw(st.sampled_from(sorted(keyspace.state.cursors)))
            read_shard(keyspace, shard, to_its_end=action == "read")
        meet_lost_shards(keyspace)
        assert covered(keyspace.state.cursors) == list(range(8))
        assert set(keyspace.state.reshards) <= set(keyspace.state.cursors)
    for _ in range(2 * keyspace.reshards + 2):
        sync(keyspace)
    assert sorted(keyspace.state.cursors) == sorted(keyspace.serving)
    assert keyspace.state.reshards == {}
    assert not any(cursor.copying for cursor in keyspace.state.cursors.values())


def read_shard(keyspace: Keyspace, shard: str, *, to_its_end: bool) -> None:
    """Reads a shard: its copy, or up to the journal that ends it."""
    following = keyspace.state
    cursor = following.cursors[shard]
    if cursor.copying and shard in keyspace.serving:
        following.cursors[shard] = copied(shard, 100 + keyspace.reshards)
    elif to_its_end and not cursor.copying and shard not in following.reshards:
        end = keyspace.journal_behind(cursor)
        if end is not None:
            following.reshards[shard] = end
            follow(following)


def meet_lost_shards(keyspace: Keyspace) -> None:
    for shard in list(keyspace.state.cursors):
        if keyspace.is_lost(shard) and shard not in keyspace.state.reshards:
            copy_instead(keyspace.state, shard, keyspace.serving)
    if keyspace.names_come_again:
        # A copy that is unfinished while its name comes again cannot be told from one of the new shard.
        for shard in list(keyspace.state.cursors):
            read_shard(keyspace, shard, to_its_end=False)


def sync(keyspace: Keyspace) -> None:
    """A sync that reads every shard to its end."""
    settle(keyspace.state, keyspace.serving, KEYSPACE, {})
    for shard in list(keyspace.state.cursors):
        if shard in keyspace.state.cursors:
            read_shard(keyspace, shard, to_its_end=True)
    meet_lost_shards(keyspace)
