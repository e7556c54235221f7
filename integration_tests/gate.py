"""A TCP proxy before vtgate that cuts or stalls connections, for tests of broken ones."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_CHUNK = 1 << 16


class Gate:
    """Lets a number of bytes of replies through on each connection; use it in a `with` statement.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, target_port: int, reply_bytes: int, *, stall: bool = False) -> None:
        """Listens at once.

        Args:
            target_port: The server's port on this host.
            reply_bytes: How much the server may answer on a connection.
            stall: Keep the connection open in silence after that, instead of closing it.
        """
        self._target = ("127.0.0.1", target_port)
        self._reply_bytes = reply_bytes
        self._stall = stall
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        """Starts to take connections."""
        self._start(self._accept)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes everything and waits for the threads."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # bound methods
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                self._start(self._pump, client, server, None)
                self._start(self._pump, server, client, self._reply_bytes)

    def _pump(self, source: socket.socket, sink: socket.socket, left: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                sink.sendall(data[:left])
                if left is not None:
                    left = max(left - len(data), 0)
                    if not left:
                        break
        if left == 0 and self._stall:
            return
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
