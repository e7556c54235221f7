"""What the two images of a changed row tell: whether they are whole, and whether its key has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.vstream.lastpk import cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.table import Column
    from source_planetscale.vstream.wire import vstream_pb2 as wire


class IncompleteRow(Exception):  # noqa: N818 - a finding about the server's settings
    """A row image lacks values that a full image has; says which setting causes it."""


class Images:
    """Judges the images of rows of one layout."""

    def __init__(
        self,
        columns: Sequence[Column] = (),
        primary_key: Sequence[str] = (),
        *,
        full: bool = True,
        deletes_count: bool = True,
    ) -> None:
        """Takes the layout.

        Args:
            columns: The columns in the order of the values.
            primary_key: The names of the key's columns.
            full: False if the server is known to log reduced images.
            deletes_count: Whether somebody relies on the former values of deleted rows.
        """
        names = [column.name for column in columns]
        self._columns = columns
        self._key = tuple(names.index(key) for key in primary_key if key in names)
        self._key_end = max(self._key, default=-1) + 1
        self._full = full
        self._deletes_count = deletes_count

    def same_key(self, before: wire.Row, after: wire.Row) -> bool:
        """Whether both images have the same bytes in the key.

        Raises:
            ValueError: The lengths of an image do not fit its bytes.
        """
        # Keys stand at the front, as a rule: what is the same up to their last column needs no cutting.
        lengths = before.lengths[: self._key_end]
        if lengths == after.lengths[: self._key_end]:
            size = sum(length for length in lengths if length > 0)
            if before.values[:size] == after.values[:size]:
                return True
        return self._key_of(before) == self._key_of(after)

    def refuse_incomplete(self, change: wire.RowChange) -> None:
        """Lets whole images pass.

        Raises:
            IncompleteRow: The change says that it lacks values, or looks as if it did.
        """
        if change.HasField("json_partial_values") and any(change.json_partial_values.cols):
            raise IncompleteRow("binlog_row_value_options is PARTIAL_JSON")
        if change.HasField("data_columns"):
            bits = int.from_bytes(change.data_columns.cols, "little")
            if bits != (1 << change.data_columns.count) - 1:
                raise IncompleteRow("binlog_row_image is not FULL")
        if not change.after.lengths:
            self._refuse_ambiguous(change.before)

    def _refuse_ambiguous(self, before: wire.Row) -> None:
        # A reduced image whose logged columns all become NULL comes without its after-image and looks like
        # a delete of a row that has nothing but its key; that of a delete does not say which of its columns
        # are missing (seen on Vitess 24).
        lengths = before.lengths
        others = [index for index in range(len(lengths)) if index not in self._key]
        nulls = [index for index in others if lengths[index] < 0]
        if not nulls:
            return
        if self._full:
            doubtful = nulls == others and not all(self._columns[index].nullable for index in others)
        else:
            doubtful = nulls == others or self._deletes_count
        if doubtful:
            raise IncompleteRow("binlog_row_image is not FULL")

    def _key_of(self, row: wire.Row) -> list[bytes | None]:
        values = cells(row)
        return [values[index] for index in self._key]
