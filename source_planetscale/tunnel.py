"""An SSH tunnel: local ends for ports that only an SSH server can reach, over one connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from source_planetscale.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    import asyncssh
    from typing_extensions import Self

    from source_planetscale.endpoint import SshServer
    from source_planetscale.errors import SourceError

_LOCAL_HOST = "127.0.0.1"
_CONNECT_TIMEOUT_SECONDS = 10
# A connection of which nothing is heard for three of these is lost, and so are those inside it.
_KEEPALIVE_SECONDS = 15
_CHUNK_BYTES = 256 << 10

_Result = TypeVar("_Result")


class Tunnel:
    """Forwards connections to ports behind an SSH server; a context manager that ends them all.

    The connection to the SSH server is made when the first one needs it, and made anew for the next one
    after it was lost. Whoever uses a local end sees no more of that than a connection that ends.
    """

    def __init__(self, server: SshServer) -> None:
        """Connects nothing yet."""
        self._server = server
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._listeners: list[asyncio.Server] = []
        self._links: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh tunnel", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends all connections."""
        self.close()

    def to(self, host: str, port: int) -> LocalEnd:
        """Opens a local end for a port, as the SSH server knows it."""
        return self._run(self._listen(host, port))

    def close(self) -> None:
        """Ends all connections and the thread."""
        if self._loop.is_closed():
            return
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self, host: str, port: int) -> LocalEnd:
        end = LocalEnd(host, port)

        async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._links.add(task)
                task.add_done_callback(self._links.discard)
            with contextlib.suppress(asyncio.CancelledError):
                await self._link(end, reader, writer)

        listener = await asyncio.start_server(link, _LOCAL_HOST, 0, limit=_CHUNK_BYTES)
        self._listeners.append(listener)
        end.address = listener.sockets[0].getsockname()[:2]
        return end

    async def _link(self, end: LocalEnd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncssh

        try:
            try:
                connection = await self._connected()
                far_reader, far_writer = await _opened(connection, end)
            except (OSError, asyncio.TimeoutError, asyncssh.Error) as error:
                end.failed(explain(error, self._server, end))
                return
            end.failed(None)
            try:
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            except (OSError, asyncssh.Error):
                # Either side is gone.
                pass
            finally:
                far_writer.close()
        finally:
            writer.close()

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = await _connect(self._server)
            return self._connection

    async def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for task in list(self._links):
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()


class LocalEnd:
    """Where a port behind the SSH server is reached from here.

    Attributes:
        host: The port's host, as the SSH server knows it.
        port: The port.
        address: The local address.
    """

    def __init__(self, host: str, port: int) -> None:
        """Stands for a port that is not reached yet."""
        self.host = host
        self.port = port
        self.address: tuple[str, int] = (host, port)
        self._trouble: SourceError | None = None

    def trouble(self) -> SourceError | None:
        """Why the last connection to the port was not made; None if it was."""
        return self._trouble

    def failed(self, trouble: SourceError | None) -> None:
        """Keeps why a connection to the port was not made, or that it was."""
        self._trouble = trouble


def explain(error: BaseException, server: SshServer, end: LocalEnd) -> SourceError:
    """Says why a port cannot be reached through the SSH server, and what to do.

    Args:
        error: What the socket or asyncssh raised.
        server: The SSH server.
        end: The port.
    """
    import asyncssh

    where, target = f"The SSH server at {server}", f"{end.host}:{end.port}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return ConfigError(f"{where} is not the expected one: {error.reason}. Check tunnel_host_key.", error)
    if isinstance(error, asyncssh.PermissionDenied):
        what = "ssh_key" if server.key else "tunnel_user_password"
        return ConfigError(
            f"{where} denied access to user {server.username!r}. Check tunnel_user and {what}.", error
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return ConfigError(
                f"{where} does not allow user {server.username!r} to reach {target} through it. Allow TCP "
                "forwarding to it there.",
                error,
            )
        return TransientError(
            f"{where} could not connect to {target} ({error.reason}). Check host, mysql_port and grpc_port "
            "as they are known there, and that vtgate is running.",
            error,
        )
    if isinstance(error, socket.gaierror):
        return TransientError(
            f"The host name {server.host} of the SSH server is not known (DNS). Check tunnel_host.", error
        )
    if isinstance(error, ConnectionRefusedError):
        return TransientError(f"{where} refused the connection. Check tunnel_host and tunnel_port.", error)
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return TransientError(
            f"{where} did not answer in time. Check tunnel_host, tunnel_port and the firewalls in between.",
            error,
        )
    reason = error.reason if isinstance(error, asyncssh.Error) else str(error)
    return TransientError(
        f"The connection to the SSH server at {server} failed or was lost ({reason}). Check tunnel_host and "
        "tunnel_port; try again if they are right.",
        error,
    )


async def _connect(server: SshServer) -> asyncssh.SSHClientConnection:
    # Only configurations with a tunnel pay for this import.
    import asyncssh

    # It tells of each connection, and repeats as errors what is said better here.
    asyncssh.set_log_level("CRITICAL")

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - the library's signature
            shown = key.get_fingerprint()
            if shown not in server.host_keys:
                # Its own words would not say which key was shown.
                raise asyncssh.HostKeyNotVerifiable(f"it shows the host key {shown}")
            return True

    return await asyncssh.connect(
        server.host,
        server.port,
        client_factory=Client,
        username=server.username,
        password=server.password or None,
        client_keys=[asyncssh.import_private_key(server.key)] if server.key else None,
        # No known hosts at all has the library trust any; an empty list has it ask the client.
        known_hosts=([], [], []) if server.host_keys else None,
        # Nothing of the machine's own user counts.
        config=None,
        agent_path=None,
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        login_timeout=_CONNECT_TIMEOUT_SECONDS,
        keepalive_interval=_KEEPALIVE_SECONDS,
    )


async def _opened(
    connection: asyncssh.SSHClientConnection, end: LocalEnd
) -> tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]:
    import asyncssh

    opening = connection.open_connection(end.host, end.port)
    try:
        return await asyncio.wait_for(opening, _CONNECT_TIMEOUT_SECONDS)
    except asyncio.TimeoutError:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no answer in time") from None


async def _pump(
    reader: asyncio.StreamReader | asyncssh.SSHReader[bytes],
    writer: asyncio.StreamWriter | asyncssh.SSHWriter[bytes],
) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
