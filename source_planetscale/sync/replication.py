"""One sync: from a configured catalog to streams that can be read, and the connections they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airbyte_cdk.models import ConfiguredAirbyteCatalog, StreamDescriptor, SyncMode
from airbyte_cdk.sources.streams import Stream

from source_planetscale.airbyte_errors import traced
from source_planetscale.errors import ConfigError, SourceError
from source_planetscale.follow.retries import patiently
from source_planetscale.mysql.internal_tables import about_missing_table, why_not_streamed
from source_planetscale.mysql.keyspaces import ask_each
from source_planetscale.mysql.moves import home_of
from source_planetscale.mysql.shards import selected_shards
from source_planetscale.records.added import ADDED_COLUMNS
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.state import StreamState
from source_planetscale.sync import reshards
from source_planetscale.sync.context import Sync
from source_planetscale.sync.reading import Reading
from source_planetscale.sync.stream import TableStream
from source_planetscale.table import table_key

if TYPE_CHECKING:
    import logging
    import threading
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airbyte_cdk.models import AirbyteStateMessage, ConfiguredAirbyteStream
    from airbyte_cdk.sources.streams.core import StreamData

    from source_planetscale.config import Config
    from source_planetscale.follow.core import Core
    from source_planetscale.table import Table
    from source_planetscale.workers.crew import Crew


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


@dataclass(frozen=True)
class _Known:
    """What is known of a keyspace before it is read.

    Attributes:
        core: The connections to it.
        shards: The shards that serve it.
        selected: Those of them that are to be read.
        tables: The tables that the catalog names, as far as they are there.
    """

    core: Core
    shards: list[str]
    selected: list[str]
    tables: Mapping[str, Table]


class Replication:
    """The connections of one sync and the streams that use them.

    Streams go by their keys, as `Table.key` gives them.

    Attributes:
        sync: What the reads share.
        readings: The reading of each stream that can be read.
    """

    def __init__(
        self,
        config: Config,
        connect: Callable[[str], Core],
        logger: logging.Logger,
        interrupted: threading.Event,
        *,
        batched: bool = False,
        heartbeat: bool = False,
        crew: Crew | None = None,
    ) -> None:
        """Asks nothing yet; `connect` is what `connections` gives, the others are those of `Sync`."""
        self._config = config
        self._connect = connect
        self._cores: dict[str, Core] = {}
        self.sync = Sync(config, ChangeSequence(0, 0), logger, interrupted, batched, heartbeat, crew)
        self.readings: dict[str, Reading] = {}
        self._streams: dict[str, TableStream | UnreadableStream] = {}

    def streams(
        self, catalog: ConfiguredAirbyteCatalog, states: Sequence[AirbyteStateMessage]
    ) -> dict[str, Stream]:
        """Makes a stream for each configured one; those that cannot be read tell so when they are read.

        Args:
            catalog: The configured catalog; a stream without a namespace is one of the database.
            states: The saved states, likewise.
        """
        names: defaultdict[str, set[str]] = defaultdict(set)
        for configured in catalog.streams:
            names[self._keyspace_of(configured)].add(configured.stream.name)
        chosen = [keyspace for keyspace in names if self._config.keyspaces.includes(keyspace)]
        self._cores = {keyspace: self._connect(keyspace) for keyspace in chosen}
        found = ask_each(chosen, lambda keyspace: self._look(self._cores[keyspace], names[keyspace]))
        saved = _states_by_stream(states, self._config.database)
        counts = Counter(map(self.key_of, catalog.streams))
        for configured in catalog.streams:
            key = self.key_of(configured)
            known = found.get(self._keyspace_of(configured))
            if isinstance(known, SourceError):
                self._streams[key] = _unreadable(configured, known)
            else:
                own = saved.get((configured.stream.name, self._keyspace_of(configured)), {})
                self._streams[key] = self._stream(configured, known, own, once=counts[key] == 1)
        return dict(self._streams)

    def key_of(self, configured: ConfiguredAirbyteStream) -> str:
        """Gives the key of a configured stream."""
        return table_key(self._keyspace_of(configured), configured.stream.name)

    def title_of(self, configured: ConfiguredAirbyteStream) -> str:
        """Names a stream for a person."""
        name, several = configured.stream.name, self._config.keyspaces.several
        return f"{self._keyspace_of(configured)}.{name}" if several else name

    def error_of(self, key: str) -> Exception | None:
        """What ended the reading of a stream, or None."""
        return self._streams[key].error

    def close(self) -> None:
        """Ends all threads and closes all connections."""
        self.sync.tasks.close()
        for core in self._cores.values():
            core.client.close()
        opened = next((core.opened.value for core in self._cores.values()), 0)
        self.sync.logger.info(f"The sync is over. VStreams opened: {opened}.")

    def _keyspace_of(self, configured: ConfiguredAirbyteStream) -> str:
        return configured.stream.namespace or self._config.database

    def _look(self, core: Core, names: set[str]) -> _Known:
        database, interrupted = core.database, self.sync.interrupted
        shards = patiently(database.shards, core.patience, interrupted)
        selected = selected_shards(core.client.keyspace, shards)
        described = patiently(lambda: database.tables(names), core.patience, interrupted)
        return _Known(core, shards, selected, {table.name: table for table in described})

    def _stream(
        self,
        configured: ConfiguredAirbyteStream,
        known: _Known | None,
        saved: Mapping[str, Any],
        *,
        once: bool,
    ) -> TableStream | UnreadableStream:
        name, title = configured.stream.name, self.title_of(configured)
        keyspace = self._keyspace_of(configured)
        table = known.tables.get(name) if known else None
        try:
            if not once:
                raise ConfigError(f"The catalog holds several streams named {title}. Leave one of them.")
            if known is None or table is None or why_not_streamed(name):
                home = _home_of(known.core, name) if known else None
                raise ConfigError(about_missing_table(name, keyspace, self._config.keyspaces, home))
            state = StreamState.parse(saved, keyspace=keyspace, stream=title)
        except SourceError as error:
            return _unreadable(configured, error)
        self._tell_differences(configured, table)
        state, idle = self._first_state(state, configured, keyspace, known.shards, known.selected)
        self.readings[table.key] = Reading(
            table,
            state,
            known.selected,
            self.sync,
            known.core,
            idle=idle,
            namespace=configured.stream.namespace,
            copy_starts_again=state.generation is None,
            properties=configured.stream.json_schema.get("properties"),
        )
        return TableStream(table, self._config, self.readings[table.key])

    def _first_state(
        self,
        saved: StreamState,
        configured: ConfiguredAirbyteStream,
        keyspace: str,
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
        starting = self._config.starting_gtids.get(keyspace, {}) if incremental else {}
        idle = {
            name: saved.cursors.pop(name) for name in known if name not in shards and name in saved.cursors
        }
        before = dict(saved.cursors)
        reshards.settle(saved, shards, keyspace, starting)
        begun = [
            name for name, cursor in saved.cursors.items() if cursor.copying and cursor != before.get(name)
        ]
        if before and begun:
            self.sync.logger.warning(
                f"Table {configured.stream.name} of keyspace {keyspace} is copied from shard "
                f"{', '.join(begun)}: the saved state does not lead there."
            )
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
                f"({', '.join(table.primary_key)}) now, and ({', '.join(key)}) in this connection: a "
                "destination that deduplicates merges other rows than the table does. Refresh the source's "
                "schema, and refresh the stream."
            )


def _unreadable(configured: ConfiguredAirbyteStream, error: Exception) -> UnreadableStream:
    return UnreadableStream(configured.stream.name, configured.stream.namespace, error)


def _home_of(core: Core, table: str) -> str | None:
    try:
        return home_of(core.database, table)
    except SourceError:
        return None


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
