"""A stream that Vitess throttles says that it is rate limited, and that it goes on."""

from __future__ import annotations

import threading

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteStreamStatusReasonType, TraceType

from unit_tests.support.events import SHARD, fields, inserted, transaction
from unit_tests.support.fakes import DEADLINE, FakeDatabase, FakeVtgate, Item, Reading
from unit_tests.support.keyspace import table
from unit_tests.support.reading import ONE, after, saved

pytestmark = pytest.mark.usefixtures("_in_no_time")


@pytest.fixture(autouse=True)
def _asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.follow.throttling.QUIET_SECONDS", 0.01)
    monkeypatch.setattr("source_planetscale.follow.throttling._SECONDS_BETWEEN_QUESTIONS", 0.01)


def held_until(released: threading.Event) -> Item:
    """Keeps a script waiting."""

    def wait() -> None:
        assert released.wait(DEADLINE)

    return wait


def reasons(message: AirbyteMessage) -> list[AirbyteStreamStatusReasonType] | None:
    """The reasons of a status, None of any other message."""
    if message.trace is None or message.trace.type is not TraceType.STREAM_STATUS:
        return None
    assert message.trace.stream_status is not None
    return [reason.type for reason in message.trace.stream_status.reasons or []]


@pytest.mark.parametrize("ended_by", ["rows", "the server"])
def test_a_throttled_stream_is_rate_limited_until_it_goes_on(ended_by: str) -> None:
    limited, released = threading.Event(), threading.Event()
    database = FakeDatabase(throttled=True)
    script = [held_until(released), transaction(10, fields(), inserted(ONE))]
    reading = Reading(FakeVtgate({SHARD: [script]}), state=saved(after(5)), database=database)
    told = []
    for message in reading.messages():
        found = reasons(message)
        if found is not None:
            told.append(found)
            if found and not limited.is_set():
                limited.set()
                if ended_by == "rows":
                    released.set()
                else:
                    database.throttled = False
            elif not found:
                released.set()
        if message.record is not None:
            # The platform is told before the rows come.
            assert told[-1] == []
    assert reading.errors == {}
    assert told == [[AirbyteStreamStatusReasonType.RATE_LIMITED], []]


def test_a_quiet_stream_that_nothing_throttles_says_nothing_of_it() -> None:
    reading = Reading(
        FakeVtgate({SHARD: [[transaction(10, fields(), inserted(ONE))]]}), state=saved(after(5))
    )
    assert [found for found in map(reasons, reading.messages()) if found is not None] == []


def test_all_streams_of_a_throttled_pass_are_rate_limited() -> None:
    released = threading.Event()
    tables = [table("ants"), table("bees")]
    script = [held_until(released), transaction(10)]
    reading = Reading(
        FakeVtgate({SHARD: [script]}),
        tables=tables,
        state=saved(after(5)),
        database=FakeDatabase(throttled=True),
    )
    limited: set[str] = set()
    for message in reading.messages():
        if reasons(message):
            assert message.trace is not None
            assert message.trace.stream_status is not None
            limited.add(message.trace.stream_status.stream_descriptor.name)
        if len(limited) == len(tables):
            released.set()
    assert reading.errors == {}
    assert limited == {"ants", "bees"}
