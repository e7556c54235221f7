"""The processes and ports of a cluster."""

from __future__ import annotations

import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from integration_tests.vitess import keeper
from integration_tests.vitess.prerequisites import MissingPrerequisiteError, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Below the range that Linux hands out for outgoing connections.
PORTS = range(20000, 32000)

# Servers that are described one after the other are started later.
_given: set[int] = set()

STOP_SECONDS = 60.0
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 15


class ClusterError(Exception):
    """The cluster does not do what it was told; the message has the end of its log."""


def ordinary_user() -> str:
    """The user that the servers run as, which all refuse to be root: nothing where we are not."""
    if os.geteuid():
        return ""
    try:
        return pwd.getpwnam("nobody").pw_name
    except KeyError:
        raise MissingPrerequisiteError(
            "MySQL and Vitess refuse to run as root, and this machine has no user nobody."
        ) from None


def private_directory() -> Path:
    """A new temporary directory that belongs to the servers' user."""
    user = ordinary_user()
    # Root's own temporary directory may be closed to other users.
    parent = "/tmp" if user else None  # noqa: S108 (mkdtemp makes a private directory in it)
    directory = Path(tempfile.mkdtemp(prefix="vitess-", dir=parent))
    if user:
        shutil.chown(directory, user, pwd.getpwnam(user).pw_gid)
    return directory


def free_ports(count: int) -> int:
    """Finds consecutive free TCP ports on all addresses, none of which was given out before.

    Returns:
        The first of them.
    """
    for first in random.sample(PORTS, len(PORTS)):
        if not _given.isdisjoint(range(first, first + count)):
            continue
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.create_server(("", port)))
            except OSError:
                continue
            _given.update(range(first, first + count))
            return first
    raise ClusterError("No free ports.")


def accepts(path: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def listens(host: str, port: int) -> bool:
    """Whether somebody listens on a TCP port."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Polls until `condition` holds.

    Raises:
        ClusterError: It did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"Waited {seconds:g} s in vain until {what}.")
        time.sleep(POLL_SECONDS)


class Processes:
    """Runs commands under a keeper, which ends them when this process ends in whatever way.

    Attributes:
        directory: A temporary directory of the commands' user; it goes with them.
        environment: The commands' environment.
    """

    def __init__(self, environment: Mapping[str, str], directory: Path | None = None) -> None:
        """Starts the keeper.

        Args:
            environment: Environment variables on top of our own.
            directory: A private directory; a new one by default.
        """
        self.directory = directory or private_directory()
        self.environment = {**os.environ, "HOME": str(self.directory), **environment}
        self._lock = threading.Lock()
        self._keeper = subprocess.Popen(
            [sys.executable, keeper.__file__, str(self.directory), ordinary_user()],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches the owner only, who then stops the keeper in order.
            start_new_session=True,
        )

    def start(self, command: Sequence[str], log: str = "cluster") -> int:
        """Starts a command in the background; safe to call from several threads.

        Args:
            command: The program and its arguments.
            log: The name of the file, without `.log`, that gets what it writes.

        Returns:
            Its process number.
        """
        if not self._keeper.stdin or not self._keeper.stdout:
            raise AssertionError("the keeper was started with pipes")
        with self._lock:
            self._keeper.stdin.write(json.dumps({"command": list(command), "log": f"{log}.log"}) + "\n")
            self._keeper.stdin.flush()
            answer = self._keeper.stdout.readline()
        if not answer:
            raise ClusterError(f"{command[0]} cannot be started.")
        return int(answer)

    def run(self, command: Sequence[str]) -> None:
        """Runs a command to its end, as the servers' user and in their directory.

        Raises:
            ClusterError: It failed.
        """
        try:
            run(
                command,
                "The cluster cannot be made",
                cwd=self.directory,
                env=self.environment,
                user=ordinary_user(),
            )
        except MissingPrerequisiteError as error:
            raise ClusterError(str(error)) from None

    def kill(self, pid: int, how: signal.Signals = signal.SIGKILL) -> None:
        """Kills a process, or asks it to end with a signal of its own, and waits until it is gone."""
        os.kill(pid, how)
        wait_until(lambda: not alive(pid), f"process {pid} is gone", STOP_SECONDS)

    def log_tail(self, log: str = "*") -> str:
        """The end of what the commands with a log wrote; by default that of all, and of what MySQL logged."""
        mysqld_logs = self.directory.glob("vt_*/error.log") if log == "*" else ()
        logs = [*self.directory.glob(f"{log}.log"), *mysqld_logs]
        tails = [log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:] for log in logs]
        return "\n".join(line for tail in tails for line in tail)

    def stop(self) -> None:
        """Ends all processes and removes the directory; safe to call twice."""
        # Closes the pipes: the keeper takes the end of its input as the order to end.
        self._keeper.communicate(timeout=STOP_SECONDS)


def alive(pid: int) -> bool:
    """Whether a process exists."""
    return Path(f"/proc/{pid}").exists()


def command_line(pid: int) -> list[str]:
    """The arguments that a process was started with."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
