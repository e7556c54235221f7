"""One table as an Airbyte stream: its schema, a slice per shard, its state, and its errors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteMessage,
    AirbyteStream,
    AirbyteTraceMessage,
    EstimateType,
    StreamDescriptor,
    SyncMode,
    TraceType,
    Type,
)
from airbyte_cdk.sources.streams import CheckpointMixin, Stream

from source_planetscale.airbyte_errors import traced
from source_planetscale.columns import stream_schema
from source_planetscale.errors import InternalError
from source_planetscale.records.added import CDC_CURSOR_COLUMN, added_properties
from source_planetscale.vstream.lastpk import copy_can_resume

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping, MutableMapping

    from airbyte_cdk.models import ConfiguredAirbyteStream
    from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
    from airbyte_cdk.sources.utils.schema_helpers import InternalConfig
    from airbyte_cdk.sources.utils.slice_logger import SliceLogger

    from source_planetscale.config import Config
    from source_planetscale.sync.reading import Reading
    from source_planetscale.table import Table


class TableStream(CheckpointMixin, Stream):
    """The stream of one table.

    While the CDK reads one slice, rows of other shards that are already there are emitted too; the state
    covers all shards at every moment. States inside a slice come from `Reading`, which knows when one is due.

    Attributes:
        error: What ended the reading, or None.
    """

    def __init__(
        self,
        table: Table,
        config: Config,
        reading: Reading | None = None,
    ) -> None:
        """Describes the stream.

        Args:
            table: The table.
            config: The configuration.
            reading: Reads it; only needed to read.
        """
        self._table = table
        self._config = config
        self._reading = reading
        self._state_manager: ConnectorStateManager | None = None
        self.error: Exception | None = None

    @property
    def name(self) -> str:
        """The table's name."""
        return self._table.name

    @property
    def namespace(self) -> str | None:
        """The keyspace; while it is read, as the catalog has it."""
        return self._reading.namespace if self._reading else self._table.keyspace

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
        # Elsewhere a second attempt would double the rows of the first one.
        stream.is_resumable = copy_can_resume(self._table)
        if not self._table.primary_key and not self._config.include_cdc_columns:
            stream.default_cursor_field = []
        return stream

    @property
    def state(self) -> MutableMapping[str, Any]:
        """The state of all shards, as of the last checkpoint."""
        return self._reading.state_json if self._reading else {}

    @state.setter
    def state(self, value: MutableMapping[str, Any]) -> None:
        """Does nothing: streams that share a shard's log need their states before any of them is read."""

    def stream_slices(
        self,
        *,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Mapping[str, Any] | None]:
        """One slice per shard; those that take the place of others while they are read come last."""
        # A list grows under its iterator.
        for shard in self._reading.shards if self._reading else ():
            yield {"shard": shard}

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
            AirbyteTracedException: At least one shard failed.
        """
        reading = self._reading
        if reading is None:
            raise traced([InternalError(f"Stream {self.name} was read without a connection.")])
        self._state_manager = state_manager
        self._say_what_keyless_means()
        if reading.estimates:
            yield self._estimate(sum(reading.estimates.values()))
        if self._config.include_cdc_columns:
            # The numbers of the change cursor are reserved before the first of them leaves.
            yield self._state_message()
        yield from super().read(
            configured_stream, logger, slice_logger, reading.state_json, state_manager, internal_config
        )
        if reading.errors:
            descriptor = StreamDescriptor(name=self.name, namespace=self.namespace)
            self.error = traced(reading.errors.values(), descriptor)
            raise self.error

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
        return self._reading.until_end_of(stream_slice["shard"], self._state_message)

    def _state_message(self) -> AirbyteMessage:
        return self._checkpoint_state(self.state, self._state_manager)

    def _estimate(self, rows: int) -> AirbyteMessage:
        estimate = AirbyteEstimateTraceMessage(
            name=self.name, namespace=self.namespace, type=EstimateType.STREAM, row_estimate=rows
        )
        trace = AirbyteTraceMessage(type=TraceType.ESTIMATE, emitted_at=time.time() * 1000, estimate=estimate)
        return AirbyteMessage(type=Type.TRACE, trace=trace)

    def _say_what_keyless_means(self) -> None:
        if self._config.include_cdc_columns and not self._table.primary_key:
            several = self._config.keyspaces.several
            where = f"{self.name} of keyspace {self._table.keyspace}" if several else self.name
            self.logger.warning(
                f"Table {where} has no primary key: each of its changes is a record, but nothing tells "
                "which earlier record an update or a delete belongs to. Sync it with 'Append'; "
                "deduplication needs a key that you choose in the connection and that is unique in the table."
            )
