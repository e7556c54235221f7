"""From runs of rows to batches of finished record lines, with the columns that the connector adds."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from functools import lru_cache
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

import orjson

from source_planetscale.records.lines import Phase, RecordBatch, RowFormatter
from source_planetscale.vstream.rows import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source_planetscale.config import Config
    from source_planetscale.records.sequence import ChangeSequence
    from source_planetscale.table import Table
    from source_planetscale.vstream.table_reader import RowFields, RowRun

METADATA_COLUMN = "_planetscale_metadata"
UPDATED_AT_COLUMN = "_ab_cdc_updated_at"
DELETED_AT_COLUMN = "_ab_cdc_deleted_at"
CDC_CURSOR_COLUMN = "_ab_cdc_cursor"
ADDED_COLUMNS = frozenset({METADATA_COLUMN, UPDATED_AT_COLUMN, DELETED_AT_COLUMN, CDC_CURSOR_COLUMN})


def added_properties(config: Config) -> dict[str, Any]:
    """Gives the JSON schema of the columns that the configuration adds to every stream."""
    properties: dict[str, Any] = {}
    if config.include_metadata:
        properties[METADATA_COLUMN] = {"type": ["object"], "airbyte_type": "object"}
    if config.include_cdc_columns:
        # Plain strings, as Airbyte's MySQL source declares them, for models that were written for it.
        properties[UPDATED_AT_COLUMN] = {"type": ["string"]}
        properties[DELETED_AT_COLUMN] = {"type": ["null", "string"]}
        properties[CDC_CURSOR_COLUMN] = {"type": ["number"], "airbyte_type": "integer"}
    return properties


class BatchMaker:
    """Makes the record batches of one shard of one table; used by one thread.

    The sequences are shared by all shards and tables of a sync.
    """

    def __init__(
        self, table: Table, config: Config, changes: ChangeSequence, records: ChangeSequence
    ) -> None:
        """Takes the table, the configuration, and the sequences for `_ab_cdc_cursor` and for metadata."""
        self._table = table
        self._config = config
        self._changes = changes
        self._records = records
        self._formatters: dict[tuple[RowFields, Phase], RowFormatter] = {}

    def batch(self, runs: list[RowRun]) -> RecordBatch | None:
        """Formats runs of rows, in order, as one batch; None for no rows."""
        if not self._config.include_cdc_columns:
            runs = [run for run in runs if not run.deleted]
        if not runs:
            return None
        now_ns = time.time_ns()
        texts = [
            self._text(formatter, list(alike), now_ns) for formatter, alike in groupby(runs, self._formatter)
        ]
        return RecordBatch(
            b"".join(texts),
            sum(run.rows.count for run in runs),
            stream=self._table.name,
            namespace=self._table.keyspace,
            emitted_at_ms=now_ns // 1_000_000,
        )

    def _text(self, formatter: RowFormatter, runs: list[RowRun], now_ns: int) -> bytes:
        tails = None
        if self._config.include_metadata or self._config.include_cdc_columns:
            tails = chain.from_iterable(self._tails(run, now_ns) for run in runs)
        return formatter.text(joined([run.rows for run in runs]), tails, now_ns // 1_000_000)

    def _formatter(self, run: RowRun) -> RowFormatter:
        phase = Phase.COPY if run.copied else Phase.CATCH_UP
        key = (run.fields, phase)
        formatter = self._formatters.get(key)
        if formatter is None:
            formatter = self._formatters[key] = RowFormatter(
                run.fields.columns,
                self._table.primary_key,
                stream=self._table.name,
                namespace=self._table.keyspace,
                phase=phase,
                enum_labels_on_wire=run.fields.enum_labels_on_wire,
                tinyint1_as_boolean=self._config.tinyint1_as_boolean,
            )
        return formatter

    def _tails(self, run: RowRun, now_ns: int) -> Iterator[bytes]:
        if not self._config.include_cdc_columns:
            return self._metadata_tails(run, now_ns)
        if not self._config.include_metadata:
            return self._cdc_tails(run, now_ns)
        return map(bytes.__add__, self._metadata_tails(run, now_ns), self._cdc_tails(run, now_ns))

    def _metadata_tails(self, run: RowRun, now_ns: int) -> Iterator[bytes]:
        head = b',"%b":{"vgtid_position":%b,"extracted_at":%d,"sequence_number":' % (
            METADATA_COLUMN.encode(),
            orjson.dumps(run.position),
            now_ns,
        )
        return (b"%b%d}" % (head, number) for number in self._records.take(len(run.rows)))

    def _cdc_tails(self, run: RowRun, now_ns: int) -> Iterator[bytes]:
        changed_at = _iso(run.timestamp or now_ns // 1_000_000_000)
        deleted_at = b'"%b"' % changed_at if run.deleted else b"null"
        head = b',"%b":"%b","%b":%b,"%b":' % (
            UPDATED_AT_COLUMN.encode(),
            changed_at,
            DELETED_AT_COLUMN.encode(),
            deleted_at,
            CDC_CURSOR_COLUMN.encode(),
        )
        return (b"%b%d" % (head, number) for number in self._changes.take(len(run.rows)))


@lru_cache(maxsize=64)
def _iso(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
