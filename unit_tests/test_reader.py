"""What the reader of one shard makes of every sequence of events that vtgate sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.shape import shape_of
from source_planetscale.state import Cursor
from source_planetscale.table import Column, Table
from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import IncompleteRow, ProtocolError, RowRun, ShapeHazard, ShardReader
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.events import (
    KEYLESS,
    KEYSPACE,
    NOON,
    SHARD,
    TABLE,
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
    journal,
    keyed_by,
    last_key,
    other,
    response,
    row,
    rows,
    small_copy,
    statement_event,
    transaction,
    vgtid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

START = Cursor(KEYSPACE, SHARD)
ONE, TWO, THREE = row(1, "one", "x"), row(2, "two", None), row(3, "three", "z")


def position(last: int) -> Position:
    return Position.parse(gtid(last))


def after(last: int, key: wire.Row | None = None, *, table: Table = TABLE) -> Cursor:
    """A cursor of the copy's middle if there is a key, otherwise of catch-up."""
    last_pk = None if key is None else last_key(key, table).SerializeToString(deterministic=True)
    return Cursor(KEYSPACE, SHARD, gtid(last), last_pk, shape_of(table.columns))


def reader(
    cursor: Cursor = START,
    *,
    stop: int = 10,
    table: Table = TABLE,
    track_changes: bool = False,
    full_images: bool = True,
) -> ShardReader:
    return ShardReader(table, cursor, position(stop), track_changes=track_changes, full_images=full_images)


def feed(shard: ShardReader, responses: Iterable[wire.VStreamResponse]) -> list[RowRun]:
    return [run for part in responses for run in shard.feed(part)]


def images(runs: Iterable[RowRun]) -> list[list[bytes | None]]:
    return [cells(image) for run in runs for image in run.rows]


def keys(runs: Iterable[RowRun]) -> list[int]:
    return [int(values[0] or b"") for values in images(runs)]


def kinds(runs: Iterable[RowRun]) -> list[tuple[bool, list[int]]]:
    """Whether each run was deleted, and its keys."""
    return [(run.deleted, keys([run])) for run in runs]


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
        assert keys(runs) == keys([RowRun(runs[0].fields, [image], False, True, 0, "")])
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
    assert (shard.copying, shard.done) == (False, False)
    assert feed(shard, [transaction(11)]) == []
    assert not shard.done
    assert keys(feed(shard, [transaction(12, fields(), inserted(TWO))])) == [2]
    assert shard.done


def test_a_connection_that_is_lost_before_the_first_key_leaves_the_copy_unbegun() -> None:
    shard = reader()
    feed(shard, small_copy(ONE)[:2])
    shard.reopen()
    assert (shard.cursor, shard.copying, shard.done) == (
        replace(START, shape=shard.cursor.shape),
        True,
        False,
    )
    assert shard.cursor.position == ""


def test_a_connection_that_is_lost_before_the_end_mark_leaves_the_last_key() -> None:
    shard = reader()
    feed(shard, small_copy(ONE, TWO)[:-1])
    shard.reopen()
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


# A copy that is resumed.


def test_a_resumed_copy_catches_up_first_and_then_copies_on() -> None:
    shard = reader(after(10, TWO), stop=20)
    kept = last_key(TWO)
    caught_up = shard.feed(response(begin(), fields(), inserted(ONE), vgtid(gtid(15), kept), commit()))
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
    shard.reopen()
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


# Changes of the table.


def test_a_statement_that_changes_the_table_moves_the_cursor_and_forgets_the_shape() -> None:
    shard = reader(after(5))
    assert shard.feed(response(vgtid(gtid(6)), ddl("alter table orders add column z int"))) == []
    assert shard.cursor == replace(after(6), shape=None)


def test_rows_after_a_seen_change_of_the_table_have_its_new_shape() -> None:
    wider = replace(TABLE, columns=(TABLE.columns[0], Column("mid", "int"), *TABLE.columns[1:]))
    shard = reader(after(5))
    shard.feed(response(vgtid(gtid(6)), ddl("alter table orders add column mid int after id")))
    runs = shard.feed(transaction(7, fields(wider), inserted(row(1, 2, "one", "x"))))
    assert [column.name for column in runs[0].fields.columns] == ["id", "mid", "label", "note"]
    assert shard.cursor == after(7, table=wider)


