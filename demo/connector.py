"""Runs the command `source-planetscale` for the demo: what it writes, and when."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from integration_tests.support.command import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.support.command import Json, Run

_ROOT = Path(__file__).resolve().parents[1]


class CommandFailedError(Exception):
    """The command ended with another exit code than 0; its text is the command's own error."""


@dataclass(frozen=True)
class Answer:
    """What a command wrote.

    Attributes:
        run: All of it.
        seconds: From start to exit, the interpreter's own start included.
        reading_seconds: From the first record to the last one.
    """

    run: Run
    seconds: float
    reading_seconds: float = 0.0

    @cached_property
    def records(self) -> list[Json]:
        """The `record` of each record, in order."""
        return [message["record"] for message in self.run.of_type("RECORD")]

    @cached_property
    def rows(self) -> Counter[str]:
        """Number of records per stream."""
        return Counter(record["stream"] for record in self.records)

    @cached_property
    def states(self) -> Counter[str]:
        """Number of states per stream."""
        states = (message["state"]["stream"]["stream_descriptor"] for message in self.run.of_type("STATE"))
        return Counter(descriptor["name"] for descriptor in states)

    @cached_property
    def statuses(self) -> dict[str, list[str]]:
        """Statuses per stream in order."""
        return {name: self.run.statuses(name) for name, _ in self.run.all_statuses}

    def only(self, kind: str) -> Json:
        """The last message of a type.

        Raises:
            CommandFailedError: There is none.
        """
        found = self.run.of_type(kind)
        if not found:
            raise CommandFailedError(f"The command wrote no {kind} message.")
        return found[-1]


def run(
    arguments: Sequence[str],
    folder: Path,
    keep: str,
    watch: Callable[[int], None] = lambda _: None,
) -> Answer:
    """Runs the command in a folder.

    Args:
        arguments: As on a command line, with files of the folder.
        folder: Where it runs.
        keep: The file of the folder that gets its stdout.
        watch: Called after each line with the number of records that have come so far.

    Raises:
        CommandFailedError: It failed.
    """
    records, first, last = 0, 0.0, 0.0
    started = time.monotonic()
    with (
        (folder / keep).open("w", encoding="utf-8") as kept,
        Command(arguments, cwd=folder, environment={"PYTHONPATH": str(_ROOT)}) as command,
    ):
        for line in command.lines():
            kept.write(line + "\n")
            if json.loads(line)["type"] == "RECORD":
                records += 1
                last = time.monotonic()
                first = first or last
            watch(records)
        done = command.finish()
    seconds = time.monotonic() - started
    if done.exit_code:
        sentences = "\n".join(error["message"] for error in done.errors)
        raise CommandFailedError(sentences or f"The command ended with {done.exit_code}.")
    return Answer(done, seconds, last - first)
