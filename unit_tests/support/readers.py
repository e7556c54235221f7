"""What tests of the protocol logic share: readers of one table or of several, and a view of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.vstream.binlog_file import start_is_unknown
from source_planetscale.vstream.reader import ShardReader
from source_planetscale.vstream.table_reader import TableReader
from unit_tests.support.events import TABLE, cut
from unit_tests.support.reading import START, position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.table_reader import RowRun
    from source_planetscale.vstream.wire import vstream_pb2 as wire


class Shard(ShardReader):
    """A reader that takes messages instead of bytes, and settles after each of them as an attempt does."""

    def feed(self, part: wire.VStreamResponse) -> list[RowRun]:
        return self.feed_raw(part.SerializeToString())

    def feed_raw(self, raw: bytes) -> list[RowRun]:
        runs = self.read(raw)
        self.settle()
        return runs

    @property
    def table(self) -> TableReader:
        """The only table."""
        (table,) = self.tables.values()
        return table

    @property
    def cursor(self) -> Cursor:
        """The cursor of the only table."""
        return self.table.cursor

    @property
    def finding(self) -> Exception | None:
        """What makes the only table unreadable."""
        return self.table.finding


def reader(
    cursor: Cursor = START,
    *,
    stop: int = 10,
    table: Table = TABLE,
    track_changes: bool = False,
    full_images: bool = True,
    renames: dict[str, str] | None = None,
    started: Callable[[], int | None] = start_is_unknown,
) -> Shard:
    """A reader of one table."""
    only = TableReader(table, cursor, renames or {}, track_changes=track_changes, full_images=full_images)
    return Shard([only], position(stop), started)


def readers(*tables: tuple[Table, Cursor], stop: int = 10, track_changes: bool = False) -> Shard:
    """A reader of several tables."""
    each = [TableReader(table, cursor, track_changes=track_changes) for table, cursor in tables]
    return Shard(each, position(stop))


def feed(shard: Shard, responses: Iterable[wire.VStreamResponse]) -> list[RowRun]:
    return [run for part in responses for run in shard.feed(part)]


def images(runs: Iterable[RowRun]) -> list[list[bytes | None]]:
    """The values of all rows."""
    return [image for run in runs for image in cut(run.rows)]


def keys(runs: Iterable[RowRun]) -> list[int]:
    return [int(values[0] or b"") for values in images(runs)]


def kinds(runs: Iterable[RowRun]) -> list[tuple[bool, list[int]]]:
    """Whether each run was deleted, and its keys."""
    return [(run.deleted, keys([run])) for run in runs]
