"""What tests of reads share: cursors, their state, readers, and a view of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from source_planetscale.shape import shape_of
from source_planetscale.state import StreamState
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import ShardReader
from source_planetscale.vstream.table_reader import TableReader
from unit_tests.support.events import KEYSPACE, SHARD, TABLE, cut, gtid, last_key, row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from source_planetscale.table import Table
    from source_planetscale.vstream.table_reader import RowRun
    from source_planetscale.vstream.wire import vstream_pb2 as wire

START = Cursor(KEYSPACE, SHARD)
ONE, TWO, THREE = row(1, "one", "x"), row(2, "two", None), row(3, "three", "z")


def position(last: int) -> Position:
    return Position.parse(gtid(last))


def after(last: int, key: wire.Row | None = None, *, table: Table = TABLE, shard: str = SHARD) -> Cursor:
    """A cursor of the copy's middle if there is a key, otherwise of catch-up."""
    last_pk = None if key is None else last_key(key, table).SerializeToString(deterministic=True)
    return Cursor(KEYSPACE, shard, gtid(last), last_pk, shape_of(table.columns))


def saved(*cursors: Cursor, **more: Any) -> dict[str, Any]:
    """The state that holds these cursors."""
    return StreamState({cursor.shard: cursor for cursor in cursors}, **more).to_json()


def reader(
    cursor: Cursor = START,
    *,
    stop: int = 10,
    table: Table = TABLE,
    track_changes: bool = False,
    full_images: bool = True,
) -> ShardReader:
    """A reader of one table."""
    own = TableReader(table, cursor, track_changes=track_changes, full_images=full_images)
    return ShardReader([own], position(stop))


def feed(shard: ShardReader, responses: Iterable[wire.VStreamResponse]) -> list[RowRun]:
    """Has a reader take responses; gives the runs and leaves its tables' cursors up to date."""
    runs = [run for part in responses for run in shard.read(part.SerializeToString())]
    shard.settle()
    return runs


def images(runs: Iterable[RowRun]) -> list[list[bytes | None]]:
    """The values of all rows."""
    return [image for run in runs for image in cut(run.rows)]


def keys(runs: Iterable[RowRun]) -> list[int]:
    return [int(values[0] or b"") for values in images(runs)]


def kinds(runs: Iterable[RowRun]) -> list[tuple[bool, list[int]]]:
    """Whether each run was deleted, and its keys."""
    return [(run.deleted, keys([run])) for run in runs]
