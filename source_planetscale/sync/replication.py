"""One sync: from a configured catalog to streams that can be read, and the connections they share."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from airbyte_cdk.models import ConfiguredAirbyteCatalog, StreamDescriptor, SyncMode
from airbyte_cdk.sources.streams import Stream

from source_planetscale.airbyte_errors import traced
from source_planetscale.errors import ConfigError, SourceError
from source_planetscale.follow.core import Core
from source_planetscale.follow.positions import ShardPositions
from source_planetscale.follow.retries import patiently
from source_planetscale.mysql.database import Database
from source_planetscale.mysql.internal_tables import about_missing_table, why_not_streamed
from source_planetscale.mysql.shards import selected_shards
from source_planetscale.records.added import ADDED_COLUMNS
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.state import StreamState
from source_planetscale.sync import reshards
from source_planetscale.sync.context import Sync
from source_planetscale.sync.reading import Reading
from source_planetscale.sync.stream import TableStream
from source_planetscale.vstream.client import VStreamClient

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping, Sequence

    from airbyte_cdk.models import AirbyteStateMessage, ConfiguredAirbyteStream
    from airbyte_cdk.sources.streams.core import StreamData

    from source_planetscale.config import Config
    from source_planetscale.table import Table


class UnreadableStream(Stream):
    """A configured stream that cannot be read; reading it tells why.

    Attributes:
        error: The reason.
    """

    def __init__(self, name: str, namespace: str | None, error: Exception) -> None:
        """Takes the place of the stream with this name."""
        self._name = name
        self._namespace = namespace
        self.error = error

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    @property
    def namespace(self) -> str | None:
        """The configured namespace."""
        return self._namespace

    @property
    def primary_key(self) -> None:
        """None, as the table is not known."""
        return

    def read(self, *args: Any, **kwargs: Any) -> Iterable[StreamData]:
        """Raises the error."""
        descriptor = StreamDescriptor(name=self._name, namespace=self._namespace)
        raise traced([self.error], descriptor)

    def read_records(self, *args: Any, **kwargs: Any) -> Iterable[Mapping[str, Any]]:
        """Raises the error."""
        raise self.error


def connection(config: Config, logger: logging.Logger, interrupted: threading.Event) -> Core:
    """Gives what a sync reads shards with; nothing is connected yet."""
    database = Database(config.mysql, config.keyspace)
    client = VStreamClient(config.grpc, config.keyspace)
    return Core(
        client,
        database,
        ShardPositions(config.patience, client, database, interrupted),
        config.patience,
        logger,
        track_changes=config.include_cdc_columns or config.include_metadata,
        turn=threading.Lock(),
    )


class Replication:
    """The connections of one sync and the streams that use them.

    Attributes:
        sync: What the reads share.
        readings: The reading of each stream that can be read, by stream.
    """

    def __init__(
        self,
        config: Config,
        core: Core,
        interrupted: threading.Event,
        *,
        batched: bool = False,
        heartbeat: bool = False,
    ) -> None:
        """Asks nothing yet. The arguments are those of `Sync`."""
        self._config = config
        self._core = core
        self.sync = Sync(config, core, ChangeSequence(0, 0), core.logger, interrupted, batched, heartbeat)
        self.readings: dict[str, Reading] = {}
        self._streams: list[TableStream | UnreadableStream] = []

    def streams(
        self, catalog: ConfiguredAirbyteCatalog, states: Sequence[AirbyteStateMessage]
    ) -> list[Stream]:
        """Makes a stream for each configured one; those that cannot be read tell so when they are read.

        Args:
            catalog: The configured catalog; a stream without a namespace is one of the database.
            states: The saved states, likewise.
        """
        names = {configured.stream.name for configured in catalog.streams}
        database = self._core.database
        try:
            known = patiently(database.shards, self._core.patience, self.sync.interrupted)
            shards = selected_shards(self._config.keyspace, known)
            described = patiently(lambda: database.tables(names), self._core.patience, self.sync.interrupted)
            tables = {table.name: table for table in described}
        except SourceError as error:
            self._streams = [_unreadable(configured, error) for configured in catalog.streams]
            return list(self._streams)
        saved = _states_by_stream(states, self._config.database)
        twice = {name for name, count in Counter(c.stream.name for c in catalog.streams).items() if count > 1}
        self._streams = [
            self._stream(configured, tables.get(configured.stream.name), known, shards, saved, twice)
            for configured in catalog.streams
        ]
        return list(self._streams)

    def error_of(self, name: str) -> Exception | None:
        """What ended the reading of a stream, or None."""
        return next((stream.error for stream in self._streams if stream.name == name), None)

    def close(self) -> None:
        """Ends all threads and closes all connections."""
        self.sync.tasks.close()
        self._core.client.close()
        opened = self._core.opened.value
        self.sync.logger.info(f"The sync is over. VStreams opened: {opened}.")

    def _stream(
        self,
        configured: ConfiguredAirbyteStream,
        table: Table | None,
        known: Sequence[str],
        shards: Sequence[str],
        saved: Mapping[tuple[str, str], Mapping[str, Any]],
        twice: set[str],
    ) -> TableStream | UnreadableStream:
        name, namespace = configured.stream.name, configured.stream.namespace or self._config.database
        try:
            if name in twice:
                # The CDK finds a stream by its name alone and would read one of two namesakes twice.
                raise ConfigError(f"The catalog holds several streams named {name}. Leave one of them.")
            if table is None or namespace != self._config.database or why_not_streamed(name):
                raise ConfigError(about_missing_table(name, namespace, self._config.database))
            state = StreamState.parse(saved.get((name, namespace), {}), keyspace=namespace, stream=name)
        except SourceError as error:
            return _unreadable(configured, error)
        self._tell_differences(configured, table)
        state, idle = self._first_state(state, configured, known, shards)
        self.readings[name] = Reading(
            table,
            state,
            shards,
            self.sync,
            idle=idle,
            namespace=configured.stream.namespace,
            copy_starts_again=state.generation is None,
            # A schema without properties says nothing of them.
            wanted=frozenset(configured.stream.json_schema.get("properties") or ()) or None,
        )
        return TableStream(table, self._config, self.readings[name])

    def _first_state(
        self,
        saved: StreamState,
        configured: ConfiguredAirbyteStream,
        known: Sequence[str],
        shards: Sequence[str],
    ) -> tuple[StreamState, set[str]]:
        """Gives the state to begin with, and which shards in it serve but are not to be read."""
        incremental = configured.sync_mode is SyncMode.incremental
        generation = None if incremental else _generation(configured)
        if generation is not None and generation == saved.generation and not saved.full_refresh:
            # Another stream of the same job failed: this one is in its generation already.
            return saved, set()
        if not incremental and (not saved.full_refresh or saved.generation != generation):
            # Only the state of the same, unfinished full refresh saves copying again.
            saved = StreamState(cdc_cursor=saved.cdc_cursor)
        saved.full_refresh, saved.generation = not incremental, generation
        starting = self._config.starting_gtids.get(self._config.database, {}) if incremental else {}
        idle = {
            name: saved.cursors.pop(name) for name in known if name not in shards and name in saved.cursors
        }
        reshards.settle(saved, shards, self._config.database, starting)
        saved.cursors.update(idle)
        return saved, set(idle)

    def _tell_differences(self, configured: ConfiguredAirbyteStream, table: Table) -> None:
        """Says where the catalog is not the table's any more, and what comes of it."""
        properties = configured.stream.json_schema.get("properties", {})
        missing = sorted(set(properties) - {column.name for column in table.columns} - ADDED_COLUMNS)
        if missing:
            self.sync.logger.warning(
                f"Table {table.name} of keyspace {table.keyspace} no longer has the column(s) "
                f"{', '.join(missing)} that this connection selects: records come without them. Refresh the "
                "source's schema and save the connection."
            )
        key = [part[0] for part in configured.stream.source_defined_primary_key or [] if len(part) == 1]
        if key and table.primary_key and set(key) != set(table.primary_key):
            self.sync.logger.warning(
                f"The key of table {table.name} of keyspace {table.keyspace} is "
                f"({', '.join(table.primary_key)}) "
                f"now, and ({', '.join(key)}) in this connection: a destination that deduplicates merges "
                "other "
                "rows than the table does. Refresh the source's schema, and refresh the stream."
            )


def _unreadable(configured: ConfiguredAirbyteStream, error: Exception) -> UnreadableStream:
    return UnreadableStream(configured.stream.name, configured.stream.namespace, error)


def _states_by_stream(
    states: Iterable[AirbyteStateMessage], database: str
) -> dict[tuple[str, str], Mapping[str, Any]]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for message in states:
        parts = [message.stream] if message.stream else []
        parts += message.global_.stream_states if message.global_ else []
        for part in parts:
            descriptor = part.stream_descriptor
            found[descriptor.name, descriptor.namespace or database] = (
                vars(part.stream_state) if part.stream_state else {}
            )
    return found


def _generation(configured: ConfiguredAirbyteStream) -> int | None:
    """What tells one full refresh from another, over all attempts of a job; None without a platform."""
    number: int | None = configured.generation_id
    return configured.sync_id if number is None else number
