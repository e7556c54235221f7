"""A vtgate that plays scripts, and a way to read tables from it as a sync does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import grpc
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.utils.schema_helpers import InternalConfig
from airbyte_cdk.sources.utils.slice_logger import DebugSliceLogger
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.config import Config, InvalidPositionPolicy
from source_planetscale.follow.core import Core
from source_planetscale.follow.patience import Patience
from source_planetscale.follow.positions import ShardPositions
from source_planetscale.mysql.database import BinlogStatus
from source_planetscale.sync.replication import Replication
from source_planetscale.sync.turns import Turns
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import KEYSPACE, SHARD, TABLE, UUID, gtid, heartbeat, response
from unit_tests.support.reading import after, saved

if TYPE_CHECKING:
    from collections.abc import Collection

    from source_planetscale.endpoint import Endpoint, Keyspace, TabletType
    from source_planetscale.table import Table
    from source_planetscale.workers.crew import Crew

PASSWORD = "pscale_pw_secret"
CONFIG = Config("db.example.com", KEYSPACE, "user", PASSWORD, max_retries=2, timeout_seconds=60)
RESYNC = replace(CONFIG, invalid_position_policy=InvalidPositionPolicy.RESYNC)
DEADLINE = 10.0

Item = wire.VStreamResponse | VStreamError | Callable[[], None]
Script = Iterable[Item]
Scripts = dict[str, list[Script] | Callable[[Cursor], Script]]
"""By shard; or by shard and the tables that share a stream, in order and with blanks between."""


UNAVAILABLE, CANCELLED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED


def broken(detail: str = "Socket closed", code: grpc.StatusCode = UNAVAILABLE) -> VStreamError:
    return VStreamError(code, detail)


class FakeCall:
    """A stream that plays a script; after `SILENCE` it only sends heartbeats until it is cancelled."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.cancelled = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for item in self._script:
            if self.cancelled.is_set():
                raise broken("cancelled", CANCELLED)
            if isinstance(item, VStreamError):
                raise item
            if isinstance(item, wire.VStreamResponse):
                yield item.SerializeToString()
            elif item is SILENCE:
                while not self.cancelled.wait(0.005):
                    yield response(heartbeat()).SerializeToString()
                raise broken("cancelled", CANCELLED)
            elif item is HUSH:
                assert self.cancelled.wait(DEADLINE)
                raise broken("cancelled", CANCELLED)
            else:
                item()

    def cancel(self) -> None:
        self.cancelled.set()


def SILENCE() -> None:  # noqa: N802 - a mark in scripts, never called
    """Nothing but heartbeats from here on."""


def HUSH() -> None:  # noqa: N802 - a mark in scripts, never called
    """Nothing at all from here on."""


