"""Rows from the wire become encoded columns, a batch at a time."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from source_planetscale.columns import Form, Phase, Spelling, encode_each, encoder_of, key_text_of
from source_planetscale.records.encoded import Cells, EncodedRows

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from source_planetscale.columns import Encoder
    from source_planetscale.records.added import Added
    from source_planetscale.table import WireColumn
    from source_planetscale.vstream.rows import Rows

__all__ = ["Phase", "RowFormatter"]


class RowFormatter:
    """Encodes the rows of one FIELD event.

    All rows of a batch are cut into cells at once, and each column is encoded as a whole: the cost per value
    is near that of one call into C.
    """

    def __init__(
        self,
        columns: Sequence[WireColumn],
        primary_key: Sequence[str],
        *,
        phase: Phase,
        enum_labels_on_wire: bool,
        tinyint1_as_boolean: bool,
        wanted: Container[str] | None = None,
    ) -> None:
        """Compiles the encoders.

        Args:
            columns: The columns of the rows, in their order; those without a target are left out.
            primary_key: The names of the key's columns, in which no value becomes null.
            phase: Which half of the stream the rows come from.
            enum_labels_on_wire: The event's `enum_set_string_values`.
            tinyint1_as_boolean: Whether TINYINT(1) is a boolean.
            wanted: The names of the columns that records are to have; None for all.
        """
        spelling = Spelling(phase, enum_labels_on_wire)
        self._width = len(columns)
        # The number of each column in a row, and its encoder.
        self._columns: list[tuple[int, Encoder]] = []
        self._key_texts: dict[int, Callable[[bytes], bytes] | None] = {}
        names: list[str] = []
        for index, column in enumerate(columns):
            if column.target is None or (wanted is not None and column.target.name not in wanted):
                continue
            name, as_boolean = column.target.name, tinyint1_as_boolean
            if name in primary_key:
                # The numbers of a key stay apart, whichever they are.
                as_boolean = False
                self._key_texts[index] = key_text_of(column, tinyint1_as_boolean=as_boolean)
            self._columns.append((index, encoder_of(column, spelling, tinyint1_as_boolean=as_boolean)))
            names.append(name)
        self._names = tuple(names)

    def encoded(self, rows: Rows, added: Sequence[Added], emitted_at_ms: int) -> EncodedRows:
        """Encodes rows; many at once are much cheaper than many times one.

        A value that has no right form becomes null and is noted in `nulled`; in the primary key its text
        stands in for it, so that rows stay apart.

        Args:
            rows: The rows.
            added: What the connector adds to them; empty if it adds nothing.
            emitted_at_ms: Milliseconds since the epoch.

        Raises:
            ValueError: The rows have another number of values than there are columns, or other bytes than
                their lengths say; values must not slip into neighbouring columns. Or something is added to
                another number of rows.
        """
        lengths = rows.lengths
        if rows.count and (rows.width != self._width or len(lengths) != rows.width * rows.count):
            raise ValueError("A row and its table have different numbers of columns.")
        if added and sum(run.count for run in added) != rows.count:
            raise ValueError("What is added has another number of rows.")
        columns, nulled = self._encode(_cells(lengths, rows.values), lengths) if rows.count else ([], {})
        return EncodedRows(self._names, columns, nulled, added, rows.count, emitted_at_ms)

    def _encode(self, cells: list[bytes], lengths: list[int]) -> tuple[list[Cells], dict[int, list[int]]]:
        """Encodes all columns; also gives the numbers of nulled columns by row number."""
        width = self._width
        has_nulls = -1 in lengths
        columns: list[Cells] = []
        nulled: dict[int, list[int]] = {}
        for place, (index, encoder) in enumerate(self._columns):
            places = slice(index, None, width)
            values = cells[places]
            try:
                if has_nulls and -1 in lengths[places]:
                    columns.append(_encode_with_nulls(encoder, values, lengths[places]))
                else:
                    columns.append(_encode(encoder, values, lengths, places))
            except ValueError:
                column, bad_rows = _encode_what_can_be(
                    encoder, values, lengths[places], self._key_texts.get(index)
                )
                columns.append(column)
                for row in bad_rows:
                    nulled.setdefault(row, []).append(place)
        return columns, nulled


def _cells(lengths: list[int], values: list[bytes]) -> list[bytes]:
    """Cuts rows into cells; a NULL, of length -1, becomes an empty cell."""
    if -1 in lengths:
        lengths = [max(length, 0) for length in lengths]
    joined = b"".join(values)
    if sum(lengths) != len(joined):
        raise ValueError("The lengths of a row's values do not add up to its bytes.")
    # Reading a stream of known lengths is the cheapest way to cut bytes.
    return list(map(BytesIO(joined).read, lengths))


def _encode(encoder: Encoder, values: list[bytes], lengths: list[int], places: slice) -> Cells:
    encoded, form = encoder.encode(values)
    told = encoded is values
    return Cells(encoded, form, has_nulls=False, sizes=(lambda: lengths[places]) if told else None)


def _encode_with_nulls(encoder: Encoder, values: list[bytes], lengths: list[int]) -> Cells:
    present = _present(values, lengths)
    encoded, form = encoder.encode(present) if present else ([], Form.JSON)
    return Cells(_with_nulls(encoded, lengths), form, has_nulls=True)


def _encode_what_can_be(
    encoder: Encoder,
    values: list[bytes],
    lengths: list[int],
    key_text: Callable[[bytes], bytes] | None,
) -> tuple[Cells, list[int]]:
    """Encodes a column with values that have no right form; also gives the numbers of the nulled rows."""
    encoded, form = encode_each(encoder, _present(values, lengths))
    column = _with_nulls(encoded, lengths)
    bad_rows = [row for row, value in enumerate(column) if value is None and lengths[row] >= 0]
    if key_text is not None:
        for row in bad_rows:
            column[row] = key_text(values[row])
        bad_rows, form = [], Form.TEXT
    return Cells(column, form, has_nulls=True), bad_rows


def _present(values: list[bytes], lengths: list[int]) -> list[bytes]:
    return [value for value, length in zip(values, lengths, strict=True) if length >= 0]


def _with_nulls(encoded: Sequence[bytes | None], lengths: list[int]) -> list[bytes | None]:
    remaining = iter(encoded)
    return [None if length < 0 else next(remaining) for length in lengths]
