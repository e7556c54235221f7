"""Rows that are read all at once are those that are read one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.vstream.images import IncompleteRow
from source_planetscale.vstream.reader import ProtocolError
from source_planetscale.vstream.rows import Rows, block_of
from unit_tests.support.events import (
    NOON,
    TABLE,
    begin,
    change,
    commit,
    copied,
    cut,
    fields,
    gtid,
    heartbeat,
    inserted,
    last_key,
    response,
    row,
    rows,
    vgtid,
)
from unit_tests.support.readers import Shard, reader, readers
from unit_tests.support.reading import after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.vstream.table_reader import RowRun
    from source_planetscale.vstream.wire import vstream_pb2 as wire

IMAGES = st.builds(
    row, st.integers(1, 3), st.sampled_from(["", "a", "100%"]), st.one_of(st.none(), st.just("n"))
)
CHANGES = st.one_of(
    st.builds(change, st.none(), IMAGES),
    st.builds(change, IMAGES, IMAGES),
    st.builds(change, IMAGES, st.none()),
    st.builds(lambda image: change(None, image, present=[True, True, True]), IMAGES),
)
CHANGED = st.builds(
    lambda changes, at: rows(*changes, at=at),
    st.lists(CHANGES, min_size=1, max_size=4),
    st.sampled_from([NOON, NOON, NOON, NOON + 1]),
)
INSERTED = st.lists(IMAGES, min_size=1, max_size=4).map(lambda images: inserted(*images))
COPIED = IMAGES.map(lambda image: copied(image))
CONTROL = st.sampled_from([begin(), fields(), vgtid(gtid(6)), commit(), heartbeat()])
FRONT = st.lists(CONTROL, max_size=4)
EVENTS = st.one_of(
    st.lists(INSERTED, min_size=8, max_size=12),
    st.lists(COPIED, min_size=8, max_size=12),
    st.lists(CHANGED, min_size=8, max_size=12),
    st.lists(st.one_of(COPIED, CHANGED, CONTROL), min_size=8, max_size=16),
)


def described(*, track_changes: bool = False) -> Shard:
    """A reader that knows the columns of the rows to come."""
    shard = reader(after(5), track_changes=track_changes)
    shard.feed(response(begin(), fields()))
    return shard


def one_by_one(shard: Shard, part: wire.VStreamResponse) -> list[RowRun]:
    """Feeds a response in which no block is looked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("source_planetscale.vstream.reader.block_of", lambda *_, **__: None)
        return shard.feed(part)


def seen(runs: Sequence[RowRun], *, track_changes: bool) -> list[object]:
    """Each row with what matters of its run."""
    return [
        (run.deleted, run.copied, *((run.timestamp, run.position) if track_changes else ()), image)
        for run in runs
        for image in cut(run.rows)
    ]


@given(FRONT, EVENTS, FRONT, st.booleans())
def test_a_block_gives_what_its_rows_give(
    front: list[wire.VEvent], events: list[wire.VEvent], back: list[wire.VEvent], track_changes: bool
) -> None:
    part = response(*front, *events, *back)
    one, other = described(track_changes=track_changes), described(track_changes=track_changes)
    by_rows = seen(one_by_one(one, part), track_changes=track_changes)
    by_block = seen(other.feed(part), track_changes=track_changes)
    assert by_block == by_rows
    assert (other.cursor, other.progress) == (one.cursor, one.progress)


def of_parts(event: wire.VEvent) -> wire.VEvent:
    moved = type(event).FromString(event.SerializeToString())
    moved.row_event.table_name = "parts"
    return moved


PARTS = replace(TABLE, name="parts")
BOTH = st.one_of(
    st.lists(INSERTED, min_size=8, max_size=12),
    st.lists(st.one_of(CHANGED, CHANGED.map(of_parts), CONTROL), min_size=8, max_size=16),
    st.lists(INSERTED.map(of_parts), min_size=8, max_size=12),
)


@given(BOTH, FRONT, st.booleans())
def test_a_block_of_one_table_of_several_gives_what_its_rows_give(
    events: list[wire.VEvent], back: list[wire.VEvent], track_changes: bool
) -> None:
    part = response(*events, *back)
    found = []
    for take in (one_by_one, Shard.feed):
        shard = readers((TABLE, after(5)), (PARTS, after(5)), track_changes=track_changes)
        shard.feed(response(begin(), fields(), fields(PARTS)))
        runs = take(shard, part)
        found.append(
            (
                [
                    seen([run for run in runs if run.table == name], track_changes=track_changes)
                    for name in shard.tables
                ],
                [table.cursor for table in shard.tables.values()],
                shard.progress,
            )
        )
    assert found[0] == found[1]


def test_rows_of_several_tables_are_no_block() -> None:
    images = [row(number, "x" * 100, None) for number in range(50)]
    mixed = response(inserted(*images), inserted(*images, table="parts"))
    alone = response(inserted(*images), inserted(*images))
    assert block_of(mixed, mixed.SerializeToString(), named=True) is None
    assert block_of(alone, alone.SerializeToString(), named=True) is not None


def test_the_batch_of_a_copy_is_a_block() -> None:
    images = [row(number, "", None) for number in range(1, 21)]
    part = response(
        begin(), *(copied(image) for image in images), vgtid(gtid(10), last_key(images[-1])), commit()
    )
    block = block_of(part, part.SerializeToString())
    assert block
    assert (block.start, block.stop, block.timestamp, block.count) == (1, 21, 0, 20)
    taken = block.rows(3)
    assert taken
    assert cut(taken) == [[b"%d" % number, b"", None] for number in range(1, 21)]


def test_many_rows_in_few_events_are_a_block() -> None:
    images = [row(number, "x" * 100, None) for number in range(500)]
    part = response(begin(), inserted(*images), vgtid(gtid(6)), commit())
    block = block_of(part, part.SerializeToString())
    assert block
    assert (block.count, block.timestamp) == (500, NOON)


def test_a_block_with_a_deleted_row_is_taken_row_by_row() -> None:
    gone = [change(row(number, "a", None), None) for number in range(5)]
    kept = [change(row(number, "a", None), row(number, "b", None)) for number in range(5, 20)]
    part = response(begin(), *(rows(single) for single in [*gone, *kept]), vgtid(gtid(6)), commit())
    block = block_of(part, part.SerializeToString())
    assert block
    assert block.rows(3) is None
    runs = described().feed(part)
    assert [int(image[0] or b"") for run in runs for image in cut(run.rows)] == list(range(5, 20))


def test_a_row_that_lacks_values_is_found_in_any_response() -> None:
    partial = change(None, row(1, None, None), present=[True, False, True])
    part = response(begin(), *(inserted(row(1, "a", None)) for _ in range(10)), rows(partial), commit())
    shard = described()
    shard.feed(part)
    assert isinstance(shard.finding, IncompleteRow)


def test_a_row_of_another_width_is_refused() -> None:
    images = [*(row(number, "a", None) for number in range(10)), row(1, "a")]
    part = response(begin(), *(copied(image) for image in images), commit())
    with pytest.raises(ProtocolError, match="different numbers of columns"):
        described().feed(part)
    with pytest.raises(ValueError, match="different numbers of columns"):
        Rows(3).add(row(1, "a"))
