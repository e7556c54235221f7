"""Records as lines of JSON."""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson

# The protocol's own package has no marker for type checkers.
from airbyte_protocol_dataclasses.models import Change, Reason  # type: ignore[import-untyped]

from source_planetscale.columns import Form
from source_planetscale.records.added import (
    CDC_CURSOR_COLUMN,
    DELETED_AT_COLUMN,
    METADATA_COLUMN,
    UPDATED_AT_COLUMN,
    metadata_text,
)
from source_planetscale.records.layout import Format, Layout

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from source_planetscale.records.added import Added
    from source_planetscale.records.encoded import Cells, EncodedRows

_NULL = b"null"
_NULLED = orjson.dumps({"change": Change.NULLED.value, "reason": Reason.SOURCE_SERIALIZATION_ERROR.value})[1:]


class JsonLines(Format):
    """A message per line."""

    name = "JSONL"

    def layout(self, stream: str, namespace: str | None, properties: Mapping[str, Any] | None) -> RecordLines:
        """Implements `Format.layout`."""
        return RecordLines(stream, namespace, properties)

    def message(self, line: bytes) -> bytes:
        """Implements `Format.message`."""
        return line


class _Template(NamedTuple):
    """What the lines of one shape have in common.

    Attributes:
        places: The numbers of the columns that records have.
        openings: What stands before each column's value without and with quotes, so that False and True
            index it.
        names: The names of the columns in JSON, by their numbers.
    """

    places: list[int]
    openings: list[tuple[bytes, bytes]]
    names: dict[int, bytes]


class RecordLines(Layout):
    """The RECORD lines of one stream: one join puts all values of all rows together."""

    def __init__(self, stream: str, namespace: str | None, selected: Container[str] | None = None) -> None:
        """Compiles what all lines begin with.

        Args:
            stream: The name of the stream.
            namespace: Its namespace; None if it has none.
            selected: The columns that records may have; None for every one.
        """
        member = b"" if namespace is None else b'"namespace":%b,' % orjson.dumps(namespace)
        self._head = b'{"type":"RECORD","record":{"stream":%b,%b"data":{' % (orjson.dumps(stream), member)
        self._selected = selected
        self._templates: dict[tuple[str, ...], _Template] = {}

    def records(self, rows: EncodedRows, partition: str | None = None) -> bytes:
        r"""Implements `Layout.records`: a line per row, each with `\n` at its end."""
        if not rows.count:
            return b""
        template = self._template(rows.names)
        columns = [_texts(rows.columns[place]) for place in template.places]
        quoted = [quotes for _, quotes in columns]
        opened = [opening[quotes] for opening, quotes in zip(template.openings, quoted, strict=True)]
        closed = [b'"' if quotes else b"" for quotes in quoted]
        constants = list(map(bytes.__add__, [self._head, *closed], [*opened, b""]))
        parts: list[Iterable[bytes]] = [texts for texts, _ in columns]
        if rows.added:
            constants.append(b"")
            comma = b"," if columns else b""
            parts.append(chain.from_iterable(self._members(added, comma) for added in rows.added))
        constants[-1] += b"}"
        changes = _changes(rows.nulled, template.names)
        if changes:
            constants.append(b"")
            parts.append(changes.get(row, b"") for row in range(rows.count))
        constants[-1] += b',"emitted_at":%d%b}}\n' % (rows.emitted_at_ms, _partition(partition))
        return _interleaved(constants, parts, rows.count)

    def _template(self, names: tuple[str, ...]) -> _Template:
        template = self._templates.get(names)
        if template is None:
            texts = {place: orjson.dumps(name) for place, name in enumerate(names) if self._has(name)}
            openings = [
                (comma + text + b":", comma + text + b':"')
                for comma, text in zip([b"", *repeat(b",", len(texts))], texts.values(), strict=False)
            ]
            template = self._templates[names] = _Template(list(texts), openings, texts)
        return template

    def _has(self, name: str) -> bool:
        return self._selected is None or name in self._selected

    def _members(self, added: Added, comma: bytes) -> Iterable[bytes]:
        """The added members of each row's data, with `comma` in front if there are any."""
        members: list[bytes] = []
        numbers: list[range] = []
        for name, value, ranges in _values(added):
            if self._has(name):
                members.append(b"%b:%b" % (orjson.dumps(name).replace(b"%", b"%%"), value))
                numbers += ranges
        text = (comma if members else b"") + b",".join(members)
        if len(numbers) == 1:
            return map(text.__mod__, numbers[0])
        return map(text.__mod__, zip(*numbers, strict=True)) if numbers else repeat(text % (), added.count)


def _texts(cells: Cells) -> tuple[Sequence[bytes], bool]:
    """The JSON of a column, and whether each text still needs its quotes."""
    values, form, has_nulls, _ = cells
    if form is Form.TEXT:
        return [_NULL if value is None else orjson.dumps(value.decode()) for value in values], False
    if not has_nulls:
        return cast("Sequence[bytes]", values), form is Form.BARE
    if form is Form.BARE:
        return [_NULL if value is None else b'"%b"' % value for value in values], False
    return [_NULL if value is None else value for value in values], False


def _values(added: Added) -> Iterable[tuple[str, bytes, list[range]]]:
    """Gives the added columns: name, value with a `%d` for what differs from row to row, and the latter."""
    metadata, changes = added.metadata, added.changes
    if metadata is not None:
        yield METADATA_COLUMN, metadata_text(metadata), [metadata.numbers]
    if changes is not None:
        changed_at = orjson.dumps(changes.changed_at)
        yield UPDATED_AT_COLUMN, changed_at, []
        yield DELETED_AT_COLUMN, changed_at if changes.deleted else b"null", []
        yield CDC_CURSOR_COLUMN, b"%d", [changes.cursors]


def _changes(nulled: Mapping[int, Sequence[int]], names: Mapping[int, bytes]) -> dict[int, bytes]:
    """The `meta` of each row in which a selected column was nulled."""
    changes: dict[int, bytes] = {}
    for row, places in nulled.items():
        entries = [b'{"field":%b,%b' % (names[place], _NULLED) for place in places if place in names]
        if entries:
            changes[row] = b',"meta":{"changes":[%b]}' % b",".join(entries)
    return changes


def _partition(partition: str | None) -> bytes:
    return b"" if partition is None else b',"partition_id":%b' % orjson.dumps(partition)


def _interleaved(constants: Sequence[bytes], parts: Sequence[Iterable[bytes]], count: int) -> bytes:
    """Joins constant, value, constant, value ... constant, for each row; parts hold a value per row."""
    pieces: list[bytes] = [b""] * (len(constants) + len(parts))
    pieces[::2] = constants
    stride = len(pieces)
    pieces *= count
    for index, part in enumerate(parts):
        # A slice of another size is an error, so no value can slip into another row.
        pieces[2 * index + 1 :: stride] = part
    return b"".join(pieces)
