"""Runs the connector as a command and reads what it says, for tests, the demo and the bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integration_tests.support.warm import WarmProcess
from source_planetscale.vstream.cursor import Cursor

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

SECONDS = 120.0
TERMINAL = ("COMPLETE", "INCOMPLETE")
# The options of a connection that copies again what cannot be followed.
RESYNC = {"invalid_cdc_cursor_position_behavior": "Re-sync data"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What one run of the command wrote.

    Attributes:
        exit_code: The exit code; negative for a signal.
        lines: The lines of stdout.
        stderr: All of stderr.
    """

    exit_code: int
    lines: list[str]
    stderr: str = ""

    @cached_property
    def messages(self) -> list[Json]:
        """Every line of stdout, parsed; a line that is no JSON object fails the test."""
        messages = [json.loads(line) for line in self.lines]
        assert all(isinstance(message, dict) for message in messages)
        return messages

    def of_type(self, kind: str) -> list[Json]:
        """The messages of one type, in order."""
        return [message for message in self.messages if message["type"] == kind]

    def records(self, stream: str) -> list[Json]:
        """The data of a stream's records, in order."""
        return [message["data"] for message in self.record_messages(stream)]

    def record_messages(self, stream: str) -> list[Json]:
        """The `record` of a stream's record messages, in order."""
        records = (message["record"] for message in self.of_type("RECORD"))
        return [record for record in records if record["stream"] == stream]

    def states(self, stream: str) -> list[Json]:
        """The `state` of a stream's state messages, in order."""
        states = (message["state"] for message in self.of_type("STATE"))
        return [state for state in states if state["stream"]["stream_descriptor"]["name"] == stream]

    def stream_state(self, stream: str) -> Json:
        """The last `stream_state` of a stream."""
        saved: Json = self.states(stream)[-1]["stream"]["stream_state"]
        return saved

    @property
    def state(self) -> list[Json]:
        """The last state of each stream, as the platform hands it to the next run."""
        last = {
            json.dumps(message["state"]["stream"]["stream_descriptor"], sort_keys=True): message["state"]
            for message in self.of_type("STATE")
        }
        return list(last.values())

    def statuses(self, stream: str) -> list[str]:
        """The statuses of a stream, in order."""
        return [status for name, status in self.all_statuses if name == stream]

    @property
    def all_statuses(self) -> list[tuple[str, str]]:
        """Stream and status of every status trace, in order."""
        statuses = [trace["stream_status"] for trace in self._traces("STREAM_STATUS")]
        return [(status["stream_descriptor"]["name"], status["status"]) for status in statuses]

    @property
    def errors(self) -> list[Json]:
        """The `error` of every error trace, in order."""
        return [trace["error"] for trace in self._traces("ERROR")]

    def errors_of(self, stream: str) -> list[str]:
        """The messages of a stream's error traces."""
        return [
            error["message"]
            for error in self.errors
            if (error.get("stream_descriptor") or {}).get("name") == stream
        ]

    @property
    def logs(self) -> list[str]:
        """The texts of the log messages."""
        return [message["log"]["message"] for message in self.of_type("LOG")]

    @property
    def connection_status(self) -> Json:
        """The only connection status."""
        (message,) = self.of_type("CONNECTION_STATUS")
        status: Json = message["connectionStatus"]
        return status

    @property
    def output(self) -> str:
        """Everything that was written, to stdout and stderr."""
        return "\n".join([*self.lines, self.stderr])

    def without_cut_line(self) -> Run:
        """The run without its last line where that is not whole, as a killed command leaves it."""
        try:
            json.loads(self.lines[-1] if self.lines else "{}")
        except ValueError:
            return replace(self, lines=self.lines[:-1])
        return self

    def outline(self, stream: str) -> list[str]:
        """What was said of a stream, as words: statuses, RECORD and STATE, without repetitions."""
        words: list[str] = []
        for message in self.messages:
            word = _word(message, stream)
            if word and words[-1:] != [word]:
                words.append(word)
        return words

    def _traces(self, kind: str) -> Iterator[Json]:
        traces = (message["trace"] for message in self.of_type("TRACE"))
        return (trace for trace in traces if trace["type"] == kind)


def _word(message: Json, stream: str) -> str | None:
    if message["type"] == "RECORD":
        return "RECORD" if message["record"]["stream"] == stream else None
    if message["type"] == "STATE":
        descriptor = message["state"]["stream"]["stream_descriptor"]
        return "STATE" if descriptor["name"] == stream else None
    if message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
        status = message["trace"]["stream_status"]
        return str(status["status"]) if status["stream_descriptor"]["name"] == stream else None
    return None


