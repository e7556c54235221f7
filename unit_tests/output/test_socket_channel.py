"""What goes over the sockets and what over stdout, and which socket takes what."""

from __future__ import annotations

import io
import json
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from airbyte_cdk.models import (
    AirbyteLogMessage,
    AirbyteMessage,
    AirbyteRecordMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateStats,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    Level,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from google.protobuf.proto import parse_length_prefixed

from source_planetscale.errors import InternalError, TransientError
from source_planetscale.output import channel_of
from source_planetscale.output.socket_channel import SocketChannel
from source_planetscale.output.stdout import Stdout, StdoutChannel
from source_planetscale.records.batches import BatchMaker
from source_planetscale.records.message import FinishedBatch, batch_of
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.records.wire import airbyte_pb2 as wire
from unit_tests.support.events import KEYSPACE, TABLE, change, fields, row, rows, small_copy, transaction
from unit_tests.support.fakes import CONFIG
from unit_tests.support.reading import after, feed, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from source_planetscale.output.channel import Channel
    from source_planetscale.records.message import RecordBatch

SECONDS = 30.0
STREAM = {
    "name": TABLE.name,
    "namespace": KEYSPACE,
    "json_schema": {"properties": {"id": {"type": "integer"}, "label": {"type": "string"}}},
    "supported_sync_modes": ["incremental"],
}
NAMELESS = {"name": "parts", "json_schema": {}, "supported_sync_modes": ["incremental"]}


def catalog(*streams: dict[str, Any]) -> ConfiguredAirbyteCatalog:
    modes = {"sync_mode": "incremental", "destination_sync_mode": "append"}
    return ConfiguredAirbyteCatalogSerializer.load(
        {"streams": [{"stream": stream, **modes} for stream in streams]}
    )


class Destination:
    """A channel over two sockets in this process, and both of its other ends.

    Attributes:
        channel: The channel.
        interrupted: What ends the read.
        clients: The other ends of the sockets.
    """

    def __init__(self, folder: Path, form: str) -> None:
        paths = [folder / "1.sock", folder / "2.sock"]
        environment = {
            "DATA_CHANNEL_MEDIUM": "SOCKET",
            "DATA_CHANNEL_FORMAT": form,
            "DATA_CHANNEL_SOCKET_PATHS": ",".join(map(str, paths)),
        }
        self.interrupted = threading.Event()
        self._stdout = io.BytesIO()
        self.channel = channel_of(environment, Stdout(self._stdout), self.interrupted)
        self.clients = [connect(path) for path in paths]
        self.channel.open(catalog(STREAM, NAMELESS))

    def received(self, number: int) -> list[dict[str, Any]]:
        """What has come over a socket since the last look, in JSON."""
        client = self.clients[number]
        data = b""
        client.setblocking(False)
        # What was emitted is there.
        try:
            while part := client.recv(1 << 16):
                data += part
        except BlockingIOError:
            pass
        return [json.loads(line) for line in data.splitlines()]

    def said(self) -> list[dict[str, Any]]:
        """What was written to stdout since the last look."""
        lines = self._stdout.getvalue().splitlines()
        self._stdout.seek(0)
        self._stdout.truncate()
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self.channel.close()
        for client in self.clients:
            client.close()


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(SECONDS)
    client.connect(str(path))
    return client


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Destination]:
    with closing(Destination(tmp_path, "JSONL")) as made:
        yield made


def copied(*keys: int, shard: str = "-80") -> RecordBatch:
    """Rows of the copy."""
    runs = feed(reader(), small_copy(*(row(key, "one", None) for key in keys)))
    return made(runs, shard)


def changed(key: int, shard: str = "-80") -> RecordBatch:
    """A row of catch-up."""
    return made(
        feed(reader(after(5)), [transaction(6, fields(), rows(change(None, row(key, "one", None))))]), shard
    )


def made(runs: list[Any], shard: str) -> RecordBatch:
    maker = BatchMaker(TABLE, CONFIG, ChangeSequence(0, 0), ChangeSequence(0, 0))
    batch = batch_of(maker, runs, shard, KEYSPACE)
    assert batch is not None
    return batch


