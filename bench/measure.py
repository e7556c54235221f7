"""Runs commands and tells what they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from integration_tests.support.command import configured, input_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_CHUNK = 1 << 20
# Linux counts the peak of a process in kilobytes, see getrusage(2).
_RSS_UNIT = 1024


@dataclass(frozen=True)
class Cost:
    """What one command took.

    Attributes:
        seconds: Wall time.
        cpu: CPU seconds, user and system.
        peak_mb: The most memory that it held at once, in MB of 10^6 bytes.
        output: What it wrote to stdout, if that was kept.
        own: What the program said of itself in the last line of stderr, if that was asked for.
    """

    seconds: float
    cpu: float
    peak_mb: float
    output: str = ""
    own: dict[str, float] = field(default_factory=dict)


def best(costs: Iterable[Cost]) -> Cost:
    """The least of each figure, which neighbours on the machine disturb least; of peaks the greatest."""
    costs = list(costs)
    return Cost(
        min(cost.seconds for cost in costs),
        min(cost.cpu for cost in costs),
        max(cost.peak_mb for cost in costs),
        own={key: min(cost.own[key] for cost in costs) for key in costs[0].own},
    )


def run_python(
    *arguments: str,
    keep_output: bool = False,
    keep_own: bool = False,
    bytes_per_second: int | None = None,
    stdout: int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """Runs Python with arguments.

    Args:
        arguments: What follows `python`.
        keep_output: Return what it writes instead of dropping it.
        keep_own: Return the last line of stderr, which is a JSON object.
        bytes_per_second: How fast stdout is read; None to leave it to `stdout`.
        stdout: The descriptor for stdout where neither is asked for.
        environment: Variables that are added to the environment.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    piped = keep_output or bytes_per_second is not None
    command = [sys.executable, *arguments]
    with tempfile.TemporaryFile() as stderr:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE if piped else stdout,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
        )
        output = _read(process.stdout, bytes_per_second) if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        errors = stderr.read()
    if process.returncode:
        sys.stderr.buffer.write(errors)
        raise subprocess.CalledProcessError(process.returncode, command)
    own = json.loads(errors.splitlines()[-1]) if keep_own else {}
    peak = usage.ru_maxrss * _RSS_UNIT / 1e6
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak, output.decode(), own)


def _read(stdout: IO[bytes], bytes_per_second: int | None) -> bytes:
    with stdout:
        if bytes_per_second is None:
            return stdout.read()
        while chunk := stdout.read(_CHUNK):
            time.sleep(len(chunk) / bytes_per_second)
        return b""


def files(
    directory: str,
    config: dict[str, object],
    tables: Sequence[str | Mapping[str, object]],
    state: object = None,
) -> list[str]:
    """Writes the files of a read, and gives the options that name them."""
    catalog = configured(*tables, namespace=str(config["database"]))
    return input_options(Path(directory), config=config, catalog=catalog, state=state)


def read(
    config: dict[str, object],
    *tables: str | Mapping[str, object],
    state: object = None,
    module: Sequence[str] = ("source_planetscale", "read"),
    **options: Any,
) -> Cost:
    """Reads tables with the command, or with another module that takes the same options."""
    with tempfile.TemporaryDirectory() as directory:
        return run_python("-m", *module, *files(directory, config, tables, state), **options)


def discovered(config: dict[str, object], table: str) -> Mapping[str, Any]:
    """The stream of a table as the catalog has it."""
    with tempfile.TemporaryDirectory() as directory:
        options = files(directory, config, [table])[:2]
        output = run_python("-m", "source_planetscale", "discover", *options, keep_output=True).output
    catalog = next(
        message for message in map(json.loads, output.splitlines()) if message["type"] == "CATALOG"
    )
    streams: list[dict[str, Any]] = catalog["catalog"]["streams"]
    return next(stream for stream in streams if stream["name"] == table)


@contextmanager
def discarded_sockets(count: int, serialization: str) -> Iterator[dict[str, str]]:
    """Sockets whose clients throw away what they read; gives the variables that name them."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [f"{directory}/{number}.sock" for number in range(count)]
        with subprocess.Popen([sys.executable, "-m", "bench.discard", *paths]):
            yield {
                "DATA_CHANNEL_MEDIUM": "SOCKET",
                "DATA_CHANNEL_FORMAT": serialization,
                "DATA_CHANNEL_SOCKET_PATHS": ",".join(paths),
            }


@contextmanager
def discarded_pipe() -> Iterator[int]:
    """The writing end of a pipe whose reader throws away what it reads."""
    reading, writing = os.pipe()
    with subprocess.Popen([sys.executable, "-m", "bench.discard", "-"], stdin=reading):
        os.close(reading)
        try:
            yield writing
        finally:
            os.close(writing)


def timed(
    config: dict[str, object], *tables: str | Mapping[str, object], state: object = None, **options: Any
) -> Cost:
    """Reads tables and has the program tell of itself."""
    return read(config, *tables, state=state, module=("bench.timed", "read"), keep_own=True, **options)


def floor_of(config: dict[str, object], table: str, state: object = None) -> Cost:
    """The floor's own seconds and CPU; in place of the peak the megabytes received."""
    found = json.loads(read(config, table, state=state, module=("bench.floor",), keep_output=True).output)
    return Cost(found["seconds"], found["cpu"], found["bytes"] / 1e6)
