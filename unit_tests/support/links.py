"""Links between two ends in this process, and threads that use one of them."""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from source_planetscale.workers.link import Link, mapped, new_memory
from source_planetscale.workers.messages import Freed
from unit_tests.support.fakes import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def linked() -> Iterator[tuple[Link, Link]]:
    """The end of the connector, and the end of a worker."""
    memory = new_memory()
    one, other = socket.socketpair()
    # What does not come is an error of the test, not its end.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(DEADLINE), 0))
    with (
        Link(one, mapped(os.dup(memory)), lambda link, slot: link.send(Freed(slot))) as connector,
        Link(other, mapped(memory), lambda _link, _slot: None) as worker,
    ):
        yield connector, worker


class Task(threading.Thread):
    """Does something in a thread; keeps what came of it."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.result: object = None
        self.error: Exception | None = None
        self._do = do
        self.start()

    def run(self) -> None:
        try:
            self.result = self._do()
        except Exception as error:
            self.error = error

    def waits(self) -> bool:
        self.join(0.05)
        return self.is_alive()

    def ended(self) -> bool:
        self.join(DEADLINE)
        return not self.is_alive()
