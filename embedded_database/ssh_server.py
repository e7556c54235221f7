"""An SSH server in this process that forwards connections, and can be made to fail."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from types import TracebackType

    from typing_extensions import Self

HOST = "127.0.0.1"
USER, PASSWORD = "tunneller", "ssh-password-marker"


class SshServer:
    """Lets one user in, by password or by key; use it in a `with` statement.

    Attributes:
        port: Where it listens on 127.0.0.1.
        user_key: The private key that opens it.
        host_key: Its own public key, as `ssh-keyscan` shows it.
        fingerprint: The same, as `ssh-keygen -l` shows it.
        logins: How many connections it has let in so far.
        forwards: Whether it forwards connections.
        answers: Whether it says anything to those who ask it to.
    """

    def __init__(self) -> None:
        """Starts to listen."""
        own, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        self.user_key = user.export_private_key().decode()
        self.host_key = own.export_public_key().decode().strip()
        self.fingerprint = own.get_fingerprint()
        self.logins = 0
        self.forwards = True
        self.answers = True
        self._own = own
        self._allowed = asyncssh.import_authorized_keys(user.export_public_key().decode())
        self._open: set[asyncssh.SSHServerConnection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh server", daemon=True)
        self._thread.start()
        self.port = 0
        self._run(self._listen())

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server."""
        self.stop()
        self._run(self._drain())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fields(self, method: str = "SSH_PASSWORD_AUTH", **changes: Any) -> dict[str, Any]:
        """The connector's `tunnel_method` for this server."""
        login = (
            {"tunnel_user_password": PASSWORD}
            if method == "SSH_PASSWORD_AUTH"
            else {"ssh_key": self.user_key}
        )
        server = {"tunnel_host": HOST, "tunnel_port": self.port, "tunnel_user": USER}
        return {"tunnel_method": method, **server, **login, **changes}

    def cut(self) -> None:
        """Ends all connections that are open."""
        self._run(self._cut())

    def stop(self) -> None:
        """Ends all connections and lets no further one in."""
        self._run(self._stop())

    def start(self) -> None:
        """Listens again on the same port."""
        self._run(self._listen())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self) -> None:
        self._listener = await asyncssh.create_server(
            lambda: _Session(self), HOST, self.port, server_host_keys=[self._own]
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        for connection in list(self._open):
            connection.abort()

    async def _stop(self) -> None:
        self._listener.close()
        await self._cut()

    async def _drain(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.wait(tasks, timeout=5) if tasks else None


class _Session(asyncssh.SSHServer):
    def __init__(self, server: SshServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server._open.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the library's signature
        if self._connection is not None:
            self._server._open.discard(self._connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - the library's signature
        if self._connection is not None:
            self._connection.set_authorized_keys(self._server._allowed)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def auth_completed(self) -> None:
        self._server.logins += 1

    def connection_requested(
        self,
        dest_host: str,  # noqa: ARG002 - as above
        dest_port: int,  # noqa: ARG002
        orig_host: str,  # noqa: ARG002
        orig_port: int,  # noqa: ARG002
    ) -> bool | Awaitable[asyncssh.SSHTCPSession[bytes]]:
        if not self._server.forwards:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "not here")
        return self._server.answers or self._never()

    async def _never(self) -> asyncssh.SSHTCPSession[bytes]:
        if self._connection is not None:
            await self._connection.wait_closed()
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "closed")
