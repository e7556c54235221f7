"""Rows become finished protocol lines, a batch at a time."""

from __future__ import annotations

from io import BytesIO
from itertools import chain, repeat
from typing import TYPE_CHECKING, TypeVar

import orjson
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type

# The protocol's own package has no marker for type checkers.
from airbyte_protocol_dataclasses.models import (  # type: ignore[import-untyped]
    AirbyteRecordMessageMeta,
    AirbyteRecordMessageMetaChange,
    Change,
    Reason,
)

from source_planetscale.columns import Phase, Spelling, complete, encode_each, encoder_of, key_text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from source_planetscale.columns import Encoded, Encoder
    from source_planetscale.table import WireColumn
    from source_planetscale.vstream.rows import Rows

__all__ = ["Phase", "RecordBatch", "RowFormatter"]

_Text = TypeVar("_Text", bytes, "bytes | None")

_NULL = b"null"
_NULLED = orjson.dumps({"change": Change.NULLED.value, "reason": Reason.SOURCE_SERIALIZATION_ERROR.value})[1:]


class RowFormatter:
    """Formats the rows of one FIELD event as RECORD lines.

    All rows of a batch are cut into cells at once, each column is encoded as a whole, and one join puts the
    columns together again: the cost per value is near that of one call into C.
    """

    def __init__(
        self,
        columns: Sequence[WireColumn],
        primary_key: Sequence[str],
        *,
        stream: str,
        namespace: str,
        phase: Phase,
        enum_labels_on_wire: bool,
        tinyint1_as_boolean: bool,
    ) -> None:
        """Compiles the encoders.

        Args:
            columns: The columns of the rows, in their order; those without a target are left out.
            primary_key: The names of the key's columns, in which no value becomes null.
            stream: The name of the stream.
            namespace: Its namespace.
            phase: Which half of the stream the rows come from.
            enum_labels_on_wire: The event's `enum_set_string_values`.
            tinyint1_as_boolean: Whether TINYINT(1) is a boolean.
        """
        spelling = Spelling(phase, enum_labels_on_wire)
        self._width = len(columns)
        # The number of each column in a row, its encoder, and the JSON of the name that it has today.
        self._columns: list[tuple[int, Encoder, bytes]] = []
        self._key_texts: dict[int, Callable[[bytes], bytes] | None] = {}
        for index, column in enumerate(columns):
            if column.target is None:
                continue
            name, as_boolean = column.target.name, tinyint1_as_boolean
            if name in primary_key:
                # The numbers of a key stay apart, whichever they are.
                as_boolean = False
                self._key_texts[index] = key_text_of(column, tinyint1_as_boolean=as_boolean)
            encoder = encoder_of(column, spelling, tinyint1_as_boolean=as_boolean)
            self._columns.append((index, encoder, orjson.dumps(name)))
        # What stands before a column's value without and with quotes, so that False and True index it.
        self._openings = [
            (comma + name + b":", comma + name + b':"')
            for comma, (_, _, name) in zip(chain([b""], repeat(b",")), self._columns, strict=False)
        ]
        self._head = b'{"type":"RECORD","record":{"stream":%b,"namespace":%b,"data":{' % (
            orjson.dumps(stream),
            orjson.dumps(namespace),
        )

    def text(self, rows: Rows, tails: Iterable[bytes] | None, emitted_at_ms: int) -> bytes:
        r"""Formats rows; one batch of many rows is much cheaper than many of one.

        A value that has no right form in JSON becomes null, with an entry in the record's `meta.changes`; in
        the primary key its text stands in for it, so that rows stay apart.

        Args:
            rows: The rows.
            tails: A JSON text per row with further properties of its data, each beginning with `,`.
            emitted_at_ms: Milliseconds since the epoch.

        Returns:
            A line per row, each with `\n` at its end.

        Raises:
            ValueError: The rows have another number of values than there are columns, or other bytes than
                their lengths say; values must not slip into neighbouring columns. Or there is another
                number of tails.
        """
        if not rows.count:
            return b""
        lengths = rows.lengths
        if rows.width != self._width or len(lengths) != rows.width * rows.count:
            raise ValueError("A row and its table have different numbers of columns.")
        columns, changes = self._encode(_cells(lengths, rows.values), lengths)
        parts: list[Iterable[bytes]] = [texts for texts, _ in columns]
        constants = self._constants([quoted for _, quoted in columns], emitted_at_ms, tails, changes)
        if tails is not None:
            # Without a value before it a tail begins without its comma.
            parts.append(tails if columns else (tail[1:] for tail in tails))
        if changes:
            parts.append(_meta(changes.get(row)) for row in range(rows.count))
        return _interleaved(constants, parts, rows.count)

    def _encode(self, cells: list[bytes], lengths: list[int]) -> tuple[list[Encoded], dict[int, list[bytes]]]:
        """Encodes all columns; also gives the JSON names of nulled columns by row number."""
        width = self._width
        has_nulls = -1 in lengths
        columns: list[Encoded] = []
        changes: dict[int, list[bytes]] = {}
        for index, encoder, name in self._columns:
            values = cells[index::width]
            try:
                if has_nulls and -1 in lengths[index::width]:
                    columns.append(_encode_with_nulls(encoder, values, lengths[index::width]))
                else:
                    columns.append(encoder.encode(values))
            except ValueError:
                texts, bad_rows = _encode_what_can_be(
                    encoder, values, lengths[index::width], self._key_texts.get(index)
                )
                columns.append((texts, False))
                for row in bad_rows:
                    changes.setdefault(row, []).append(name)
        return columns, changes

    def _constants(
        self, quoted: Sequence[bool], emitted_at_ms: int, tails: object, changes: object
    ) -> list[bytes]:
        """What stands before, between and behind the values, the tail and the changes of a row."""
        opened = [opening[quotes] for opening, quotes in zip(self._openings, quoted, strict=True)]
        closed = [b'"' if quotes else b"" for quotes in quoted]
        constants = list(map(bytes.__add__, [self._head, *closed], [*opened, b""]))
        if tails is not None:
            constants.append(b"")
        constants[-1] += b"}"
        if changes:
            constants.append(b"")
        constants[-1] += b',"emitted_at":%d}}\n' % emitted_at_ms
        return constants


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


