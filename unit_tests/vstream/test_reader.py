"""What the reader of one shard makes of every sequence of copy and catch-up that vtgate sends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.reader import ProtocolError
from source_planetscale.vstream.rows import block_of
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import (
    KEYLESS,
    NOON,
    SHARD,
    begin,
    both_copy_completed,
    change,
    commit,
    copied,
    copy_completed,
    ddl,
    fields,
    gtid,
    heartbeat,
    inserted,
    keyed_by,
    last_key,
    numbered,
    other,
    response,
    row,
    rows,
    small_copy,
    transaction,
    vgtid,
)
from unit_tests.support.model import LOGS, Log, Server
from unit_tests.support.readers import feed, images, keys, kinds, reader
from unit_tests.support.reading import ONE, START, THREE, TWO, after

if TYPE_CHECKING:
    from random import Random

    from source_planetscale.table import Table

# The copy.


def test_a_small_copy_is_read_to_its_end() -> None:
    shard = reader()
    runs = feed(shard, small_copy(ONE, TWO))
    assert keys(runs) == [1, 2]
    assert [(run.copied, run.deleted, run.timestamp) for run in runs] == [(True, False, 0)]
    assert shard.cursor == after(10)
    assert shard.done


def test_a_copy_in_batches_moves_the_cursor_with_each_batch() -> None:
    shard = reader()
    feed(shard, small_copy()[:2])
    assert shard.cursor.copying
    for image in (ONE, TWO):
        shard.feed(response(begin()))
        runs = shard.feed(response(copied(image), vgtid(gtid(10), last_key(image)), commit()))
        assert keys(runs) == [int(cells(image)[0] or b"")]
        assert shard.cursor == after(10, image)
        assert not shard.done
    feed(shard, [response(begin(), vgtid(gtid(10)), commit()), both_copy_completed()])
    assert shard.cursor == after(10)


def test_an_empty_table_is_done_at_its_snapshot() -> None:
    shard = reader()
    assert feed(shard, small_copy()) == []
    assert (shard.done, shard.cursor) == (True, after(10))


def test_the_copy_ends_at_the_mark_of_its_shard() -> None:
    shard = reader()
    feed(shard, [*small_copy(ONE)[:-1], response(copy_completed(SHARD))])
    assert shard.done


def test_the_copy_ends_at_the_mark_without_a_shard() -> None:
    shard = reader()
    feed(shard, [*small_copy(ONE)[:-1], response(copy_completed())])
    assert shard.done


def test_a_copy_from_before_the_stop_position_goes_on_to_catch_up() -> None:
    shard = reader(stop=12)
    feed(shard, small_copy(ONE, last=10))
    assert (shard.cursor.copying, shard.done) == (False, False)
    assert feed(shard, [transaction(11)]) == []
    assert not shard.done
    assert keys(feed(shard, [transaction(12, fields(), inserted(TWO))])) == [2]
    assert shard.done


def test_a_connection_that_is_lost_before_the_first_key_leaves_the_copy_unbegun() -> None:
    shard = reader()
    feed(shard, small_copy(ONE)[:2])
    shard = reader(shard.cursor)
    assert (shard.cursor, shard.cursor.copying, shard.done) == (
        replace(START, shape=shard.cursor.shape),
        True,
        False,
    )
    assert shard.cursor.position == ""


def test_a_connection_that_is_lost_before_the_end_mark_leaves_the_last_key() -> None:
    shard = reader()
    feed(shard, small_copy(ONE, TWO)[:-1])
    assert shard.cursor == after(10, TWO)


def test_a_copy_that_ends_without_any_position_is_an_error() -> None:
    shard = reader()
    with pytest.raises(ProtocolError, match="without a position"):
        shard.feed(both_copy_completed())
    assert shard.cursor == START


def test_rows_without_a_description_of_their_columns_are_an_error() -> None:
    shard = reader()
    with pytest.raises(ProtocolError, match="before the description"):
        shard.feed(response(copied(ONE)))
    assert shard.cursor == START


def test_a_position_without_the_shard_is_an_error() -> None:
    shard = reader(after(5))
    with pytest.raises(ProtocolError, match="missing"):
        shard.feed(response(begin(), vgtid(gtid(6), shard="80-"), commit()))
    assert shard.cursor == after(5)


@pytest.mark.parametrize(
    "table",
    [KEYLESS, keyed_by("enum('z','a')", "utf8mb4"), keyed_by("float")],
    ids=["keyless", "enum", "float"],
)
def test_a_copy_that_cannot_go_on_in_the_middle_saves_no_last_key(table: Table) -> None:
    shard = reader(table=table)
    *most, completed = small_copy(ONE, TWO, table=table)
    for part in most:
        shard.feed(part)
        assert (shard.cursor.position, shard.cursor.last_pk) == ("", None)
    shard.feed(completed)
    assert shard.cursor == after(10, table=table)


def test_a_last_key_that_does_not_fit_the_table_is_not_saved() -> None:
    shard = reader()
    stranger = last_key(ONE, KEYLESS)
    feed(shard, [*small_copy()[:2], response(copied(ONE), vgtid(gtid(10), stranger), commit())])
    assert shard.cursor.copying
    assert shard.cursor.last_pk is None


def test_a_last_key_of_another_table_is_not_taken_for_this_ones() -> None:
    shard = reader()
    foreign = vgtid(gtid(10), last_key(ONE), table="others")
    feed(shard, [*small_copy()[:2], response(copied(ONE), foreign, commit())])
    assert shard.cursor.last_pk is None


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x05abc", b"\x0a"], ids=["tag", "length", "cut"])
def test_what_is_no_response_is_an_error_without_its_content(raw: bytes) -> None:
    shard = reader(after(5))
    with pytest.raises(ProtocolError, match="makes no sense") as caught:
        shard.feed_raw(raw)
    assert "abc" not in str(caught.value)
    assert shard.cursor == after(5)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    shard = reader(after(5))
    with suppress(ProtocolError):
        shard.feed_raw(raw)


@given(
    image=st.builds(wire.Row, lengths=st.lists(st.integers(-1, 9), max_size=5), values=st.binary(max_size=9))
)
def test_a_row_of_any_lengths_is_read_or_refused(image: wire.Row) -> None:
    shard = reader(after(5), track_changes=True)
    with suppress(ProtocolError):
        shard.feed(transaction(6, fields(), rows(change(image, ONE))))


# A copy that is resumed.


def test_a_resumed_copy_catches_up_first_and_then_copies_on() -> None:
    shard = reader(after(10, TWO), stop=20)
    kept = last_key(TWO)
    described = fields(at=NOON)
    caught_up = shard.feed(response(begin(), described, inserted(ONE), vgtid(gtid(15), kept), commit()))
    assert (keys(caught_up), caught_up[0].copied) == ([1], False)
    assert shard.cursor == after(15, TWO)
    rest = feed(shard, [response(begin(), fields()), response(vgtid(gtid(20), kept))])
    rest += shard.feed(response(copied(THREE), vgtid(gtid(20), last_key(THREE)), commit()))
    assert (keys(rest), rest[0].copied) == ([3], True)
    assert (shard.cursor, shard.done) == (after(20, THREE), False)
    feed(shard, [response(begin(), vgtid(gtid(20)), commit()), both_copy_completed()])
    assert (shard.cursor, shard.done) == (after(20), True)


def test_a_resumed_copy_without_any_row_left_ends_at_its_snapshot() -> None:
    shard = reader(after(10, THREE), stop=20)
    kept = last_key(THREE)
    feed(
        shard,
        [
            response(begin(), fields()),
            response(vgtid(gtid(20), kept)),
            response(begin(), vgtid(gtid(20)), commit()),
            both_copy_completed(),
        ],
    )
    assert (shard.cursor, shard.done) == (after(20), True)


def test_a_copy_is_not_done_where_its_position_alone_would_be() -> None:
    assert not reader(after(30, ONE), stop=10).done


# Catch-up.


def test_a_cursor_at_the_stop_position_is_done_at_once() -> None:
    assert reader(after(10)).done
    assert reader(after(11)).done


def test_the_stop_position_is_contained_and_not_equalled() -> None:
    shard = reader(after(5), stop=10)
    shard.feed(transaction(9))
    assert not shard.done
    shard.feed(transaction(13))
    assert shard.done


def test_transactions_of_other_tables_only_move_the_cursor() -> None:
    shard = reader(after(5))
    assert feed(shard, [transaction(6), response(vgtid(gtid(7)), other())]) == []
    assert shard.cursor == after(7)


def test_the_first_answer_to_current_is_a_position() -> None:
    shard = reader(after(5))
    shard.feed(response(vgtid(gtid(10)), other()))
    assert (shard.cursor, shard.done) == (after(10), True)


def test_a_transaction_over_several_responses_moves_the_cursor_at_its_end() -> None:
    shard = reader(after(5))
    assert keys(shard.feed(response(begin(), fields(), inserted(ONE)))) == [1]
    assert shard.cursor == after(5)
    assert keys(shard.feed(response(inserted(TWO)))) == [2]
    assert shard.cursor == after(5)
    assert keys(shard.feed(response(inserted(THREE), vgtid(gtid(6)), commit()))) == [3]
    assert shard.cursor == after(6)


def test_a_position_without_the_transactions_end_is_not_taken() -> None:
    shard = reader(after(5))
    shard.feed(response(begin(), fields(), inserted(ONE), vgtid(gtid(6))))
    assert shard.cursor == after(5)
    shard.feed(response(commit()))
    assert shard.cursor == after(6)


def test_a_position_from_before_a_disconnect_is_not_taken_after_it() -> None:
    shard = reader(after(5))
    shard.feed(response(begin(), fields(), inserted(ONE), vgtid(gtid(6))))
    shard = reader(shard.cursor)
    shard.feed(response(commit()))
    assert shard.cursor == after(5)


def test_heartbeats_move_nothing() -> None:
    shard = reader(after(5))
    shard.feed(response(begin(), fields(), inserted(ONE), vgtid(gtid(6))))
    progress = shard.progress
    for _ in range(3):
        assert shard.feed(response(heartbeat())) == []
    assert (shard.cursor, shard.progress, shard.done) == (after(5), progress, False)


def test_updates_give_the_row_after_them() -> None:
    shard = reader(after(5))
    runs = shard.feed(transaction(6, fields(), rows(change(row(1, "a", None), ONE))))
    assert images(runs) == [[b"1", b"one", b"x"]]
    assert [(run.deleted, run.copied, run.timestamp) for run in runs] == [(False, False, NOON)]


def test_deletes_are_left_out_where_nobody_tracks_them() -> None:
    shard = reader(after(5))
    runs = shard.feed(transaction(6, fields(), rows(change(ONE), change(None, TWO), change(THREE))))
    assert kinds(runs) == [(False, [2])]


def test_a_transaction_of_deletes_alone_gives_no_run() -> None:
    shard = reader(after(5))
    assert shard.feed(transaction(6, fields(), rows(change(ONE)))) == []
    assert shard.cursor == after(6)


def test_deletes_and_upserts_keep_their_order() -> None:
    shard = reader(after(5), track_changes=True)
    runs = shard.feed(
        transaction(6, fields(), rows(change(ONE), change(TWO), change(None, THREE), change(THREE)))
    )
    assert kinds(runs) == [(True, [1, 2]), (False, [3]), (True, [3])]


def test_a_changed_key_is_a_delete_and_an_upsert() -> None:
    shard = reader(after(5), track_changes=True)
    runs = shard.feed(transaction(6, fields(), rows(change(ONE, row(9, "one", "x")))))
    assert kinds(runs) == [(True, [1]), (False, [9])]


def test_a_changed_key_is_one_row_where_nobody_tracks_deletes() -> None:
    shard = reader(after(5))
    runs = shard.feed(transaction(6, fields(), rows(change(ONE, row(9, "one", "x")))))
    assert kinds(runs) == [(False, [9])]


def test_an_update_that_keeps_the_key_deletes_nothing() -> None:
    shard = reader(after(5), track_changes=True)
    runs = shard.feed(transaction(6, fields(), rows(change(row(1, "a", "b"), ONE))))
    assert kinds(runs) == [(False, [1])]


def test_tracked_transactions_are_runs_with_their_own_position_and_time() -> None:
    shard = reader(after(5), stop=7, track_changes=True)
    runs = shard.feed(
        response(
            *(begin(), fields(), inserted(ONE, at=NOON), vgtid(gtid(6)), commit()),
            *(begin(), inserted(TWO, at=NOON + 1), vgtid(gtid(7)), commit()),
        )
    )
    assert [(run.position, run.timestamp) for run in runs] == [(gtid(6), NOON), (gtid(7), NOON + 1)]


def test_untracked_transactions_join_into_one_run() -> None:
    shard = reader(after(5), stop=7)
    runs = shard.feed(
        response(
            *(begin(), fields(), inserted(ONE, at=NOON), vgtid(gtid(6)), commit()),
            *(begin(), inserted(TWO, at=NOON + 1), vgtid(gtid(7)), commit()),
        )
    )
    assert kinds(runs) == [(False, [1, 2])]
    assert shard.cursor == after(7)


def test_copied_rows_and_changes_are_never_in_one_run() -> None:
    shard = reader()
    runs = shard.feed(
        response(begin(), fields(), copied(ONE), inserted(TWO), copied(THREE), vgtid(gtid(9)), commit())
    )
    assert [(run.copied, keys([run])) for run in runs] == [(True, [1]), (False, [2]), (True, [3])]


# From one binlog file into the next.


def numbered_insert(number: int, last: int, image: wire.Row) -> wire.VStreamResponse:
    return numbered(number, last, begin(), fields(), inserted(image), vgtid(gtid(last)), commit())


def test_a_stream_is_followed_to_the_end_of_its_binlog_file() -> None:
    shard = reader(after(5))
    runs = feed(shard, [numbered_insert(40, 6, ONE), numbered_insert(41, 7, TWO)])
    assert (keys(runs), shard.at_next_file) == ([1, 2], False)
    assert feed(shard, [numbered_insert(1, 8, THREE)]) == []
    assert (shard.at_next_file, shard.cursor, shard.done) == (True, after(7), False)


def test_nothing_of_the_next_binlog_file_is_taken_from_the_same_response() -> None:
    shard = reader(after(5))
    both = response(*numbered_insert(40, 6, ONE).events, *numbered_insert(1, 7, TWO).events)
    assert keys(feed(shard, [both])) == [1]
    assert (shard.at_next_file, shard.cursor) == (True, after(6))
    assert feed(shard, [numbered_insert(2, 8, THREE)]) == []
    assert shard.cursor == after(6)


def test_a_schema_change_can_be_the_first_of_the_next_binlog_file() -> None:
    shard = reader(after(5))
    feed(shard, [numbered_insert(1, 6, ONE)])
    feed(shard, [numbered(1, 7, vgtid(gtid(7)), ddl("truncate table orders"))])
    assert (shard.at_next_file, shard.cursor, shard.table.statements) == (True, after(6), [])


def test_the_rows_of_a_block_from_the_next_binlog_file_are_left_as_well() -> None:
    shard = reader(after(5))
    feed(shard, [numbered_insert(40, 6, ONE)])
    changes = (inserted(row(key, "x" * 100, None)) for key in range(50))
    many = numbered(1, 7, begin(), fields(), *changes, vgtid(gtid(7)), commit())
    assert block_of(many, many.SerializeToString()) is not None
    assert shard.feed(many) == []
    assert (shard.at_next_file, shard.cursor) == (True, after(6))


def test_a_transaction_that_vtgate_begins_anew_is_of_the_same_binlog_file() -> None:
    shard = reader(after(5))
    feed(shard, [numbered(40, 6, begin(), fields(), inserted(ONE)), numbered_insert(40, 6, ONE)])
    assert (shard.at_next_file, shard.cursor) == (False, after(6))


def test_a_stop_position_at_the_end_of_a_binlog_file_is_reached() -> None:
    shard = reader(after(5), stop=6)
    both = response(*numbered_insert(40, 6, ONE).events, *numbered_insert(1, 7, TWO).events)
    assert keys(feed(shard, [both])) == [1]
    assert shard.done


def timed(second: int, last: int, *changes: wire.VEvent) -> wire.VStreamResponse:
    """A transaction of a server that sends no numbers."""
    parts = response(begin(), *changes, vgtid(gtid(last)), commit())
    for event in parts.events:
        event.timestamp = 0 if event.type == wire.VGTID else second
    return parts


def test_without_numbers_a_stream_is_followed_to_the_start_of_the_server() -> None:
    shard = reader(after(5), started=lambda: 1000)
    runs = feed(shard, [timed(900, 6, fields(), inserted(ONE)), timed(950, 7, inserted(TWO))])
    assert (keys(runs), shard.at_next_file) == ([1, 2], False)
    assert feed(shard, [timed(1010, 8, fields(), inserted(THREE))]) == []
    assert (shard.at_next_file, shard.cursor, shard.done) == (True, after(7), False)


def test_without_numbers_transactions_of_other_tables_are_passed_up_to_the_start_of_the_server() -> None:
    shard = reader(after(5), started=lambda: 1000)
    both = response(*timed(900, 6).events, *timed(1010, 7).events)
    assert feed(shard, [both]) == []
    assert (shard.at_next_file, shard.cursor) == (True, after(6))


def test_without_numbers_a_copy_that_vtgate_takes_up_asks_anew_when_the_server_was_started() -> None:
    starts = [100, 1000]
    shard = reader(after(5, ONE), started=lambda: starts.pop(0))
    feed(shard, [timed(900, 6, fields(), inserted(ONE)), *small_copy()[:2]])
    feed(shard, [timed(950, 7, fields(), inserted(ONE)), timed(1010, 8, fields(), inserted(ONE))])
    assert (shard.at_next_file, starts) == (True, [])


# Any script, cut anywhere.


@settings(deadline=None)
@given(log=LOGS, random=st.randoms(use_true_random=True))
def test_any_stream_cut_anywhere_loses_no_change_when_it_goes_on_from_its_cursor(
    log: Log, random: Random
) -> None:
    server = Server(log, random)
    shard = reader(stop=len(log), track_changes=True)
    destination: dict[int, bytes] = {}
    left_over: set[int] = set()
    for _ in range(200):
        if not shard.cursor.position:
            # Nothing tells a copy from the start what was deleted since an earlier try.
            left_over |= set(destination)
        responses = server.stream(shard.cursor)
        for part in responses[: random.randint(0, len(responses)) if random.random() < 0.7 else None]:
            for run in shard.feed(part):
                for key, value in ((int(v[0] or b""), v[1]) for v in images([run])):
                    if run.deleted:
                        destination.pop(key, None)
                        left_over.discard(key)
                    else:
                        destination[key] = value or b""
        if shard.done:
            break
        # Another stream goes on from the cursor.
        shard = reader(shard.cursor, stop=len(log), track_changes=True)
    assert shard.done
    content = {key: value.encode() for key, value in server.content(len(log)).items()}
    assert {key: destination.get(key) for key in content} == content
    assert set(destination) - set(content) <= left_over
