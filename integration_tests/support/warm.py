"""Starts the command from a process that has imported it already.

What a run of the command costs is mostly the import of the CDK, seconds of work each time. A server process
imports it once and forks a process for each run; from there on it is the same code as in a fresh one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

_PRELOADED = [f"source_planetscale.{name}" for name in ("run", "sync.replication", "check")]


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


_CONTEXT = _context()


def spawn(
    arguments: Sequence[str], stdout: Path, stderr: Path, environment: Mapping[str, str] | None = None
) -> ForkServerProcess:
    """Starts the command.

    Args:
        arguments: The arguments after the program's name.
        stdout: The file or pipe for stdout, which exists.
        stderr: The file for stderr, likewise.
        environment: Variables that are added to the environment.
    """
    process = _CONTEXT.Process(
        target=_run, args=(list(arguments), str(stdout), str(stderr), dict(environment or {})), daemon=True
    )
    process.start()
    return process


class WarmProcess:
    """A run of the command, with what of `subprocess.Popen` the tests use.

    Attributes:
        stdout: What the command writes to stdout.
    """

    def __init__(self, arguments: Sequence[str], directory: Path, stderr: Path) -> None:
        """Starts the command.

        Args:
            arguments: The arguments after the program's name.
            directory: Where the pipe for stdout is made.
            stderr: The file for stderr.
        """
        pipe = directory / "stdout"
        os.mkfifo(pipe)
        self._process = spawn(arguments, pipe, stderr)
        # Waits until the command has opened the other end.
        self.stdout: TextIO = pipe.open(encoding="utf-8")

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float) -> int | None:
        """Waits for the end and returns the exit code, None if it still runs."""
        self._process.join(seconds)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        if self._process.pid is not None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kills it."""
        self._process.kill()

    def __enter__(self) -> WarmProcess:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for the end."""
        self.stdout.close()
        self._process.join()
        self._process.close()


def _run(arguments: list[str], stdout: str, stderr: str, environment: dict[str, str]) -> None:
    from source_planetscale.run import run

    os.environ.update(environment)
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY), descriptor)
    try:
        run(arguments)
    except Exception:
        # The CDK's own hook writes the error that ends the command.
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
