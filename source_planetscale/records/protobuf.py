"""Records as PROTOBUF messages, each behind its length.

Values have no names: a record has one for each property that the catalog configures, in the order of the
names by UTF-16 unit, and of the kind that the catalog declares.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from source_planetscale.columns import Form
from source_planetscale.records.added import (
    CDC_CURSOR_COLUMN,
    DELETED_AT_COLUMN,
    METADATA_COLUMN,
    UPDATED_AT_COLUMN,
    metadata_text,
)
from source_planetscale.records.encoded import Cells
from source_planetscale.records.kept import Kept
from source_planetscale.records.layout import Format, Layout
from source_planetscale.records.protobuf_column import NULL, Values
from source_planetscale.records.protobuf_kinds import kind_of
from source_planetscale.records.varints import LENGTH_DELIMITED, varint
from source_planetscale.records.wire import airbyte_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from source_planetscale.records.added import Added
    from source_planetscale.records.encoded import EncodedRows
    from source_planetscale.records.protobuf_column import Kind

_RECORD = bytes([wire.AirbyteMessageProtobuf.RECORD_FIELD_NUMBER << 3 | LENGTH_DELIMITED])


class Protobuf(Format):
    """Messages of `airbyte.proto`."""

    name = "PROTOBUF"

    def layout(
        self, stream: str, namespace: str | None, properties: Mapping[str, Any] | None
    ) -> ProtobufRecords:
        """Implements `Format.layout`."""
        return ProtobufRecords(stream, namespace, properties or {})

    def message(self, line: bytes) -> bytes:
        """Implements `Format.message`."""
        text = line.removesuffix(b"\n").decode()
        message = wire.AirbyteMessageProtobuf(airbyte_protocol_message=text).SerializeToString()
        return varint(len(message)) + message


class ProtobufRecords(Layout):
    """The record messages of one stream: one join puts the values of a row together."""

    def __init__(self, stream: str, namespace: str | None, properties: Mapping[str, Any]) -> None:
        """Compiles the order and the kinds of values.

        Args:
            stream: The name of the stream.
            namespace: Its namespace; None if it has none.
            properties: The JSON schema of each property of the configured stream.
        """
        self._stream = wire.AirbyteRecordMessageProtobuf(stream_name=stream)
        if namespace is not None:
            self._stream.stream_namespace = namespace
        # By the size of what the values stand behind.
        self._heads: dict[int, _Heads] = {}
        names = sorted(properties, key=lambda name: name.encode("utf-16-be"))
        self._kinds = [(name, kind_of(properties[name])) for name in names]

    def records(self, rows: EncodedRows, partition: str | None = None) -> bytes:
        """Implements `Layout.records`: a message per row, each behind its length."""
        if not rows.count:
            return b""
        columns = dict(zip(rows.names, rows.columns, strict=True)) | _added(rows.added)
        nulled = _nulled(rows)
        parts: list[Sequence[bytes]] = []
        for name, kind in self._kinds:
            cells = columns.get(name)
            if cells is None:
                parts.append([NULL] * rows.count)
                continue
            encoded, misfits = _encode(kind, cells)
            parts += encoded
            for row in misfits:
                nulled.setdefault(row, []).append(name)
        bodies = list(map(b"".join, zip(*parts, strict=True))) if parts else [b""] * rows.count
        selected = {name for name, _ in self._kinds}
        for row, names in nulled.items():
            bodies[row] += _meta([name for name in names if name in selected])
        return self._framed(bodies, rows.emitted_at_ms, partition)

    def _framed(self, bodies: list[bytes], emitted_at_ms: int, partition: str | None) -> bytes:
        record = wire.AirbyteRecordMessageProtobuf()
        record.CopyFrom(self._stream)
        record.emitted_at_ms = emitted_at_ms
        record.partition_id = partition or ""
        start = record.SerializeToString()
        heads = self._heads.setdefault(len(start), _Heads(len(start)))
        pieces: list[bytes] = [start] * (3 * len(bodies))
        pieces[::3] = heads.of(list(map(len, bodies)))
        pieces[2::3] = bodies
        return b"".join(pieces)


class _Heads(Kept):
    """What stands before a record, by the size of its values behind a start of one size."""

    def __init__(self, size_of_start: int) -> None:
        super().__init__()
        self._size_of_start = size_of_start

    def _make(self, number: int) -> bytes:
        record = _RECORD + varint(self._size_of_start + number)
        return varint(len(record) + self._size_of_start + number) + record


def _encode(kind: Kind, cells: Cells) -> tuple[Sequence[Sequence[bytes]], Sequence[int]]:
    """The parts of a column's values, and the rows whose value does not fit the kind."""
    values, form, has_nulls, sizes = cells
    if not has_nulls:
        with suppress(ValueError):
            return kind.encode(Values(cast("Sequence[bytes]", values), form, sizes)), ()
    present = [value for value in values if value is not None]
    try:
        parts: Sequence[Sequence[bytes | None]] = kind.encode(Values(present, form)) if present else ()
    except ValueError:
        parts = (_encode_what_can_be(kind, present, form),)
    rows = [row for row, value in enumerate(values) if value is not None]
    if not parts:
        return [[NULL] * len(values)], ()
    misfits = [row for row, part in zip(rows, parts[0], strict=True) if part is None]
    return [_with_nulls(part, values, b"" if number else NULL) for number, part in enumerate(parts)], misfits


