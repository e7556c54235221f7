"""Messages between two processes, with rows beside them that are not copied through the kernel."""

from __future__ import annotations

import mmap
import os
import pickle
import select
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

# A worker lays out the next rows while the last ones are being sent.
SLOTS = 2
# Twice what a bundle of responses becomes in general; pages that are not written take no memory.
SLOT_BYTES = 4 << 20
# Rows that are not worth a slot.
_FEW_BYTES = 16 << 10
_NO_SLOT = -1
_HEAD = struct.Struct("=IiI")


class LinkClosedError(Exception):
    """The other end is gone."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message, and the rows that stand beside it.

    Attributes:
        message: The message.
        rows: The rows; valid until `free` is called.
        free: Lets the other end use their place again.
    """

    message: Any
    rows: memoryview
    free: Callable[[], None]


class Link:
    """One end of a link; `send` may be called by several threads, `receive` by one at a time."""

    def __init__(self, end: socket.socket, memory: mmap.mmap, free: Callable[[Link, int], None]) -> None:
        """Takes one end of a pair of sockets, and the memory that both ends share.

        Args:
            end: The socket.
            memory: The memory.
            free: Tells the other end that a slot may be used again.
        """
        self._socket = end
        self._view = memoryview(memory)
        self._free = free
        self._sending = threading.Lock()
        self.closed = False

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the link."""
        self.close()

    def fileno(self) -> int:
        """The descriptor of the socket, to wait for its end."""
        return self._socket.fileno()

    def send(self, message: object, rows: bytes = b"", slot: int = _NO_SLOT) -> None:
        """Sends a message.

        Args:
            message: Anything that can be pickled.
            rows: Rows to go beside it.
            slot: A free slot for them, which must be large enough; without it they follow the message.

        Raises:
            LinkClosedError: The other end is gone.
        """
        text = pickle.dumps(message)
        with self._sending:
            if slot != _NO_SLOT:
                start = slot * SLOT_BYTES
                self._view[start : start + len(rows)] = rows
            try:
                self._socket.sendall(_HEAD.pack(len(text), slot, len(rows)) + text)
                if rows and slot == _NO_SLOT:
                    self._socket.sendall(rows)
            except OSError:
                raise LinkClosedError from None

    def takes_more(self) -> bool:
        """Whether a short message can be sent without waiting."""
        poller = select.poll()
        try:
            poller.register(self._socket, select.POLLOUT)
        except ValueError:
            # It is closed, which sending tells without waiting as well.
            return True
        return bool(poller.poll(0))

    def receive(self) -> Received:
        """Waits for the next message.

        Raises:
            LinkClosedError: The other end is gone.
        """
        length, slot, size = _HEAD.unpack(self._read(_HEAD.size))
        message = pickle.loads(self._read(length))  # noqa: S301 - of this program
        if slot == _NO_SLOT:
            return Received(message, memoryview(self._read(size)), _nothing)
        start = slot * SLOT_BYTES
        return Received(message, self._view[start : start + size], lambda: self._free(self, slot))

    def shut(self) -> None:
        """Ends the link for both ends, whatever they are waiting for; from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It has ended already.
            return

    def close(self) -> None:
        """Closes this end."""
        self.closed = True
        self.shut()
        self._socket.close()

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                count = self._socket.recv_into(rest, len(rest), socket.MSG_WAITALL)
            except OSError:
                raise LinkClosedError from None
            if not count:
                raise LinkClosedError
            rest = rest[count:]
        return data


def needs_slot(rows: bytes) -> bool:
    """Whether rows are worth a slot, and fit into one."""
    return _FEW_BYTES < len(rows) <= SLOT_BYTES


def new_memory() -> int:
    """Makes memory that can be shared; gives its descriptor."""
    descriptor = os.memfd_create("source-planetscale")
    os.ftruncate(descriptor, SLOTS * SLOT_BYTES)
    return descriptor


def mapped(descriptor: int) -> mmap.mmap:
    """Gives access to shared memory, and closes its descriptor."""
    try:
        return mmap.mmap(descriptor, SLOTS * SLOT_BYTES)
    finally:
        os.close(descriptor)


def _nothing() -> None:
    """What stands behind a message needs no place to be freed."""