def test_rows_under_a_shape_that_no_statement_explains_are_a_hazard() -> None:
    moved = replace(TABLE, columns=(TABLE.columns[0], Column("mid", "int"), *TABLE.columns[1:]))
    shard = reader(after(5))
    with pytest.raises(ShapeHazard, match="`label` stands where `mid` stands"):
        shard.feed(transaction(6, fields(moved), inserted(ONE)))
    assert shard.cursor == after(5)


def test_a_second_change_of_the_table_is_no_less_a_hazard_than_the_first() -> None:
    wider = replace(TABLE, columns=(*TABLE.columns, Column("z", "int")))
    moved = replace(TABLE, columns=(TABLE.columns[0], *TABLE.columns[2:], Column("y", "int")))
    shard = reader(after(5))
    shard.feed(response(vgtid(gtid(6)), ddl("alter table orders add column z int")))
    shard.feed(transaction(7, fields(wider), inserted(row(1, "one", "x", 5))))
    with pytest.raises(ShapeHazard):
        shard.feed(transaction(8, fields(moved), inserted(ONE)))


def test_columns_that_were_added_since_at_the_end_are_no_hazard() -> None:
    today = replace(TABLE, columns=(*TABLE.columns, Column("z", "int")))
    shard = reader(replace(after(5), shape=shape_of(today.columns)), table=today)
    assert keys(shard.feed(transaction(6, fields(TABLE), inserted(ONE)))) == [1]


def test_columns_that_the_server_cannot_name_are_a_hazard() -> None:
    nameless = replace(TABLE, columns=tuple(Column(f"@{n}", "bigint") for n in (1, 2, 3)))
    shard = reader(after(5))
    with pytest.raises(ShapeHazard, match="no longer knows"):
        shard.feed(transaction(6, fields(nameless), inserted(ONE)))


def test_a_copy_from_the_start_takes_the_shape_that_it_finds() -> None:
    renamed = replace(TABLE, columns=(TABLE.columns[0], Column("title", "varchar(20)", "utf8mb4")))
    shard = reader()
    feed(shard, small_copy(row(1, "one"), table=renamed))
    assert shard.cursor == after(10, table=renamed)


@pytest.mark.parametrize(
    ("statement", "removed"),
    [
        ("truncate table orders", ["TRUNCATE"]),
        ("DROP TABLE `orders` /* generated by server */", ["DROP"]),
        ("alter table orders drop column note", []),
        ("", []),
    ],
)
def test_a_statement_that_removes_rows_without_deletes_is_reported(
    statement: str, removed: list[str]
) -> None:
    shard = reader(after(5))
    shard.feed(response(vgtid(gtid(6)), ddl(statement)))
    assert shard.rows_removed == removed
    assert shard.cursor.position == gtid(6)


# Rows that are not whole.


ALL_PRESENT, NOTE_ABSENT = (True, True, True), (True, True, False)


def test_an_image_without_some_column_is_refused() -> None:
    shard = reader(after(5))
    with pytest.raises(IncompleteRow, match="binlog_row_image"):
        shard.feed(transaction(6, fields(), rows(change(None, row(1, "one", None), present=NOTE_ABSENT))))
    assert shard.cursor == after(5)


def test_an_image_that_names_all_columns_as_present_is_whole() -> None:
    shard = reader(after(5))
    assert keys(shard.feed(transaction(6, fields(), rows(change(None, ONE, present=ALL_PRESENT))))) == [1]


def test_a_partial_json_value_is_refused() -> None:
    shard = reader(after(5))
    with pytest.raises(IncompleteRow, match="PARTIAL_JSON"):
        shard.feed(
            transaction(6, fields(), rows(change(ONE, ONE, present=ALL_PRESENT, partial_json=(True,))))
        )


def test_a_json_value_that_came_whole_is_taken() -> None:
    shard = reader(after(5))
    whole = rows(change(ONE, ONE, present=ALL_PRESENT, partial_json=(False,)))
    assert keys(shard.feed(transaction(6, fields(), whole))) == [1]


