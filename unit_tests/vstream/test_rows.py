"""Rows that are read all at once are those that are read one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.shape import shape_of
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.images import IncompleteRow
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import ShardReader
from source_planetscale.vstream.rows import Rows, block_of
from unit_tests.support.events import (
    KEYSPACE,
    NOON,
    SHARD,
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.vstream.reader import RowRun
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


def reader(*, track_changes: bool = False) -> ShardReader:
    cursor = Cursor(KEYSPACE, SHARD, gtid(5), None, shape_of(TABLE.columns))
    shard = ShardReader(TABLE, cursor, Position.parse(gtid(10)), track_changes=track_changes)
    shard.feed(response(begin(), fields()))
    return shard


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
    one, other = reader(track_changes=track_changes), reader(track_changes=track_changes)
    block = block_of(part, part.SerializeToString(), one_by_one=track_changes)
    by_rows = seen(one.feed(part), track_changes=track_changes)
    by_block = seen(other.feed(part, block), track_changes=track_changes)
    assert by_block == by_rows
    assert (other.cursor, other.progress) == (one.cursor, one.progress)


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
    runs = reader().feed(part, block)
    assert [int(image[0] or b"") for run in runs for image in cut(run.rows)] == list(range(5, 20))


def test_a_row_that_lacks_values_is_found_in_any_response() -> None:
    partial = change(None, row(1, None, None), present=[True, False, True])
    part = response(begin(), *(inserted(row(1, "a", None)) for _ in range(10)), rows(partial), commit())
    block = block_of(part, part.SerializeToString())
    with pytest.raises(IncompleteRow):
        reader().feed(part, block)


def test_a_row_of_another_width_is_refused() -> None:
    images = [*(row(number, "a", None) for number in range(10)), row(1, "a")]
    part = response(begin(), *(copied(image) for image in images), commit())
    block = block_of(part, part.SerializeToString())
    with pytest.raises(ValueError, match="different numbers of columns"):
        reader().feed(part, block)
    with pytest.raises(ValueError, match="different numbers of columns"):
        Rows(3).add(row(1, "a"))
