"""The connector as the CDK sees it: check, discover, and the streams of a read."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airbyte_cdk.exception_handler import generate_failed_streams_error_message
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteStateMessageSerializer,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    FailureType,
    Status,
    StreamDescriptor,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.airbyte_errors import traced_errors
from source_planetscale.config import Config, normalise
from source_planetscale.errors import ConfigError, SourceError
from source_planetscale.inputs import parse_json, read_json, read_text
from source_planetscale.state import state_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    from airbyte_cdk.models import AirbyteMessage, AirbyteStateMessage, AirbyteStream
    from airbyte_cdk.sources.streams import Stream

    from source_planetscale.sync.replication import Replication
    from source_planetscale.workers.crew import Crew

_LOGGER = logging.getLogger("airbyte.source-planetscale")


class SourcePlanetscale(AbstractSource):
    """Replicates the tables of a keyspace, or of several.

    The modules that connect are imported where they are needed, since `spec` needs none of them.

    Attributes:
        heartbeat: Whether a read gives a state within the checkpoint interval even where nothing moves.
        crew: The processes that help a read; None for none.
    """

    def __init__(self, *, batched: bool = False, interrupted: threading.Event | None = None) -> None:
        """Makes a source.

        Args:
            batched: Yield records as `RecordBatch`, for an entry point that knows them; otherwise as
                the CDK's plain record messages.
            interrupted: Set by the caller to end a read early, with the state of what was read.
        """
        self.heartbeat = False
        self.crew: Crew | None = None
        self._batched = batched
        self._interrupted = interrupted or threading.Event()
        self._stream: Stream | None = None

    @property
    def name(self) -> str:
        """The connector's name in logs."""
        return "source-planetscale"

    @traced_errors()
    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """Brings a configuration into the spec's form; unlike the CDK's, writes no file with it.

        Raises:
            AirbyteTracedException: The configuration cannot be used; the CDK's own validation, which comes
                after, would show the value.
        """
        Config.parse(config)
        return normalise(config)

    @staticmethod
    @traced_errors()
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        """Reads a configuration file.

        Raises:
            AirbyteTracedException: The file holds no JSON object.
        """
        config = read_json(config_path, "configuration")
        if not isinstance(config, dict):
            raise ConfigError(f"The configuration file {config_path} holds no JSON object.")
        return config

    @classmethod
    @traced_errors()
    def read_catalog(cls, catalog_path: str) -> ConfiguredAirbyteCatalog:
        """Reads a configured catalog.

        Raises:
            AirbyteTracedException: The file holds no configured catalog.
        """
        content = read_json(catalog_path, "catalog")
        try:
            return ConfiguredAirbyteCatalogSerializer.load(content)
        except Exception:
            raise ConfigError(
                f"The file {catalog_path} is no configured catalog: a JSON object with a list 'streams' of "
                "objects with 'stream', 'sync_mode' and 'destination_sync_mode' is needed."
            ) from None

    @classmethod
    @traced_errors()
    def read_state(cls, state_path: str | None) -> list[AirbyteStateMessage]:
        """Reads a state file: protocol v2's array, or the object of the Go connector.

        Args:
            state_path: The file; None, a missing or an empty file means a fresh start.

        Raises:
            AirbyteTracedException: The file holds no state.
        """
        if not state_path or not Path(state_path).is_file():
            return []
        text = read_text(state_path, "state")
        messages = state_messages(parse_json(text, state_path, "state")) if text.strip() else []
        try:
            return [AirbyteStateMessageSerializer.load(message) for message in messages]
        except Exception:
            raise ConfigError(
                f"The state file {state_path} holds a state that is no state message."
            ) from None

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Tries both ports; every failure is a sentence."""
        succeeded, message = self.check_connection(logger, config)
        if succeeded:
            return AirbyteConnectionStatus(status=Status.SUCCEEDED)
        return AirbyteConnectionStatus(status=Status.FAILED, message=message)

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        """Tries both ports.

        Returns:
            Whether all of it worked, and otherwise why not and what to do.
        """
        from source_planetscale.check import check

        try:
            check(Config.parse(normalise(config)), logger)
        except SourceError as error:
            return False, filter_secrets(str(error))
        return True, None

    @traced_errors()
    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """The stream that is being read, otherwise one per base table in name order, keyspace by keyspace."""
        if self._stream is not None:
            return [self._stream]
        from source_planetscale.discover import discover
        from source_planetscale.sync.stream import TableStream

        with Config.parse(normalise(config)).reached() as parsed:
            return [TableStream(table, parsed) for table in discover(parsed, _LOGGER)]

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """Reads the configured streams with the CDK's own loop.

        Raises:
            AirbyteTracedException: At least one stream failed; each has told its own error before.
        """
        from source_planetscale.connections import connections
        from source_planetscale.sync.replication import Replication

        with traced_errors():
            parsed = Config.parse(normalise(config))
        with parsed.reached() as reached:
            replication = Replication(
                reached,
                connections(reached, logger, self._interrupted),
                logger,
                self._interrupted,
                batched=self._batched,
                heartbeat=self.heartbeat,
                crew=self.crew,
            )
            try:
                streams = replication.streams(catalog, state or [])
                with _without_row_data(logger):
                    yield from self._read_all(logger, config, catalog, replication, streams)
            finally:
                replication.close()

    def _read_all(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        replication: Replication,
        streams: Mapping[str, Stream],
    ) -> Iterator[AirbyteMessage]:
        """Reads each stream with a loop of the CDK's own, all of them in turns."""
        from source_planetscale.sync.failures import HeldBack
        from source_planetscale.sync.turns import Turns

        configured = {replication.key_of(stream): stream for stream in catalog.streams}
        failures: dict[str, list[Exception]] = {}

        def read(key: str) -> Iterator[AirbyteMessage]:
            single = ConfiguredAirbyteCatalog(streams=[configured[key]])
            # The loop finds streams by their names alone: it is given the one that it is to find.
            source = copy(self)
            source._stream = streams[key]
            try:
                told = AbstractSource.read(source, logger, config, single, [])
                yield from _completed(told, configured[key].stream)
            except AirbyteTracedException as summary:
                title = replication.title_of(configured[key])
                failures[title] = [replication.error_of(key) or summary]

        held = HeldBack()
        for key in map(replication.key_of, catalog.streams):
            if key not in replication.readings:
                yield from held.pass_on(read(key))
        yield from held.pass_on(Turns(replication.sync, replication.readings, read).messages())
        yield from held.release()
        if failures:
            # As the CDK does: each error has been told, this one ends the process.
            message = generate_failed_streams_error_message(failures)
            logger.info(message)
            raise AirbyteTracedException(message=message, failure_type=FailureType.config_error)


