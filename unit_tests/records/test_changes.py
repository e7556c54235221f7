"""Changes as records: the added columns, deletes, the reserve of the cursor, copies that were cut."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from source_planetscale.mysql.database import BinlogStatus
from source_planetscale.records.added import added_properties
from source_planetscale.records.batches import BatchMaker
from source_planetscale.records.message import batch_of
from source_planetscale.records.sequence import ChangeSequence
from unit_tests.support.events import (
    KEYLESS,
    NOON,
    SHARD,
    TABLE,
    UUID,
    change,
    fields,
    gtid,
    row,
    rows,
    small_copy,
    transaction,
)
from unit_tests.support.fakes import CONFIG, DEADLINE, FakeDatabase, FakeVtgate, Item, Reading
from unit_tests.support.reading import ONE, THREE, TWO, after, feed, reader, saved

if TYPE_CHECKING:
    from source_planetscale.config import Config
    from source_planetscale.vstream.wire import vstream_pb2 as wire

pytestmark = pytest.mark.usefixtures("_in_no_time")

CHANGES = replace(CONFIG, include_cdc_columns=True)
METADATA = replace(CONFIG, include_metadata=True)
NOON_TEXT = "2023-11-14T22:13:20.000000Z"
ADDED = ("_ab_cdc_updated_at", "_ab_cdc_deleted_at", "_ab_cdc_cursor")


def data_of(config: Config, *events: wire.VEvent) -> list[dict[str, Any]]:
    """The data of the records that a transaction of catch-up becomes."""
    shard = reader(after(5), track_changes=True)
    runs = feed(shard, [transaction(6, fields(), *events)])
    maker = BatchMaker(TABLE, config, ChangeSequence(0, 1000), ChangeSequence(0, 0))
    batch = batch_of(maker, runs, SHARD)
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
    out = threading.Event()

    def wait() -> None:
        assert out.wait(DEADLINE)

    script: list[Item] = [transaction(6, fields(), rows(change(None, ONE))), wait, transaction(10)]
    state = saved(after(5))
    outcome = Reading(FakeVtgate({SHARD: [script]}), config=CHANGES, state=state).run(on_record=out.set)
    kinds = [message.type.value for message in outcome.messages]
    # The first reserves, and the last is that of the stream's end.
    assert kinds == ["STATE", "RECORD", "STATE", "STATE"]


def test_a_table_without_a_key_says_what_deduplication_cannot_do(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Reading(FakeVtgate({SHARD: [small_copy(ONE)]}), config=CHANGES, table=KEYLESS).run()
    assert "Table orders has no primary key" in caplog.text


# Reduced row images.


@pytest.mark.parametrize("track_changes", [False, True])
def test_a_delete_with_a_null_that_may_be_a_missing_column_is_no_record(track_changes: bool) -> None:
    config = CHANGES if track_changes else CONFIG
    state = saved(after(5))
    reduced = FakeDatabase(BinlogStatus(f"{UUID}:1-1000", "", full_images=False))
    script = [transaction(10, fields(), rows(change(TWO), at=NOON))]
    outcome = Reading(FakeVtgate({SHARD: [script]}), config=config, state=state, database=reduced).run()
    assert outcome.records == []
    assert ("binlog_row_image" in str(outcome.error)) == track_changes
