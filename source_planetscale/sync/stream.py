"""One table as an Airbyte stream: its schema, a slice per shard, its state, and its errors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airbyte_cdk.models import AirbyteStream, StreamDescriptor, SyncMode
from airbyte_cdk.sources.streams import CheckpointMixin, Stream

from source_planetscale.airbyte_errors import traced, traced_errors
from source_planetscale.columns import stream_schema
from source_planetscale.config import InvalidPositionPolicy
from source_planetscale.errors import ConfigError, InternalError, SourceError
from source_planetscale.records.batches import ADDED_COLUMNS, CDC_CURSOR_COLUMN, BatchMaker, added_properties
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.state import StreamState
from source_planetscale.sync.checkpoint import CheckpointPolicy
from source_planetscale.sync.progress import ProgressLog
from source_planetscale.sync.shard_read import ShardRead
from source_planetscale.sync.table_read import TableRead
from source_planetscale.vstream.cursor import Cursor

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

    from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteStream
    from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
    from airbyte_cdk.sources.utils.schema_helpers import InternalConfig
    from airbyte_cdk.sources.utils.slice_logger import SliceLogger

    from source_planetscale.config import Config
    from source_planetscale.records.lines import RecordBatch
    from source_planetscale.sync.context import Sync
    from source_planetscale.sync.delivery import Delivery, DeliveryQueue
    from source_planetscale.table import Table


class TableStream(CheckpointMixin, Stream):
    """The stream of one table.

    While the CDK reads one slice, rows of other shards that are already there are emitted too; the state
    covers all shards at every moment.
    """

    def __init__(
        self,
        table: Table,
        config: Config,
        *,
        shards: Sequence[str] = (),
        known_shards: Sequence[str] = (),
        sync: Sync | None = None,
    ) -> None:
        """Describes the stream.

        Args:
            table: The table.
            config: The configuration.
            shards: The shards to read, in order; only needed to read.
            known_shards: All shards of the keyspace; only needed to read.
            sync: What the reads of this sync share; only needed to read.
        """
        self._table = table
        self._config = config
        self._shards = shards
        self._known_shards = known_shards
        self._sync = sync
        self._saved = StreamState()
        self._reading: _Reading | None = None

    @property
    def name(self) -> str:
        """The table's name."""
        return self._table.name

    @property
    def namespace(self) -> str:
        """The keyspace."""
        return self._table.keyspace

    @property
    def primary_key(self) -> list[list[str]]:
        """The columns of the key in the order of the key."""
        return [[column] for column in self._table.primary_key]

    @property
    def cursor_field(self) -> list[str]:
        """The column that orders records in a destination.

        Without the change columns it is the last column of the key, as the Go connector has it. The CDK
        needs a name for tables without a key too, to give the stream its incremental checkpoints; the
        catalog does not show it.
        """
        if self._config.include_cdc_columns:
            return [CDC_CURSOR_COLUMN]
        return [self._table.primary_key[-1] if self._table.primary_key else self._table.columns[0].name]

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # the CDK caches its own
        """The JSON schema of the records, with the columns that the configuration adds."""
        schema = stream_schema(self._table, tinyint1_as_boolean=self._config.tinyint1_as_boolean)
        schema["properties"].update(added_properties(self._config))
        return schema

    def as_airbyte_stream(self) -> AirbyteStream:
        """The stream as the catalog shows it."""
        stream = super().as_airbyte_stream()
        stream.source_defined_primary_key = self.primary_key
        if not self._table.primary_key and not self._config.include_cdc_columns:
            stream.default_cursor_field = []
        return stream

    @property
    def state(self) -> MutableMapping[str, Any]:
        """The state of all shards, as of the last checkpoint that was due."""
        return self._reading.state_json if self._reading else {}

    @state.setter
    @traced_errors()
    def state(self, value: MutableMapping[str, Any]) -> None:
        self._saved = StreamState.parse(value, keyspace=self.namespace, stream=self.name)

    @property
    def state_checkpoint_interval(self) -> int | None:
        """1 if the CDK is to emit a state after the record at hand, otherwise None."""
        return 1 if self._reading and self._reading.checkpoint_due else None

    def stream_slices(
        self,
        *,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Mapping[str, Any] | None]:
        """One slice per shard."""
        return [{"shard": shard} for shard in self._shards]

    def read(
        self,
        configured_stream: ConfiguredAirbyteStream,
        logger: logging.Logger,
        slice_logger: SliceLogger,
        stream_state: MutableMapping[str, Any],
        state_manager: ConnectorStateManager,
        internal_config: InternalConfig,
    ) -> Iterable[Mapping[str, Any] | AirbyteMessage]:
        """Reads all slices as the CDK does, then tells the errors of all shards at once.

        Raises:
            SourceError: The catalog or the state does not fit, or at least one shard failed.
        """
        with traced_errors():
            if self._sync is None:
                raise InternalError(f"Stream {self.name} was read without a connection.")
            self._refuse_missing_columns(configured_stream)
            state = self._first_state(configured_stream.sync_mode)
            self._say_what_keyless_means()
            reading = self._reading = _Reading(self._table, self._shards, state, self._sync)
            try:
                if self._config.include_cdc_columns:
                    # The numbers of the change cursor are reserved before the first of them leaves.
                    yield self._checkpoint_state(reading.state_json, state_manager)
                yield from super().read(
                    configured_stream,
                    logger,
                    slice_logger,
                    reading.state_json,
                    state_manager,
                    internal_config,
                )
            finally:
                reading.close()
            if reading.errors:
                raise traced(
                    reading.errors.values(), StreamDescriptor(name=self.name, namespace=self.namespace)
                )

    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Mapping[str, Any] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Mapping[str, Any] | AirbyteMessage]:
        """Emits what the shards deliver until the slice's own shard has ended."""
        if self._reading is None or not stream_slice:
            return ()
        return self._reading.until_end_of(stream_slice["shard"])

    def _first_state(self, mode: SyncMode) -> StreamState:
        saved = self._saved
        incremental = mode is SyncMode.incremental
        if not incremental and not saved.full_refresh:
            # Only the state of the same, unfinished full refresh saves copying again.
            saved = StreamState(cdc_cursor=saved.cdc_cursor)
        starting = self._config.starting_gtids.get(self.namespace, {}) if incremental else {}
        cursors = self._cursors_of_known_shards(saved)
        for shard in self._shards:
            cursors.setdefault(shard, Cursor(self.namespace, shard, starting.get(shard, "")))
        return StreamState(cursors, saved.cdc_cursor, full_refresh=not incremental)

    def _cursors_of_known_shards(self, saved: StreamState) -> dict[str, Cursor]:
        gone = [
            shard
            for shard, cursor in saved.cursors.items()
            if shard not in self._known_shards and (cursor.position or cursor.last_pk)
        ]
        if gone and self._config.invalid_position_policy is InvalidPositionPolicy.FAIL:
            raise ConfigError(
                f"The saved state of stream {self.name} follows shard(s) {', '.join(gone)}, which keyspace "
                f"{self.namespace} no longer has: it was resharded to {', '.join(self._known_shards)}. Clear "
                "this stream's data to copy it from the new shards, or set 'Invalid saved position behavior' "
                "to 'Re-sync data', which does so by itself."
            )
        if gone:
            self.logger.warning(
                f"Shards {', '.join(gone)} of {self.name} are gone: copying from the new ones."
            )
        return {shard: cursor for shard, cursor in saved.cursors.items() if shard in self._known_shards}

    def _say_what_keyless_means(self) -> None:
        if self._config.include_cdc_columns and not self._table.primary_key:
            self.logger.warning(
                f"Table {self.name} has no primary key: each of its changes is a record, but nothing tells "
                "which earlier record an update or a delete belongs to. Sync it with 'Append'; "
                "deduplication needs a key that you choose in the connection and that is unique in the table."
            )

    def _refuse_missing_columns(self, configured_stream: ConfiguredAirbyteStream) -> None:
        configured = configured_stream.stream.json_schema.get("properties", {})
        missing = sorted(set(configured) - {column.name for column in self._table.columns} - ADDED_COLUMNS)
        if missing:
            raise ConfigError(
                f"Table {self.name} of keyspace {self.namespace} no longer has the column(s) "
                f"{', '.join(missing)} that this connection selects. Refresh the source's schema and save "
                "the connection."
            )


