"""Messages between two processes, and rows in memory that both share."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.workers.link import (
    SLOT_BYTES,
    SLOTS,
    Link,
    LinkClosedError,
    mapped,
    needs_slot,
    new_memory,
)
from source_planetscale.workers.port import Port
from unit_tests.support.fakes import DEADLINE
from unit_tests.support.links import Task, linked

if TYPE_CHECKING:
    from collections.abc import Callable

    from source_planetscale.workers.link import Received

FEW_BYTES = 16 << 10
IN_SLOT = FEW_BYTES + 1
LARGER_THAN_SLOT = SLOT_BYTES + 1


def rows_of(number: int, size: int) -> bytes:
    """Rows that differ from all others in every place, nearly."""
    return (b"%d," % number * (size // 2 + 1))[:size]


def send_all(send: Callable[[object, bytes], None], sizes: list[int], name: str = "rows") -> None:
    for number, size in enumerate(sizes):
        send((name, number), rows_of(number, size))


sizes = st.one_of(
    st.integers(0, 30),
    st.integers(FEW_BYTES - 1, FEW_BYTES + 1),
    st.integers(FEW_BYTES, 300_000),
    st.sampled_from([SLOT_BYTES - 1, SLOT_BYTES, LARGER_THAN_SLOT]),
)


# What is sent arrives.


@settings(deadline=None)
@given(st.lists(sizes, max_size=8), st.data())
def test_messages_and_rows_arrive_whole_and_in_order_and_stay_until_they_are_freed(
    sent: list[int], data: st.DataObject
) -> None:
    kept: dict[int, Received] = {}

    def free_one() -> None:
        number = data.draw(st.sampled_from(sorted(kept)))
        received = kept.pop(number)
        assert received.rows == rows_of(number, sent[number])
        received.free()

    with linked() as (ours, theirs):
        port = Port(theirs)
        sender = Task(partial(send_all, port.send, sent))
        for number in range(len(sent)):
            kept[number] = ours.receive()
            assert kept[number].message == ("rows", number)
            while sum(map(in_slot, kept.values())) == SLOTS or (kept and data.draw(st.booleans())):
                free_one()
        while kept:
            free_one()
        assert sender.ended()
        assert sender.error is None


def in_slot(received: Received) -> bool:
    return needs_slot(bytes(received.rows))


@pytest.mark.parametrize(
    ("size", "needed"),
    [
        (0, False),
        (FEW_BYTES, False),
        (IN_SLOT, True),
        (SLOT_BYTES, True),
        (LARGER_THAN_SLOT, False),
    ],
)
def test_rows_that_are_few_or_larger_than_a_slot_need_none(size: int, needed: bool) -> None:
    assert needs_slot(bytes(size)) is needed


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50_000), max_size=5))
def test_messages_of_any_size_go_both_ways(messages: list[bytes]) -> None:
    with linked() as ends:
        for sender, receiver in (ends, ends[::-1]):
            task = Task(partial(send_messages, sender, messages))
            received = [receiver.receive() for _ in messages]
            assert [each.message for each in received] == messages
            assert all(not each.rows for each in received)
            assert task.ended()


def test_messages_of_several_threads_are_not_mixed() -> None:
    # More than a socket holds: all of them wait in the middle of a message.
    sent = [100_000] * 10
    with linked() as (ours, theirs):
        tasks = [Task(partial(send_all, theirs.send, sent, name)) for name in "abc"]
        assert all(task.waits() for task in tasks)
        found: dict[str, list[int]] = {name: [] for name in "abc"}
        for _ in range(len(sent) * len(tasks)):
            received = ours.receive()
            name, number = cast("tuple[str, int]", received.message)
            assert received.rows == rows_of(number, 100_000)
            found[name].append(number)
        assert all(task.ended() for task in tasks)
    assert found == {name: list(range(len(sent))) for name in "abc"}


def send_messages(link: Link, messages: list[bytes]) -> None:
    for message in messages:
        link.send(message)


# Slots.


def test_a_slot_is_not_written_again_before_it_is_freed() -> None:
    with linked() as (ours, theirs):
        port = Port(theirs)
        sender = Task(partial(send_all, port.send, [IN_SLOT] * (SLOTS + 1)))
        kept = [ours.receive() for _ in range(SLOTS)]
        assert sender.waits()
        for number, received in enumerate(kept):
            assert received.rows == rows_of(number, IN_SLOT)
        kept[1].free()
        last = ours.receive()
        assert sender.ended()
        assert last.message == ("rows", SLOTS)
        assert last.rows == rows_of(SLOTS, IN_SLOT)
        assert kept[0].rows == rows_of(0, IN_SLOT)


@pytest.mark.parametrize("size", [0, 10, LARGER_THAN_SLOT])
def test_rows_without_a_slot_wait_for_none_and_stay_for_ever(size: int) -> None:
    with linked() as (ours, theirs):
        port = Port(theirs)
        sent = [IN_SLOT] * SLOTS + [size] * 3
        sender = Task(partial(send_all, port.send, sent))
        kept = [ours.receive() for _ in sent]
        assert sender.ended()
        for received in kept[SLOTS:]:
            received.free()
        # Nothing is told of them: only slots are freed.
        assert not select.select([theirs], [], [], 0)[0]
        assert [bytes(received.rows) for received in kept] == [rows_of(n, s) for n, s in enumerate(sent)]


# The end.


@pytest.mark.parametrize("end", [Link.close, Link.shut], ids=["close", "shut"])
@pytest.mark.parametrize("side", [0, 1], ids=["the connector", "the worker"])
def test_the_end_of_one_side_ends_the_wait_of_the_other_for_a_message(
    side: int, end: Callable[[Link], None]
) -> None:
    with linked() as ends:
        task = Task(ends[side].receive)
        assert task.waits()
        end(ends[1 - side])
        assert task.ended()
        assert isinstance(task.error, LinkClosedError)


@pytest.mark.parametrize("end", [Link.close, Link.shut], ids=["close", "shut"])
@pytest.mark.parametrize("side", [0, 1], ids=["the connector", "the worker"])
def test_the_end_of_one_side_ends_the_wait_of_the_other_to_send(
    side: int, end: Callable[[Link], None]
) -> None:
    with linked() as ends:
        task = Task(lambda: ends[side].send("rows", bytes(LARGER_THAN_SLOT)))
        assert select.select([ends[1 - side]], [], [], DEADLINE)[0]
        assert task.waits()
        end(ends[1 - side])
        assert task.ended()
        assert isinstance(task.error, LinkClosedError)


@pytest.mark.parametrize("side", [0, 1], ids=["the connector", "the worker"])
def test_nothing_is_sent_or_received_after_the_end_of_either_side(side: int) -> None:
    with linked() as ends:
        ends[side].close()
        for link in ends:
            with pytest.raises(LinkClosedError):
                link.send("anything")
            with pytest.raises(LinkClosedError):
                link.receive()
        assert [link.closed for link in ends] == [side == 0, side == 1]


def test_what_was_sent_before_the_end_still_arrives() -> None:
    with linked() as (ours, theirs):
        Port(theirs).send("last", rows_of(1, IN_SLOT))
        theirs.close()
        received = ours.receive()
        assert received.message == "last"
        assert received.rows == rows_of(1, IN_SLOT)
        with pytest.raises(LinkClosedError):
            ours.receive()


def test_an_end_in_the_middle_of_a_message_is_an_end() -> None:
    memory, (one, other) = new_memory(), socket.socketpair()
    with ExitStack() as stack:
        ours = stack.enter_context(Link(one, mapped(memory), lambda _link, _slot: None))
        stack.enter_context(other)
        other.sendall(b"\x05\x00")
        task = Task(ours.receive)
        assert task.waits()
        other.close()
        assert task.ended()
        assert isinstance(task.error, LinkClosedError)


@pytest.mark.parametrize("end", [Link.close, Link.shut], ids=["close", "shut"])
@pytest.mark.parametrize("side", [0, 1], ids=["the connector", "the worker"])
def test_a_wait_is_ended_from_another_thread(side: int, end: Callable[[Link], None]) -> None:
    with linked() as ends:
        task = Task(ends[side].receive)
        assert task.waits()
        end(ends[side])
        assert task.ended()
        assert isinstance(task.error, LinkClosedError)


@pytest.mark.parametrize("end", [Link.close, Link.shut], ids=["close", "shut"])
def test_a_link_may_be_ended_more_than_once(end: Callable[[Link], None]) -> None:
    with linked() as (ours, theirs):
        for _ in range(2):
            end(ours)
        end(theirs)


@pytest.mark.parametrize("side", [0, 1], ids=["the connector", "the worker"])
def test_rows_outlive_their_link(side: int) -> None:
    with linked() as ends:
        Port(ends[1]).send("rows", rows_of(1, IN_SLOT))
        received = ends[0].receive()
        ends[side].close()
        assert received.rows == rows_of(1, IN_SLOT)
