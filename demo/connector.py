"""Runs the command `source-planetscale` and takes in what it writes, line by line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Json = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[1]
_COMMAND = "source-planetscale"


class CommandFailedError(Exception):
    """The command ended with another exit code than 0; its text is the command's own error."""


@dataclass
class Answer:
    """What a command wrote.

    Attributes:
        seconds: From start to exit, the interpreter's own start included.
        first_record: Seconds from the start to the first record, and `last_record` to the last one.
        messages: All messages but records.
        records: The `record` of each record; numbers with a decimal point are texts, so that all
            their digits stay.
        rows: Number of records per stream.
        states: Number of states per stream.
        statuses: Statuses per stream in order.
    """

    seconds: float = 0.0
    first_record: float = 0.0
    last_record: float = 0.0
    messages: list[Json] = field(default_factory=list)
    records: list[Json] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, list[str]] = field(default_factory=dict)

    @property
    def reading_seconds(self) -> float:
        """From the first record to the last one."""
        return self.last_record - self.first_record

    @property
    def state(self) -> list[Json]:
        """The last state of each stream, as the platform hands it to the next run."""
        last = {
            message["state"]["stream"]["stream_descriptor"]["name"]: message["state"]
            for message in self.messages
            if message["type"] == "STATE"
        }
        return list(last.values())

    def only(self, kind: str) -> Json:
        """The last message of a type.

        Raises:
            CommandFailedError: There is none.
        """
        found = [message for message in self.messages if message["type"] == kind]
        if not found:
            raise CommandFailedError(f"The command wrote no {kind} message.")
        return found[-1]

    def take(self, line: str, seconds: float) -> None:
        """Adds one line of the command's output, read `seconds` after its start."""
        message = json.loads(line, parse_float=str)
        if message["type"] == "RECORD":
            self.first_record = self.first_record or seconds
            self.last_record = seconds
            self.records.append(message["record"])
            self.rows[message["record"]["stream"]] += 1
            return
        message = json.loads(line)
        self.messages.append(message)
        if message["type"] == "STATE":
            self.states[message["state"]["stream"]["stream_descriptor"]["name"]] += 1
        elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            self.statuses.setdefault(status["stream_descriptor"]["name"], []).append(status["status"])


def command_line(arguments: Sequence[str]) -> list[str]:
    """The command with its arguments: the installed one, else its module."""
    installed = shutil.which(_COMMAND, path=str(Path(sys.executable).parent))
    return [installed, *arguments] if installed else [sys.executable, "-m", "source_planetscale", *arguments]


def run(
    arguments: Sequence[str],
    folder: Path,
    keep: str,
    watch: Callable[[Answer], None] = lambda _: None,
) -> Answer:
    """Runs the command in a folder.

    Args:
        arguments: As on a command line, with files of the folder.
        folder: Where it runs.
        keep: The file of the folder that gets its stdout.
        watch: Called after each line with what has come so far.

    Raises:
        CommandFailedError: It failed.
    """
    answer = Answer()
    started = time.monotonic()
    with (
        (folder / keep).open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command_line(arguments),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        for line in process.stdout or ():
            kept.write(line)
            answer.take(line, time.monotonic() - started)
            watch(answer)
    answer.seconds = time.monotonic() - started
    if process.returncode:
        raise CommandFailedError(_error_of(answer) or f"The command ended with {process.returncode}.")
    return answer


def _error_of(answer: Answer) -> str:
    traces = (message["trace"] for message in answer.messages if message["type"] == "TRACE")
    return "\n".join(str(trace["error"]["message"]) for trace in traces if trace["type"] == "ERROR")
