"""A gRPC server in this process that plays scripts as vtgate's streams."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from embedded_database.certificates import Certificates

HOST = "127.0.0.1"
_SECONDS = 30.0


@dataclass(frozen=True)
class Refusal:
    """Ends a stream with an error."""

    code: grpc.StatusCode
    detail: str


@dataclass(frozen=True)
class Asked:
    """What a client asked for.

    Attributes:
        request: The request.
        metadata: The metadata by key.
        peer: The client's end of the connection.
    """

    request: wire.VStreamRequest
    metadata: dict[str, str]
    peer: str


class GrpcServer(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs alone
    """Plays the same script to each stream, and stays silent after `None`; use it in a `with` statement.

    Attributes:
        port: Where it listens on 127.0.0.1.
        script: What the streams from now on get.
        asked: What the streams were asked for, in order.
    """

    def __init__(self, certificates: Certificates | None = None) -> None:
        """Starts to listen, with TLS where there are certificates."""
        self.script: Sequence[wire.VStreamResponse | Refusal | None] = ()
        self.asked: list[Asked] = []
        self._executor = ThreadPoolExecutor(8, thread_name_prefix="grpc server")
        self._server = grpc.server(self._executor)
        self._server.add_generic_rpc_handlers((self,))
        if certificates is None:
            self.port = self._server.add_insecure_port(f"{HOST}:0")
        else:
            clients = certificates.client_authority
            credentials = grpc.ssl_server_credentials(
                [(certificates.key, certificates.certificate)], clients or None, bool(clients)
            )
            self.port = self._server.add_secure_port(f"{HOST}:0", credentials)
        self._server.start()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends all streams and waits for their threads."""
        self._server.stop(grace=0).wait()
        self._executor.shutdown()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of vtgate's method, and of no other one."""
        if handler_call_details.method != "/vtgateservice.Vitess/VStream":
            return None
        return grpc.unary_stream_rpc_method_handler(
            self._play,
            request_deserializer=wire.VStreamRequest.FromString,
            response_serializer=wire.VStreamResponse.SerializeToString,
        )

    def _play(
        self, request: wire.VStreamRequest, context: grpc.ServicerContext
    ) -> Iterator[wire.VStreamResponse]:
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        self.asked.append(Asked(request, metadata, context.peer()))
        for part in self.script:
            if part is None:
                ended = threading.Event()
                if context.add_callback(ended.set):
                    ended.wait(_SECONDS)
            elif isinstance(part, Refusal):
                context.abort(part.code, part.detail)
            else:
                yield part
