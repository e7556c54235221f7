"""A worker: `python -m source_planetscale.workers.process FD` does the tasks that come over a socket."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from source_planetscale.heap import share_one_heap
from source_planetscale.workers.job import Job
from source_planetscale.workers.link import Link, mapped
from source_planetscale.workers.messages import SIGNALS, Freed

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS_BETWEEN_LOOKS = 0.5
# The socket of a task, and the memory that it shares.
_DESCRIPTORS = 2


class Worker:
    """Takes tasks until the connector ends."""

    def __init__(self, control: socket.socket) -> None:
        """Takes the socket over which tasks come."""
        self._control = control
        self._turn = threading.Lock()
        self._jobs: list[Job] = []

    def run(self) -> None:
        """Looks after the tasks; returns when the connector has closed its end."""
        looked_at = time.monotonic()
        while True:
            for job in self._events(_SECONDS_BETWEEN_LOOKS):
                if job is not None:
                    job.close()
                elif not self._take_task():
                    return
            self._jobs = [job for job in self._jobs if job.running]
            now = time.monotonic()
            if now - looked_at >= _SECONDS_BETWEEN_LOOKS:
                looked_at = now
                for job in self._jobs:
                    job.look_after()

    def _events(self, seconds: float) -> list[Job | None]:
        """Waits; gives the tasks whose other end has hung up, and None if there is a new one."""
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        # By descriptor as it is now: one that a task has closed meanwhile may be another task's soon.
        sources: dict[int, Job | None] = {self._control.fileno(): None}
        for job in self._jobs:
            descriptor = job.link.fileno()
            if descriptor >= 0 and not job.closing:
                # A hang-up is always told; what comes is for the task itself.
                poller.register(descriptor, 0)
                sources[descriptor] = job
        return [sources[descriptor] for descriptor, _ in poller.poll(seconds * 1000)]

    def _take_task(self) -> bool:
        """Begins a task, or stops all of them; gives False if the connector is gone."""
        message, descriptors, _, _ = socket.recv_fds(self._control, 1, _DESCRIPTORS)
        if not message:
            return False
        if not descriptors:
            for job in self._jobs:
                job.close()
            return True
        # Where descriptors or threads have run out, the link that ends has the connector read by itself.
        with suppress(OSError):
            link = _link(descriptors)
            job = Job(link, self._turn)
            try:
                job.start()
            except RuntimeError:
                link.close()
            else:
                self._jobs.append(job)
        return True


def _link(descriptors: Sequence[int]) -> Link:
    if len(descriptors) != _DESCRIPTORS:
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    end, memory = descriptors
    own = socket.socket(fileno=end)
    try:
        return Link(own, mapped(memory), _free)
    except OSError:
        own.close()
        raise


def _free(link: Link, slot: int) -> None:
    link.send(Freed(slot))


def main() -> None:
    """Works until the connector is gone, however that has come."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    share_one_heap()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        Worker(control).run()
    # Threads may be waiting for servers.
    os._exit(0)


if __name__ == "__main__":
    main()
