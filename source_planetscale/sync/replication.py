"""One sync: from a configured catalog to streams that can be read, and the connections they share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airbyte_cdk.models import ConfiguredAirbyteCatalog, StreamDescriptor
from airbyte_cdk.sources.streams import Stream

from source_planetscale.airbyte_errors import traced
from source_planetscale.errors import ConfigError, SourceError
from source_planetscale.follow.positions import ShardPositions
from source_planetscale.mysql.database import Database
from source_planetscale.mysql.shards import selected_shards
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.sync.context import Sync
from source_planetscale.sync.stream import TableStream
from source_planetscale.vstream.client import VStreamClient

if TYPE_CHECKING:
    import logging
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airbyte_cdk.models import AirbyteStateMessage, ConfiguredAirbyteStream
    from airbyte_cdk.sources.streams.core import StreamData

    from source_planetscale.config import Config
    from source_planetscale.table import Table


def namespace_of(namespace: str | None, config: Config) -> str:
    """Decides the namespace of a stream, wherever it is named: an empty one means the database."""
    return namespace or config.database


def with_namespaces(catalog: ConfiguredAirbyteCatalog, config: Config) -> ConfiguredAirbyteCatalog:
    """Gives the catalog with every stream's namespace filled in."""
    return ConfiguredAirbyteCatalog(
        streams=[
            replace(
                configured,
                stream=replace(
                    configured.stream, namespace=namespace_of(configured.stream.namespace, config)
                ),
            )
            for configured in catalog.streams
        ]
    )


def states_with_namespaces(
    states: Iterable[AirbyteStateMessage], config: Config
) -> list[AirbyteStateMessage]:
    """Gives the states with every stream's namespace filled in, as `with_namespaces` does."""
    messages = list(states)
    for message in messages:
        parts = [message.stream] if message.stream else []
        parts += message.global_.stream_states if message.global_ else []
        for part in parts:
            part.stream_descriptor.namespace = namespace_of(part.stream_descriptor.namespace, config)
    return messages


class UnreadableStream(Stream):
    """A configured stream that cannot be read; reading it tells why."""

    def __init__(self, name: str, namespace: str, error: Exception) -> None:
        """Takes the place of the stream with this name."""
        self._name = name
        self._namespace = namespace
        self._error = error

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    @property
    def namespace(self) -> str:
        """The configured namespace."""
        return self._namespace

    @property
    def primary_key(self) -> None:
        """None, as the table is not known."""
        return

    def read(self, *args: Any, **kwargs: Any) -> Iterable[StreamData]:
        """Raises the error."""
        descriptor = StreamDescriptor(name=self._name, namespace=self._namespace)
        raise traced([self._error], descriptor)

    def read_records(self, *args: Any, **kwargs: Any) -> Iterable[Mapping[str, Any]]:
        """Raises the error."""
        raise self._error


class Replication:
    """The connections of one sync and the streams that use them."""

    def __init__(
        self, config: Config, logger: logging.Logger, interrupted: threading.Event, *, batched: bool
    ) -> None:
        """Connects nothing yet. The arguments are those of `Sync`."""
        self._config = config
        self._database = Database(config.mysql, config.keyspace)
        self._client = VStreamClient(config.grpc, config.keyspace)
        positions = ShardPositions(config.patience, self._client, self._database, interrupted)
        records = ChangeSequence(0, 0)
        self._sync = Sync(
            config, self._client, self._database, positions, records, logger, interrupted, batched
        )

    def streams(self, catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """Makes a stream for each configured one; those that cannot be read tell so when they are read.

        Args:
            catalog: The configured catalog with its namespaces filled in.
        """
        names = {configured.stream.name for configured in catalog.streams}
        try:
            known = self._database.shards()
            shards = selected_shards(self._config.keyspace, known)
            tables = {table.name: table for table in self._database.tables(names)}
        except SourceError as error:
            return [_unreadable(configured, error) for configured in catalog.streams]
        self._client.share(len(shards))
        streams = (
            self._stream(configured, tables.get(configured.stream.name), shards, known)
            for configured in catalog.streams
        )
        return list(_without_namesakes(streams, catalog))

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()

    def _stream(
        self,
        configured: ConfiguredAirbyteStream,
        table: Table | None,
        shards: Sequence[str],
        known: Sequence[str],
    ) -> Stream:
        if table is None or configured.stream.namespace != self._config.database:
            return _unreadable(
                configured,
                ConfigError(
                    f"Table {configured.stream.name} of keyspace {configured.stream.namespace} was not found "
                    f"in database {self._config.database}. It was dropped or renamed, or the user may not "
                    "read it: refresh the source's schema and take the stream out of the connection."
                ),
            )
        return TableStream(table, self._config, shards=shards, known_shards=known, sync=self._sync)


def _unreadable(configured: ConfiguredAirbyteStream, error: Exception) -> Stream:
    return UnreadableStream(configured.stream.name, configured.stream.namespace or "", error)


def _without_namesakes(streams: Iterable[Stream], catalog: ConfiguredAirbyteCatalog) -> Iterator[Stream]:
    # The CDK finds a stream by its name alone and would read one of two namesakes twice.
    names = Counter(configured.stream.name for configured in catalog.streams)
    for stream in streams:
        if names[stream.name] == 1:
            yield stream
        else:
            error = ConfigError(
                f"The catalog holds {names[stream.name]} streams named {stream.name}. Leave one of them."
            )
            yield UnreadableStream(stream.name, stream.namespace or "", error)