@dataclass
class Command:
    """A running command; use it in a `with` statement, and `finish` it.

    Attributes:
        arguments: `check`, `discover` or `read`, and what follows; files are added from the next three.
        config: The content of the configuration file: JSON, or a text that is written as it is.
        catalog: The content of the catalog file, likewise.
        state: The content of the state file, likewise.
        environment: Variables that are added to the environment.
        cwd: The directory it runs in, this process's own by default; of a cold command only.
        warm: Fork it from a process that has imported it, instead of starting Python anew.
    """

    arguments: Sequence[str]
    config: object = None
    catalog: object = None
    state: object = None
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    warm: bool = False
    _lines: list[str] = field(default_factory=list, init=False)
    _stack: ExitStack = field(default_factory=ExitStack, init=False)

    def __enter__(self) -> Self:
        """Writes the files and starts the command."""
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._stderr = self._stack.enter_context((directory / "stderr").open("w+"))
        options = input_options(directory, config=self.config, catalog=self.catalog, state=self.state)
        self._process = self._start([*self.arguments, *options], directory)
        self._stack.push(self._process.__exit__)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kills the command if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._stack.close()

    def _start(self, arguments: Sequence[str], directory: Path) -> subprocess.Popen[str] | WarmProcess:
        if self.warm:
            return WarmProcess(arguments, directory, Path(self._stderr.name))
        return subprocess.Popen(
            [sys.executable, "-m", "source_planetscale", *arguments],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
            cwd=self.cwd,
            env={**os.environ, **self.environment},
        )

    def lines(self) -> Iterator[str]:
        """Reads stdout line by line, as the command writes it; what is not taken waits in the pipe."""
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.append(line.rstrip("\n"))
            yield self._lines[-1]

    def next_message(self, kind: str) -> Json:
        """Reads stdout up to the next message of a type and returns it."""
        for line in self.lines():
            message: Json = json.loads(line)
            if message["type"] == kind:
                return message
        raise AssertionError(f"the command ended before a {kind}")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def finish(self) -> Run:
        """Reads stdout to its end and waits for the exit."""
        for _ in self.lines():
            pass
        code = self._process.wait(SECONDS)
        assert code is not None, "the command has closed stdout and does not end"
        self._stderr.seek(0)
        return Run(code, self._lines, self._stderr.read())


def input_options(directory: Path, **contents: object) -> list[str]:
    """Writes the files that a command reads, and gives the options that name them.

    Args:
        directory: Where to write them.
        contents: `config`, `catalog` and `state`: JSON, or a text that is written as it is; None for no file.
    """
    options = []
    for name, content in contents.items():
        if content is not None:
            path = directory / f"{name}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
            options += [f"--{name}", str(path)]
    return options


def run(
    *arguments: str,
    config: object = None,
    catalog: object = None,
    state: object = None,
    warm: bool = True,
) -> Run:
    """Runs a command to its end; arguments as `Command`."""
    with Command(arguments, config, catalog, state, warm=warm) as command:
        return command.finish()


def configured(
    *streams: str | Mapping[str, object], namespace: str | None = None, sync_mode: str = "incremental"
) -> Json:
    """A configured catalog.

    Args:
        streams: Names of tables, or whole `stream` objects of a discovered catalog.
        namespace: The namespace of streams given by name; left out if None.
        sync_mode: The sync mode of all of them.
    """
    return {"streams": [_configured_stream(stream, namespace, sync_mode) for stream in streams]}


def _configured_stream(stream: str | Mapping[str, object], namespace: str | None, sync_mode: str) -> Json:
    if isinstance(stream, str):
        stream = {
            "name": stream,
            "json_schema": {"type": "object", "properties": {}},
            "supported_sync_modes": ["full_refresh", "incremental"],
            **({} if namespace is None else {"namespace": namespace}),
        }
    return {"stream": dict(stream), "sync_mode": sync_mode, "destination_sync_mode": "append"}


def read(
    config: Mapping[str, object],
    *streams: str | Mapping[str, object],
    state: object = None,
    sync_mode: str = "incremental",
) -> Run:
    """Reads streams of the configured database; a run that fails is returned like any other."""
    namespace = str(config["database"])
    catalog = configured(*streams, namespace=namespace, sync_mode=sync_mode)
    return run("read", config=config, catalog=catalog, state=state)


def read_well(
    config: Mapping[str, object],
    *streams: str | Mapping[str, object],
    state: object = None,
    sync_mode: str = "incremental",
) -> Run:
    """Reads streams and asserts that all of it succeeded."""
    done = read(config, *streams, state=state, sync_mode=sync_mode)
    told = [error["message"] for error in done.errors]
    assert told == [], told
    assert done.exit_code == 0
    return done


def positions(stream_state: Json, keyspace: str) -> dict[str, str]:
    """The position of each shard in a stream's state."""
    return {shard: cursor.position for shard, cursor in cursors(stream_state, keyspace).items()}


def cursors(stream_state: Json, keyspace: str) -> dict[str, Cursor]:
    """The decoded cursor of each shard in a stream's state."""
    return {
        shard: Cursor.decode(saved["cursor"], keyspace=keyspace, shard=shard)
        for shard, saved in stream_state["shards"].items()
    }
