"""A worker's end of a link: rows go out, and what only the connector knows is asked for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from source_planetscale.workers.link import SLOTS, LinkClosedError, needs_slot
from source_planetscale.workers.messages import Answer, Freed, NumbersAsked, Said, TroubleAsked

if TYPE_CHECKING:
    from collections.abc import Callable

    from source_planetscale.errors import SourceError
    from source_planetscale.workers.link import Link

# Numbers are the clock's microseconds, ahead of which a task runs by no more than this.
_NUMBERS_AT_ONCE = 1 << 16


class Port:
    """What a task says and asks; safe to use from several threads.

    One thread reads the shard and may wait here. Another one looks after several of them and never waits:
    what it has to say is said by the first one if that is speaking.
    """

    def __init__(self, link: Link) -> None:
        """Takes the link, of whose memory every slot is free."""
        self._link = link
        self._free = list(range(SLOTS))
        self._speaking = threading.RLock()
        self._waiting: deque[object] = deque()

    def send(self, message: object, rows: bytes = b"") -> None:
        """Sends a message, and waits until there is room for its rows.

        Raises:
            LinkClosedError: The connector has ended the task.
        """
        with self._speaking:
            self._say_what_waits()
            if not needs_slot(rows):
                self._link.send(message, rows)
                return
            while not self._free:
                self._hear()
            self._link.send(message, rows, self._free.pop())

    def ask(self, question: object) -> Any:
        """Asks, and waits for the answer.

        Raises:
            LinkClosedError: The connector has ended the task.
        """
        with self._speaking:
            self._say_what_waits()
            self._link.send(question)
            while (answer := self._hear()) is None:
                pass
            return answer.value

    def say(self, message: object) -> None:
        """Sends a message at once, or before the next one that another thread sends."""
        self._waiting.append(message)
        self.try_to_send(lambda: None)

    def try_to_send(self, make: Callable[[], object | None]) -> None:
        """Makes a message and sends it, unless that would be to wait; None is not sent."""
        if not self._speaking.acquire(blocking=False):
            return
        try:
            while self._waiting and self._link.takes_more():
                self._link.send(self._waiting.popleft())
            message = None if self._waiting or not self._link.takes_more() else make()
            if message is not None:
                self._link.send(message)
        except LinkClosedError:
            # The thread that reads meets it too.
            return
        finally:
            self._speaking.release()

    def _say_what_waits(self) -> None:
        while self._waiting:
            self._link.send(self._waiting.popleft())

    def _hear(self) -> Answer | None:
        message = self._link.receive().message
        if isinstance(message, Freed):
            self._free.append(message.slot)
        return message if isinstance(message, Answer) else None


class NumbersFrom:
    """Numbers that order records, from the connector; used by one thread."""

    def __init__(self, port: Port, table: str) -> None:
        """Takes none yet.

        Args:
            port: Where to ask.
            table: The table whose changes they order; empty for those of the metadata.
        """
        self._port = port
        self._table = table
        self._left = range(0)

    def take(self, count: int) -> range:
        """Gives ascending numbers, see `ChangeSequence.take`."""
        if len(self._left) < count:
            # What is left is dropped: numbers of one batch follow each other.
            self._left = self._port.ask(NumbersAsked(self._table, max(count, _NUMBERS_AT_ONCE)))
        taken, self._left = self._left[:count], self._left[count:]
        return taken


class DetourFrom:
    """The way to a port through a tunnel of the connector; a `Detour`.

    Attributes:
        address: Where to connect instead.
    """

    def __init__(self, port: Port, number: int, address: tuple[str, int]) -> None:
        """Takes where to ask, the number of the port that cannot be reached, and where to connect."""
        self._port = port
        self._number = number
        self.address = address

    def trouble(self) -> SourceError | None:
        """Why the last connection did not come through; None if it did."""
        try:
            found: SourceError | None = self._port.ask(TroubleAsked(self._number))
        except LinkClosedError:
            return None
        return found


class LogTo(logging.Handler):
    """Has the connector write log lines."""

    def __init__(self, port: Port) -> None:
        """Takes where to send them."""
        super().__init__()
        self._port = port

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a line."""
        self._port.say(Said(record.levelno, record.getMessage()))