def state(count: float, name: str = TABLE.name, namespace: str | None = KEYSPACE) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.STATE,
        state=AirbyteStateMessage(
            type=AirbyteStateType.STREAM,
            stream=AirbyteStreamState(
                stream_descriptor=StreamDescriptor(name=name, namespace=namespace),
                stream_state=AirbyteStateBlob({"shards": {}}),
            ),
            sourceStats=AirbyteStateStats(recordCount=count),
        ),
    )


def status(status: AirbyteStreamStatus, name: str = TABLE.name) -> AirbyteMessage:
    return as_airbyte_message(StreamDescriptor(name=name, namespace=KEYSPACE), status)


def log(words: str) -> AirbyteMessage:
    return AirbyteMessage(type=Type.LOG, log=AirbyteLogMessage(level=Level.INFO, message=words))


def ids(messages: list[dict[str, Any]]) -> list[int]:
    return [message["record"]["data"]["id"] for message in messages]


def test_the_rows_of_the_copy_use_the_sockets_in_turns_and_stdout_never(destination: Destination) -> None:
    for key in (1, 2, 3):
        destination.channel.emit(copied(key))
    assert [ids(destination.received(number)) for number in (0, 1)] == [[1, 3], [2]]
    assert destination.said() == []


def test_the_changes_of_a_shard_stay_on_one_socket(destination: Destination) -> None:
    for key, shard in ((1, "-80"), (2, "-80"), (3, "80-"), (4, "-80"), (5, "80-")):
        destination.channel.emit(changed(key, shard))
    assert [ids(destination.received(number)) for number in (0, 1)] == [[1, 2, 4], [3, 5]]


def test_records_have_the_columns_of_the_catalog_and_the_partition_of_the_next_state(
    destination: Destination,
) -> None:
    destination.channel.emit(copied(1))
    destination.channel.emit(state(1))
    destination.channel.emit(copied(2))
    first, *_ = destination.received(0)
    # The state went over the other one.
    (between,) = destination.received(1)
    assert first["record"]["data"] == {"id": 1, "label": "one"}
    assert first["record"]["partition_id"] == between["state"]["partition_id"]
    assert first["record"]["partition_id"] != "0-2"


def test_states_are_numbered_without_gaps_by_stream_and_known_to_the_platform(
    destination: Destination,
) -> None:
    for message in (copied(1), state(1), copied(2), state(1), state(0, "parts", KEYSPACE)):
        destination.channel.emit(message)
    sent = destination.received(0) + destination.received(1)
    records = [message["record"]["partition_id"] for message in sent if message["type"] == "RECORD"]
    states = [message["state"] for message in sent if message["type"] == "STATE"]
    said = destination.said()
    assert sorted(records) == ["0-1", "0-2"]
    assert sorted((s["partition_id"], s["id"]) for s in states) == [("0-1", 1), ("0-2", 2), ("1-1", 1)]
    # A namespace that the connector fills in is none of the catalog's.
    descriptors = [message["state"]["stream"]["stream_descriptor"] for message in said]
    assert descriptors == [{"name": "orders", "namespace": "shop"}] * 2 + [{"name": "parts"}]
    by_partition = {message["state"]["partition_id"]: message for message in said}
    assert all(by_partition[s["partition_id"]]["state"] == s for s in states)


def test_the_platform_knows_a_state_before_the_destination_does(
    destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Stdout, "write", refuse)
    with pytest.raises(BrokenPipeError):
        destination.channel.emit(state(0))
    assert destination.received(0) + destination.received(1) == []


