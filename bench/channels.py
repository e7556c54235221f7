"""Airbyte's channels beside each other: stdout through a pipe, and sockets with each format."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.measure import Cost, best, discarded_pipe, discarded_sockets, read, timed
from source_planetscale.workers.crew import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Way(NamedTuple):
    """How records leave.

    Attributes:
        serialization: The format; over a pipe it is lines.
        sockets: The number of sockets; 0 for a pipe, as stdout is.
        processes: The workers that lay them out; 0 for the process itself.
    """

    serialization: str
    sockets: int
    processes: int = 0

    def __str__(self) -> str:
        """Names it in a line of results."""
        return f"{self.sockets} socket(s), {self.serialization}" if self.sockets else "stdout, through a pipe"


PIPE, ONE_SOCKET = Way("JSONL", 0), Way("JSONL", 1)
WAYS = (
    PIPE,
    *(Way(serialization, sockets) for serialization in ("JSONL", "PROTOBUF") for sockets in (1, 2, 4)),
)


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


def replayed(
    way: Way, recording: str, config: dict[str, object], streams: Sequence[Mapping[str, object]]
) -> Cost:
    """What a read of a recorded stream takes.

    Args:
        way: How the records leave.
        recording: The file with the stream.
        config: The connector's configuration.
        streams: The streams, as the catalog has them.
    """
    module = ("bench.replayed", recording, "read")
    if not way.sockets:
        with discarded_pipe() as pipe:
            return read(config, *streams, module=module, keep_own=True, stdout=pipe)
    with discarded_sockets(way.sockets, way.serialization) as environment:
        environment[PROCESSES] = str(way.processes)
        return read(config, *streams, module=module, keep_own=True, environment=environment)
