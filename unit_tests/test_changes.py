"""Changes as records: the added columns, deletes, the reserve of the cursor, copies that were cut."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from source_planetscale.batches import BatchMaker, added_properties
from source_planetscale.database import BinlogStatus
from source_planetscale.sequence import ChangeSequence
from source_planetscale.shape import shape_of
from source_planetscale.state import Cursor, StreamState
from unit_tests.events import (
    KEYLESS,
    KEYSPACE,
    NOON,
    SHARD,
    TABLE,
    UUID,
    begin,
    both_copy_completed,
    change,
    commit,
    copied,
    fields,
    gtid,
    last_key,
    response,
    row,
    rows,
    small_copy,
    transaction,
    vgtid,
)
from unit_tests.fakes import CONFIG, FakeDatabase, FakeVtgate, Reading, broken
from unit_tests.reading import ONE, THREE, TWO, after, feed, reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source_planetscale.config import Config
    from source_planetscale.vstream.wire import vstream_pb2 as wire
    from unit_tests.fakes import Item

CHANGES = replace(CONFIG, include_cdc_columns=True)
METADATA = replace(CONFIG, include_metadata=True)
NOON_TEXT = "2023-11-14T22:13:20.000000Z"
ADDED = ("_ab_cdc_updated_at", "_ab_cdc_deleted_at", "_ab_cdc_cursor")


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.shards.backoff_seconds", lambda _attempt: 0.0)


def data_of(config: Config, *events: wire.VEvent) -> list[dict[str, Any]]:
    """The data of the records that a transaction of catch-up becomes."""
    shard = reader(after(5), track_changes=True)
    runs = feed(shard, [transaction(6, fields(), *events)])
    maker = BatchMaker(TABLE, config, ChangeSequence(0, 1000), ChangeSequence(0, 0))
    batch = maker.batch(runs)
    if batch is None:
        return []
    return [json.loads(line)["record"]["data"] for line in batch.text.splitlines()]


def test_every_change_has_a_greater_cursor_and_the_time_of_its_commit() -> None:
    updated = replace_note(ONE)
    found = data_of(CHANGES, rows(change(ONE, updated), change(updated, ONE), change(ONE)))
    assert [[record[name] for name in ADDED] for record in found] == [
        [NOON_TEXT, None, 1001],
        [NOON_TEXT, None, 1002],
        [NOON_TEXT, NOON_TEXT, 1003],
    ]


def replace_note(image: wire.Row) -> wire.Row:
    return row(int(image.values[:1]), "one", "other")


def test_a_delete_has_all_columns_that_the_server_sent() -> None:
    (deleted,) = data_of(CHANGES, rows(change(ONE)))
    assert {name: deleted[name] for name in ("id", "label", "note")} == {"id": 1, "label": "one", "note": "x"}


def test_metadata_alone_brings_no_deletes() -> None:
    found = data_of(METADATA, rows(change(ONE), change(TWO, THREE), change(None, ONE)))
    assert [record["id"] for record in found] == [3, 1]
    assert [record["_planetscale_metadata"]["sequence_number"] for record in found] == [1, 2]
    assert all(record["_planetscale_metadata"]["vgtid_position"] == gtid(6) for record in found)
    assert data_of(METADATA, rows(change(ONE))) == []


def test_the_columns_are_declared_only_where_they_are_asked_for() -> None:
    assert added_properties(CONFIG) == {}
    assert set(added_properties(CHANGES)) == set(ADDED)
    assert set(added_properties(METADATA)) == {"_planetscale_metadata"}


# The reserve of the cursor.


def test_the_numbers_are_reserved_in_a_state_before_the_first_record() -> None:
    outcome = Reading(FakeVtgate({SHARD: [small_copy(ONE)]}), config=CHANGES).run()
    kinds = [message.type.value for message in outcome.messages]
    assert kinds[:2] == ["STATE", "RECORD"]
    assert outcome.records[0]["_ab_cdc_cursor"] < outcome.states[0]["cdc_cursor"]


def test_without_the_option_no_state_comes_before_the_records() -> None:
    outcome = Reading(FakeVtgate({SHARD: [small_copy(ONE)]})).run()
    assert next(message.type.value for message in outcome.messages) == "RECORD"


def test_a_sync_after_one_that_was_killed_and_a_clock_that_stepped_back_goes_on_above() -> None:
    ahead = Reading(FakeVtgate({SHARD: [small_copy(ONE)]}), config=CHANGES).run()
    reserved = ahead.states[0]["cdc_cursor"] + 10**12
    again = Reading(
        FakeVtgate({SHARD: [small_copy(ONE)]}),
        config=CHANGES,
        state={**ahead.states[0], "cdc_cursor": reserved},
    ).run()
    assert again.records[0]["_ab_cdc_cursor"] > reserved


def test_a_state_follows_the_records_where_the_reserve_runs_low(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChangeSequence, "runs_low", lambda _self, _reserved: True)
    script = [transaction(last, fields(), rows(change(None, row(last, "x", "y")))) for last in (6, 10)]
    state = StreamState({SHARD: at(5)}).to_json()
    outcome = Reading(FakeVtgate({SHARD: [script]}), config=CHANGES, state=state).run()
    kinds = [message.type.value for message in outcome.messages]
    # The last is that of the stream's end.
    assert kinds[-3:] == ["RECORD", "STATE", "STATE"]


def test_a_table_without_a_key_says_what_deduplication_cannot_do(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Reading(FakeVtgate({SHARD: [small_copy(ONE)]}), config=CHANGES, table=KEYLESS).run()
    assert "Table orders has no primary key" in caplog.text


# Copies that were cut.


def at(last: int, key: wire.Row | None = None, replay: Cursor | None = None) -> Cursor:
    last_pk = last_key(key).SerializeToString(deterministic=True) if key else None
    return Cursor(KEYSPACE, SHARD, gtid(last), last_pk, shape_of(TABLE.columns), replay)


def end_of_copy(last: int, *images: wire.Row) -> Iterator[wire.VStreamResponse]:
    yield response(begin(), fields())
    if images:
        yield response(copied(*images), vgtid(gtid(last), last_key(images[-1])), commit())
    yield response(begin(), vgtid(gtid(last)), commit())
    yield both_copy_completed()


DELETE_OF_TWO = transaction(8, fields(), rows(change(TWO)))


def test_changes_since_a_copy_was_cut_are_read_again_for_rows_beyond_its_last_key() -> None:
    # The sync that was cut had emitted row 2, which was deleted before this one began.
    state = StreamState({SHARD: at(7, ONE)}, cdc_cursor=1).to_json()
    vtgate = FakeVtgate({SHARD: [end_of_copy(10, THREE), [DELETE_OF_TWO, transaction(10)]]})
    outcome = Reading(vtgate, config=CHANGES, state=state).run()
    assert outcome.error is None
    assert [(cursor.position, cursor.copying) for cursor in vtgate.opened] == [
        (gtid(7), True),
        (gtid(7), False),
    ]
    assert [(record["id"], bool(record["_ab_cdc_deleted_at"])) for record in outcome.records] == [
        (3, False),
        (2, True),
    ]
    assert outcome.positions == {SHARD: gtid(10)}
    assert "replay" not in outcome.states[-1]["shards"][SHARD]


def test_a_copy_that_breaks_within_a_sync_is_followed_by_the_changes_since() -> None:
    first: list[Item] = [
        response(begin(), fields()),
        response(vgtid(gtid(7))),
        response(copied(ONE), vgtid(gtid(7), last_key(ONE)), commit()),
        response(copied(TWO)),
        broken(),
    ]
    vtgate = FakeVtgate({SHARD: [first, end_of_copy(10, THREE), [DELETE_OF_TWO, transaction(10)]]})
    outcome = Reading(vtgate, config=CHANGES).run()
    assert outcome.error is None
    assert outcome.ids == [1, 2, 3, 2]
    assert outcome.records[-1]["_ab_cdc_deleted_at"]


def test_the_first_of_several_cuts_is_where_the_changes_are_read_from() -> None:
    state = StreamState({SHARD: at(8, TWO, replay=at(6))}, cdc_cursor=1).to_json()
    vtgate = FakeVtgate({SHARD: [end_of_copy(10), [transaction(10)]]})
    Reading(vtgate, config=CHANGES, state=state).run()
    assert [cursor.position for cursor in vtgate.opened] == [gtid(8), gtid(6)]


def test_a_cut_after_the_copy_still_leads_back() -> None:
    state = StreamState({SHARD: at(10, replay=at(6))}, cdc_cursor=1).to_json()
    vtgate = FakeVtgate({SHARD: [[transaction(10)]]})
    outcome = Reading(vtgate, config=CHANGES, state=state).run()
    assert [cursor.position for cursor in vtgate.opened] == [gtid(6)]
    assert outcome.positions == {SHARD: gtid(10)}


def test_where_the_changes_since_the_cut_are_gone_a_warning_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = StreamState({SHARD: at(10, replay=at(6))}, cdc_cursor=1).to_json()
    purged = FakeDatabase(BinlogStatus(f"{UUID}:1-1000", f"{UUID}:1-8", full_images=True))
    vtgate = FakeVtgate({SHARD: []})
    with caplog.at_level(logging.WARNING):
        outcome = Reading(vtgate, config=CHANGES, state=state, database=purged).run()
    assert outcome.error is None
    assert "stays in the destination" in caplog.text
    assert outcome.positions == {SHARD: gtid(10)}


def test_without_deletes_nothing_is_read_twice() -> None:
    state = StreamState({SHARD: at(7, ONE)}).to_json()
    vtgate = FakeVtgate({SHARD: [end_of_copy(10, THREE)]})
    outcome = Reading(vtgate, state=state).run()
    assert (outcome.ids, len(vtgate.opened)) == ([3], 1)


def test_the_place_of_a_cut_survives_the_state() -> None:
    cursors = {SHARD: at(8, TWO, replay=at(6))}
    saved = StreamState(cursors).to_json()
    assert StreamState.parse(saved, keyspace=KEYSPACE, stream="orders").cursors == cursors


# Reduced row images.


@pytest.mark.parametrize("track_changes", [False, True])
def test_a_delete_with_a_null_that_may_be_a_missing_column_is_no_record(track_changes: bool) -> None:
    config = CHANGES if track_changes else CONFIG
    state = StreamState({SHARD: at(5)}).to_json()
    reduced = FakeDatabase(BinlogStatus(f"{UUID}:1-1000", "", full_images=False))
    script = [transaction(10, fields(), rows(change(TWO), at=NOON))]
    outcome = Reading(FakeVtgate({SHARD: [script]}), config=config, state=state, database=reduced).run()
    assert outcome.records == []
    assert ("binlog_row_image" in str(outcome.error)) == track_changes
