"""A TCP proxy that makes network faults on purpose: cuts, stalls, refusals, delays."""

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

_CHUNK = 16 << 10


class LinkFaultKind(Enum):
    """What happens to a connection."""

    CUT = "cut"
    STALL = "stall"
    REFUSE = "refuse"
    DELAY = "delay"
    HOLD = "hold"


# After so many bytes it is over.
_ENDING = (LinkFaultKind.CUT, LinkFaultKind.STALL)


@dataclass(frozen=True)
class LinkFault:
    """What one connection suffers.

    Attributes:
        kind: CUT ends it, STALL lets nothing more through in either direction but keeps it open, REFUSE
            ends it before its first byte, DELAY holds each chunk back, HOLD all that follows until
            `Proxy.resume`.
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
    """Holds replies back after so many bytes, until `Proxy.resume`."""
    return LinkFault(LinkFaultKind.HOLD, after_bytes)


class Proxy:
    """Forwards connections to a server on this machine; use it in a `with` statement.

    Each new connection takes the next planned fault; without one it is forwarded faithfully.

    Attributes:
        port: Where it listens on 127.0.0.1.
        met: The faults that connections ran into so far.
    """

    def __init__(self, target_port: int, host: str = "127.0.0.1") -> None:
        """Starts to listen; the target need not be up yet."""
        self._target = (host, target_port)
        self._planned: deque[LinkFault] = deque()
        self._always: LinkFault | None = None
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self.met: list[LinkFault] = []
        self._start(self._accept)

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

    def heal(self) -> None:
        """Forgets all planned faults, and ends connections that hang."""
        with self._lock:
            self._planned.clear()
            self._always = None
            hanging = [link for link in self._links if link.hangs]
        for link in hanging:
            link.close()

    def resume(self) -> None:
        """Lets what is held back go on, for good."""
        for link in self._open_links():
            link.resume()

    def cut_now(self) -> None:
        """Ends all connections that are open."""
        for link in self._open_links():
            link.close()

    def close(self) -> None:
        """Ends all connections and waits for the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._open_links():
            link.close()
        for thread in self._threads:
            thread.join()

    def _open_links(self) -> list[_Link]:
        with self._lock:
            return list(self._links)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
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
                    self._links.add(link)
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
        return _Link(client, server, fault, self.met)

    def _forward(self, link: _Link) -> None:
        requests = threading.Thread(target=link.forward_requests, daemon=True)
        requests.start()
        link.forward_replies()
        requests.join()
        link.release()
        with self._lock:
            self._links.discard(link)


class _Link:
    """One client's connection and its twin to the server."""

    def __init__(
        self, client: socket.socket, server: socket.socket, fault: LinkFault | None, met: list[LinkFault]
    ) -> None:
        self._client = client
        self._server = server
        self._fault = fault
        self._met = met
        self._closed = threading.Event()
        self._resumed = threading.Event()
        self.hangs = False

    def forward_requests(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(_CHUNK):
                if self.hangs:
                    self._closed.wait()
                self._server.sendall(data)
        self.close()

    def forward_replies(self) -> None:
        with suppress(OSError):
            self._forward_faithfully() if self._fault is None else self._forward_until(self._fault)
        self.close()

    def resume(self) -> None:
        self._resumed.set()

    def close(self) -> None:
        self._closed.set()
        self._resumed.set()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        self._client.close()
        self._server.close()

    def _forward_faithfully(self) -> None:
        while data := self._server.recv(_CHUNK):
            self._client.sendall(data)

    def _forward_until(self, fault: LinkFault) -> None:
        left = fault.after_bytes
        if fault.kind is LinkFaultKind.DELAY:
            self._met.append(fault)
        while data := self._server.recv(_CHUNK):
            if fault.seconds:
                self._closed.wait(fault.seconds)
            if fault.kind is LinkFaultKind.HOLD and len(data) > left and not self._resumed.is_set():
                self._met.append(fault)
                self._resumed.wait()
            if fault.kind in _ENDING and len(data) > left:
                # The end comes in the middle of a message, as a network has it.
                self._client.sendall(data[:left])
                self._met.append(fault)
                break
            self._client.sendall(data)
            left -= len(data)
        if fault.kind is LinkFaultKind.STALL and not self._closed.is_set():
            self.hangs = True
            self._closed.wait()
