"""A server of a cluster that can be started, stopped and killed on its own."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from integration_tests.vitess.processes import ClusterError, Processes, alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START_SECONDS = 90.0


class Server:
    """One process under a fixed name, which also names its log.

    Attributes:
        name: The name.
        flags: Flags on top of its own, for the next start.
    """

    def __init__(
        self,
        processes: Processes,
        name: str,
        command: Sequence[str],
        ready: Callable[[], bool],
        flags: Sequence[str] = (),
    ) -> None:
        """Describes the server without starting it.

        Args:
            processes: Where it runs.
            name: Its name.
            command: The program and its arguments.
            ready: Whether it does its work already.
            flags: Flags on top of those.
        """
        self.name = name
        self.flags = list(flags)
        self._processes = processes
        self._command = command
        self._ready = ready
        self._pid = 0

    @property
    def running(self) -> bool:
        """Whether its process exists."""
        return bool(self._pid) and alive(self._pid)

    def start(self) -> None:
        """Starts it where it does not run, and waits until it works.

        Raises:
            ClusterError: It ended by itself, or does not work.
        """
        if not self.running:
            self._pid = self._processes.start([*self._command, *self.flags], self.name)
        wait_until(self._works, f"{self.name} works", START_SECONDS)

    def stop(self) -> None:
        """Asks it to end, and waits until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kills it without warning."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stops its clock: it holds its connections and answers none, until `thaw` or `kill`."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.running:
            with suppress(ProcessLookupError):
                self._processes.kill(self._pid, how)

    def _works(self) -> bool:
        if not self.running:
            # MySQL writes to a log of its own.
            told = self._processes.log_tail(self.name) or self._processes.log_tail()
            raise ClusterError(f"{self.name} ended by itself:\n{told}")
        return self._ready()
