"""Keeps a cluster's processes: starts them on request, and ends them all with whoever asked.

A script of its own process. It reads requests from stdin, one JSON object with a command and the name
of its log a line, starts each and answers with its process number. When stdin ends, because it was
closed or because the owner died in whatever way, it kills every process below it, also those that
detached themselves, and removes the data directory.

    keeper.py DATA_DIRECTORY USER    (USER is "" for the caller's own)
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# prctl(2): orphans below this process become its children, so none gets out of sight.
PR_SET_CHILD_SUBREAPER = 36

REAP_SECONDS = 0.1


def main(data: Path, user: str) -> None:
    """Serves commands until stdin ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        serve(user or None, data)
    finally:
        kill_all()
        shutil.rmtree(data, ignore_errors=True)


def serve(user: str | None, directory: Path) -> None:
    """Starts what is asked for and collects the dead."""
    commands = sys.stdin.buffer
    while True:
        reap()
        if not select.select([commands], [], [], REAP_SECONDS)[0]:
            continue
        line = commands.readline()
        if not line:
            return
        request = json.loads(line)
        with (directory / request["log"]).open("ab") as log:
            started = subprocess.Popen(
                request["command"],
                cwd=directory,
                user=user,
                group=None if user is None else directory.stat().st_gid,
                extra_groups=None if user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        sys.stdout.write(f"{started.pid}\n")
        sys.stdout.flush()


def reap() -> bool:
    """Collects dead children.

    Returns:
        Whether any are left.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def kill_all() -> None:
    """Kills everything below this process; what a child leaves behind becomes a child itself."""
    while True:
        for child in children():
            os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children() -> list[int]:
    """The direct children that are alive or not yet collected."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            # The program's name stands in parentheses and may hold anything.
            _state, parent, *_ = status.read_text().rpartition(")")[2].split()
            if int(parent) == os.getpid():
                found.append(int(status.parent.name))
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(Path(sys.argv[1]), sys.argv[2])
