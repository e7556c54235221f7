"""A destination that reads sockets, as strict as Airbyte's: what one could not take ends it.

What it counts is what Airbyte's StateStore, StateHistogramStore and StreamCompletionTracker count.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from integration_tests.support.messages import BadMessageError, Messages, reader_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from integration_tests.support.command import Json

SECONDS = 60.0
_POLL_SECONDS = 0.01
_LARGEST_ID = (1 << 31) - 1

StreamKey = tuple[str | None, str]


@dataclass
class Received:
    """What came over one socket.

    Attributes:
        records: The records in order.
        states: The states in order.
        completes: The streams of the COMPLETEs in order.
        ended: Whether the source closed the socket.
    """

    records: list[Json] = field(default_factory=list)
    states: list[Json] = field(default_factory=list)
    completes: list[StreamKey] = field(default_factory=list)
    ended: bool = False


class Destination:
    """Connects to every socket and reads each in a thread of its own.

    Attributes:
        sockets: What came, by socket.
        problems: What it could not take.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        catalog: Json,
        serialization: str = "JSONL",
        *,
        stdout: Path | None = None,
        connects: threading.Event | None = None,
        reads: threading.Event | None = None,
        chunk: int = 1 << 16,
        hangs_up_after: Mapping[int, int] | None = None,
    ) -> None:
        """Starts it.

        Args:
            paths: The sockets, in the order in which it connects.
            catalog: The configured catalog.
            serialization: JSONL or PROTOBUF.
            stdout: What the source writes to stdout; each state has to be there first.
            connects: It does not connect before this is set.
            reads: It does not read before this is set.
            chunk: How many bytes it reads at once.
            hangs_up_after: By number of socket, after how many bytes it closes it.
        """
        self.sockets = [Received() for _ in paths]
        self.problems: list[str] = []
        self._paths = paths
        self._streams = {
            (configured["stream"].get("namespace"), configured["stream"]["name"]): configured["stream"]
            for configured in catalog["streams"]
        }
        self._messages: list[Messages] = [reader_of(serialization, self._streams) for _ in paths]
        self._stdout = stdout
        self._connects = connects or _set()
        self._reads = reads or _set()
        self._chunk = chunk
        self._hangs_up_after = hangs_up_after or {}
        self._lock = threading.Lock()
        self._clients: list[socket.socket] = []
        self._gone = threading.Event()
        self._readers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._connect, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits until each socket has ended, and judges what can only be judged then."""
        self._thread.join(SECONDS)
        for reader in self._readers:
            reader.join(SECONDS)
            assert not reader.is_alive(), "a socket is still open"
        self._judge()

    def close(self) -> None:
        """Hangs up."""
        self._gone.set()
        for client in self._clients:
            # It may be closed already.
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    @property
    def records(self) -> list[Json]:
        """All records; those of one socket are in order."""
        return [record for received in self.sockets for record in received.records]

    def data(self, stream: str) -> list[Json]:
        """The data of a stream's records."""
        return [record["data"] for record in self.records if record["stream"] == stream]

    @property
    def states(self) -> list[Json]:
        """All states: the streams in the order of the catalog, each in the order of its ids."""
        states = [state for received in self.sockets for state in received.states]
        order = list(self._streams)
        return sorted(states, key=lambda state: (order.index(_stream_of(state)), state["id"]))

    @property
    def completes(self) -> list[StreamKey]:
        """The streams of all COMPLETEs."""
        return [stream for received in self.sockets for stream in received.completes]

    @property
    def confirmed(self) -> list[Json]:
        """The states that it gives back: by id and without gaps, each with exactly its records."""
        counts = Counter(record["partition_id"] for record in self.records)
        confirmed: list[Json] = []
        for stream in self._streams:
            states = [state for state in self.states if _stream_of(state) == stream]
            for expected, state in enumerate(states, 1):
                if state["id"] != expected or counts[state["partition_id"]] != _count(state):
                    break
                confirmed.append(state)
        return confirmed

    @property
    def finalizes(self) -> bool:
        """Whether it would swap in, truncate and deduplicate."""
        return len(self.completes) == len(self._streams)

    def _connect(self) -> None:
        try:
            self._connects.wait(SECONDS)
            for number, path in enumerate(self._paths):
                deadline = time.monotonic() + SECONDS
                while not path.exists() and not self._gone.is_set() and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    client.connect(str(path))
                except OSError:
                    client.close()
                    raise
                self._clients.append(client)
                reader = threading.Thread(target=self._read, args=(number, client), daemon=True)
                self._readers.append(reader)
                reader.start()
        except OSError as error:
            self._fail(f"cannot connect: {error}")

    def _read(self, number: int, client: socket.socket) -> None:
        self._reads.wait(SECONDS)
        limit = self._hangs_up_after.get(number)
        messages = self._messages[number]
        read = 0
        with client:
            try:
                while data := client.recv(self._chunk):
                    read += len(data)
                    for message in messages.feed(data):
                        self._take(self.sockets[number], message)
                    if limit is not None and read >= limit:
                        return
                messages.end()
                self.sockets[number].ended = True
            except BadMessageError as error:
                self._fail(f"socket {number}: {error}")
            except OSError:
                return

    def _fail(self, problem: str) -> None:
        self.problems.append(problem)
        self.close()

    def _take(self, received: Received, message: Json) -> None:
        kind = message["type"]
        if kind == "RECORD":
            self._take_record(received, message["record"])
        elif kind == "STATE":
            self._take_state(received, message)
        elif kind == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            if status["status"] == "INCOMPLETE":
                raise BadMessageError("INCOMPLETE is a config error here")
            if status["status"] == "COMPLETE":
                received.completes.append(self._known(status["stream_descriptor"]))
        else:
            raise BadMessageError(f"a message of type {kind} is dropped unseen")

    def _take_record(self, received: Received, record: Json) -> None:
        stream = self._known({"name": record["stream"], **_namespace(record)})
        _check(isinstance(record["data"], dict), "data is no object")
        _check(type(record["emitted_at"]) is int, "emitted_at is no integer")
        _check(bool(record["partition_id"]) and type(record["partition_id"]) is str, "no partition")
        declared = self._streams[stream]["json_schema"]["properties"]
        unknown = set(record["data"]) - set(declared)
        _check(not declared or not unknown, f"columns that the user did not select: {unknown}")
        _check(stream not in received.completes, "a record after COMPLETE")
        received.records.append(record)

    def _take_state(self, received: Received, message: Json) -> None:
        state = message["state"]
        _check(state["type"] == "STREAM", "a state that is not of a stream")
        stream = self._known(state["stream"]["stream_descriptor"])
        _check(type(state["id"]) is int and 0 < state["id"] <= _LARGEST_ID, "an id that is none")
        _check(type(state["partition_id"]) is str and bool(state["partition_id"]), "no partition")
        _check(_count(state) is not None, "no recordCount")
        _check(stream not in received.completes, "a state after COMPLETE")
        if self._stdout is not None:
            # The next state may be in the middle of being written.
            written, _, _ = self._stdout.read_text().rpartition("\n")
            known = [json.loads(line) for line in written.splitlines() if "STATE" in line]
            _check(message in known, "the platform does not know this state")
        received.states.append(state)

    def _known(self, descriptor: Json) -> StreamKey:
        key = descriptor.get("namespace"), descriptor["name"]
        _check(key in self._streams, f"an unknown stream: {descriptor}")
        _check("namespace" not in descriptor or descriptor["namespace"] is not None, "a namespace null")
        return key

    def _judge(self) -> None:
        """Judges what no single socket can see."""
        for stream, times in Counter(self.completes).items():
            if times > 1:
                self.problems.append(f"{times} times COMPLETE of {stream}")
        owners: dict[str, StreamKey] = {}
        for record in self.records:
            stream = record.get("namespace"), record["stream"]
            if owners.setdefault(record["partition_id"], stream) != stream:
                self.problems.append("a partition of two streams")
        partitions = Counter(state["partition_id"] for state in self.states)
        self.problems += [f"{times} states of one partition" for times in partitions.values() if times > 1]
        ids = Counter((_stream_of(state), state["id"]) for state in self.states)
        self.problems += [f"{times} states with one id" for times in ids.values() if times > 1]
        counts = Counter(record["partition_id"] for record in self.records)
        self.problems += [
            f"more records in partition {state['partition_id']} than its state says"
            for state in self.states
            if counts[state["partition_id"]] > (_count(state) or 0)
        ]


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise BadMessageError(problem)


def _namespace(record: Json) -> Json:
    return {"namespace": record["namespace"]} if "namespace" in record else {}


def _stream_of(state: Json) -> StreamKey:
    descriptor = state["stream"]["stream_descriptor"]
    return descriptor.get("namespace"), descriptor["name"]


def _count(state: Json) -> float | None:
    count: float | None = (state.get("sourceStats") or {}).get("recordCount")
    return count
