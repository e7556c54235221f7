"""The workers of one sync: started when they are needed, ended with the sync."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from source_planetscale.errors import ConfigError
from source_planetscale.workers.link import Link, LinkClosedError, mapped, new_memory
from source_planetscale.workers.messages import SIGNALS, Freed
from source_planetscale.workers.processors import usable_cores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from source_planetscale.records.layout import Format

WORKER: Final = ("source_planetscale.workers.process",)
PROCESSES: Final = "SOURCE_PLANETSCALE_PROCESSES"
_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
# Each takes memory, and few destinations take more rows than so many make.
_MOST_WORKERS = 4
_MOST_DIGITS = 3
_END_SECONDS = 5.0
# A process that ends closes its sockets a moment before.
_EXIT_SECONDS = 2.0


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    control: socket.socket
    links: list[Link] = field(default_factory=list)

    @property
    def load(self) -> int:
        self.links = [link for link in self.links if not link.closed]
        return len(self.links)


@dataclass(frozen=True)
class Engagement:
    """A task of a worker.

    Attributes:
        link: The link to it.
        name: What sets the task apart from all others of the sync.
    """

    link: Link
    name: str
    _process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process of the worker."""
        return self._process.pid

    def end(self) -> str:
        """Says what has become of the worker, after its link was found closed."""
        try:
            code = self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "has left it"
        return f"has ended by signal {-code}" if code < 0 else f"has ended with exit code {code}"


class Crew:
    """Processes that read shards; nothing is started before it is needed.

    Attributes:
        form: The format of the records that they lay out.
        takes_all: Whether every task is theirs; otherwise those with many rows.
    """

    def __init__(self, form: Format, processes: int, *, takes_all: bool = False) -> None:
        """Takes the format, and how many processes there may be."""
        self.form = form
        self.takes_all = takes_all
        self._processes = processes
        self._workers: list[_Worker] = []
        self._tasks = 0
        self._closed = False
        self._lock = threading.Lock()

    def engage(self) -> Engagement | None:
        """Gives a task to the worker that has fewest; its order has to be sent first.

        Returns:
            The engagement, or None if no worker can be had.
        """
        with self._lock:
            try:
                worker = None if self._closed else self._worker()
                if worker is None:
                    return None
                link = _handed_over(worker)
            except OSError:
                return None
            worker.links.append(link)
            self._tasks += 1
            return Engagement(link, f"w{self._tasks}", worker.process)

    def stop(self) -> None:
        """Has all tasks cover what they have read, and end."""
        with self._lock:
            for worker in self._workers:
                with suppress(OSError):
                    worker.control.send(b"\0")

    def close(self) -> None:
        """Ends all workers, whatever they do."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.control.close()
            deadline = time.monotonic() + _END_SECONDS
            for worker in self._workers:
                try:
                    worker.process.wait(max(deadline - time.monotonic(), 0.0))
                except subprocess.TimeoutExpired:
                    worker.process.kill()
                    worker.process.wait()
            self._workers.clear()

    def _worker(self) -> _Worker | None:
        for worker in self._workers:
            if worker.process.poll() is not None:
                worker.control.close()
        self._workers = [worker for worker in self._workers if worker.process.returncode is None]
        if all(worker.load for worker in self._workers) and len(self._workers) < self._processes:
            self._workers.append(_started())
            return self._workers[-1]
        return min(self._workers, key=lambda worker: worker.load, default=None)


def crew_of(environment: Mapping[str, str], form: Format | None) -> Crew | None:
    """Makes the crew of a sync.

    Args:
        environment: The environment variables; one of them sets the number of processes.
        form: The format of records that leave by sockets; None for stdout, which one core can fill.

    Returns:
        The crew; None if one process does everything.

    Raises:
        ConfigError: The number is none.
    """
    if form is None or not hasattr(os, "memfd_create"):
        return None
    asked = environment.get(PROCESSES, "").strip()
    if asked and not (asked.isdecimal() and len(asked) <= _MOST_DIGITS):
        raise ConfigError(f"{PROCESSES} is '{asked}', where a number of processes is needed.")
    if asked:
        return Crew(form, int(asked), takes_all=True) if int(asked) else None
    cores = usable_cores()
    return Crew(form, min(cores, _MOST_WORKERS)) if cores > 1 else None


def _started() -> _Worker:
    ours, theirs = socket.socketpair()
    # A worker inherits the mask, and takes it off when it is ready to ignore signals.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process = subprocess.Popen(  # noqa: S603 - of this program
            # It runs what this process runs, wherever that was found, and nothing of the current folder.
            [sys.executable, "-I", "-c", _START, json.dumps(sys.path), *WORKER, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            # What a terminal sends to a group is for the connector, which ends its workers.
            start_new_session=True,
        )
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
    return _Worker(process, ours)


def _handed_over(worker: _Worker) -> Link:
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            memory = new_memory()
            try:
                socket.send_fds(worker.control, [b"\0"], [theirs.fileno(), memory])
            except OSError:
                os.close(memory)
                raise
        return Link(ours, mapped(memory), _free)
    except OSError:
        ours.close()
        raise


def _free(link: Link, slot: int) -> None:
    with suppress(LinkClosedError):
        link.send(Freed(slot))
