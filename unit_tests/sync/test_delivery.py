"""The queue between the threads that read shards and the one that emits."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.sync.delivery import Delivery, DeliveryQueue
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.fakes import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable


def delivery(shard: str, number: int, size: int = 1, *, ended: bool = False) -> Delivery:
    return Delivery(shard, Cursor("shop", shard, str(number)), size=size, ended=ended)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.001)
    return True


class Writer(threading.Thread):
    """Puts deliveries into a queue and keeps what `put` returned."""

    def __init__(self, queue: DeliveryQueue, deliveries: list[Delivery]) -> None:
        super().__init__(daemon=True)
        self.taken: list[bool] = []
        self._queue = queue
        self._deliveries = deliveries
        self.start()

    def run(self) -> None:
        for item in self._deliveries:
            self.taken.append(self._queue.put(item))

    def ended(self) -> bool:
        self.join(DEADLINE)
        return not self.is_alive()


def test_a_full_queue_makes_its_writer_wait_until_there_is_room() -> None:
    queue = DeliveryQueue(10)
    writer = Writer(queue, [delivery("a", 1, 6), delivery("b", 2, 6)])
    assert eventually(lambda: writer.taken == [True])
    first = queue.get(DEADLINE)
    assert first == delivery("a", 1, 6)
    assert writer.ended()
    assert queue.get(DEADLINE) == delivery("b", 2, 6)


def test_a_queue_never_holds_more_than_its_bytes_of_more_than_one_delivery() -> None:
    queue = DeliveryQueue(10)
    writer = Writer(queue, [delivery("a", n, 4) for n in range(4)])
    assert eventually(lambda: len(writer.taken) == 2)
    writer.join(0.05)
    assert writer.taken == [True, True]
    queue.close()


def test_a_delivery_larger_than_the_queue_passes_when_it_is_empty() -> None:
    queue = DeliveryQueue(10)
    assert queue.put(delivery("a", 1, 1000))
    assert queue.get(DEADLINE) == delivery("a", 1, 1000)


def test_a_waiting_writer_is_let_go_when_the_queue_is_closed() -> None:
    queue = DeliveryQueue(10)
    writer = Writer(queue, [delivery("a", 1, 10), delivery("a", 2, 10)])
    assert eventually(lambda: writer.taken == [True])
    queue.close()
    assert writer.ended()
    assert writer.taken == [True, False]


def test_a_closed_queue_takes_and_gives_nothing() -> None:
    queue = DeliveryQueue(10)
    queue.put(delivery("a", 1))
    queue.close()
    assert not queue.put(delivery("a", 2))
    assert queue.get(0) is None


def test_an_empty_queue_gives_nothing_in_time() -> None:
    assert DeliveryQueue(10).get(0) is None


def test_a_reader_that_waits_gets_what_comes() -> None:
    queue = DeliveryQueue(10)
    writer = Writer(queue, [delivery("a", 1)])
    assert queue.get(DEADLINE) == delivery("a", 1)
    assert writer.ended()


def test_deliveries_of_one_shard_that_wait_behind_each_other_are_joined() -> None:
    queue = DeliveryQueue(100)
    for item in (delivery("a", 1, 2), delivery("a", 2, 3, ended=True), delivery("b", 3)):
        queue.put(item)
    assert queue.get(0) == delivery("a", 2, 5, ended=True)
    assert queue.get(0) == delivery("b", 3)


@given(
    sizes=st.lists(st.integers(0, 300_000), max_size=12),
    limit=st.integers(1, 1_000_000),
)
def test_whatever_is_joined_the_last_cursor_and_all_bytes_arrive(sizes: list[int], limit: int) -> None:
    queue = DeliveryQueue(limit)
    writer = Writer(queue, [delivery("a", n, size) for n, size in enumerate(sizes)])
    taken = 0
    last = ""
    while last != str(len(sizes) - 1) and sizes:
        item = queue.get(DEADLINE)
        assert item is not None
        taken += item.size
        assert int(item.cursor.position) > int(last or -1)
        last = item.cursor.position
    assert taken == sum(sizes)
    assert writer.ended()


@pytest.mark.parametrize("shards", [1, 4])
def test_the_order_of_each_shard_is_kept(shards: int) -> None:
    queue = DeliveryQueue(20)
    count = 50
    writers = [
        Writer(queue, [delivery(f"s{shard}", n, 3, ended=n == count - 1) for n in range(count)])
        for shard in range(shards)
    ]
    seen: dict[str, list[int]] = {}
    ended = 0
    while ended < shards:
        item = queue.get(DEADLINE)
        assert item is not None
        seen.setdefault(item.shard, []).append(int(item.cursor.position))
        ended += item.ended
    assert all(positions == sorted(set(positions)) for positions in seen.values())
    assert all(positions[-1] == count - 1 for positions in seen.values())
    assert all(writer.ended() and all(writer.taken) for writer in writers)