def _completed(messages: Iterable[AirbyteMessage], stream: AirbyteStream) -> Iterator[AirbyteMessage]:
    """Completes what the CDK's loop tells of a stream.

    It gives RUNNING with the first record, so never to an empty table: here it follows STARTED. And it leaves
    the namespace out of an error that it has to put into words itself.
    """
    descriptor = StreamDescriptor(name=stream.name, namespace=stream.namespace)
    for message in messages:
        if message.trace and message.trace.error:
            message.trace.error.stream_descriptor = descriptor
        status = message.trace.stream_status if message.trace else None
        if status is None or status.status is not AirbyteStreamStatus.RUNNING:
            yield message
        if status is not None and status.status is AirbyteStreamStatus.STARTED:
            yield as_airbyte_message(status.stream_descriptor, AirbyteStreamStatus.RUNNING)


@contextmanager
def _without_row_data(logger: logging.Logger) -> Iterator[None]:
    """Keeps two of the CDK's lines out of the log.

    One prints the state, whose cursors hold key values; the other counts batches as if they were records.
    """

    def keeps(record: logging.LogRecord) -> bool:
        text = str(record.msg)
        return not (text.startswith("Setting state of") or _CDK_COUNT.match(text))

    logger.addFilter(keeps)
    try:
        yield
    finally:
        logger.removeFilter(keeps)


_CDK_COUNT = re.compile(r"Read \d+ records from .* stream$")
