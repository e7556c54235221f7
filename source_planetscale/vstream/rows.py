"""Rows as flat lists, and a quick way to get those of a whole response.

Reaching into a message costs far more than parsing it: one attribute takes as long as the parser needs for
a whole row. So the rows that follow each other in a response, which are nearly all of them, are read with
messages that let the parser put them together (`MergedResponse` in vstream.proto).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

_BETWEEN_ROWS = frozenset({wire.ROW, wire.BEGIN, wire.VGTID, wire.COMMIT})
# Below these the second look at a response, some 10 us, costs more than it saves.
_FEW_EVENTS = 8
_FEW_BYTES_AN_EVENT = 1024


@dataclass(slots=True)
class Rows:
    """Images of rows, one after the other.

    Attributes:
        width: The number of columns.
        lengths: The bytes of each value, `width` numbers for each row; -1 for NULL.
        values: The bytes of all values, in as many pieces as they came in.
        count: The number of rows.
    """

    width: int
    lengths: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    count: int = 0

    def __len__(self) -> int:
        """The number of rows."""
        return self.count

    def add(self, row: wire.Row) -> None:
        """Puts a row behind the others.

        Raises:
            ValueError: It has another number of values than there are columns.
        """
        # A slice of a repeated field is read in one go, an iteration item by item.
        lengths = row.lengths[:]
        if len(lengths) != self.width:
            raise ValueError("A row and its table have different numbers of columns.")
        self.lengths += lengths
        self.values.append(row.values)
        self.count += 1


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several parts of the same width, as one."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        parts[0].width,
        list(chain.from_iterable(part.lengths for part in parts)),
        list(chain.from_iterable(part.values for part in parts)),
        sum(part.count for part in parts),
    )


@dataclass(frozen=True, slots=True)
class RowBlock:
    """All rows of a response.

    Attributes:
        start: Where they begin among the response's events.
        stop: Where they end.
        begins: Where transactions begin between them.
        timestamp: When the first of them were changed, in seconds since the epoch; 0 for copied rows.
        count: The number of changes.
        has_before: Whether any row existed before its change.
        lengths: The bytes of each value of the rows as they are after the changes; -1 for NULL.
        values: The bytes of all values.
    """

    start: int
    stop: int
    begins: list[int]
    timestamp: int
    count: int
    has_before: bool
    lengths: list[int]
    values: list[bytes]

    def rows(self, width: int) -> Rows | None:
        """The rows as they are after the changes, for a number of columns; None if one was deleted."""
        if len(self.lengths) != self.count * width:
            return None
        return Rows(width, self.lengths, self.values, self.count)


def block_of(
    response: wire.VStreamResponse, raw: bytes, *, one_by_one: bool = False, named: bool = False
) -> RowBlock | None:
    """Reads all rows of a response at once.

    Args:
        response: The response.
        raw: The same response, serialized.
        one_by_one: Whether each change is wanted with its own transaction and kind.
        named: Whether rows of several tables may come.

    Returns:
        The rows; None if there are few, or if they cannot be told from each other by their number alone:
        something else than transactions comes between them, or they are parts of rows, or of several
        tables. None as well for changes of several transactions or of former rows that are wanted one by
        one.
    """
    events = response.events
    if len(events) < _FEW_EVENTS and len(raw) < _FEW_BYTES_AN_EVENT * len(events):
        return None
    merged = wire.MergedResponse.FromString(raw).events
    kinds = merged.type[:]
    if wire.ROW not in kinds or len(kinds) != len(events):
        return None
    start = kinds.index(wire.ROW)
    stop = len(kinds) - kinds[::-1].index(wire.ROW)
    inside = kinds[start:stop]
    contiguous = inside.count(wire.ROW) == len(inside)
    timestamps = merged.timestamp[:]
    timestamp = (
        _common_timestamp(timestamps, response, start, stop)
        if contiguous
        else _first_timestamp(timestamps, kinds, events[start])
    )
    change = merged.row_event.row_changes
    has_before = change.HasField("before")
    if (
        timestamp is None
        or not _BETWEEN_ROWS.issuperset(inside)
        # The position between rows may be passed over where another one follows them.
        or not (contiguous or kinds[stop : stop + 2] == [wire.VGTID, wire.COMMIT])
        or (one_by_one and (has_before or not contiguous))
        or (named and len(set(wire.NamedResponse.FromString(raw).events.row_event.table_name)) > 1)
        or change.HasField("data_columns")
        or change.HasField("json_partial_values")
    ):
        return None
    return RowBlock(
        start,
        stop,
        [index for index, kind in enumerate(inside, start) if kind == wire.BEGIN],
        timestamp,
        len(wire.CountedResponse.FromString(raw).events.row_event.row_changes),
        has_before,
        change.after.lengths[:],
        change.after.values[:],
    )


def _common_timestamp(
    timestamps: Sequence[int], response: wire.VStreamResponse, start: int, stop: int
) -> int | None:
    """The time of all events from start to stop; None if they differ. Events without one left no number."""
    before = sum(1 for event in response.events[:start] if event.timestamp)
    behind = sum(1 for event in response.events[stop:] if event.timestamp)
    inside = timestamps[before : len(timestamps) - behind]
    if not inside:
        return 0
    return inside[0] if inside.count(inside[0]) == stop - start else None


def _first_timestamp(timestamps: Sequence[int], kinds: Sequence[int], first: wire.VEvent) -> int | None:
    """The time of the first row of several transactions, 0 for copied rows; None if there are both."""
    # vtgate makes the VGTIDs, without a time.
    if timestamps and len(timestamps) != len(kinds) - kinds.count(wire.VGTID):
        return None
    return first.timestamp