def _encode_what_can_be(kind: Kind, values: Sequence[bytes], form: Form) -> list[bytes | None]:
    known = {value: _encode_one(kind, value, form) for value in dict.fromkeys(values)}
    return [known[value] for value in values]


def _encode_one(kind: Kind, value: bytes, form: Form) -> bytes | None:
    try:
        return b"".join(part for (part,) in kind.encode(Values([value], form)))
    except ValueError:
        return None


def _with_nulls(part: Sequence[bytes | None], values: Sequence[bytes | None], null: bytes) -> list[bytes]:
    remaining = iter(part)
    return [null if value is None else next(remaining) or null for value in values]


def _nulled(rows: EncodedRows) -> dict[int, list[str]]:
    return {row: [rows.names[place] for place in places] for row, places in rows.nulled.items()}


def _meta(names: Sequence[str]) -> bytes:
    if not names:
        return b""
    changes = [
        wire.AirbyteRecordMessageMetaChange(
            field=name, change=wire.NULLED, reason=wire.SOURCE_SERIALIZATION_ERROR
        )
        for name in names
    ]
    return wire.AirbyteRecordMessageProtobuf(
        meta=wire.AirbyteRecordMessageMeta(changes=changes)
    ).SerializeToString()


def _added(added: Sequence[Added]) -> dict[str, Cells]:
    """The columns that the connector adds."""
    columns: dict[str, Cells] = {}
    if added and added[0].metadata is not None:
        columns[METADATA_COLUMN] = Cells(_metadata(added), Form.JSON, has_nulls=False)
    if added and added[0].changes is not None:
        changes = [run.changes for run in added if run.changes is not None]
        times = [[run.changed_at.encode()] * len(run.cursors) for run in changes]
        deleted = [
            times[number] if run.deleted else [None] * len(run.cursors) for number, run in enumerate(changes)
        ]
        cursors = [b"%d" % number for run in changes for number in run.cursors]
        columns[UPDATED_AT_COLUMN] = Cells(list(chain.from_iterable(times)), Form.BARE, has_nulls=False)
        columns[DELETED_AT_COLUMN] = Cells(list(chain.from_iterable(deleted)), Form.BARE, has_nulls=True)
        columns[CDC_CURSOR_COLUMN] = Cells(cursors, Form.JSON, has_nulls=False)
    return columns


def _metadata(added: Sequence[Added]) -> list[bytes]:
    texts: list[bytes] = []
    for run in added:
        if run.metadata is not None:
            text = metadata_text(run.metadata)
            texts += [text % number for number in run.metadata.numbers]
    return texts
