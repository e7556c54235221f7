"""Runs `read` with a destination at its sockets."""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integration_tests.support.command import SECONDS, Run
from integration_tests.support.socket_destination import Destination
from integration_tests.support.warm import spawn
from source_planetscale.workers.crew import PROCESSES

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from integration_tests.support.command import Json


class SocketRead:
    """A running `read` and its destination; use it in a `with` statement, and `finish` it.

    Attributes:
        destination: What reads the sockets.
        paths: The sockets.
    """

    def __init__(
        self,
        config: Mapping[str, object],
        catalog: Json,
        *,
        state: object = None,
        sockets: int = 2,
        serialization: str = "JSONL",
        piped: bool = False,
        **destination: Any,
    ) -> None:
        """Describes the read.

        Args:
            config: The configuration.
            catalog: The configured catalog.
            state: The saved state, if any.
            sockets: How many sockets there are.
            serialization: JSONL or PROTOBUF.
            piped: Write stdout into a pipe, which a test can close, instead of a file.
            **destination: What else `Destination` takes.
        """
        self._contents = {"config": config, "catalog": catalog, "state": state}
        self._catalog = catalog
        self._sockets = sockets
        self._serialization = serialization
        self._piped = piped
        self._options = destination
        self._stack = ExitStack()
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        """Starts both."""
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        arguments = ["read"]
        for name, content in self._contents.items():
            if content is not None:
                path = directory / f"{name}.json"
                path.write_text(json.dumps(content))
                arguments += [f"--{name}", str(path)]
        self.paths = [directory / f"{number}.sock" for number in range(self._sockets)]
        self._out, self._err = directory / "stdout", directory / "stderr"
        self._out.touch()
        self._err.touch()
        known = None if self._piped else self._out
        self.destination = Destination(
            self.paths, self._catalog, self._serialization, stdout=known, **self._options
        )
        environment = {
            "DATA_CHANNEL_MEDIUM": "SOCKET",
            "DATA_CHANNEL_FORMAT": self._serialization,
            "DATA_CHANNEL_SOCKET_PATHS": ",".join(map(str, self.paths)),
        }
        if PROCESSES in os.environ:
            # The command is forked from a process that has the environment of its own start.
            environment[PROCESSES] = os.environ[PROCESSES]
        out = self._out
        if self._piped:
            out = directory / "pipe"
            os.mkfifo(out)
        self._process = spawn(arguments, out, self._err, environment)
        self._pipe = os.open(out, os.O_RDONLY) if self._piped else None
        self._drain = threading.Thread(target=self._keep, daemon=True)
        self._drain.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kills the command if it still runs."""
        self._process.kill()
        self._process.join()
        self.destination.close()
        self._stack.close()

    def close_stdout(self) -> None:
        """Stops reading stdout."""
        self._closing.set()

    def _keep(self) -> None:
        """Keeps what comes through the pipe until it is to be closed."""
        if self._pipe is None:
            return
        with self._out.open("ab", buffering=0) as out, os.fdopen(self._pipe, "rb", buffering=0) as pipe:
            while not self._closing.is_set() and (data := pipe.read(1 << 12)):
                out.write(data)

    @property
    def said(self) -> str:
        """What the command has written to stdout so far."""
        return self._out.read_text()

    @property
    def workers(self) -> list[int]:
        """The processes that read shards, as the log tells them, in the order of their tasks."""
        return [int(number) for number in re.findall(r"in process (\d+)\.", self.said)]

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self) -> int:
        """Waits for the end of the command; gives its exit code."""
        self._process.join(SECONDS)
        assert self._process.exitcode is not None, "the command does not end"
        return self._process.exitcode

    def finish(self) -> Run:
        """Waits for the end of both; gives what the command wrote to stdout."""
        code = self.wait()
        self.destination.join()
        return Run(code, self.said.splitlines(), self._err.read_text())


def read_over_sockets(config: Mapping[str, object], catalog: Json, **options: Any) -> tuple[Run, Destination]:
    """Reads to the end and asserts that the destination could take everything.

    Returns:
        What the command wrote to stdout, and the destination.
    """
    with SocketRead(config, catalog, **options) as reading:
        done = reading.finish()
        destination = reading.destination
    assert destination.problems == []
    assert all(received.ended for received in destination.sockets)
    assert done.of_type("RECORD") == []
    assert not any(path.exists() for path in reading.paths)
    stated = [message["state"] for message in done.of_type("STATE")]
    assert sorted(stated, key=_place) == sorted(destination.states, key=_place)
    assert destination.confirmed == destination.states
    completed = [name for name, status in done.all_statuses if status == "COMPLETE"]
    assert sorted(completed) == sorted(name for _, name in destination.completes)
    assert (done.exit_code == 0) == destination.finalizes
    return done, destination


def _place(state: Json) -> tuple[str, int]:
    return str(state["stream"]["stream_descriptor"]), state["id"]