class _Reading:
    """One read of all shards of a table: what they delivered so far, and what of it is checkpointed."""

    def __init__(self, table: Table, shards: Sequence[str], state: StreamState, sync: Sync) -> None:
        now = time.monotonic()
        self.errors: dict[str, Exception] = {}
        self.checkpoint_due = False
        self._state = state
        self._sync = sync
        self._ended: set[str] = set()
        self._shards = shards
        self._changes = ChangeSequence(state.cdc_cursor, time.time_ns() // 1000)
        self._policy = CheckpointPolicy(sync.config.checkpoint_seconds, now)
        self._progress = ProgressLog(table.name, sync.logger, now)

        def make(cursor: Cursor, queue: DeliveryQueue) -> ShardRead:
            batches = BatchMaker(table, sync.config, self._changes, sync.records)
            return ShardRead(sync, table, cursor, batches, queue)

        self._read = TableRead(sync, [state.cursors[shard] for shard in shards], make)
        self._read.start()
        self._deliveries = self._read.deliveries()
        self._remember()

    def until_end_of(self, shard: str) -> Iterator[AirbyteMessage]:
        """Emits deliveries of any shard until this one has ended; the state is then up to date."""
        self.checkpoint_due = False
        while shard not in self._ended:
            delivery = self._next()
            if delivery is not None:
                yield from self._emit(delivery)
        self._remember()

    def close(self) -> None:
        """Ends all threads."""
        self._read.close()

    def _next(self) -> Delivery | None:
        try:
            return next(self._deliveries)
        except SourceError as error:
            # Told after the state of what was read: see `TableStream.read`.
            self.errors[""] = error
            self._ended.update(self._shards)
            return None

    def _emit(self, delivery: Delivery) -> Iterator[AirbyteMessage]:
        shard, now = delivery.shard, time.monotonic()
        moved = delivery.cursor != self._state.cursors[shard]
        self._state.cursors[shard] = delivery.cursor
        if delivery.batch is not None:
            self._policy.observe(delivery.batch.count, moved=moved)
            self._progress.rows(shard, delivery.batch.count, copying=delivery.cursor.copying, now=now)
            yield from self._records(delivery.batch, now)
        if delivery.ended:
            self._ended.add(shard)
            self._progress.ended(shard, delivery.error, now)
            if delivery.error is not None:
                self.errors[shard] = delivery.error

    def _records(self, batch: RecordBatch, now: float) -> Iterator[AirbyteMessage]:
        *first, last = [batch] if self._sync.batched else batch.messages()
        yield from first
        if self._policy.due(now) or self._reserve_runs_low:
            self._remember()
            self.checkpoint_due = True
        yield last
        if self.checkpoint_due:
            self.checkpoint_due = False
            self._policy.done(now)

    @property
    def _reserve_runs_low(self) -> bool:
        return self._sync.config.include_cdc_columns and self._changes.runs_low(self._state.cdc_cursor)

    def _remember(self) -> None:
        ended = self._ended.issuperset(self._shards)
        if self._sync.config.include_cdc_columns:
            # A reserve with every sync would run ahead of the clock, which orders what a lost state does not.
            self._state.cdc_cursor = self._changes.last if ended else self._changes.reserved
        if ended and not self.errors:
            self._state.full_refresh = False
        self.state_json = self._state.to_json()
