"""Airbyte's channels beside each other: stdout through a pipe, and sockets with each format."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from bench.measure import Cost, best, discarded_pipe, discarded_sockets, timed

if TYPE_CHECKING:
    from collections.abc import Mapping


class Way(NamedTuple):
    """How records leave.

    Attributes:
        serialization: The format; over a pipe it is lines.
        sockets: The number of sockets; 0 for a pipe, as stdout is.
        processes: The processes that make them, each with a share of the shards and of the sockets.
    """

    serialization: str
    sockets: int
    processes: int = 1

    def __str__(self) -> str:
        """Names it in a line of results."""
        return f"{self.sockets} socket(s), {self.serialization}" if self.sockets else "stdout, through a pipe"


PIPE, ONE_SOCKET = Way("JSONL", 0), Way("JSONL", 1)
WAYS = (
    PIPE,
    *(Way(serialization, sockets) for serialization in ("JSONL", "PROTOBUF") for sockets in (1, 2, 4)),
)


# Of a recorded stream.
SHARDS = 2


def carried(config: dict[str, object], stream: Mapping[str, object], rounds: int) -> dict[Way, Cost]:
    """What a copy takes over each channel, in turns, so that all have the same neighbours."""
    costs: dict[Way, list[Cost]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, found in costs.items():
            if not way.sockets:
                with discarded_pipe() as pipe:
                    found.append(timed(config, stream, stdout=pipe))
                continue
            with discarded_sockets(way.sockets, way.serialization) as environment:
                found.append(timed(config, stream, environment=environment))
    return {way: best(found) for way, found in costs.items()}


def replayed(way: Way, recording: str, config: str, catalog: str) -> float:
    """Seconds until a reader that throws away what it reads has two shards of a recorded stream.

    Args:
        way: How the records leave.
        recording: The file with the recorded stream of a shard.
        config: The file with the connector's configuration.
        catalog: The file with the configured catalog.
    """
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        paths = [f"{directory}/{number}.sock" for number in range(way.sockets or 1)]
        if not way.sockets:
            os.mkfifo(paths[0])
        each = len(paths) // way.processes
        writers = [
            stack.enter_context(
                _program(
                    *("shares", "write", recording, config, catalog, str(SHARDS // way.processes)),
                    *(way.serialization, *paths[number * each : (number + 1) * each]),
                )
            )
            for number in range(way.processes)
        ]
        if way.sockets:
            reader = stack.enter_context(_program("discard", *paths))
        else:
            reader = stack.enter_context(
                _program("discard", "-", stdin=stack.enter_context(Path(paths[0]).open("rb")))
            )
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        started = time.monotonic()
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"\n")
            writer.stdin.flush()
        reader.wait()
        return time.monotonic() - started


def _program(name: str, *arguments: str, stdin: IO[bytes] | int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"bench.{name}", *arguments], stdin=stdin, stdout=subprocess.PIPE
    )
