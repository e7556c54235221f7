"""Workers that end, and rows that a worker reads beside some that it does not."""

from __future__ import annotations

import os
import socket
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from airbyte_cdk.models import FailureType

from source_planetscale.columns import Form
from source_planetscale.records.encoded import Cells, EncodedRows
from source_planetscale.records.jsonl import JsonLines
from source_planetscale.records.message import FinishedBatch, RecordBatch
from source_planetscale.sync.delivery import Delivery
from source_planetscale.sync.reading import PAUSE
from source_planetscale.workers.crew import Crew, Engagement
from source_planetscale.workers.link import Link, mapped, new_memory
from source_planetscale.workers.messages import Finished, Told
from unit_tests.support.crew import Received
from unit_tests.support.events import SHARD, TABLE, fields, gtid, inserted, transaction
from unit_tests.support.fakes import FakeVtgate, Reading, Script, cursors_of, failure
from unit_tests.support.reading import ONE, after, saved

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("_in_no_time")

LINE = b'{"type":"RECORD","record":{"stream":"orders","data":{"id":%d},"partition_id":"w1.0-1"}}\n'
LINES = {key: LINE % key for key in range(10)}


class Scripted(Crew):
    """Workers that say what a test has them say, and end."""

    def __init__(self, *scripts: Callable[[Link], None]) -> None:
        super().__init__(JsonLines(), 1, takes_all=True)
        self._scripts = list(scripts)

    def engage(self) -> Engagement | None:
        if not self._scripts:
            return None
        memory = new_memory()
        ours, theirs = socket.socketpair()
        worker, script = Link(theirs, mapped(os.dup(memory)), free), self._scripts.pop(0)
        threading.Thread(target=play, args=(worker, script), daemon=True).start()
        process = SimpleNamespace(pid=os.getpid(), wait=lambda _seconds: 3)
        return Engagement(Link(ours, mapped(memory), free), "w1", cast("Any", process))


def play(worker: Link, script: Callable[[Link], None]) -> None:
    with worker:
        worker.receive()
        script(worker)


def free(_link: Link, _slot: int) -> None:
    """Nobody writes to it again."""


def reading(*scripts: Callable[[Link], None], script: Script = ()) -> Reading:
    vtgate = FakeVtgate({SHARD: [script]})
    return Reading(vtgate, state=saved(after(5)), batched=True, crew=Scripted(*scripts))


def test_a_worker_that_leaves_off_unasked_is_a_defect() -> None:
    outcome = reading(lambda link: link.send(Finished(0, whole=False))).run()
    assert "ended too soon" in str(failure(outcome))


def test_a_worker_that_ends_before_it_has_brought_anything_is_done_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script: Script = [transaction(6, fields(), inserted(ONE)), transaction(10)]
    outcome = reading(lambda _: None, script=script).run()
    assert outcome.error is None
    assert outcome.positions == {SHARD: gtid(10)}
    assert "has ended with exit code 3" in caplog.text
    assert "so this process reads instead" in caplog.text


def test_a_worker_that_ends_after_it_has_brought_rows_ends_its_shard() -> None:
    def brings_rows(link: Link) -> None:
        link.send(Told(TABLE.name, after(5), 1, partition="w1.0-1"), LINES[1])

    outcome = reading(brings_rows).run()
    error = failure(outcome)
    assert error.failure_type is FailureType.transient_error
    assert "The next sync goes on from the last state." in str(error)
    assert outcome.positions == {SHARD: gtid(5)}


def of_worker(*keys: int, shard: str = "80-", closes: bool = False) -> FinishedBatch:
    """Rows that a worker has laid out."""
    return FinishedBatch(
        memoryview(b"".join(LINES[key] for key in keys)),
        partition="w1.0-1",
        closes=closes,
        free=lambda: None,
        stream=TABLE.name,
        namespace=TABLE.keyspace,
        shard=shard,
        copied=False,
        count=len(keys),
    )


def of_process(*keys: int) -> RecordBatch:
    """Rows that the process lays out itself."""
    cells = [Cells([b"%d" % key for key in keys], Form.JSON, has_nulls=False)]
    rows = EncodedRows(("id",), cells, {}, [], len(keys), 0)
    return RecordBatch([rows], stream=TABLE.name, namespace=TABLE.keyspace, shard="-80", copied=False)


def test_rows_of_the_process_itself_have_a_state_of_their_own_before_those_of_a_worker() -> None:
    reads = Reading(
        FakeVtgate(), shards=("-80", "80-"), state=saved(after(5), after(5, shard="80-")), batched=True
    )
    replication = reads.replication()
    deliveries = replication.sync.deliveries
    for delivery in (
        Delivery("-80", after(6), of_process(1, 2)),
        Delivery("80-", after(5, shard="80-"), of_worker(3)),
        Delivery("80-", after(7, shard="80-"), of_worker(4, 5, closes=True)),
        Delivery("-80", after(10), ended=True),
        Delivery("80-", after(10, shard="80-"), ended=True),
    ):
        assert deliveries.put(TABLE.key, delivery)
    messages = [message for message in reads.read_stream(TABLE.key) if message is not PAUSE]
    replication.close()
    got = Received(reads._catalog, [message for message in messages if message.record or message.state])
    stated = [
        (
            state["partition_id"],
            state["sourceStats"]["recordCount"],
            {shard: cursor.position for shard, cursor in cursors_of(state["stream"]["stream_state"]).items()},
        )
        for state in got.states
    ]
    assert stated[:2] == [
        ("0-1", 2, {"-80": gtid(6), "80-": gtid(5)}),
        ("w1.0-1", 3, {"-80": gtid(6), "80-": gtid(7)}),
    ]
    assert stated[-1][2] == dict.fromkeys(("-80", "80-"), gtid(10))
    assert got.uncovered == set()


def test_rows_of_a_shard_that_was_given_up_are_dropped_and_its_partition_is_closed() -> None:
    freed: list[bool] = []
    batch = of_worker(1, shard="gone", closes=True)
    batch.free = lambda: freed.append(True)
    reads = Reading(FakeVtgate(), state=saved(after(5)), batched=True)
    replication = reads.replication()
    (found,) = replication.readings.values()
    (left,) = found._emit(Delivery("gone", after(5, shard="gone"), batch, ended=True))
    assert freed == [True]
    assert isinstance(left, FinishedBatch)
    assert (bytes(left.data), left.count, left.closes) == (b"", 0, True)
    dropped = of_worker(1, shard="gone")
    assert list(found._emit(Delivery("gone", after(5, shard="gone"), dropped))) == []
    replication.close()
