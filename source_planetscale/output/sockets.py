"""Unix sockets on which a destination reads: made, waited for, written to and watched."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import TYPE_CHECKING

from source_planetscale.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_POLL_SECONDS = 0.5
# The destination starts beside the source and looks for each socket once a second.
_CONNECT_SECONDS = 600.0
# How long a destination that reads nothing can hold up the end of a read that was told to stop.
_LAST_WORDS_SECONDS = 5.0
# Everyone: the destination may run as another user.
_MODE = 0o666


class Sockets:
    """The sockets of one read, each with exactly one client.

    Writing waits for the client, which is the backpressure. A client that goes away ends everything: what it
    had not read yet is lost.
    """

    def __init__(self, paths: Sequence[Path], interrupted: threading.Event) -> None:
        """Listens on every path; clients may connect from now on.

        Args:
            paths: Where the client looks for the sockets.
            interrupted: Set to end the read; also set here when a client is lost.

        Raises:
            ConfigError: A socket cannot be made.
        """
        self._paths = paths
        self._interrupted = interrupted
        self._lost = threading.Event()
        self._clients: list[socket.socket] = []
        self._next = 0
        self._watch: _Watch | None = None
        self._listeners: list[socket.socket] = []
        try:
            for path in paths:
                self._listeners.append(_listener(path))
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        """The number of sockets."""
        return len(self._paths)

    def accept(self, seconds: float = _CONNECT_SECONDS) -> None:
        """Waits for the client of each socket.

        Raises:
            TransientError: One has not come in time, or the read was told to stop.
        """
        deadline = time.monotonic() + seconds
        clients: dict[int, socket.socket] = {}
        poller = select.poll()
        waiting = {listener.fileno(): number for number, listener in enumerate(self._listeners)}
        for descriptor in waiting:
            poller.register(descriptor, select.POLLIN)
        while waiting:
            for descriptor, _ in poller.poll(_POLL_SECONDS * 1000):
                number = waiting.pop(descriptor)
                poller.unregister(descriptor)
                client, _ = self._listeners[number].accept()
                client.setblocking(False)
                clients[number] = client
                self._clients = [clients[number] for number in sorted(clients)]
            if self._interrupted.is_set():
                raise TransientError("The sync was told to stop before the destination had connected.")
            if waiting and time.monotonic() >= deadline:
                raise TransientError(
                    f"The destination connected to {len(clients)} of the {len(self)} sockets of the data "
                    f"channel within {seconds / 60:g} minutes. It has failed or hangs: see its log, and "
                    "run the sync again."
                )
        self._watch = _Watch(self._clients, self._lose)
        self._watch.start()

    def send(self, number: int, data: bytes | memoryview) -> None:
        """Writes to a socket, and waits until all of it is on its way.

        Raises:
            TransientError: A client is lost, whichever it is, or it reads nothing after the read was told to
                stop.
        """
        self.raise_if_lost()
        rest = memoryview(data)
        client = self._clients[number]
        # A message is finished though another client is lost: half a one would be an error of its own.
        while rest:
            try:
                rest = rest[client.send(rest) :]
            except BlockingIOError:
                self._wait([number])
            except OSError:
                self._lose()
                self.raise_if_lost()

    def free(self) -> int:
        """The number of a socket that takes data now, in turns; waits until there is one.

        Raises:
            TransientError: As `send`.
        """
        self.raise_if_lost()
        order = [*range(self._next, len(self)), *range(self._next)]
        number = self._wait(order)
        self._next = (number + 1) % len(self)
        return number

    def raise_if_lost(self) -> None:
        """Raises the error of a lost client.

        Raises:
            TransientError: A client is lost.
        """
        if self._lost.is_set():
            raise TransientError(
                "The destination has closed the data channel before the sync was done. See its log for why; "
                "the next sync goes on from the last state that it has confirmed."
            )

    def close(self) -> None:
        """Closes every socket and removes the paths."""
        if self._watch is not None:
            self._watch.close()
        for listener, path in zip(self._listeners, self._paths, strict=False):
            listener.close()
            path.unlink(missing_ok=True)
        for client in self._clients:
            client.close()

    def _wait(self, numbers: Sequence[int]) -> int:
        """Waits until one of these sockets takes data; gives the first that does."""
        poller = select.poll()
        places = {self._clients[number].fileno(): place for place, number in enumerate(numbers)}
        for descriptor in places:
            poller.register(descriptor, select.POLLOUT)
        deadline: float | None = None
        while True:
            ready = poller.poll(_POLL_SECONDS * 1000)
            if ready:
                return numbers[min(places[descriptor] for descriptor, _ in ready)]
            if self._interrupted.is_set():
                now = time.monotonic()
                deadline = deadline or now + _LAST_WORDS_SECONDS
                if now >= deadline:
                    self.raise_if_lost()
                    raise TransientError("The sync was told to stop while the destination was not reading.")

    def _lose(self) -> None:
        self._lost.set()
        self._interrupted.set()


class _Watch:
    """Notices a client that goes away while nothing is written."""

    def __init__(self, clients: Sequence[socket.socket], lose: Callable[[], None]) -> None:
        self._lose = lose
        self._stop, self._stopped = socket.socketpair()
        self._poller = select.poll()
        # A hang-up is always told.
        for client in clients:
            self._poller.register(client, 0)
        self._poller.register(self._stopped, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name="data channel", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()

    def _run(self) -> None:
        stop = self._stopped.fileno()
        if all(descriptor != stop for descriptor, _ in self._poller.poll()):
            self._lose()


def _listener(path: Path) -> socket.socket:
    """Listens at a path.

    The socket gets its name when it listens: a client that finds it takes a refusal for the end.
    """
    # No longer than the path, which must not be long, see unix(7).
    first = "." if len(path.name) > 1 and not path.name.startswith(".") else "~"
    hidden = path.with_name(first + path.name[1:])
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        hidden.unlink(missing_ok=True)
        listener.bind(str(hidden))
        listener.listen(1)
        hidden.chmod(_MODE)
        hidden.rename(path)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"The socket {path} of the data channel cannot be made: {error.strerror or error}."
        ) from None
    return listener
