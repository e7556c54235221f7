"""What a destination makes of records: Airbyte's rule for 'Append + Deduped'.

Of the records of one key the one with the greatest cursor stays, of equal ones the latest extracted; a key
whose last record says when it was deleted is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CURSOR = "_ab_cdc_cursor"
UPDATED_AT = "_ab_cdc_updated_at"
DELETED_AT = "_ab_cdc_deleted_at"
METADATA = "_planetscale_metadata"
ADDED = (CURSOR, UPDATED_AT, DELETED_AT, METADATA)

Row = dict[str, Any]


class AmbiguousOrderError(AssertionError):
    """Two records of one key that nothing orders; a destination would keep either."""


class DedupedTable:
    """The deduplicated table of one stream; records are loaded in the order of their emission."""

    def __init__(self, key: Sequence[str], cursor: str = CURSOR) -> None:
        """Starts empty.

        Args:
            key: The primary key that the connection uses.
            cursor: The cursor field that the connection uses.
        """
        self._key = key
        self._cursor = cursor
        self._last: dict[tuple[Any, ...], tuple[tuple[bool, Any, int], Row]] = {}

    def load(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Loads record messages: their `data` and `emitted_at`.

        Raises:
            AmbiguousOrderError: The order of two records of one key is not defined.
        """
        for record in records:
            data = dict(record["data"])
            key = tuple(data[column] for column in self._key)
            cursor = data.get(self._cursor)
            # A record without cursor, from before the option was switched on, is older than any with one.
            rank = (cursor is not None, cursor, record["emitted_at"])
            current = self._last.get(key)
            if current and current[0] == rank and current[1] != data:
                raise AmbiguousOrderError(f"two records of {key} have the cursor {cursor}")
            if current is None or current[0] < rank:
                self._last[key] = (rank, data)

    def rows(self) -> list[Row]:
        """The rows of the table in the order of their keys, without the columns that the connector adds."""
        alive = sorted((key, data) for key, (_, data) in self._last.items() if data.get(DELETED_AT) is None)
        return [without_added_columns(data) for _, data in alive]


def without_added_columns(data: Mapping[str, Any]) -> Row:
    """A record's data as the source's table has it."""
    return {name: value for name, value in data.items() if name not in ADDED}
