"""Which shards a stream reads while its keyspace is split and merged under it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from grpc import StatusCode

from source_planetscale.shape import shape_of
from source_planetscale.state import Reshard, StreamState
from source_planetscale.sync.reshards import (
    copied_anew,
    copy_instead,
    follow,
    go_on,
    meet_overdue,
    reshard_of,
    settle,
    waiting_in_vain,
)
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.events import (
    KEYSPACE,
    SHARD,
    TABLE,
    gtid,
    journal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
    assert copy_instead(lost, "-80", ["80-"]) == []
    assert lost == state(copied("-80"), copied("80-"))


def test_an_end_that_waited_for_a_lost_shard_is_given_up_with_it() -> None:
    merge = reshard(["-40", "40-80"], ["-80"])
    waiting = StreamState({"-40": copied("-40"), "40-80": copied("40-80")}, {"-40": merge})
    assert copy_instead(waiting, "40-80", ["-80"]) == [unfinished("-80")]
    assert waiting == state(unfinished("-80"))


def test_an_end_that_waited_for_a_lost_shard_is_given_up_wherever_the_other_one_was() -> None:
    """The lost one may come again under its name: it would be taken for the partner then."""
    merge = reshard(["-80", "80-"], ["-"])
    waiting = StreamState({"-80": copied("-80"), "80-": copied("80-")}, {"-80": merge})
    assert copy_instead(waiting, "80-", ["-80", "80-c0", "c0-"]) == [
        unfinished("-80"),
        unfinished("80-c0"),
        unfinished("c0-"),
    ]
    assert waiting.reshards == {}


def test_an_end_that_waits_for_a_shard_that_is_copied_after_it_is_given_up_when_a_sync_begins() -> None:
    merge = reshard(["-80", "80-"], ["-"])
    waiting = StreamState({"-80": copied("-80"), "80-": unfinished("80-")}, {"-80": merge})
    assert settled(waiting, "-80", "80-") == state(unfinished("80-"), unfinished("-80"))


def test_what_waits_for_an_end_in_a_log_that_is_lost_is_copied() -> None:
    merge = reshard(["-80", "80-"], ["-"])
    for serving, new in (["-80", "80-"], ["-80"]), (["-40", "40-80", "80-"], ["-40", "40-80"]):
        waiting = StreamState({"-80": copied("-80"), "80-": copied("80-")}, {"-80": merge})
        assert copied_anew(waiting, "80-", serving) == [unfinished(name) for name in new]
        assert waiting == state(copied("80-"), *(unfinished(name) for name in new))


def test_a_shard_that_does_not_serve_is_not_copied_anew_but_those_in_its_place() -> None:
    lost = state(copied("-80"), copied("80-"))
    assert copied_anew(lost, "-80", ["-40", "40-80", "80-"]) == [unfinished("-40"), unfinished("40-80")]
    assert lost == state(copied("80-"), unfinished("-40"), unfinished("40-80"))


def test_the_end_of_a_shard_whose_partner_is_not_read_has_those_in_its_place_copied() -> None:
    merge = reshard(["-80", "80-"], ["-"])
    alone = ended(copied("-80"), copied("c0-"), by=merge)
    assert go_on(alone, ["-80", "c0-"]) == []
    assert waiting_in_vain(alone) == ["-80"]
    assert settled(alone, "-40", "40-80", "c0-") == state(
        copied("c0-"), unfinished("-40"), unfinished("40-80")
    )


def test_an_end_waits_for_a_shard_that_comes_from_another_one() -> None:
    merge = reshard(["-80", "80-c0"], ["-c0"])
    waiting = ended(copied("-80"), copied("80-"), by=merge)
    assert go_on(waiting, ["-c0", "c0-"]) == []
    assert settled(waiting, "-c0", "c0-").reshards == {"-80": merge}


def test_two_shards_do_not_wait_for_each_other() -> None:
    one, other = reshard(["-80", "80-"], ["-"], 1), reshard(["-80", "80-"], ["-c0", "c0-"], 2)
    both = StreamState({"-80": copied("-80"), "80-": copied("80-")}, {"-80": one, "80-": other})
    assert go_on(both, ["-80", "80-"]) == []
    assert waiting_in_vain(both) == ["-80", "80-"]
    assert settled(both, "-80", "80-") == state(unfinished("-80"), unfinished("80-"))


def test_who_waits_for_a_whole_sync_is_copied_unless_a_replica_may_be_behind() -> None:
    merge = reshard(["-80", "80-"], ["-"])
    waiting = ended(copied("-80"), by=merge)
    waiting.cursors["80-"] = copied("80-", 200)
    before = json.dumps(waiting.to_json())
    assert meet_overdue(waiting, {}, ["-80", "80-"], copies_again=True) == ["-80"]
    assert meet_overdue(waiting, {"-80": merge}, ["-"], copies_again=True) == ["-80"]
    assert meet_overdue(waiting, {"-80": merge}, ["-80", "80-"], copies_again=False) == ["-80"]
    assert json.dumps(waiting.to_json()) == before
    assert meet_overdue(waiting, {"-80": merge}, ["-80", "80-"], copies_again=True) == ["-80"]
    assert waiting == state(unfinished("-80"), copied("80-", 200))


def test_who_waits_for_partners_that_were_copied_from_the_shards_in_their_place_is_so_too() -> None:
    three = reshard(["-80", "80-"], ["-40", "40-80", "80-"])
    waiting = ended(copied("80-"), by=three)
    waiting.cursors |= {"-40": copied("-40"), "40-80": copied("40-80")}
    assert meet_overdue(waiting, {}, ["-40", "40-80", "80-"], copies_again=False) == ["80-"]
    assert waiting == state(copied("-40"), copied("40-80"), unfinished("80-"))


def test_what_serves_is_what_the_ends_tell() -> None:
    split = ended(copied("-80"), copied("80-"), by=reshard(["-80"], ["-40", "40-80"]))
    serving = ["-80", "80-"]
    go_on(split, serving)
    assert serving == ["80-", "-40", "40-80"]


def test_shards_in_between_do_not_serve() -> None:
    again = ended(copied("-80"), copied("80-"), by=reshard(["-80"], ["-40", "40-80"]))
    serving = ["-20", "20-40", "40-80", "80-"]
    go_on(again, serving)
    assert serving == ["-20", "20-40", "40-80", "80-"]
