"""Workers that are threads of this process, and read from the same fakes."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from source_planetscale.output.socket_channel import SocketChannel
from source_planetscale.output.stdout import Stdout
from source_planetscale.records.jsonl import JsonLines
from source_planetscale.workers import crew
from source_planetscale.workers.crew import Crew
from source_planetscale.workers.process import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest
    from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalog

    from source_planetscale.follow.core import Core
    from unit_tests.support.fakes import Reading


class _Kept:
    """A fake vtgate that many tasks use: none of them closes it."""

    def __init__(self, vtgate: object) -> None:
        self._vtgate = vtgate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vtgate, name)

    def close(self) -> None:
        """Nothing to close."""


class _Thread:
    """Stands for the process of a worker."""

    pid = os.getpid()

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._control:
            Worker(self._control).run()

    @property
    def returncode(self) -> int | None:
        return None if self._thread.is_alive() else 0

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return 0


def worked(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> Reading:
    """Has workers read; gives the same reading."""

    def connections(_config: object, logger: Any, _closing: object, turn: threading.Lock) -> Any:
        def connect(_name: str) -> Core:
            core = reading.core()
            return replace(core, client=cast("Any", _Kept(core.client)), logger=logger, turn=turn)

        return connect

    def started() -> Any:
        ours, theirs = socket.socketpair()
        return crew._Worker(cast("Any", _Thread(theirs)), ours)

    monkeypatch.setattr("source_planetscale.workers.job.connections", connections)
    monkeypatch.setattr("source_planetscale.workers.crew._started", started)
    monkeypatch.setattr("source_planetscale.workers.process._SECONDS_BETWEEN_LOOKS", 0.01)
    reading.crew = Crew(JsonLines(), 2, takes_all=True)
    reading.batched = True
    return reading


class _Sockets:
    """A socket that takes everything at once."""

    def __init__(self) -> None:
        self.sent = io.BytesIO()

    def __len__(self) -> int:
        return 1

    def accept(self) -> None:
        """Nobody has to come."""

    def raise_if_lost(self) -> None:
        """Never."""

    def free(self) -> int:
        return 0

    def send(self, _number: int, data: bytes | memoryview) -> None:
        self.sent.write(data)


class Received:
    """What a destination gets of messages, over a socket.

    Attributes:
        records: The records by stream, in order.
        states: The states in order.
    """

    def __init__(self, catalog: ConfiguredAirbyteCatalog, messages: Iterable[AirbyteMessage]) -> None:
        """Sends the messages, and checks that each state covers exactly the records of its partition."""
        sockets = _Sockets()
        channel = SocketChannel(cast("Any", sockets), Stdout(io.BytesIO()), JsonLines())
        channel.open(catalog)
        for message in messages:
            channel.emit(message)
        sent = [json.loads(line) for line in sockets.sent.getvalue().splitlines()]
        self.states = [message["state"] for message in sent if message["type"] == "STATE"]
        self.records: dict[str, list[dict[str, Any]]] = {}
        self.counts: Counter[str] = Counter()
        for message in sent:
            if message["type"] == "RECORD":
                record = message["record"]
                self.counts[record["partition_id"]] += 1
                self.records.setdefault(record["stream"], []).append(record["data"])
            elif message["type"] == "STATE":
                state = message["state"]
                assert state["sourceStats"]["recordCount"] == self.counts[state["partition_id"]]

    @property
    def uncovered(self) -> set[str]:
        """The partitions that no state has ended."""
        return set(self.counts) - {state["partition_id"] for state in self.states}
