"""Batches of record lines with the columns that the connector adds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from source_planetscale.records.added import ADDED_COLUMNS, added_properties
from source_planetscale.records.batches import BatchMaker
from source_planetscale.records.message import batch_of
from source_planetscale.records.sequence import ChangeSequence
from unit_tests.support.events import NOON, SHARD, TABLE, change, fields, gtid, rows, small_copy, transaction
from unit_tests.support.fakes import CONFIG
from unit_tests.support.reading import ONE, THREE, TWO, after, feed, reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from source_planetscale.config import Config
    from source_planetscale.vstream.wire import vstream_pb2 as wire

CDC = replace(CONFIG, include_cdc_columns=True)
METADATA = replace(CONFIG, include_metadata=True)
BOTH = replace(CDC, include_metadata=True)
CHANGES = transaction(6, fields(), rows(change(ONE), change(None, TWO), change(THREE, ONE)))


def data(config: Config, responses: Iterable[wire.VStreamResponse], *, copying: bool = False) -> list[Any]:
    """The data of the records that responses make, deletes among them where they are tracked."""
    shard = reader(track_changes=config is not CONFIG) if copying else reader(after(5), track_changes=True)
    maker = BatchMaker(TABLE, config, ChangeSequence(0, 1000), ChangeSequence(0, 0))
    batch = batch_of(maker, feed(shard, responses), SHARD)
    return [] if batch is None else [message.record.data for message in batch.messages() if message.record]


def test_nothing_is_added_where_nothing_was_asked_for() -> None:
    assert data(CONFIG, small_copy(ONE), copying=True) == [{"id": 1, "label": "one", "note": "x"}]


def test_columns_that_nobody_wants_are_left_out() -> None:
    maker = BatchMaker(
        TABLE, CDC, ChangeSequence(0, 1000), ChangeSequence(0, 0), wanted={"note", "_ab_cdc_cursor"}
    )
    batch = batch_of(maker, feed(reader(), small_copy(ONE)), SHARD)
    assert batch is not None
    (message,) = batch.messages()
    assert message.record is not None
    assert set(message.record.data) == {"note", *added_properties(CDC)}


@pytest.mark.parametrize("config", [CONFIG, METADATA], ids=["plain", "metadata"])
def test_deletes_are_left_out_where_no_column_could_tell_them(config: Config) -> None:
    assert [record["id"] for record in data(config, [CHANGES])] == [2, 1]


def test_a_batch_of_left_out_deletes_is_none() -> None:
    maker = BatchMaker(TABLE, METADATA, ChangeSequence(0, 0), ChangeSequence(0, 0))
    runs = reader(after(5), track_changes=True).read(
        transaction(6, fields(), rows(change(ONE))).SerializeToString()
    )
    assert batch_of(maker, runs, SHARD) is None
    assert batch_of(maker, [], SHARD) is None


def test_changes_carry_when_they_were_made_and_a_growing_number() -> None:
    records = data(CDC, [CHANGES])
    moment = "2023-11-14T22:13:20.000000Z"
    assert NOON == 1_700_000_000
    assert [(r["id"], r["_ab_cdc_updated_at"], r["_ab_cdc_deleted_at"]) for r in records] == [
        (1, moment, moment),
        (2, moment, None),
        (3, moment, moment),
        (1, moment, None),
    ]
    assert [record["_ab_cdc_cursor"] for record in records] == [1001, 1002, 1003, 1004]


def test_a_deleted_row_is_whole() -> None:
    deleted = data(CDC, [CHANGES])[0]
    assert (deleted["label"], deleted["note"]) == ("one", "x")


def test_metadata_tells_the_position_and_the_order() -> None:
    records = data(METADATA, [CHANGES])
    assert [r["_planetscale_metadata"]["vgtid_position"] for r in records] == [gtid(6)] * 2
    assert [r["_planetscale_metadata"]["sequence_number"] for r in records] == [1, 2]


def test_the_schema_names_the_columns_that_records_have() -> None:
    for config in (CONFIG, CDC, METADATA, BOTH):
        (record,) = data(config, small_copy(ONE), copying=True)
        assert set(record) - {"id", "label", "note"} == set(added_properties(config))
    assert set(added_properties(BOTH)) == ADDED_COLUMNS


def test_the_lines_of_a_batch_and_its_messages_say_the_same() -> None:
    maker = BatchMaker(TABLE, BOTH, ChangeSequence(0, 0), ChangeSequence(0, 0))
    batch = batch_of(maker, reader(after(5), track_changes=True).read(CHANGES.SerializeToString()), SHARD)
    assert batch is not None
    messages = [message.record for message in batch.messages()]
    lines = [json.loads(line)["record"] for line in batch.text.splitlines()]
    assert [line["data"] for line in lines] == [record.data for record in messages if record]
    assert batch.count == len(lines) == 4