@pytest.mark.parametrize("track_changes", [False, True])
def test_what_may_be_an_update_to_nulls_is_refused_under_reduced_images(track_changes: bool) -> None:
    shard = reader(after(5), track_changes=track_changes, full_images=False)
    with pytest.raises(IncompleteRow, match="binlog_row_image"):
        shard.feed(transaction(6, fields(), rows(change(row(1, None, None)))))
    assert shard.cursor == after(5)


def test_a_row_of_nulls_may_be_deleted_under_full_images() -> None:
    shard = reader(after(5), track_changes=True)
    runs = shard.feed(transaction(6, fields(), rows(change(row(1, None, None)))))
    assert kinds(runs) == [(True, [1])]


def test_a_deleted_row_without_a_value_that_cannot_be_null_shows_reduced_images() -> None:
    strict = replace(TABLE, columns=(*TABLE.columns[:2], replace(TABLE.columns[2], nullable=False)))
    shard = reader(after(5, table=strict), table=strict)
    with pytest.raises(IncompleteRow, match="binlog_row_image"):
        shard.feed(transaction(6, fields(strict), rows(change(row(1, None, None)))))


def test_a_deleted_row_of_nothing_but_its_key_is_a_delete() -> None:
    bare = replace(TABLE, columns=TABLE.columns[:1])
    shard = reader(after(5, table=bare), table=bare, track_changes=True, full_images=False)
    assert kinds(shard.feed(transaction(6, fields(bare), rows(change(row(1)))))) == [(True, [1])]


@pytest.mark.parametrize("dml", ["", "insert into orders values (1)", "INSERT INTO `ORDERS` VALUES (1)"])
def test_a_change_that_came_as_a_statement_is_refused(dml: str) -> None:
    shard = reader(after(5))
    with pytest.raises(IncompleteRow, match="binlog_format"):
        shard.feed(response(begin(), statement_event(dml), vgtid(gtid(6)), commit()))
    assert shard.cursor == after(5)


@pytest.mark.parametrize("dml", ["insert into others values (1)", "insert into reorders values (1)"])
def test_a_statement_on_another_table_is_not_this_ones(dml: str) -> None:
    shard = reader(after(5))
    shard.feed(response(begin(), statement_event(dml), vgtid(gtid(6)), commit()))
    assert shard.cursor == after(6)


# Reshards.


def test_a_journal_ends_the_shard_before_its_own_position() -> None:
    shard = reader(after(5))
    runs = shard.feed(
        response(
            *(begin(), fields(), inserted(ONE), vgtid(gtid(6)), commit()),
            *(vgtid(gtid(7)), other()),
            *(begin(), journal(gtid(8), ["-40", "40-80"]), vgtid(gtid(8)), commit()),
        )
    )
    assert keys(runs) == [1]
    assert shard.cursor == after(7)
    assert shard.journal is not None
    assert [entry.shard for entry in shard.journal.shard_gtids] == ["-40", "40-80"]


def test_a_journal_of_moved_tables_ends_nothing() -> None:
    shard = reader(after(5))
    shard.feed(response(begin(), journal(gtid(6), ["-"], wire.TABLES), vgtid(gtid(6)), commit()))
    assert (shard.journal, shard.cursor) == (None, after(6))


# Progress, by which a stall is told.


def test_what_vtgate_sends_again_and_again_is_no_progress() -> None:
    shard = reader(after(5))
    again = response(begin(), fields(), inserted(ONE))
    shard.feed(again)
    progress = shard.progress
    for _ in range(5):
        shard.feed(again)
    assert shard.progress == progress


def test_the_beginning_of_a_copy_again_and_again_is_no_progress() -> None:
    shard = reader(after(10, ONE))
    again = [response(begin(), fields()), response(vgtid(gtid(10), last_key(ONE)))]
    feed(shard, again)
    progress = shard.progress
    for _ in range(5):
        feed(shard, again)
    assert shard.progress == progress


def test_the_same_description_again_leaves_the_cursor_as_it_was() -> None:
    shard = reader(after(5))
    cursor = shard.cursor
    shard.feed(response(begin(), fields()))
    assert shard.cursor is cursor


