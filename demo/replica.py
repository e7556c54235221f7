"""A warehouse's table made from records: the latest record of each key counts, a delete removes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DELETED_AT = "_ab_cdc_deleted_at"
CURSOR = "_ab_cdc_cursor"


@dataclass(frozen=True)
class Change:
    """What one record did to the replica.

    Attributes:
        kind: `insert`, `update` or `delete`.
        before: The row as the replica had it, None for an insert.
        row: The record's data.
    """

    stream: str
    kind: str
    before: Mapping[str, Any] | None
    row: Mapping[str, Any]

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Per column of the table that differs, its value before and after."""
        if self.kind != "update" or self.before is None:
            return {}
        return {
            column: (self.before[column], value)
            for column, value in self.row.items()
            if not column.startswith("_ab_cdc_") and _document(self.before[column]) != _document(value)
        }


@dataclass
class Replica:
    """Tables whose key is the column `id`."""

    tables: dict[str, dict[int, Mapping[str, Any]]] = field(default_factory=dict)

    def apply(self, records: Iterable[Mapping[str, Any]]) -> list[Change]:
        """Applies records and tells what each did; one with a smaller cursor than its row's does nothing."""
        applied = (self._apply(record["stream"], record["data"]) for record in records)
        return [change for change in applied if change is not None]

    def _apply(self, stream: str, row: Mapping[str, Any]) -> Change | None:
        table = self.tables.setdefault(stream, {})
        before = table.get(row["id"])
        if before is not None and before[CURSOR] >= row[CURSOR]:
            return None
        if row[DELETED_AT] is not None:
            table.pop(row["id"], None)
            return Change(stream, "delete", before, row)
        table[row["id"]] = row
        return Change(stream, "insert" if before is None else "update", before, row)

    def differences(self, stream: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Counts rows that a source has otherwise, or not at all.

        Args:
            stream: The table.
            columns: Columns to compare, `id` first.
            rows: The source's values of these columns, as texts or None.
        """
        table = self.tables.get(stream, {})
        source = {int(row[0]): list(row) for row in rows}
        differing = sum(
            key not in table or [_text(table[key][column]) for column in columns] != values
            for key, values in source.items()
        )
        return differing + len(table.keys() - source.keys())


def _document(value: Any) -> Any:
    """A JSON document's content, since MySQL orders its keys differently in the copy and in changes."""
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(int(value)) if isinstance(value, bool) else str(value)
