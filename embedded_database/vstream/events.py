"""A table's FIELD and ROW events as one stream sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from embedded_database.columns.values import from_binlog
from embedded_database.errors import StreamError
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from embedded_database.columns.schema import Table
    from embedded_database.storage import Cells, Change, Shard
    from embedded_database.vstream.filters import TableFilter

# What MySQL's binlog sets on the row events of an ordinary statement.
BINLOG_ROW_FLAGS = 17

# Types that a row event's bytes can be read as, one for another; a type outside of all groups is its own.
_INTERCHANGEABLE = (
    (
        wire.INT8,
        wire.UINT8,
        wire.INT16,
        wire.UINT16,
        wire.INT24,
        wire.UINT24,
        wire.INT32,
        wire.UINT32,
        wire.INT64,
        wire.UINT64,
    ),
    (wire.FLOAT32, wire.FLOAT64),
    (wire.TEXT, wire.BLOB, wire.VARCHAR, wire.VARBINARY, wire.CHAR, wire.BINARY),
)


def fill_row(row: wire.Row, cells: Iterable[bytes | None]) -> None:
    """Packs cells into a row as VStream does: lengths, of which -1 is NULL, and all bytes in one."""
    present = []
    lengths = []
    for cell in cells:
        if cell is None:
            lengths.append(-1)
        else:
            lengths.append(len(cell))
            present.append(cell)
    row.lengths.extend(lengths)
    row.values = b"".join(present)


def _readable_as(event_type: int, schema_type: int) -> bool:
    return event_type == schema_type or any(
        event_type in group and schema_type in group for group in _INTERCHANGEABLE
    )


class TablePlan:
    """How one stream sends the rows of one table, until the table changes.

    The binlog names no columns: its rows are read with the schema of today, by place and type, as a tablet
    without schema tracking does it. A row from before a DDL may so come out under other names.
    """

    def __init__(
        self,
        shard: Shard,
        table: Table,
        tables: TableFilter,
        event_types: Sequence[int],
        name: str,
        *,
        in_copy: bool,
    ) -> None:
        """Plans rows that have these types.

        Raises:
            StreamError: The rows have more columns than the table, or a wanted column is not there.
        """
        self.event_types = tuple(event_types)
        fields = table.fields(shard.database)
        if len(event_types) > len(fields):
            have, want = list(event_types), [field.type for field in fields]
            text = f"cannot determine table columns for {table.name}: event has {have}, schema has {want}"
            raise StreamError(grpc.StatusCode.UNKNOWN, text)
        fields = fields[: len(event_types)]
        if not all(_readable_as(t, field.type) for t, field in zip(event_types, fields, strict=True)):
            fields = [
                wire.Field(name=f"@{at}", type=kind, charset=field.charset)  # type: ignore[arg-type]  # plain integers
                for at, (kind, field) in enumerate(zip(event_types, fields, strict=True), 1)
            ]
        self._picked = tables.columns(table.name, [field.name for field in fields], in_copy=in_copy)
        self._all = self._picked == list(range(len(fields)))
        picked_fields = [fields[at] for at in self._picked]
        self._labelled = [
            (at, column)
            for at, (column, field) in enumerate(zip(table.columns, fields, strict=False))
            if column.labels and field.type in (wire.ENUM, wire.SET_TYPE)
        ]
        self._row_template = wire.VEvent(
            type=wire.ROW,
            keyspace=shard.keyspace,
            shard=shard.name,
            row_event=wire.RowEvent(table_name=name, keyspace=shard.keyspace, shard=shard.name),
        )
        self._field_template = wire.VEvent(
            type=wire.FIELD,
            keyspace=shard.keyspace,
            shard=shard.name,
            field_event=wire.FieldEvent(
                table_name=name, fields=picked_fields, keyspace=shard.keyspace, shard=shard.name
            ),
        )
        self.field_sent = False

    def field_event(self, *, in_copy: bool) -> wire.VEvent:
        """The FIELD event; in the copy phase it always promises labels for ENUM and SET."""
        self.field_sent = True
        event = wire.VEvent()
        event.CopyFrom(self._field_template)
        event.field_event.enum_set_string_values = in_copy or bool(self._labelled)
        return event

    def project(self, cells: Cells) -> Cells:
        """The cells that the request asked for."""
        return cells if self._all else tuple(cells[at] for at in self._picked)

    def copied(self, cells: Cells) -> wire.VEvent:
        """The ROW event of one row of the copy phase."""
        event = wire.VEvent()
        # Copying a prepared event and filling its row costs half of building it from nested messages.
        event.CopyFrom(self._row_template)
        fill_row(event.row_event.row_changes.add().after, self.project(cells))
        return event

    def changed(self, changes: Sequence[Change]) -> wire.VEvent:
        """The ROW event of changes from the log."""
        event = wire.VEvent()
        event.CopyFrom(self._row_template)
        event.row_event.flags = BINLOG_ROW_FLAGS
        for before, after in changes:
            change = event.row_event.row_changes.add()
            if before is not None:
                fill_row(change.before, self.project(self._with_labels(before)))
            if after is not None:
                fill_row(change.after, self.project(self._with_labels(after)))
        return event

    def _with_labels(self, cells: Cells) -> Cells:
        if not self._labelled:
            return cells
        changed = list(cells)
        for at, column in self._labelled:
            cell = cells[at]
            changed[at] = None if cell is None else from_binlog(column, cell)
        return tuple(changed)