@pytest.mark.parametrize(
    "part",
    [
        response(begin(), fields(), inserted(ONE)),
        transaction(6),
        response(vgtid(gtid(6)), other()),
        response(vgtid(gtid(6)), ddl("alter table orders add z int")),
    ],
    ids=["rows", "empty transaction", "other", "statement"],
)
def test_rows_and_new_positions_are_progress(part: wire.VStreamResponse) -> None:
    shard = reader(after(5))
    progress = shard.progress
    shard.feed(part)
    assert shard.progress > progress


# Any script, cut anywhere.


class Server:
    """A model of one shard: a log of transactions, and streams of it as vtgate sends them."""

    def __init__(self, log: list[list[tuple[int, str | None]]], random: Random) -> None:
        """Takes a list of transactions, each a list of changes: a key and its new value or None."""
        self.log = log
        self.head = random.randint(0, len(log))
        self._random = random

    def content(self, last: int) -> dict[int, str]:
        table: dict[int, str] = {}
        for changes in self.log[:last]:
            for key, value in changes:
                if value is None:
                    table.pop(key, None)
                else:
                    table[key] = value
        return table

    def stream(self, cursor: Cursor) -> list[wire.VStreamResponse]:
        """The whole stream from a cursor to the head, in responses that begin and end anywhere."""
        self.head = self._random.randint(self.head, len(self.log))
        start = int(cursor.position.rpartition("-")[2] or 0) if cursor.position else 0
        if not cursor.copying:
            return self._cut(self._changes(start, None))
        if cursor.last_pk is None:
            return self._cut([*self._copy(0)])
        lastpk = wire.QueryResult.FromString(cursor.last_pk)
        caught_up = self._changes(start, lastpk)
        return self._cut([*caught_up, *self._copy(int(cells(lastpk.rows[0])[0] or b""))])

    def _changes(self, start: int, lastpk: wire.QueryResult | None) -> list[wire.VEvent]:
        events = [fields()]
        table = self.content(start)
        for number in range(start, self.head):
            events.append(begin())
            for key, value in self.log[number]:
                before = row(key, table[key], None) if key in table else None
                if value is None and before is None:
                    continue
                events.append(rows(change(before, None if value is None else row(key, value, None))))
                if value is None:
                    del table[key]
                else:
                    table[key] = value
            events += [vgtid(gtid(number + 1), lastpk), commit()]
        return events

    def _copy(self, last: int) -> list[wire.VEvent]:
        snapshot = gtid(self.head)
        events = [begin(), fields(), vgtid(snapshot)]
        for key, value in sorted(self.content(self.head).items()):
            if key > last:
                image = row(key, value, None)
                events += [copied(image), vgtid(snapshot, last_key(image)), commit(), begin()]
        return [*events, vgtid(snapshot), commit(), copy_completed(SHARD), copy_completed()]

    def _cut(self, events: list[wire.VEvent]) -> list[wire.VStreamResponse]:
        parts: list[wire.VStreamResponse] = []
        while events:
            size = self._random.randint(1, 6)
            parts.append(response(*events[:size]))
            events = events[size:]
            if self._random.random() < 0.1:
                parts.append(response(heartbeat()))
        return parts


CHANGES = st.lists(
    st.tuples(st.integers(1, 6), st.one_of(st.none(), st.sampled_from("abc"))), min_size=0, max_size=4
)


@settings(deadline=None)
@given(log=st.lists(CHANGES, min_size=1, max_size=8), random=st.randoms(use_true_random=True))
def test_any_stream_cut_anywhere_loses_no_change_when_it_goes_on_from_its_cursor(
    log: list[list[tuple[int, str | None]]], random: Random
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
        if random.random() < 0.5:
            shard.reopen()
        else:
            # The process ended and another one goes on from the saved cursor.
            shard = reader(shard.cursor, stop=len(log), track_changes=True)
    assert shard.done
    content = {key: value.encode() for key, value in server.content(len(log)).items()}
    assert {key: destination.get(key) for key in content} == content
    assert set(destination) - set(content) <= left_over