def test_complete_goes_both_ways_and_everything_else_to_the_platform_alone(
    destination: Destination,
) -> None:
    told = [AirbyteStreamStatus.STARTED, AirbyteStreamStatus.RUNNING, AirbyteStreamStatus.INCOMPLETE]
    for one in told:
        destination.channel.emit(status(one))
    destination.channel.emit(log("words"))
    assert destination.received(0) + destination.received(1) == []
    *statuses, last = destination.said()
    assert [message["trace"]["stream_status"]["status"] for message in statuses] == [s.value for s in told]
    assert last["log"]["message"] == "words"

    destination.channel.emit(status(AirbyteStreamStatus.COMPLETE, "parts"))
    (complete,) = destination.said()
    assert complete["trace"]["stream_status"]["stream_descriptor"] == {"name": "parts"}
    assert destination.received(0) + destination.received(1) == [complete]


def test_what_the_destination_could_not_count_is_a_mistake_of_the_connector(destination: Destination) -> None:
    record = AirbyteRecordMessage(stream="orders", namespace=KEYSPACE, data={"id": 1}, emitted_at=1)
    single = AirbyteMessage(type=Type.RECORD, record=record)
    shared = AirbyteMessage(type=Type.STATE, state=AirbyteStateMessage(type=AirbyteStateType.GLOBAL))
    for message, words in ((single, "A single record"), (shared, "another type than STREAM")):
        with pytest.raises(InternalError, match=words):
            destination.channel.emit(message)
    assert destination.said() + destination.received(0) + destination.received(1) == []


@pytest.mark.parametrize(
    "go_on",
    [lambda channel: channel.emit(log("words")), lambda channel: channel.finish()],
    ids=["emit", "finish"],
)
def test_nothing_is_said_after_a_socket_is_lost(
    destination: Destination, go_on: Callable[[Channel], None]
) -> None:
    destination.channel.finish()
    destination.clients[1].close()
    assert destination.interrupted.wait(SECONDS)
    with pytest.raises(TransientError, match="has closed the data channel"):
        go_on(destination.channel)
    assert destination.said() == []


def test_closing_ends_the_sockets(destination: Destination, tmp_path: Path) -> None:
    destination.channel.close()
    for client in destination.clients:
        client.setblocking(True)
        assert client.recv(1) == b""
    assert list(tmp_path.iterdir()) == []


def test_protobuf_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    with closing(Destination(tmp_path, "PROTOBUF")) as destination:
        destination.channel.emit(copied(1))
        destination.channel.emit(state(1))
        sent, told = (
            parse_length_prefixed(wire.AirbyteMessageProtobuf, io.BytesIO(client.recv(1 << 16)))
            for client in destination.clients
        )
        (line,) = destination.said()
    assert (sent.record.stream_name, sent.record.partition_id) == ("orders", "0-1")
    number, label = sent.record.data
    assert (number.big_integer, label.string) == ("1", "one")
    assert json.loads(told.airbyte_protocol_message) == line
    assert line["state"]["partition_id"] == "0-1"


def test_states_are_the_sign_of_life_over_sockets_alone(destination: Destination) -> None:
    stdout = channel_of({}, Stdout(io.BytesIO()), threading.Event())
    assert isinstance(stdout, StdoutChannel)
    assert isinstance(destination.channel, SocketChannel)
    assert destination.channel.states_are_heartbeat
    assert not stdout.states_are_heartbeat


class Laid:
    """Rows that were laid out elsewhere, in memory that is written again as soon as it is freed.

    Attributes:
        batch: The rows as a batch.
        freed: How often its place was freed.
    """

    def __init__(
        self,
        *keys: int,
        partition: str = "w1.0-1",
        closes: bool = False,
        copied: bool = True,
        shard: str = "-80",
    ) -> None:
        self._place = bytearray(b"".join(map(laid_line, keys)))
        self.freed = 0
        self.batch = FinishedBatch(
            memoryview(self._place),
            partition=partition,
            closes=closes,
            free=self._free,
            stream=TABLE.name,
            namespace=KEYSPACE,
            shard=shard,
            copied=copied,
            count=len(keys),
        )

    def _free(self) -> None:
        self.freed += 1
        self._place[:] = bytes(len(self._place))


def laid_line(key: int) -> bytes:
    return b'{"type":"RECORD","record":{"data":{"id":%d},"laid":"elsewhere"}}\n' % key


