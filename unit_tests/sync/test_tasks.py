"""Shards side by side: what fails in one of them, many of them, ends from outside."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from unit_tests.support.events import (
    SHARD,
    begin,
    commit,
    fields,
    gtid,
    inserted,
    response,
    transaction,
    vgtid,
)
from unit_tests.support.fakes import (
    DEADLINE,
    HUSH,
    SILENCE,
    FakeVtgate,
    Item,
    Reading,
    Script,
    broken,
    failure,
    reader_threads,
)
from unit_tests.support.reading import ONE, after, saved

if TYPE_CHECKING:
    from source_planetscale.vstream.cursor import Cursor

pytestmark = pytest.mark.usefixtures("_in_no_time")


def transaction_of(shard: str, last: int, *events: Any) -> Item:
    return response(begin(), *events, vgtid(gtid(last), shard=shard), commit())


def test_a_defect_of_the_connector_is_told_and_ends_its_shard_alone() -> None:
    def defect() -> None:
        raise RuntimeError("a defect")

    vtgate = FakeVtgate({"-80": [[defect]], "80-": [[transaction_of("80-", 10)]]})
    outcome = Reading(vtgate, shards=("-80", "80-"), state=saved(after(5), after(5, shard="80-"))).run()
    assert failure(outcome).failure_type is FailureType.system_error
    assert outcome.positions == {"-80": gtid(5), "80-": gtid(10)}


def test_an_error_of_one_shard_leaves_the_others_complete_and_all_errors_are_told() -> None:
    denied = broken("auth failure", grpc.StatusCode.PERMISSION_DENIED)
    gone = broken("no", grpc.StatusCode.UNIMPLEMENTED)
    vtgate = FakeVtgate(
        {
            "-40": [[denied]],
            "40-80": [[gone]],
            "80-": [[transaction_of("80-", 10, fields(), inserted(ONE))]],
        }
    )
    cursors = [after(5, shard=shard) for shard in vtgate.scripts]
    outcome = Reading(vtgate, shards=tuple(vtgate.scripts), state=saved(*cursors)).run()
    assert outcome.ids == [1]
    assert outcome.positions == {"-40": gtid(5), "40-80": gtid(5), "80-": gtid(10)}
    assert "shard -40" in str(outcome.error)
    assert "shard 40-80" in str(outcome.error)


def test_more_shards_than_are_read_at_once_are_all_read() -> None:
    shards = tuple(f"{n:02x}-{n + 1:02x}" for n in range(40))
    vtgate = FakeVtgate({shard: [[transaction_of(shard, 10)]] for shard in shards})
    outcome = Reading(vtgate, shards=shards, state=saved(*(after(5, shard=shard) for shard in shards))).run()
    assert outcome.error is None
    assert set(outcome.positions.values()) == {gtid(10)}


# Ends that somebody else decides.


def test_an_interrupt_ends_a_waiting_read_with_its_state() -> None:
    reading = Reading(FakeVtgate({}), state=saved(after(5)))
    script: Script = [transaction(6, fields(), inserted(ONE)), reading.interrupted.set, SILENCE]
    reading.vtgate.scripts[SHARD] = [script]
    outcome = reading.run()
    assert isinstance(outcome.error, AirbyteTracedException)
    assert outcome.error.failure_type is FailureType.transient_error
    assert "told to stop" in str(outcome.error)
    assert outcome.states[-1] is not None
    assert reading.vtgate.closed


def test_a_consumer_that_goes_away_leaves_no_thread_behind() -> None:
    shards = ("-80", "80-")
    vtgate = FakeVtgate(
        {shard: [[transaction_of(shard, 6, fields(), inserted(ONE)), SILENCE]] for shard in shards}
    )
    messages = Reading(
        vtgate, shards=shards, state=saved(*(after(5, shard=shard) for shard in shards))
    ).messages()
    next(messages)
    messages.close()
    assert reader_threads() == []


def test_a_stream_that_opens_while_the_read_is_closed_is_left_at_once() -> None:
    opening, closed = threading.Event(), threading.Event()

    def open_late(_cursor: Cursor) -> list[Item]:
        opening.set()
        assert closed.wait(DEADLINE)
        return [HUSH]

    vtgate = FakeVtgate({"-80": open_late, "80-": [[transaction_of("80-", 10, fields(), inserted(ONE))]]})
    messages = Reading(vtgate, shards=("80-", "-80"), state=saved(after(5), after(5, shard="80-"))).messages()
    next(messages)
    assert opening.wait(DEADLINE)
    threading.Timer(0.05, closed.set).start()
    messages.close()
    assert reader_threads() == []
    assert vtgate.calls[-1].cancelled.is_set()
