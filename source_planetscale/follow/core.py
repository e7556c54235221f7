"""What everything that reads a shard shares."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from source_planetscale.endpoint import Endpoint, Keyspace, TabletType
    from source_planetscale.follow.patience import Patience
    from source_planetscale.follow.positions import ShardPositions
    from source_planetscale.mysql.database import BinlogStatus
    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor


class Call(Protocol):
    """An open stream: iterating it gives raw responses, and raises `VStreamError`."""

    def __iter__(self) -> Iterator[bytes]:
        """Gives each response as it arrived, serialized."""
        ...

    def cancel(self) -> None:
        """Ends the stream; from any thread."""
        ...


class VtgateStreams(Protocol):
    """vtgate's VStream; `VStreamClient` speaks to a real one."""

    endpoint: Endpoint
    keyspace: Keyspace

    def open(
        self, cursor: Cursor, tables: Sequence[str], lane: str, columns: Mapping[str, Sequence[str]] = ...
    ) -> Call:
        """Starts a stream; see `VStreamClient.open`."""
        ...

    def current_position(self, table: str, shard: str, timeout: float) -> str:
        """Asks for the position of a shard; see `VStreamClient.current_position`."""
        ...

    def share(self, streams: int) -> None:
        """Divides what may be under way; see `VStreamClient.share`."""
        ...

    def reconnect(self, lane: str) -> None:
        """Gives up a connection."""
        ...

    def close(self) -> None:
        """Closes all connections for good."""
        ...


class Schema(Protocol):
    """What is asked of a database over MySQL; `Database` asks a real one."""

    def tables(self, names: Collection[str] | None = None, shard: str | None = None) -> list[Table]:
        """Describes tables; see `Database.tables`."""
        ...

    def shards(self) -> list[str]:
        """Names the shards that serve the keyspace; see `Database.shards`."""
        ...

    def binlog_status(self, shard: str, tablet_type: TabletType) -> BinlogStatus | None:
        """Tells what a shard's binary log holds; see `Database.binlog_status`."""
        ...

    def session(
        self, shard: str | None = None, tablet_type: TabletType | None = None, *, anywhere: bool = False
    ) -> AbstractContextManager[Callable[[str], Sequence[tuple[Any, ...]] | str]]:
        """Opens a connection for several statements; see `Database.session`."""
        ...

    def throttles_streams(self, shard: str) -> bool:
        """Tells whether a shard holds streams back; see `Database.throttles_streams`."""
        ...


@dataclass(frozen=True)
class Core:
    """The connections and settings with which shards are read.

    Attributes:
        client: Opens streams.
        database: Describes tables.
        positions: What is known of the shards' positions.
        patience: What to do about failures.
        logger: Where a person follows the reading.
        track_changes: Whether deleted rows are wanted, and each transaction in runs of its own.
        turn: Held while a response is taken and handed over. The interpreter runs one thread at a time in
            any case; so only one of them holds its rows in all their forms.
    """

    client: VtgateStreams
    database: Schema
    positions: ShardPositions
    patience: Patience
    logger: logging.Logger
    track_changes: bool = False
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)
    opened: StreamCount = field(default_factory=lambda: StreamCount())


class StreamCount:
    """Counts the streams that were opened; safe to use from several threads."""

    def __init__(self) -> None:
        """Starts at 0."""
        self.value = 0
        self._lock = threading.Lock()

    def add(self, streams: int = 1) -> None:
        """Counts streams."""
        with self._lock:
            self.value += streams
