"""The demo's destination: what the records did to its tables, and whether these equal the source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from integration_tests.support.destination import DedupedTable, without_added_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from integration_tests.support.destination import Change


@dataclass
class Replica:
    """Deduplicated tables whose key is the column `id`, by stream."""

    tables: dict[str, DedupedTable] = field(default_factory=dict)

    def apply(self, records: Iterable[Mapping[str, Any]]) -> list[tuple[str, Change]]:
        """Applies the `record` of record messages; gives stream and change for each that did something."""
        return [
            (record["stream"], change)
            for record in records
            for change in self._table(record["stream"]).load([record])
        ]

    def differences(self, stream: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Counts rows that a source has otherwise, or not at all.

        Args:
            stream: The table.
            columns: Columns to compare, `id` first.
            rows: The source's values of these columns, as texts or None.
        """
        table = self._table(stream).by_key
        source = {(int(row[0]),): row for row in rows}
        differing = sum(
            key not in table or not all(map(_equal, (table[key][column] for column in columns), values))
            for key, values in source.items()
        )
        return differing + len(table.keys() - source.keys())

    def _table(self, stream: str) -> DedupedTable:
        return self.tables.setdefault(stream, DedupedTable(["id"]))


def changed_columns(change: Change) -> dict[str, tuple[Any, Any]]:
    """Per column of the table that an update changed, its value before and after."""
    if change.kind != "update" or change.before is None:
        return {}
    return {
        column: (change.before[column], value)
        for column, value in without_added_columns(change.after).items()
        if _document(change.before[column]) != _document(value)
    }


def _document(value: Any) -> Any:
    """A JSON document's content, since MySQL orders its keys differently in the copy and in changes."""
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _equal(value: Any, text: str | None) -> bool:
    """Whether a record's value is what MySQL writes as this text."""
    if value is None or text is None:
        return value is text
    if isinstance(value, float):
        return Decimal(str(value)) == Decimal(text)
    return (str(int(value)) if isinstance(value, bool) else str(value)) == text
