"""Whether a quiet stream is held back: when that is asked, and what becomes of the answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from source_planetscale.errors import TransientError
from source_planetscale.follow.throttling import QUIET_SECONDS, ThrottleWatch
from unit_tests.support.events import SHARD
from unit_tests.support.fakes import DEADLINE, FakeDatabase, FakeVtgate, Reading

if TYPE_CHECKING:
    from collections.abc import Callable


class Answering(FakeDatabase):
    """Answers when it is let, and counts the questions."""

    def __init__(self, *, throttled: bool = True) -> None:
        super().__init__(throttled=throttled)
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def throttles_streams(self, shard: str) -> bool:
        self.asked += 1
        assert self.may_answer.wait(DEADLINE)
        return super().throttles_streams(shard)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time."""
    now = [1000.0]
    monkeypatch.setattr("source_planetscale.follow.throttling.time.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, 1000.0 + seconds)


def watch(database: FakeDatabase) -> ThrottleWatch:
    return ThrottleWatch(Reading(FakeVtgate(), database=database).core(), SHARD)


def wait_for_answers() -> None:
    for thread in threading.enumerate():
        if thread.name == f"throttler of {SHARD}":
            thread.join(DEADLINE)
            assert not thread.is_alive()


def test_a_stream_that_is_not_quiet_asks_nothing() -> None:
    database = Answering()
    throttling = watch(database)
    throttling.look(QUIET_SECONDS - 1)
    wait_for_answers()
    assert (database.asked, throttling.holds_back) == (0, False)


@pytest.mark.parametrize("throttled", [True, False])
def test_a_quiet_stream_is_held_back_if_the_server_says_so(*, throttled: bool) -> None:
    throttling = watch(Answering(throttled=throttled))
    throttling.look(QUIET_SECONDS)
    wait_for_answers()
    assert throttling.holds_back == throttled
    throttling.went_on()
    assert not throttling.holds_back


def test_it_is_asked_seldom_and_again_until_the_server_lets_go(clock: Callable[[float], None]) -> None:
    database = Answering()
    throttling = watch(database)
    for seconds in (0, 1, 2, 9):
        clock(seconds)
        throttling.look(QUIET_SECONDS)
        wait_for_answers()
    assert (database.asked, throttling.holds_back) == (1, True)
    database.throttled = False
    clock(30)
    throttling.look(QUIET_SECONDS)
    wait_for_answers()
    assert (database.asked, throttling.holds_back) == (2, False)


def test_nobody_waits_for_an_answer_and_a_late_one_is_out_of_date(clock: Callable[[float], None]) -> None:
    database = Answering()
    database.may_answer.clear()
    throttling = watch(database)
    throttling.look(QUIET_SECONDS)
    clock(60)
    throttling.look(QUIET_SECONDS)
    throttling.went_on()
    database.may_answer.set()
    wait_for_answers()
    assert (database.asked, throttling.holds_back) == (1, False)


def test_a_server_that_does_not_answer_holds_nothing_back() -> None:
    throttling = watch(FakeDatabase(failure=TransientError("No healthy primary tablet.")))
    throttling.look(QUIET_SECONDS)
    wait_for_answers()
    assert not throttling.holds_back