def states_of(messages: list[dict[str, Any]]) -> list[tuple[int, str, float]]:
    """The id, the partition and the count of each state, in the order of their ids."""
    found = [message["state"] for message in messages if message["type"] == "STATE"]
    return sorted((s["id"], s["partition_id"], s["sourceStats"]["recordCount"]) for s in found)


def test_rows_that_were_laid_out_elsewhere_are_sent_as_they_are_and_freed_then(
    destination: Destination,
) -> None:
    laid = [Laid(1, 2), Laid(3), Laid()]
    for each in laid:
        destination.channel.emit(each.batch)
    # The place of the rows is another one's by now.
    assert [each.freed for each in laid] == [1, 1, 1]
    assert destination.received(0) == [json.loads(laid_line(key)) for key in (1, 2)]
    assert destination.received(1) == [json.loads(laid_line(3))]
    assert destination.said() == []


def test_rows_are_not_freed_before_all_of_them_are_sent(tmp_path: Path) -> None:
    with closing(Destination(tmp_path, "JSONL")) as destination:
        laid = Laid(*range(100_000))
        client = destination.clients[0]
        sender = threading.Thread(target=destination.channel.emit, args=(laid.batch,), daemon=True)
        sender.start()
        # More than a socket holds: the rest waits for the destination.
        assert client.recv(1)
        sender.join(0.05)
        assert sender.is_alive()
        assert laid.freed == 0
        expected = b"".join(map(laid_line, range(100_000)))
        data = bytearray(expected[:1])
        while len(data) < len(expected):
            data += client.recv(1 << 20)
        sender.join(SECONDS)
        assert not sender.is_alive()
        assert data == expected
        assert laid.freed == 1


def test_a_partition_that_ends_elsewhere_is_named_by_the_next_state_while_others_wait(
    destination: Destination,
) -> None:
    for message in (
        copied(1),
        Laid(2, 3).batch,
        Laid(9, partition="w2.0-1").batch,
        copied(4),
        Laid(5, closes=True).batch,
        state(6),
        copied(6),
        state(6),
        Laid(partition="w2.0-1", closes=True).batch,
        state(6),
    ):
        destination.channel.emit(message)
    sent = destination.received(0) + destination.received(1)
    records = [message["record"] for message in sent if message["type"] == "RECORD"]
    own = {record["data"]["id"]: record["partition_id"] for record in records if "laid" not in record}
    assert own == {1: "0-1", 4: "0-1", 6: "0-1"}
    assert states_of(sent) == [(1, "w1.0-1", 3.0), (2, "0-1", 3.0), (3, "w2.0-1", 1.0)]
    assert states_of(destination.said()) == states_of(sent)


def test_a_partition_that_goes_on_elsewhere_is_named_by_no_state(destination: Destination) -> None:
    for message in (
        Laid(1).batch,
        state(1),
        Laid(2, 3).batch,
        state(2),
        Laid(4, closes=True).batch,
        state(1),
    ):
        destination.channel.emit(message)
    assert states_of(destination.said()) == [(1, "0-1", 0.0), (2, "0-2", 0.0), (3, "w1.0-1", 4.0)]


def test_the_changes_of_a_shard_stay_on_one_socket_wherever_they_were_laid_out(
    destination: Destination,
) -> None:
    for message in (
        Laid(1, copied=False, shard="-80").batch,
        changed(2, "80-"),
        changed(3, "-80"),
        Laid(4, copied=False, shard="80-").batch,
        Laid(5, copied=False, shard="-80", closes=True).batch,
        Laid(6, copied=False, shard="-80", partition="w1.0-2").batch,
    ):
        destination.channel.emit(message)
    assert [ids(destination.received(number)) for number in (0, 1)] == [[1, 3, 5, 6], [2, 4]]


def test_rows_of_the_copy_that_were_laid_out_elsewhere_use_the_sockets_in_turns(
    destination: Destination,
) -> None:
    for key in (1, 2, 3):
        destination.channel.emit(Laid(key).batch)
    assert [ids(destination.received(number)) for number in (0, 1)] == [[1, 3], [2]]
