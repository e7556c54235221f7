"""From runs of rows to encoded rows, with the columns that the connector adds."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from source_planetscale.records.added import Added, ChangeColumns, Metadata
from source_planetscale.records.lines import Phase, RowFormatter
from source_planetscale.vstream.rows import joined

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from source_planetscale.config import Config
    from source_planetscale.records.encoded import EncodedRows
    from source_planetscale.records.sequence import Numbers
    from source_planetscale.table import Table
    from source_planetscale.vstream.table_reader import RowFields, RowRun


class BatchMaker:
    """Encodes the rows of one shard of one table; used by one thread.

    The numbers are shared by all shards and tables of a sync.

    Attributes:
        table: The table.
    """

    def __init__(
        self,
        table: Table,
        config: Config,
        changes: Numbers,
        records: Numbers,
        wanted: Container[str] | None = None,
    ) -> None:
        """Takes the table, the configuration, and what numbers the records.

        Args:
            table: The table.
            config: The configuration.
            changes: The numbers for `_ab_cdc_cursor`.
            records: The numbers for metadata.
            wanted: The names of the table's columns that records are to have; None for all.
        """
        self._wanted = wanted
        self.table = table
        self._config = config
        self._changes = changes
        self._records = records
        self._formatters: dict[tuple[RowFields, Phase], RowFormatter] = {}

    def rows(self, runs: Sequence[RowRun]) -> list[EncodedRows]:
        """Encodes runs of rows, in order; leaves out deleted rows where nothing would tell that they are."""
        if not self._config.include_cdc_columns:
            runs = [run for run in runs if not run.deleted]
        now_ns = time.time_ns()
        return [
            self._encoded(formatter, list(alike), now_ns)
            for formatter, alike in groupby(runs, self._formatter)
        ]

    def _encoded(self, formatter: RowFormatter, runs: list[RowRun], now_ns: int) -> EncodedRows:
        added: list[Added] = []
        if self._config.include_metadata or self._config.include_cdc_columns:
            added = [self._added(run, now_ns) for run in runs]
        return formatter.encoded(joined([run.rows for run in runs]), added, now_ns // 1_000_000)

    def _formatter(self, run: RowRun) -> RowFormatter:
        phase = Phase.COPY if run.copied else Phase.CATCH_UP
        key = (run.fields, phase)
        formatter = self._formatters.get(key)
        if formatter is None:
            formatter = self._formatters[key] = RowFormatter(
                run.fields.columns,
                self.table.primary_key,
                phase=phase,
                enum_labels_on_wire=run.fields.enum_labels_on_wire,
                tinyint1_as_boolean=self._config.tinyint1_as_boolean,
                wanted=self._wanted,
            )
        return formatter

    def _added(self, run: RowRun, now_ns: int) -> Added:
        count = run.rows.count
        metadata = changes = None
        if self._config.include_metadata:
            metadata = Metadata(run.position, now_ns, self._records.take(count))
        if self._config.include_cdc_columns:
            changed_at = _iso(run.timestamp or now_ns // 1_000_000_000)
            changes = ChangeColumns(changed_at, run.deleted, self._changes.take(count))
        return Added(count, metadata, changes)


@lru_cache(maxsize=64)
def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
