"""vtgate's gRPC port: channels, credentials and requests."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

import grpc

from source_planetscale.endpoint import TabletType
from source_planetscale.vstream.channel import call_credentials, new_channel
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from source_planetscale.endpoint import Endpoint, Keyspace
    from source_planetscale.vstream.cursor import Cursor

_METHOD = "/vtgateservice.Vitess/VStream"
# What may be under way for all shards together, and for one: 80 MB/s at 50 ms to the server and back, and
# still 10 MB/s for each of 16.
_WINDOWS_BYTES = 8 << 20
_LARGEST_WINDOW_BYTES = 4 << 20
_SMALLEST_WINDOW_BYTES = 512 << 10
# A quiet stream is told apart from a dead one by vtgate's own heartbeats.
_HEARTBEAT_SECONDS = 5

_TABLET_TYPES = {
    TabletType.PRIMARY: wire.PRIMARY,
    TabletType.REPLICA: wire.REPLICA,
    TabletType.RDONLY: wire.RDONLY,
}


class VStreamCall:
    """One open stream; iterating it gives raw responses. `cancel` may be called from any thread."""

    def __init__(self, call: grpc.CallIterator[bytes]) -> None:
        """Wraps a started call."""
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        """Gives each response as it arrived, serialized.

        Raises:
            VStreamError: The stream broke off, or was cancelled.
        """
        try:
            yield from self._call
        except grpc.RpcError as error:
            # Without its cause: the text of that holds the request with its key values.
            raise _translated(error) from None
        finally:
            self.cancel()
            _let_go(self._call)

    def cancel(self) -> None:
        """Ends the stream."""
        self._call.cancel()  # type: ignore[no-untyped-call]  # the stubs leave it untyped


class VStreamClient:
    """Opens VStreams; each on a connection that the caller chooses.

    Attributes:
        endpoint: vtgate's gRPC port.
        keyspace: What is read.
    """

    def __init__(self, endpoint: Endpoint, keyspace: Keyspace) -> None:
        """Connects at the first stream.

        Args:
            endpoint: vtgate's gRPC port.
            keyspace: What is read.
        """
        self.endpoint = endpoint
        self.keyspace = keyspace
        self._channels: dict[str, grpc.Channel] = {}
        self._window_bytes = window_bytes(1)
        self._closed = False
        self._lock = threading.Lock()

    def share(self, streams: int) -> None:
        """Divides what may be under way among so many streams, for the connections from now on."""
        self._window_bytes = window_bytes(streams)

    def open(
        self,
        cursor: Cursor,
        tables: Sequence[str],
        lane: str,
        columns: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> VStreamCall:
        """Starts a stream of one shard.

        Args:
            cursor: Where to start; before the copy of a table, in it, or after it.
            tables: The bare names of the tables to follow; a single one if it is still being copied.
            lane: Which connection to use. One that waits does not hold up another.
            columns: The columns to ask for, by table; every one of those that are not named.

        Returns:
            The running call.
        """
        gtid = wire.ShardGtid(keyspace=cursor.keyspace, shard=cursor.shard, gtid=cursor.position)
        if cursor.last_pk is not None:
            lastpk = wire.QueryResult.FromString(cursor.last_pk)
            gtid.table_p_ks.append(wire.TableLastPK(table_name=tables[0], lastpk=lastpk))
        return self._call([rule(table, columns.get(table)) for table in tables], gtid, lane, None)

    def current_position(self, table: str, shard: str, timeout: float) -> str:
        """Asks for the position of a shard at this moment.

        Args:
            table: Any table of the keyspace; only its name goes into the request's filter.
            shard: The shard.
            timeout: Seconds to wait for the answer.

        Returns:
            The position with its flavor prefix.

        Raises:
            VStreamError: There was no answer.
        """
        gtid = wire.ShardGtid(keyspace=self.keyspace.name, shard=shard, gtid="current")
        call = self._call([rule(table)], gtid, shard, timeout)
        try:
            for raw in call:
                for event in wire.VStreamResponse.FromString(raw).events:
                    for entry in event.vgtid.shard_gtids:
                        if entry.shard == shard and entry.gtid and entry.gtid != "current":
                            return entry.gtid
        finally:
            call.cancel()
        raise VStreamError(grpc.StatusCode.ABORTED, "the stream ended without a position")

    def reconnect(self, lane: str) -> None:
        """Gives up a connection: a dead one would hold up the next streams as well."""
        with self._lock:
            channel = self._channels.pop(lane, None)
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """Closes all channels for good; open streams end."""
        with self._lock:
            self._closed = True
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    def _call(
        self, rules: Sequence[wire.Rule], gtid: wire.ShardGtid, lane: str, timeout: float | None
    ) -> VStreamCall:
        request = wire.VStreamRequest(
            tablet_type=_TABLET_TYPES[self.keyspace.tablet_type],
            vgtid=wire.VGtid(shard_gtids=[gtid]),
            filter=wire.Filter(
                rules=rules,
                field_event_mode=wire.BEST_EFFORT,
            ),
            # Not exclude_keyspace_from_table_name, which saves vtgate a copy of each event: where vtgate and
            # tablet are one process it then sends buffers that the tablet fills anew meanwhile (seen on
            # Vitess 24.0.3: a crash).
            flags=wire.VStreamFlags(
                heartbeat_interval=_HEARTBEAT_SECONDS,
                stop_on_reshard=True,
                cells=self.keyspace.cells,
            ),
        )
        method = self._channel(lane).unary_stream(
            _METHOD,
            request_serializer=wire.VStreamRequest.SerializeToString,
            response_deserializer=None,
        )
        return VStreamCall(method(request, timeout=timeout, metadata=call_credentials(self.endpoint)))

    def _channel(self, lane: str) -> grpc.Channel:
        with self._lock:
            if self._closed:
                raise VStreamError(grpc.StatusCode.CANCELLED, "the connection was closed")
            if lane not in self._channels:
                self._channels[lane] = new_channel(self.endpoint, self._window_bytes)
            return self._channels[lane]


def window_bytes(streams: int) -> int:
    """How many bytes each of so many streams may have under way."""
    return min(max(_WINDOWS_BYTES // max(streams, 1), _SMALLEST_WINDOW_BYTES), _LARGEST_WINDOW_BYTES)


def rule(table: str, columns: Sequence[str] | None = None) -> wire.Rule:
    """What is asked of a table: these columns, or every one if None."""
    if table.startswith("/"):
        # vtgate takes such a name for a regular expression (RE2), so it gets one that matches the name alone.
        return wire.Rule(match=f"/^{re.escape(table)}$")
    # VStream filters take no parameters; names are quoted as MySQL quotes them.
    asked = "*" if columns is None else ", ".join(map(_quoted, columns))
    return wire.Rule(match=table, filter=f"select {asked} from {_quoted(table)}")  # noqa: S608


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _let_go(call: grpc.CallIterator[bytes]) -> None:
    """Takes what a cancelled call has left to tell.

    While that waits, its connection stays open, even when the channel is closed: a call that is driven by one
    thread (`SingleThreadedUnaryStream`) has nobody else to take it, and nothing public does (grpcio 1.85.1).
    """
    with suppress(AttributeError):
        while call._state.due:  # type: ignore[attr-defined]
            call._consume_next_event()  # type: ignore[attr-defined]


def _translated(error: grpc.RpcError) -> VStreamError:
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    detail = error.details() if isinstance(error, grpc.Call) else ""
    return VStreamError(code, detail or "")
