"""A vtgate that plays scripts, and a way to read a table from it as a sync does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStream,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.utils.schema_helpers import InternalConfig
from airbyte_cdk.sources.utils.slice_logger import DebugSliceLogger
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.config import Config
from source_planetscale.follow.positions import ShardPositions
from source_planetscale.mysql.database import BinlogStatus
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.sync.context import Sync
from source_planetscale.sync.stream import TableStream
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import KEYSPACE, SHARD, TABLE, UUID, gtid, heartbeat, response
from unit_tests.support.reading import after, saved

if TYPE_CHECKING:
    from source_planetscale.endpoint import Endpoint, Keyspace, TabletType
    from source_planetscale.mysql.database import Database
    from source_planetscale.table import Table
    from source_planetscale.vstream.client import VStreamClient

PASSWORD = "pscale_pw_secret"
CONFIG = Config("db.example.com", KEYSPACE, "user", PASSWORD, max_retries=2, timeout_seconds=60)
DEADLINE = 10.0

Item = wire.VStreamResponse | VStreamError | Callable[[], None]
Script = Iterable[Item]
Scripts = dict[str, list[Script] | Callable[[Cursor], Script]]


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
    """Plays one script per opened stream, shard by shard.

    Attributes:
        scripts: The scripts of a shard in the order of its streams, or what makes one from a cursor.
        current: The position at which each shard is when the sync begins.
        failures: Errors that the questions for that position get first.
        opened: The cursors of the opened streams.
    """

    scripts: Scripts
    current: str = gtid(10)
    failures: list[VStreamError] = field(default_factory=list)
    opened: list[Cursor] = field(default_factory=list)
    calls: list[FakeCall] = field(default_factory=list)
    closed: bool = False
    endpoint: Endpoint = CONFIG.grpc
    keyspace: Keyspace = CONFIG.keyspace

    def open(self, _table: str, cursor: Cursor) -> FakeCall:
        scripts = self.scripts[cursor.shard]
        earlier = sum(1 for opened in self.opened if opened.shard == cursor.shard)
        self.opened.append(cursor)
        call = FakeCall(scripts(cursor) if callable(scripts) else scripts[earlier])
        self.calls.append(call)
        return call

    def current_position(self, _table: str, _shard: str, _timeout: float) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return self.current

    def share(self, shards: int) -> None:
        """Nothing to divide."""

    def reconnect(self, _shard: str) -> None:
        """Nothing to do."""

    def close(self) -> None:
        self.closed = True
        for call in self.calls:
            call.cancel()


@dataclass
class FakeDatabase:
    """Answers what is asked over MySQL.

    Attributes:
        status: What every shard says of its binlog.
        found: The tables of the keyspace.
        names: Its shards.
        failure: What every other question gets, if there is one.
    """

    status: BinlogStatus | None = BinlogStatus(f"{UUID}:1-1000", "", full_images=True)  # noqa: RUF009 - immutable

    found: Sequence[Table] = (TABLE,)
    names: Sequence[str] = (SHARD,)
    failure: Exception | None = None

    def ping(self) -> None:
        if self.failure:
            raise self.failure

    def tables(self, _names: object = None) -> list[Table]:
        self.ping()
        return list(self.found)

    def shards(self) -> list[str]:
        self.ping()
        return list(self.names)

    def binlog_status(self, _shard: str, _tablet_type: TabletType) -> BinlogStatus | None:
        return self.status


@dataclass
class Outcome:
    """What a read gave: its messages, and the error that ended it."""

    messages: list[AirbyteMessage] = field(default_factory=list)
    error: Exception | None = None

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
    def positions(self) -> dict[str, str]:
        """The positions of the last state."""
        return {
            shard: Cursor.decode(saved["cursor"], keyspace=KEYSPACE, shard=shard).position
            for shard, saved in self.states[-1]["shards"].items()
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
    """A sync of one table from a fake vtgate.

    Attributes:
        vtgate: The server.
        table: The table as discovery finds it.
        config: The configuration.
        shards: The shards to read.
        state: The saved state of the stream.
        mode: The sync mode.
        batched: Whether records come in batches.
        database: Answers for positions.
    """

    vtgate: FakeVtgate
    table: Table = TABLE
    config: Config = CONFIG
    shards: tuple[str, ...] = (SHARD,)
    state: dict[str, Any] = field(default_factory=dict)
    mode: SyncMode = SyncMode.incremental
    batched: bool = False
    database: FakeDatabase = field(default_factory=FakeDatabase)
    interrupted: threading.Event = field(default_factory=threading.Event)

    def sync(self) -> Sync:
        client, database = cast("VStreamClient", self.vtgate), cast("Database", self.database)
        self.vtgate.keyspace = self.config.keyspace
        positions = ShardPositions(self.config.patience, client, database, self.interrupted)
        return Sync(
            self.config,
            client,
            database,
            positions,
            ChangeSequence(0, 0),
            logging.getLogger("test"),
            self.interrupted,
            self.batched,
        )

    def messages(self) -> Generator[AirbyteMessage, None, None]:
        stream = TableStream(
            self.table, self.config, shards=self.shards, known_shards=self.shards, sync=self.sync()
        )
        stream.state = dict(self.state)
        read = stream.read(
            configured(self.table, self.mode),
            logging.getLogger("test"),
            DebugSliceLogger(),
            {},
            ConnectorStateManager([]),
            InternalConfig(),  # type: ignore[call-arg]  # its fields have defaults, under other names
        )
        yield from cast("Iterator[AirbyteMessage]", read)

    def run(self, on_record: Callable[[], None] = lambda: None) -> Outcome:
        """Reads to the end or to an error; calls `on_record` with every record or batch."""
        outcome = Outcome()
        try:
            for message in self.messages():
                outcome.messages.append(message)
                if message.type is Type.RECORD:
                    on_record()
        except Exception as error:
            outcome.error = error
        return outcome


def catch_up(*scripts: Script, **more: Any) -> Outcome:
    """Reads one shard from a position, a script per stream."""
    return Reading(FakeVtgate({SHARD: list(scripts)}), state=saved(after(5)), **more).run()


def failure(outcome: Outcome) -> AirbyteTracedException:
    """The error that ended a read of the table."""
    assert isinstance(outcome.error, AirbyteTracedException)
    assert "table orders" in str(outcome.error).lower()
    return outcome.error


def stand_in(vtgate: FakeVtgate, database: FakeDatabase, replace: Callable[[str, object], object]) -> None:
    """Has the connector meet the fakes behind both ports; `replace` sets an attribute by its full name."""
    for room in ("sync.replication", "check"):
        replace(f"source_planetscale.{room}.VStreamClient", lambda *_: vtgate)
        replace(f"source_planetscale.{room}.Database", lambda *_: database)
    replace("source_planetscale.mysql.database.Database", lambda *_: database)


def reader_threads(table: Table = TABLE) -> list[str]:
    """The names of threads that read shards of a table."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(f"{table.name}/")]
