"""A TCP relay before the gRPC server, so that a connection can be cut within a message."""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK = 1 << 18


class Relay:
    """Passes bytes between clients and a server on this host."""

    def __init__(self, target_port: int, port: int = 0) -> None:
        """Listens at once; a port of 0 is any free one."""
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._links: dict[int, _Link] = {}
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._start(self._accept)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # bound methods
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(client, server)
            with self._lock:
                self._links[link.port] = link
            self._start(self._pump, link, client, server, False)
            self._start(self._pump, link, server, client, True)

    def _pump(self, link: _Link, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                allowed = link.allowed(len(data)) if is_reply else len(data)
                sink.sendall(data[:allowed])
                if allowed < len(data):
                    break
        link.close()
        with self._lock:
            self._links.pop(link.port, None)

    def cut(self, server_side_port: int, after_bytes: int) -> None:
        """Ends a connection once so many more bytes of replies have passed.

        Args:
            server_side_port: The client's port as the server behind the relay sees it.
            after_bytes: None or fewer cut at once.
        """
        with self._lock:
            link = self._links.get(server_side_port)
        if link:
            link.limit(after_bytes)

    def close(self) -> None:
        """Ends all connections and waits for the threads."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            links, threads = list(self._links.values()), list(self._threads)
        for link in links:
            link.close()
        for thread in threads:
            thread.join()


class _Link:
    """One client's connection and its twin to the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.port = int(server.getsockname()[1])
        self._ends = (client, server)
        self._left: int | None = None
        self._lock = threading.Lock()

    def limit(self, after_bytes: int) -> None:
        with self._lock:
            self._left = after_bytes
        if after_bytes <= 0:
            self.close()

    def allowed(self, size: int) -> int:
        """How many of so many bytes may still pass."""
        with self._lock:
            if self._left is None:
                return size
            allowed = min(size, self._left)
            self._left -= allowed
            return allowed

    def close(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
