"""Which responses of a stream are taken together, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.vstream.bundle import Bundle
from source_planetscale.vstream.position import Goal
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import (
    both_copy_completed,
    cut,
    heartbeat,
    inserted,
    response,
    row,
    transaction,
)
from unit_tests.support.model import LOGS, Log, Server
from unit_tests.support.readers import reader
from unit_tests.support.reading import after, position

if TYPE_CHECKING:
    from random import Random

NOW = 1000.0


def bundle(stop: int = 10) -> Bundle:
    """A bundle from which something has just been taken."""
    fresh = Bundle(Goal(position(stop)))
    fresh.take(NOW)
    return fresh


def test_the_first_response_is_taken_at_once() -> None:
    first = Bundle(Goal(position(10)))
    first.add(transaction(6).SerializeToString())
    assert first.due(NOW)


def test_responses_in_quick_succession_are_one() -> None:
    together = bundle()
    parts = [transaction(last, inserted(row(last, "", None))) for last in (6, 7, 8)]
    for part in parts:
        together.add(part.SerializeToString())
        assert not together.due(NOW + 0.01)
    one = wire.VStreamResponse.FromString(together.take(NOW + 0.02))
    assert list(one.events) == [event for part in parts for event in part.events]
    assert together.size == 0


def test_what_has_come_in_some_time_is_taken() -> None:
    waiting = bundle()
    waiting.add(transaction(6).SerializeToString())
    assert not waiting.due(NOW + 0.05)
    assert waiting.due(NOW + 0.2)


def test_much_is_taken_at_once() -> None:
    large = bundle()
    large.add(transaction(6, inserted(row(1, "x" * 300_000, None))).SerializeToString())
    assert large.due(NOW)


@pytest.mark.parametrize(
    "last",
    [
        response(heartbeat()),
        both_copy_completed(),
        response(inserted(row(1, "the inside of a large transaction", None))),
        transaction(10),
        transaction(11),
    ],
)
def test_what_may_be_the_last_response_is_taken_at_once(last: wire.VStreamResponse) -> None:
    waiting = bundle(stop=10)
    waiting.add(transaction(6).SerializeToString())
    waiting.add(last.SerializeToString())
    assert waiting.due(NOW)


@pytest.mark.parametrize("text", ["MySQL56/", "MySQL56/garbage", "MySQL56/" + "ä" * 40])
def test_rows_that_look_like_positions_do_no_harm(text: str) -> None:
    waiting = bundle()
    waiting.add(response(inserted(row(1, text, None))).SerializeToString())
    waiting.due(NOW)
    assert waiting.due(NOW + 1)


@settings(deadline=None)
@given(
    log=LOGS, start=st.integers(0, 3), random=st.randoms(use_true_random=True), track_changes=st.booleans()
)
def test_responses_taken_together_give_what_they_give_one_by_one(
    log: Log, start: int, random: Random, track_changes: bool
) -> None:
    server = Server(log * 3, random)
    responses = server.stream(after(min(start, len(log))))
    single = reader(after(start), stop=10**6, track_changes=track_changes)
    joined = reader(after(start), stop=10**6, track_changes=track_changes)
    expected = [
        (run.deleted, values) for part in responses for run in single.feed(part) for values in cut(run.rows)
    ]
    found: list[tuple[bool, list[bytes | None]]] = []
    while responses:
        size = random.randint(1, len(responses))
        raw = b"".join(part.SerializeToString() for part in responses[:size])
        responses = responses[size:]
        for run in joined.feed_raw(raw):
            found += [(run.deleted, values) for values in cut(run.rows)]
    assert found == expected
    assert joined.cursor == single.cursor
    assert joined.at_next_file == single.at_next_file


def test_a_source_without_a_position_says_nothing_of_how_far_the_stream_is() -> None:
    waiting = bundle(stop=10)
    # Digits stand where they would if the source stood before the response.
    waiting.add(response(inserted(row(1, "1" * 60, None))).SerializeToString())
    assert waiting.due(NOW)
