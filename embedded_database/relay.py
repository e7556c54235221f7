"""A TCP relay before a server of this machine that makes network faults: cuts, stalls, refusals, delays.

The embedded database has one before its gRPC port, so that a connection can end within a message; tests put
one before either database.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

_HOST = "127.0.0.1"
_CHUNK = 256 << 10
# A connection that is slowed waits once a chunk: small ones, so that it is slow all the way.
_CHUNK_WITH_FAULT = 16 << 10


class LinkFaultKind(Enum):
    """What happens to a connection."""

    CUT = "cut"
    STALL = "stall"
    REFUSE = "refuse"
    DELAY = "delay"
    HOLD = "hold"


@dataclass(frozen=True)
class LinkFault:
    """What one connection suffers.

    Attributes:
        kind: CUT ends it, STALL lets nothing more through in either direction but keeps it open, REFUSE
            ends it before its first byte, DELAY holds each chunk back, HOLD all that follows until
            `Relay.resume`.
        after_bytes: CUT, STALL, HOLD: how many bytes of the server's replies still pass.
        seconds: How long each chunk of replies waits before it passes.
    """

    kind: LinkFaultKind
    after_bytes: int = 0
    seconds: float = 0.0


def cut(after_bytes: int, *, slowed: float = 0.0) -> LinkFault:
    """Ends a connection after so many bytes of replies.

    What the client has received and not yet read is lost with a connection: `slowed`, in seconds a chunk,
    gives it the time to read.
    """
    return LinkFault(LinkFaultKind.CUT, after_bytes, slowed)


def stall(after_bytes: int) -> LinkFault:
    """Lets a connection hang after so many bytes of replies."""
    return LinkFault(LinkFaultKind.STALL, after_bytes)


def refuse() -> LinkFault:
    """Ends a connection at once."""
    return LinkFault(LinkFaultKind.REFUSE)


def delay(seconds: float) -> LinkFault:
    """Makes a connection slow."""
    return LinkFault(LinkFaultKind.DELAY, seconds=seconds)


def hold(after_bytes: int) -> LinkFault:
    """Holds replies back after so many bytes, until `Relay.resume`."""
    return LinkFault(LinkFaultKind.HOLD, after_bytes)


class Relay:
    """Passes bytes between clients and a server on this machine; use it in a `with` statement, or `close` it.

    Each new connection takes the next planned fault; without one it is forwarded faithfully.

    Attributes:
        port: Where it listens.
        met: The planned faults that connections ran into so far.
        most_open: The most connections that were open at once.
    """

    def __init__(self, target_port: int, host: str = _HOST, port: int = 0) -> None:
        """Starts to listen; the target need not be up yet.

        Args:
            target_port: The server's port.
            host: The server's address, and the one to listen on.
            port: The port to listen on; 0 is any free one.
        """
        self._target = (host, target_port)
        self._planned: deque[LinkFault] = deque()
        self._always: LinkFault | None = None
        self._lock = threading.Lock()
        self._links: dict[int, _Link] = {}
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, port), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.met: list[LinkFault] = []
        self.most_open = 0
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes everything."""
        self.close()

    def plan(self, *faults: LinkFault) -> None:
        """Lets the next connections, one each, run into these faults."""
        with self._lock:
            self._planned.extend(faults)

    def always(self, fault: LinkFault) -> None:
        """Lets every connection from here on run into a fault, once the planned ones are used up."""
        with self._lock:
            self._always = fault

    def cut(self, server_side_port: int, after_bytes: int) -> None:
        """Ends an open connection once so many more bytes of replies have passed.

        Args:
            server_side_port: The client's port as the server behind the relay sees it.
            after_bytes: None or fewer cut at once.
        """
        with self._lock:
            link = self._links.get(server_side_port)
        if link:
            link.end_after(after_bytes)

    def heal(self) -> None:
        """Forgets all planned faults, and ends connections that hang."""
        with self._lock:
            self._planned.clear()
            self._always = None
            hanging = [link for link in self._links.values() if link.hangs]
        for link in hanging:
            link.close()

    def resume(self) -> None:
        """Lets the replies of all open connections pass for good."""
        with self._lock:
            links = list(self._links.values())
        for link in links:
            link.resume()

    def close(self) -> None:
        """Ends all connections and waits for the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        # A connection that was being accepted is among the links after that.
        self._acceptor.join()
        with self._lock:
            links, threads = list(self._links.values()), list(self._threads)
        for link in links:
            link.close()
        for thread in threads:
            thread.join()

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()] + [thread]
            thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                fault = self._planned.popleft() if self._planned else self._always
            link = self._connected(client, fault)
            if link is not None:
                with self._lock:
                    self._links[link.port] = link
                    self.most_open = max(self.most_open, len(self._links))
                self._start(lambda link=link: self._forward(link))  # type: ignore[misc]  # bound now

    def _connected(self, client: socket.socket, fault: LinkFault | None) -> _Link | None:
        if fault is not None and fault.kind is LinkFaultKind.REFUSE:
            self.met.append(fault)
            client.close()
            return None
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return None
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Link(client, server, fault, self.met)

    def _forward(self, link: _Link) -> None:
        requests = threading.Thread(target=link.forward_requests, daemon=True)
        requests.start()
        link.forward_replies()
        requests.join()
        with self._lock:
            del self._links[link.port]
        link.release()


class _Link:
    """One client's connection and its twin to the server."""

    def __init__(
        self, client: socket.socket, server: socket.socket, fault: LinkFault | None, met: list[LinkFault]
    ) -> None:
        self.port = int(server.getsockname()[1])
        self.hangs = False
        self._client = client
        self._server = server
        self._fault = fault
        self._met = met
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._resumed = threading.Event()
        self._left = fault.after_bytes if fault and fault.kind is not LinkFaultKind.DELAY else None

    def end_after(self, size: int) -> None:
        """Ends the connection once so many more bytes of replies have passed."""
        with self._lock:
            self._left = size
        if size <= 0:
            self.close()

    def resume(self) -> None:
        """Lets replies pass for good."""
        with self._lock:
            self._left = None
        self._resumed.set()

    def forward_requests(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(_CHUNK):
                if self.hangs:
                    self._closed.wait()
                self._server.sendall(data)
        self.close()

    def forward_replies(self) -> None:
        fault = self._fault
        if fault and fault.kind is LinkFaultKind.DELAY:
            self._met.append(fault)
        with suppress(OSError):
            while data := self._server.recv(_CHUNK_WITH_FAULT if fault else _CHUNK):
                if fault and fault.seconds:
                    self._closed.wait(fault.seconds)
                passing = self._passing(len(data))
                if passing < len(data) and fault and fault.kind is LinkFaultKind.HOLD:
                    self._resumed.wait()
                    passing = len(data)
                # The end comes in the middle of a message, as a network has it.
                self._client.sendall(data[:passing])
                if passing < len(data):
                    break
            if fault and fault.kind is LinkFaultKind.STALL and not self._closed.is_set():
                self.hangs = True
                self._closed.wait()
        self.close()

    def close(self) -> None:
        self._closed.set()
        self._resumed.set()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        self._client.close()
        self._server.close()

    def _passing(self, size: int) -> int:
        """How many of so many bytes of replies may still pass; fewer make the fault happen."""
        with self._lock:
            if self._left is None:
                return size
            passing = min(size, self._left)
            self._left -= passing
        if passing < size and self._fault:
            self._met.append(self._fault)
        return passing
