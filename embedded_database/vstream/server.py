"""The gRPC port: `/vtgateservice.Vitess/VStream` with authentication, heartbeats and faults."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

from embedded_database.errors import StreamError
from embedded_database.faults import Fault, FaultKind, Faults
from embedded_database.relay import Relay
from embedded_database.vstream.merged import Limits, MergedStream
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from embedded_database.certificates import Certificates
    from embedded_database.storage import Storage

METHOD = "/vtgateservice.Vitess/VStream"
# Each open stream takes a thread.
_MAX_STREAMS = 128
_IDLE_SECONDS = 0.05
_MAX_CHUNK_SECONDS = 0.05


class VStreamServer(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs alone
    """Serves VStream on a port of this host."""

    def __init__(
        self,
        storage: Storage,
        faults: Faults,
        users: Mapping[str, str],
        *,
        port: int = 0,
        certificates: Certificates | None = None,
        limits: Limits | None = None,
        reshard: Callable[[str, Sequence[str]], None],
    ) -> None:
        """Starts serving.

        Args:
            storage: What to stream.
            faults: Faults that wait for a stream.
            port: A port to listen on; 0 is any free one.
            limits: Sizes and times, vtgate's by default.
            users: User name -> password; empty lets everyone in.
            certificates: Turns TLS on.
            reshard: Moves a keyspace to new shards, for the fault of that name.
        """
        self._storage = storage
        self._faults = faults
        self._users = users
        self._limits = limits or Limits()
        self._reshard = reshard
        self._executor = ThreadPoolExecutor(_MAX_STREAMS, thread_name_prefix="vstream")
        options = [("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(self._executor, options=options)
        self._server.add_generic_rpc_handlers((self,))
        if certificates:
            credentials = grpc.ssl_server_credentials(
                [(certificates.key, certificates.certificate)],
                certificates.client_authority or None,
                bool(certificates.client_authority),
            )
            inner = self._server.add_secure_port("127.0.0.1:0", credentials)
        else:
            inner = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._relay = Relay(inner, port=port)
        self.port = self._relay.port

    def stop(self) -> None:
        """Ends all streams and waits for their threads."""
        self._faults.clear()
        self._server.stop(grace=0).wait()
        self._relay.close()
        self._executor.shutdown()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call, None for a method that is not VStream."""
        if handler_call_details.method != METHOD:
            return None
        return grpc.unary_stream_rpc_method_handler(
            self._stream, request_deserializer=wire.VStreamRequest.FromString
        )

    def _stream(self, request: wire.VStreamRequest, context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            self._authenticate(dict(context.invocation_metadata()))
            yield from _Call(request, context, self).responses()
        except StreamError as error:
            context.abort(error.code, error.message)

    def _authenticate(self, metadata: Mapping[str, str | bytes]) -> None:
        """Takes PlanetScale's header and vtgate's own pair of keys.

        Raises:
            StreamError: Neither is there, or it is wrong.
        """
        if not self._users:
            return
        header = str(metadata.get("authorization", ""))
        if header.startswith("Basic "):
            user, _, password = base64.b64decode(header[6:]).decode().partition(":")
        elif "username" in metadata:
            user, password = str(metadata["username"]), str(metadata.get("password", ""))
        else:
            text = "username and password must be provided"
            raise StreamError(grpc.StatusCode.UNAUTHENTICATED, text)
        if self._users.get(user) != password:
            text = f'auth failure: caller "{user}" provided invalid credentials'
            raise StreamError(grpc.StatusCode.PERMISSION_DENIED, text)

    @property
    def parts(self) -> tuple[Storage, Faults, Limits, Relay]:
        """What a call works with."""
        return self._storage, self._faults, self._limits, self._relay

    def reshard(self, keyspace: str, shards: Sequence[str]) -> None:
        """Moves a keyspace to new shards."""
        self._reshard(keyspace, shards)


class _Call:
    """One open stream: its responses, with heartbeats and the faults that meet it."""

    def __init__(
        self, request: wire.VStreamRequest, context: grpc.ServicerContext, server: VStreamServer
    ) -> None:
        self._request = request
        self._context = context
        self._server = server
        self._storage, self._faults, limits, self._relay = server.parts
        self._stream = MergedStream(self._storage, request, limits, lambda: not context.is_active())
        self._sent_events = self._sent_rows = self._sent_bytes = 0
        self._last_sent = time.monotonic()
        self._used: list[Fault] = []
        context.add_callback(self._wake)

    def _wake(self) -> None:
        with self._storage.committed:
            self._storage.committed.notify_all()

    def responses(self) -> Iterator[bytes]:
        self._stream.open()
        groups = self._stream.groups()
        for group in groups:
            if not self._context.is_active():
                return
            if group is None:
                yield from self._idle()
            else:
                yield from self._meet_faults(group)
                yield from self._respond(group)

    def _idle(self) -> Iterator[bytes]:
        """Waits for something to be committed, or for the next heartbeat."""
        yield from self._meet_faults([])
        interval = self._request.flags.heartbeat_interval
        seconds = _IDLE_SECONDS
        with self._storage.committed:
            self._storage.committed.wait(seconds)
        if interval and time.monotonic() - self._last_sent >= interval:
            yield self._heartbeat()

    def _heartbeat(self) -> bytes:
        now = time.time_ns()
        event = wire.VEvent(type=wire.HEARTBEAT, timestamp=now // 10**9, current_time=now)
        self._last_sent = time.monotonic()
        return wire.VStreamResponse(events=[event]).SerializeToString()

    def _met(self) -> list[Fault]:
        shards = self._stream.shards
        keyspace = shards[0].keyspace if shards else ""
        tables = [rule.match for rule in self._request.filter.rules]
        found = self._faults.of(keyspace, [shard.name for shard in shards], tables)
        return [fault for fault in found if not any(fault is used for used in self._used)]

    def _respond(self, events: list[wire.VEvent]) -> Iterator[bytes]:
        if not events:
            return
        data = wire.VStreamResponse(events=events).SerializeToString()
        self._meet_cut(len(data))
        yield data
        self._last_sent = time.monotonic()
        self._sent_events += len(events)
        self._sent_rows += _rows(events)
        self._sent_bytes += len(data)
        for fault in self._met():
            if fault.kind is FaultKind.SLOW:
                self._wait(len(data) / fault.bytes_per_second)

    def _meet_cut(self, size: int) -> None:
        """Arms the relay where the coming response holds the byte at which the connection ends."""
        for fault in self._met():
            left = fault.after_bytes - self._sent_bytes
            if fault.kind is FaultKind.CUT and left < size and self._use(fault):
                self._relay.cut(int(self._context.peer().rsplit(":", 1)[1]), left)

    def _use(self, fault: Fault) -> bool:
        self._used.append(fault)
        return self._faults.fire(fault)

    def _meet_faults(self, coming: list[wire.VEvent]) -> Iterator[bytes]:
        """Lets each fault happen whose moment has come.

        Each comes between two responses: vtgate sends a response whole, so that the rows of a copy always
        come with their last primary key (`sendEventsForRows` in `copy.go`).

        Args:
            coming: The events of the response that is sent next; empty where there is nothing to send.
        """
        for fault in self._met():
            due = self._sent_events + max(len(coming), 1) > fault.after_events
            if fault.kind is FaultKind.RESHARD:
                if self._sent_rows + _rows(coming) > fault.after_rows and self._use(fault):
                    self._server.reshard(self._stream.shards[0].keyspace, fault.shards.split())
            elif fault.kind is FaultKind.STALL and due and self._use(fault):
                yield from self._stall(fault)
            elif fault.kind is FaultKind.ERROR and due and self._use(fault):
                raise StreamError(grpc.StatusCode[fault.code], fault.message)
            elif fault.kind is FaultKind.LARGE_MESSAGE and due and self._use(fault):
                event = wire.VEvent(type=wire.OTHER, statement="x" * fault.size)
                yield wire.VStreamResponse(events=[event]).SerializeToString()

    def _stall(self, fault: Fault) -> Iterator[bytes]:
        deadline = time.monotonic() + (fault.seconds or float("inf"))
        interval = self._request.flags.heartbeat_interval
        while self._context.is_active() and time.monotonic() < deadline:
            if self._faults.cleared.wait(_IDLE_SECONDS):
                return
            if fault.heartbeats and interval and time.monotonic() - self._last_sent >= interval:
                yield self._heartbeat()

    def _wait(self, seconds: float) -> None:
        """Waits in small steps, so that an ended call frees its thread."""
        deadline = time.monotonic() + seconds
        while self._context.is_active() and (left := deadline - time.monotonic()) > 0:
            self._faults.cleared.wait(min(left, _MAX_CHUNK_SECONDS))
            if self._faults.cleared.is_set():
                return


def _rows(events: list[wire.VEvent]) -> int:
    """The number of rows and row changes in events."""
    return sum([len(event.row_event.row_changes) for event in events])