def _cells(lengths: list[int], values: list[bytes]) -> list[bytes]:
    """Cuts rows into cells; a NULL, of length -1, becomes an empty cell."""
    if -1 in lengths:
        lengths = [max(length, 0) for length in lengths]
    joined = b"".join(values)
    if sum(lengths) != len(joined):
        raise ValueError("The lengths of a row's values do not add up to its bytes.")
    # Reading a stream of known lengths is the cheapest way to cut bytes.
    return list(map(BytesIO(joined).read, lengths))


def _encode_with_nulls(encoder: Encoder, values: list[bytes], lengths: list[int]) -> Encoded:
    present = _present(values, lengths)
    texts = complete(encoder.encode(present)) if present else []
    return _with_nulls(texts, lengths), False


def _encode_what_can_be(
    encoder: Encoder,
    values: list[bytes],
    lengths: list[int],
    key_text: Callable[[bytes], bytes] | None,
) -> tuple[list[bytes], list[int]]:
    """Encodes a column with values that have no right form; also gives the numbers of the nulled rows."""
    texts = _with_nulls(encode_each(encoder, _present(values, lengths)), lengths)
    bad_rows = [row for row, text in enumerate(texts) if text is None]
    if key_text is not None:
        for row in bad_rows:
            texts[row] = key_text(values[row])
        bad_rows = []
    return [_NULL if text is None else text for text in texts], bad_rows


def _present(values: list[bytes], lengths: list[int]) -> list[bytes]:
    return [value for value, length in zip(values, lengths, strict=True) if length >= 0]


def _with_nulls(texts: list[_Text], lengths: list[int]) -> list[_Text]:
    remaining = iter(texts)
    return [_NULL if length < 0 else next(remaining) for length in lengths]


def _meta(names: list[bytes] | None) -> bytes:
    if not names:
        return b""
    changes = b",".join([b'{"field":%b,%b' % (name, _NULLED) for name in names])
    return b',"meta":{"changes":[%b]}' % changes


class RecordBatch(AirbyteMessage):
    """Finished record lines that pass through the CDK's loops as one RECORD message.

    `record` holds the stream and the namespace, which is what the CDK reads of it; its data is empty.

    Attributes:
        text: The lines.
        count: The number of records.
    """

    def __init__(self, text: bytes, count: int, *, stream: str, namespace: str, emitted_at_ms: int) -> None:
        """Wraps lines of one stream."""
        record = AirbyteRecordMessage(stream=stream, namespace=namespace, data={}, emitted_at=emitted_at_ms)
        super().__init__(type=Type.RECORD, record=record)
        self.text = text
        self.count = count
        self._wrapped = record

    def joined(self, later: Sequence[RecordBatch]) -> RecordBatch:
        """This batch with later ones of the same stream behind it, as one batch."""
        return RecordBatch(
            b"".join([self.text, *(batch.text for batch in later)]),
            self.count + sum(batch.count for batch in later),
            stream=self._wrapped.stream,
            namespace=self._wrapped.namespace or "",
            emitted_at_ms=self._wrapped.emitted_at,
        )

    def messages(self) -> Iterator[AirbyteMessage]:
        """The same records as plain messages, for users of the source as a library.

        Numbers are Python's: a decimal with more digits than a float holds is exact in `text` alone.
        """
        for line in self.text.splitlines():
            record = orjson.loads(line)["record"]
            if "meta" in record:
                record["meta"] = _meta_message(record["meta"]["changes"])
            yield AirbyteMessage(type=Type.RECORD, record=AirbyteRecordMessage(**record))


def _meta_message(changes: list[dict[str, str]]) -> AirbyteRecordMessageMeta:
    return AirbyteRecordMessageMeta(
        changes=[
            AirbyteRecordMessageMetaChange(
                field=change["field"],
                change=Change(change["change"]),
                reason=Reason(change["reason"]),
            )
            for change in changes
        ]
    )
