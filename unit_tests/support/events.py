"""Builders of VStream responses as vtgate sends them, for small tables."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from source_planetscale.table import Column, Table
from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from source_planetscale.vstream.rows import Rows

KEYSPACE = "shop"
SHARD = "-80"
UUID = "6ca9ebda-e590-11f1-936a-02fc00000001"
NOON = 1_700_000_000

_WIRE_TYPES = {
    "": wire.NULL_TYPE,
    "bigint": wire.INT64,
    "int": wire.INT32,
    "tinyint": wire.INT8,
    "char": wire.CHAR,
    "datetime": wire.DATETIME,
    "varchar": wire.VARCHAR,
    "text": wire.TEXT,
    "enum": wire.ENUM,
    "float": wire.FLOAT32,
}
_UTF8MB4, _BINARY = 255, 63

TABLE = Table(
    KEYSPACE,
    "orders",
    (
        Column("id", "bigint", nullable=False),
        Column("label", "varchar(20)", "utf8mb4"),
        Column("note", "text", "utf8mb4"),
    ),
    primary_key=("id",),
)
KEYLESS = Table(KEYSPACE, "orders", TABLE.columns)
OTHER_TABLE = Table(
    KEYSPACE,
    "parts",
    (Column("id", "bigint", nullable=False), Column("name", "varchar(20)", "utf8mb4")),
    primary_key=("id",),
)


def keyed_by(column_type: str, charset: str = "") -> Table:
    """The table with another type of key."""
    key = Column("id", column_type, charset, nullable=False)
    return Table(KEYSPACE, "orders", (key, *TABLE.columns[1:]), ("id",))


def gtid(last: int) -> str:
    """The position after the transactions 1 to `last`."""
    return f"MySQL56/{UUID}:1-{last}"


def response(*events: wire.VEvent) -> wire.VStreamResponse:
    return wire.VStreamResponse(events=events)


def begin() -> wire.VEvent:
    return wire.VEvent(type=wire.BEGIN)


def commit() -> wire.VEvent:
    return wire.VEvent(type=wire.COMMIT)


def other() -> wire.VEvent:
    return wire.VEvent(type=wire.OTHER)


def numbered(number: int, last: int, *events: wire.VEvent) -> wire.VStreamResponse:
    """The events of the transaction `last`, which has this number in its binlog file."""
    for event in events:
        # vtgate makes the VGTIDs, without a number.
        if event.type != wire.VGTID:
            event.sequence_number, event.event_gtid = number, f"{UUID}:{last}"
    return response(*events)


def heartbeat() -> wire.VEvent:
    return wire.VEvent(type=wire.HEARTBEAT)


def ddl(statement: str) -> wire.VEvent:
    return wire.VEvent(type=wire.DDL, statement=statement)


def statement_event(dml: str = "") -> wire.VEvent:
    """What a change under binlog_format=STATEMENT comes as."""
    return wire.VEvent(type=wire.INSERT, dml=dml)


def copy_completed(shard: str = "") -> wire.VEvent:
    return wire.VEvent(type=wire.COPY_COMPLETED, keyspace=KEYSPACE if shard else "", shard=shard)


def both_copy_completed() -> wire.VStreamResponse:
    return response(copy_completed(SHARD), copy_completed())


def field(column: Column, key: Sequence[str] = ()) -> wire.Field:
    return wire.Field(
        name=column.name,
        type=_WIRE_TYPES[column.column_type.split("(")[0].split()[0]],
        charset=_UTF8MB4 if column.charset else _BINARY,
        column_type=column.column_type,
        flags=(0 if column.nullable else 1) | (2 if column.name in key else 0),
    )


def fields(table: Table = TABLE, *, at: int = 0, prefix: str = "") -> wire.VEvent:
    """The description of a table's rows: without a time in the copy phase, with one in catch-up.

    Args:
        table: The table.
        at: The time.
        prefix: What stands before the table's name, as the keyspace does where the server ignores the flag.
    """
    event = wire.FieldEvent(
        table_name=prefix + table.name,
        fields=[field(column, table.primary_key) for column in table.columns],
        enum_set_string_values=True,
    )
    return wire.VEvent(type=wire.FIELD, timestamp=at, field_event=event)


def row(*values: object) -> wire.Row:
    """A row of texts, numbers and None."""
    texts = [None if value is None else str(value).encode() for value in values]
    return wire.Row(
        lengths=[-1 if text is None else len(text) for text in texts],
        values=b"".join(text for text in texts if text is not None),
    )


def cut(rows: Rows) -> list[list[bytes | None]]:
    """The values of each row."""
    pieces = BytesIO(b"".join(rows.values))
    values = [None if length < 0 else pieces.read(length) for length in rows.lengths]
    return [values[start : start + rows.width] for start in range(0, len(values), rows.width)]


def bitmap(bits: Sequence[bool]) -> wire.Bitmap:
    number = sum(1 << index for index, bit in enumerate(bits) if bit)
    return wire.Bitmap(count=len(bits), cols=number.to_bytes((len(bits) + 7) // 8, "little"))


def change(
    before: wire.Row | None = None,
    after: wire.Row | None = None,
    *,
    present: Sequence[bool] = (),
    partial_json: Sequence[bool] = (),
) -> wire.RowChange:
    """One change.

    Args:
        before: The row before, None for an insert.
        after: The row after, None for a delete.
        present: `data_columns`, left out if empty.
        partial_json: `json_partial_values`, left out if empty.
    """
    return wire.RowChange(
        before=before,
        after=after,
        data_columns=bitmap(present) if present else None,
        json_partial_values=bitmap(partial_json) if partial_json else None,
    )


def rows(*changes: wire.RowChange, at: int = NOON, table: str = "orders") -> wire.VEvent:
    """A ROW event of catch-up; `table` is its name as it stands in the event."""
    event = wire.RowEvent(table_name=table, row_changes=changes)
    return wire.VEvent(type=wire.ROW, timestamp=at, row_event=event)


def inserted(*images: wire.Row, at: int = NOON, table: str = "orders") -> wire.VEvent:
    return rows(*(change(None, image) for image in images), at=at, table=table)


def copied(*images: wire.Row, table: str = "orders") -> wire.VEvent:
    """A ROW event of the copy phase, which carries no time."""
    return inserted(*images, at=0, table=table)


def last_key(image: wire.Row, table: Table = TABLE) -> wire.QueryResult:
    """The key of a row as vtgate puts the last one into a VGTID; all columns for a table without a key."""
    names = [column.name for column in table.columns]
    key = table.primary_key or tuple(names)
    values = cells(image)
    texts = [values[names.index(name)] for name in key]
    return wire.QueryResult(
        fields=[field(table.columns[names.index(name)], table.primary_key) for name in key],
        rows=[row(*(None if text is None else text.decode() for text in texts))],
    )


def vgtid(
    position: str, lastpk: wire.QueryResult | None = None, *, shard: str = SHARD, table: str = "orders"
) -> wire.VEvent:
    entry = wire.ShardGtid(keyspace=KEYSPACE, shard=shard, gtid=position)
    if lastpk is not None:
        entry.table_p_ks.append(wire.TableLastPK(table_name=table, lastpk=lastpk))
    return wire.VEvent(type=wire.VGTID, vgtid=wire.VGtid(shard_gtids=[entry]))


def journal(
    position: str,
    new_shards: Iterable[str],
    migration: wire.MigrationType.ValueType = wire.SHARDS,
    participants: Iterable[str] = (SHARD,),
) -> wire.VEvent:
    event = wire.Journal(
        id=7,
        migration_type=migration,
        local_position=position,
        shard_gtids=[wire.ShardGtid(keyspace=KEYSPACE, shard=name, gtid=position) for name in new_shards],
        participants=[wire.KeyspaceShard(keyspace=KEYSPACE, shard=name) for name in participants],
    )
    return wire.VEvent(type=wire.JOURNAL, journal=event)


def transaction(last: int, *events: wire.VEvent) -> wire.VStreamResponse:
    """A whole transaction of catch-up in one response, or another table's if without events."""
    return response(begin(), *events, vgtid(gtid(last)), commit())


def small_copy(*images: wire.Row, last: int = 10, table: Table = TABLE) -> list[wire.VStreamResponse]:
    """The copy of a table in one batch, from the first to the last response."""
    position = gtid(last)
    batch = []
    if images:
        end = vgtid(position, last_key(images[-1], table), table=table.name)
        batch = [response(copied(*images, table=table.name), end, commit())]
    return [
        response(begin(), fields(table)),
        response(vgtid(position)),
        *batch,
        response(begin(), vgtid(position), commit()),
        both_copy_completed(),
    ]
