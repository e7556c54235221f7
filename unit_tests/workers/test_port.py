"""A worker's end of a link: what it says and asks."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.workers.link import SLOTS, Link, LinkClosedError
from source_planetscale.workers.messages import Answer, NumbersAsked, Said, TroubleAsked
from source_planetscale.workers.port import DetourFrom, LogTo, NumbersFrom, Port
from unit_tests.support.links import Task, linked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from source_planetscale.workers.link import Received

ROWS = bytes(20_000)
BLOCK = 1 << 16
ADDRESS = ("127.0.0.1", 4242)


@contextmanager
def ported() -> Iterator[tuple[Link, Port]]:
    """The connector's end of a link, and a worker's."""
    with linked() as (connector, worker):
        yield connector, Port(worker)


class Connector(Task):
    """Answers whatever is asked over a link, until it ends.

    Attributes:
        asked: The questions.
    """

    def __init__(self, link: Link, answer: Callable[[object], object]) -> None:
        self.asked: list[object] = []
        self._link = link
        self._answer = answer
        super().__init__(self._serve)

    def _serve(self) -> None:
        while True:
            question = self._link.receive().message
            self.asked.append(question)
            self._link.send(Answer(self._answer(question)))


def send_all(port: Port, count: int) -> None:
    """Sends rows that each need a slot."""
    for number in range(count):
        port.send(number, ROWS)


# Questions.


@pytest.mark.parametrize("freed_after", range(SLOTS + 1))
def test_a_question_gets_its_answer_while_slots_are_freed(freed_after: int) -> None:
    with ported() as (connector, port):
        send_all(port, SLOTS)
        taken = [connector.receive() for _ in range(SLOTS)]
        asking = Task(lambda: port.ask("why"))
        assert connector.receive().message == "why"
        for received in taken[freed_after:]:
            received.free()
        connector.send(Answer("so"))
        assert asking.ended()
        assert asking.result == "so"
        for received in taken[:freed_after]:
            received.free()
        # All slots can be used again.
        sending = Task(lambda: send_all(port, SLOTS))
        assert sending.ended()
        assert [connector.receive().message for _ in range(SLOTS)] == list(range(SLOTS))


@pytest.mark.parametrize("answer", [None, 0, "", []])
def test_an_answer_of_nothing_is_an_answer(answer: object) -> None:
    with ported() as (connector, port):
        Connector(connector, lambda _: answer)
        asking = Task(lambda: port.ask("why"))
        assert asking.ended()
        assert asking.result == answer


@pytest.mark.parametrize(
    "wait",
    [
        lambda port: port.ask("why"),
        lambda port: send_all(port, SLOTS + 1),
    ],
    ids=["for an answer", "for a slot"],
)
def test_the_end_of_the_connector_ends_a_wait(wait: Callable[[Port], object]) -> None:
    with ported() as (connector, port):
        task = Task(lambda: wait(port))
        assert task.waits()
        connector.close()
        assert task.ended()
        assert isinstance(task.error, LinkClosedError)


# What another thread has to say.


def test_what_is_said_is_sent_at_once_where_no_thread_speaks() -> None:
    with ported() as (connector, port):
        port.say("one")
        port.say("two")
        assert [connector.receive().message for _ in range(2)] == ["one", "two"]


def test_what_is_said_while_another_thread_waits_is_sent_before_its_next_message() -> None:
    with ported() as (connector, port):
        speaking = Task(lambda: send_all(port, SLOTS + 1))
        taken = [connector.receive() for _ in range(SLOTS)]
        assert speaking.waits()
        for words in ("one", "two"):
            saying = Task(partial(port.say, words))
            assert saying.ended()
        made: list[str] = []
        looking = Task(lambda: port.try_to_send(lambda: made.append("made")))
        assert looking.ended()
        assert made == []
        taken[0].free()
        assert connector.receive().message == SLOTS
        assert speaking.ended()
        port.send("next")
        assert [connector.receive().message for _ in range(3)] == ["one", "two", "next"]


def test_a_message_that_is_not_made_is_not_sent() -> None:
    with ported() as (connector, port):
        port.try_to_send(lambda: None)
        port.try_to_send(lambda: "made")
        assert connector.receive().message == "made"


def test_what_is_said_to_a_connector_that_is_gone_is_lost() -> None:
    with ported() as (connector, port):
        connector.close()
        port.say("one")
        port.try_to_send(lambda: "two")
        with pytest.raises(LinkClosedError):
            port.send("three")


@given(st.lists(st.lists(st.integers(), max_size=10), min_size=2, max_size=3))
@settings(deadline=None, max_examples=30)
def test_nothing_that_several_threads_say_is_lost_or_changes_its_order(words: list[list[int]]) -> None:
    def speak(port: Port, name: int) -> None:
        for word in words[name]:
            if name:
                port.say((name, word))
            else:
                port.send((name, word), ROWS)

    found: list[list[int]] = [[] for _ in words]
    with ported() as (connector, port):
        tasks = [Task(partial(speak, port, name)) for name, _ in enumerate(words)]
        while len(found[0]) < len(words[0]):
            keep(connector.receive(), found)
        assert all(task.ended() for task in tasks)
        port.send((0, 1))
        while len(found[0]) == len(words[0]):
            keep(connector.receive(), found)
    assert found == [[*words[0], 1], *words[1:]]


def keep(received: Received, found: list[list[int]]) -> None:
    name, word = cast("tuple[int, int]", received.message)
    found[name].append(word)
    received.free()


# Numbers.


counts = st.integers(0, 9) | st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "orders"]), counts), max_size=20))
def test_numbers_ascend_without_repetition_and_are_asked_for_in_blocks(taken: list[tuple[str, int]]) -> None:
    sequences = {"": ChangeSequence(0, 100), "orders": ChangeSequence(0, 7)}

    def answer(question: object) -> range:
        assert isinstance(question, NumbersAsked)
        return sequences[question.table].take(question.count)

    last, left = {"": 100, "orders": 7}, {"": 0, "orders": 0}
    asked: list[NumbersAsked] = []
    with ported() as (connector, port):
        answering = Connector(connector, answer)
        numbers = {table: NumbersFrom(port, table) for table in sequences}
        for table, count in taken:
            found = numbers[table].take(count)
            assert len(found) == count
            # Those of one batch follow each other.
            assert list(found) == list(range(found.start, found.start + count))
            if count:
                assert found[0] > last[table]
                last[table] = found[-1]
            if left[table] < count:
                left[table] = max(count, BLOCK)
                asked.append(NumbersAsked(table, left[table]))
            left[table] -= count
        assert answering.asked == asked


def test_numbers_of_a_connector_that_is_gone_are_none() -> None:
    with ported() as (connector, port):
        connector.close()
        with pytest.raises(LinkClosedError):
            NumbersFrom(port, "orders").take(1)


# Troubles.


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        TransientError("The SSH server refused the connection."),
        ConfigError("The SSH server denied access.", ConnectionRefusedError(111, "refused")),
    ],
    ids=["none", "transient", "with a cause"],
)
def test_a_detour_tells_the_trouble_that_the_connector_has(trouble: SourceError | None) -> None:
    with ported() as (connector, port):
        answering = Connector(connector, lambda _: trouble)
        detour = DetourFrom(port, 443, ADDRESS)
        found = detour.trouble()
        assert answering.asked == [TroubleAsked(443)]
    assert type(found) is type(trouble)
    assert str(found) == str(trouble)
    assert detour.address == ADDRESS


def test_a_trouble_arrives_without_the_exception_behind_it() -> None:
    # This one can be sent, and not be made again.
    cause = asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no answer in time")
    with ported() as (connector, port):
        Connector(connector, lambda _: TransientError("The SSH server could not connect.", cause))
        found = DetourFrom(port, 443, ADDRESS).trouble()
    assert isinstance(found, TransientError)
    assert (found.message, found.cause) == ("The SSH server could not connect.", None)


def test_a_detour_has_no_trouble_when_the_connector_is_gone() -> None:
    with ported() as (connector, port):
        detour = DetourFrom(port, 443, ADDRESS)
        asking = Task(detour.trouble)
        assert connector.receive().message == TroubleAsked(443)
        connector.close()
        assert asking.ended()
        assert (asking.result, asking.error) == (None, None)
        assert detour.trouble() is None


# The log.


@given(st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR]), st.text())
@settings(deadline=None)
def test_a_line_of_the_log_has_its_level_and_its_text(level: int, text: str) -> None:
    with ported() as (connector, port):
        logger = logging.Logger("worker", logging.DEBUG)
        logger.addHandler(LogTo(port))
        logger.log(level, text)
        logger.log(level, "%s of %d", text, 5)
        assert connector.receive().message == Said(level, text)
        assert connector.receive().message == Said(level, f"{text} of 5")


def test_lines_of_the_log_stand_before_what_is_sent_after_them() -> None:
    with ported() as (connector, port):
        logger = logging.Logger("worker", logging.INFO)
        logger.addHandler(LogTo(port))
        logger.debug("too fine")
        logger.info("first")
        port.send("rows", ROWS)
        assert connector.receive().message == Said(logging.INFO, "first")
        assert connector.receive().message == "rows"
