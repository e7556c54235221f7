"""What a destination makes of records: Airbyte's rule for 'Append + Deduped'.

Of the records of one key the one with the greatest cursor stays, of equal ones the latest extracted; a key
whose last record says when it was deleted is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CURSOR = "_ab_cdc_cursor"
UPDATED_AT = "_ab_cdc_updated_at"
DELETED_AT = "_ab_cdc_deleted_at"
METADATA = "_planetscale_metadata"
ADDED = (CURSOR, UPDATED_AT, DELETED_AT, METADATA)

Key = tuple[Any, ...]
Row = dict[str, Any]


class AmbiguousOrderError(AssertionError):
    """Two records of one key that nothing orders; a destination would keep either."""


def streams_without_a_state_between(messages: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Finds two streams with records of which no state covers the first ones before the second ones.

    A destination that flushes at states holds records of both of them in memory then.
    """
    uncovered = ""
    for message in messages:
        if message["type"] == "RECORD":
            stream = str(message["record"]["stream"])
            if uncovered not in ("", stream):
                return uncovered, stream
            uncovered = stream
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            uncovered = "" if name == uncovered else uncovered
    return None


@dataclass(frozen=True)
class Change:
    """What one record did to the table.

    Attributes:
        kind: `insert`, `update` or `delete`.
        before: The data of the key's record before, None where the table did not have the key.
        after: The record's data.
    """

    kind: str
    before: Row | None
    after: Row


class DedupedTable:
    """The deduplicated table of one stream; records are loaded in the order of their emission.

    Attributes:
        late: Keys of records whose cursor was not greater than that of a record loaded before. The connector
            promises that there are none.
    """

    def __init__(self, key: Sequence[str] | Callable[[Row], Key], cursor: str | None = CURSOR) -> None:
        """Starts empty.

        Args:
            key: The primary key that the connection uses, or what else tells rows apart.
            cursor: The cursor field that the connection uses; with None the record that came last counts.
        """
        self._key = key if callable(key) else _columns(key)
        self._cursor = cursor
        self._last: dict[Key, tuple[tuple[bool, Any, int], Row]] = {}
        self._loaded = 0
        self.late: list[Key] = []

    def load(self, records: Iterable[Mapping[str, Any]]) -> list[Change]:
        """Loads record messages: their `data` and `emitted_at`.

        Returns:
            What each of them did, in order; one that is older than what the table has did nothing.

        Raises:
            AmbiguousOrderError: The order of two records of one key is not defined.
        """
        loaded = (self._load(dict(record["data"]), record["emitted_at"]) for record in records)
        return [change for change in loaded if change is not None]

    def _load(self, data: Row, emitted_at: int) -> Change | None:
        self._loaded += 1
        key = self._key(without_added_columns(data))
        current, before = self._last.get(key, (None, None))
        rank = self._rank(data, emitted_at)
        if current and before is not None:
            if self._cursor and rank[:2] <= current[:2]:
                self.late.append(key)
            if current == rank and before != data:
                raise AmbiguousOrderError(f"two records of {key} have the cursor {rank[1]}")
            if current >= rank:
                return None
        self._last[key] = (rank, data)
        before = before if before is not None and _is_alive(before) else None
        if not _is_alive(data):
            return Change("delete", before, data)
        return Change("insert" if before is None else "update", before, data)

    def _rank(self, data: Row, emitted_at: int) -> tuple[bool, Any, int]:
        if self._cursor is None:
            return (False, None, self._loaded)
        cursor = data.get(self._cursor)
        # A record without cursor, from before the option was switched on, is older than any with one.
        return (cursor is not None, cursor, emitted_at)

    @property
    def by_key(self) -> dict[Key, Row]:
        """The rows of the table by key, without the columns that the connector adds."""
        return {key: without_added_columns(data) for key, (_, data) in self._last.items() if _is_alive(data)}

    def rows(self) -> list[Row]:
        """The rows of the table in the order of their keys, without the columns that the connector adds."""
        return [row for _, row in sorted(self.by_key.items())]


def without_added_columns(data: Mapping[str, Any]) -> Row:
    """A record's data as the source's table has it."""
    return {name: value for name, value in data.items() if name not in ADDED}


def _is_alive(data: Row) -> bool:
    return data.get(DELETED_AT) is None


def _columns(names: Sequence[str]) -> Callable[[Row], Key]:
    return lambda row: tuple(row[name] for name in names)