@dataclass
class FakeVtgate:
    """Plays one script per opened stream, shard by shard; `VtgateStreams`.

    Attributes:
        scripts: The scripts of a place in the order of its streams, or what makes one from a cursor.
        serve: Makes a script from a cursor and the tables that share the stream, wherever there is no other.
        current: The position at which each shard is when it is asked for, or at which all are.
        failures: Errors that the questions for that position get first.
        opened: The cursors of the opened streams.
        tables: The tables of each of them.
        columns: The select lists of each of them.
    """

    scripts: Scripts = field(default_factory=dict)
    serve: Callable[[Cursor, Sequence[str]], Script] | None = None
    current: str | Mapping[str, str] = gtid(10)
    failures: list[VStreamError] = field(default_factory=list)
    opened: list[Cursor] = field(default_factory=list)
    tables: list[tuple[str, ...]] = field(default_factory=list)
    columns: list[dict[str, tuple[str, ...]]] = field(default_factory=list)
    calls: list[FakeCall] = field(default_factory=list)
    closed: bool = False
    endpoint: Endpoint = CONFIG.grpc
    keyspace: Keyspace = CONFIG.keyspace
    _played: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(
        self,
        cursor: Cursor,
        tables: Sequence[str],
        lane: str,  # noqa: ARG002 - of VtgateStreams
        columns: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> FakeCall:
        with self._lock:
            self.opened.append(cursor)
            self.tables.append(tuple(tables))
            self.columns.append({name: tuple(asked) for name, asked in columns.items()})
            make = self._next_script(cursor, tables)
        call = FakeCall(make())
        with self._lock:
            self.calls.append(call)
        return call

    def _next_script(self, cursor: Cursor, tables: Sequence[str]) -> Callable[[], Script]:
        serve, shared = self.serve, " ".join([cursor.shard, *sorted(tables)])
        place = shared if shared in self.scripts else cursor.shard
        if place not in self.scripts and serve is not None:
            return lambda: serve(cursor, tables)
        found, number = self.scripts[place], self._played.get(place, 0)
        self._played[place] = number + 1
        return (lambda: found(cursor)) if callable(found) else (lambda: found[number])

    def current_position(self, table: str, shard: str, timeout: float) -> str:  # noqa: ARG002 - of VtgateStreams
        if self.failures:
            raise self.failures.pop(0)
        return self.current if isinstance(self.current, str) else self.current[shard]

    def share(self, streams: int) -> None:
        """Nothing to divide."""

    def reconnect(self, lane: str) -> None:
        """Nothing to do."""

    def close(self) -> None:
        self.closed = True
        for call in self.calls:
            call.cancel()


@dataclass
class FakeDatabase:
    """Answers what is asked over MySQL; `Schema`.

    Attributes:
        status: What every shard says of its binlog.
        found: The tables of the keyspace.
        names: Its shards.
        failure: What every other question gets, if there is one.
        throttled: Whether every shard holds streams back.
        answers: What is answered in a session.
        visible: The keyspaces that vtgate shows.
    """

    status: BinlogStatus | None = BinlogStatus(f"{UUID}:1-1000", "", full_images=True)  # noqa: RUF009 - immutable

    found: Sequence[Table] = (TABLE,)
    names: Sequence[str] = (SHARD,)
    failure: Exception | None = None
    throttled: bool = False
    answers: Callable[[str], Sequence[tuple[Any, ...]] | str] = lambda _sql: "declined"
    visible: Sequence[str] = (KEYSPACE,)

    def keyspaces(self) -> list[str]:
        return list(self.visible)

    def ping(self) -> None:
        if self.failure:
            raise self.failure

    def tables(self, names: Collection[str] | None = None, shard: str | None = None) -> list[Table]:  # noqa: ARG002 - of Schema
        self.ping()
        return [table for table in self.found if names is None or table.name in names]

    def shards(self) -> list[str]:
        self.ping()
        return list(self.names)

    def binlog_status(self, shard: str, tablet_type: TabletType) -> BinlogStatus | None:  # noqa: ARG002 - of Schema
        return self.status

    @contextmanager
    def session(
        self,
        shard: str | None = None,  # noqa: ARG002 - of Schema
        tablet_type: TabletType | None = None,  # noqa: ARG002 - of Schema
        *,
        anywhere: bool = False,  # noqa: ARG002 - of Schema
    ) -> Iterator[Callable[[str], Sequence[tuple[Any, ...]] | str]]:
        self.ping()
        yield self.answers

    def throttles_streams(self, shard: str) -> bool:  # noqa: ARG002 - of Schema
        self.ping()
        return self.throttled

    def ask(self, _sql: str, _shard: object = None, _tablet_type: object = None) -> None:
        return None

    def try_tables(self, names: Sequence[str], _shard: str, _seconds: float) -> dict[str, str | None]:
        return dict.fromkeys(names)


@dataclass
class Outcome:
    """What a read gave: its messages, and the errors that ended its streams."""

    messages: list[AirbyteMessage] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)

    @property
    def error(self) -> Exception | None:
        """The first of the errors, or None."""
        return next(iter(self.errors.values()), None)

    def of(self, stream: str) -> Outcome:
        """What the read gave of one stream."""
        errors = {name: error for name, error in self.errors.items() if name == stream}
        return Outcome([m for m in self.messages if stream_of(m) == stream], errors)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The data of the records, of plain messages."""
        return [cast("Any", m.record).data for m in self.messages if m.type is Type.RECORD]

    @property
    def ids(self) -> list[int]:
        return [record["id"] for record in self.records]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [vars(cast("Any", m.state).stream.stream_state) for m in self.messages if m.type is Type.STATE]

    @property
    def last_states(self) -> dict[str, dict[str, Any]]:
        """The last state of each stream."""
        return {
            stream_of(m): vars(cast("Any", m.state).stream.stream_state)
            for m in self.messages
            if m.type is Type.STATE
        }

    @property
    def positions(self) -> dict[str, str]:
        """The positions of the last state."""
        return {shard: cursor.position for shard, cursor in cursors_of(self.states[-1]).items()}


def stream_of(message: AirbyteMessage) -> str:
    """The stream of a record or a state."""
    if message.type is Type.RECORD:
        return str(cast("Any", message.record).stream)
    return str(cast("Any", message.state).stream.stream_descriptor.name)


def cursors_of(state: Mapping[str, Any]) -> dict[str, Cursor]:
    """The cursors of a state by shard."""
    return {
        shard: Cursor.decode(kept["cursor"], keyspace=KEYSPACE, shard=shard)
        for shard, kept in state["shards"].items()
    }


def configured(table: Table = TABLE, mode: SyncMode = SyncMode.incremental) -> ConfiguredAirbyteStream:
    return ConfiguredAirbyteStream(
        stream=AirbyteStream(
            name=table.name,
            namespace=table.keyspace,
            json_schema={},
            supported_sync_modes=[SyncMode.full_refresh, SyncMode.incremental],
        ),
        sync_mode=mode,
        destination_sync_mode=DestinationSyncMode.append,
    )


@dataclass
class Reading:
    """A sync of one or several tables from a fake vtgate.

    Attributes:
        vtgate: The server.
        table: The only table that is read, as discovery finds it.
        tables: The tables that are read, where there are several.
        config: The configuration.
        least_seconds: How long to go on trying, whatever the number of attempts.
        shards: The shards that serve the keyspace.
        state: The saved state of the streams; of the only one where there is one.
        states: The saved states by stream, where these differ.
        mode: The sync mode.
        modes: The sync modes by stream, where these differ.
        batched: Whether records come in batches.
        database: Answers for positions and tables.
        interrupted: Tells the sync to stop.
        properties: The columns that the connection selects.
        errors: What ended streams.
        crew: The workers that read instead.
    """

    vtgate: FakeVtgate
    table: Table = TABLE
    tables: Sequence[Table] = ()
    config: Config = CONFIG
    least_seconds: float = 0.0
    shards: tuple[str, ...] = (SHARD,)
    state: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mode: SyncMode = SyncMode.incremental
    modes: Mapping[str, SyncMode] = field(default_factory=dict)
    batched: bool = False
    database: FakeDatabase = field(default_factory=FakeDatabase)
    interrupted: threading.Event = field(default_factory=threading.Event)
    properties: Mapping[str, Any] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    crew: Crew | None = None

    def core(self) -> Core:
        """With what the shards are read."""
        self.vtgate.keyspace = self.config.keyspace
        patience = replace(self.config.patience, least_seconds=self.least_seconds)
        return Core(
            self.vtgate,
            self.database,
            ShardPositions(patience, self.vtgate, self.database, self.interrupted),
            patience,
            logging.getLogger("test"),
            track_changes=self.config.include_cdc_columns or self.config.include_metadata,
            turn=threading.Lock(),
        )

    def replication(self) -> Replication:
        """The sync before anything is read."""
        tables = self.tables or (self.table,)
        if self.database.found == (TABLE,):
            self.database.found = tables
        self.database.names = self.shards
        replication = Replication(
            self.config,
            lambda _: self.core(),
            logging.getLogger("test"),
            self.interrupted,
            batched=self.batched,
            crew=self.crew,
        )
        self._catalog = ConfiguredAirbyteCatalog(
            streams=[configured(table, self.modes.get(table.name, self.mode)) for table in tables]
        )
        for stream in self._catalog.streams:
            stream.stream.json_schema = {"properties": dict(self.properties)}
        states = [_state_message(t.name, self.states.get(t.name, self.state)) for t in tables]
        self._streams = replication.streams(self._catalog, states)
        return replication

    def messages(self) -> Generator[AirbyteMessage, None, None]:
        """Gives the messages of all streams; their errors are in `errors` afterwards."""
        replication = self.replication()
        with closing(replication):
            for key in self._streams.keys() - replication.readings.keys():
                yield from self.read_stream(key)
            yield from Turns(replication.sync, replication.readings, self.read_stream).messages()

    def read_stream(self, key: str) -> Iterator[AirbyteMessage]:
        """Gives the messages of one stream, and pauses, after `replication`."""
        _, _, name = key.partition("/")
        wanted = next(stream for stream in self._catalog.streams if stream.stream.name == name)
        try:
            messages = self._streams[key].read(
                wanted,
                logging.getLogger("test"),
                DebugSliceLogger(),
                {},
                ConnectorStateManager([]),
                InternalConfig(),  # type: ignore[call-arg]  # its fields have defaults, under other names
            )
            yield from cast("Iterator[AirbyteMessage]", messages)
        except AirbyteTracedException as error:
            self.errors[name] = error

    def run(self, on_record: Callable[[], None] = lambda: None) -> Outcome:
        """Reads to the end; calls `on_record` with every record or batch."""
        outcome = Outcome(errors=self.errors)
        for message in self.messages():
            outcome.messages.append(message)
            if message.type is Type.RECORD:
                on_record()
        return outcome


def _state_message(stream: str, state: Mapping[str, Any]) -> AirbyteStateMessage:
    descriptor = {"name": stream, "namespace": KEYSPACE}
    saved_state = {"stream_descriptor": descriptor, "stream_state": dict(state)}
    return AirbyteStateMessageSerializer.load({"type": "STREAM", "stream": saved_state})


def catch_up(*scripts: Script, **more: Any) -> Outcome:
    """Reads one shard from a position, a script per stream."""
    return Reading(FakeVtgate({SHARD: list(scripts)}), state=saved(after(5)), **more).run()


def failed(outcome: Outcome) -> AirbyteTracedException:
    """The error that ended a read."""
    assert isinstance(outcome.error, AirbyteTracedException)
    return outcome.error


def failure(outcome: Outcome) -> AirbyteTracedException:
    """The error that ended a read of the table."""
    error = failed(outcome)
    assert "table orders" in str(error).lower()
    return error


def stand_in(
    vtgate: FakeVtgate | Mapping[str, FakeVtgate],
    database: FakeDatabase | Mapping[str, FakeDatabase],
    replace: Callable[[str, object], object],
) -> None:
    """Has the connector meet the fakes behind both ports, and give up without a shortest time.

    Args:
        vtgate: What is behind the gRPC port, for each keyspace where they differ.
        database: What is behind the MySQL port, likewise.
        replace: Sets an attribute by its full name.
    """

    def client(_: object, keyspace: Keyspace) -> FakeVtgate:
        if isinstance(vtgate, FakeVtgate):
            return vtgate
        vtgate[keyspace.name].keyspace = keyspace
        return vtgate[keyspace.name]

    def schema(_: object, keyspace: Keyspace) -> FakeDatabase:
        return database if isinstance(database, FakeDatabase) else database[keyspace.name]

    for room in ("connections", "check"):
        replace(f"source_planetscale.{room}.VStreamClient", client)
    for room in ("connections", "check", "discover"):
        replace(f"source_planetscale.{room}.Database", schema)
    replace("source_planetscale.config.Patience", partial(Patience, least_seconds=0.0))


def reader_threads() -> list[str]:
    """The names of threads that read shards."""
    return [thread.name for thread in threading.enumerate() if "/" in thread.name]
