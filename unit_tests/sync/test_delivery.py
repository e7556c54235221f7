"""The buffers between the threads that read shards and the one that emits."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.sync.delivery import Deliveries, Delivery
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.fakes import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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
    """Puts deliveries into buffers and keeps what `put` returned."""

    def __init__(self, deliveries: Deliveries, items: Sequence[Delivery], stream: str = "orders") -> None:
        super().__init__(daemon=True)
        self.taken: list[bool] = []
        self._deliveries = deliveries
        self._items = items
        self._stream = stream
        self.start()

    def run(self) -> None:
        for item in self._items:
            self.taken.append(self._deliveries.put(self._stream, item))

    def ended(self) -> bool:
        self.join(DEADLINE)
        return not self.is_alive()


def next_of(deliveries: Deliveries) -> tuple[str, Delivery]:
    """Takes what comes next, of whichever stream."""
    stream = deliveries.next_stream(None, DEADLINE)
    assert stream is not None
    item = deliveries.take(stream)
    assert item is not None
    return stream, item


# Room.


def test_full_buffers_make_their_writers_wait_until_there_is_room() -> None:
    deliveries = Deliveries(10)
    writer = Writer(deliveries, [delivery("a", 1, 6), delivery("b", 2, 6)])
    assert eventually(lambda: writer.taken == [True])
    assert deliveries.take("orders") == delivery("a", 1, 6)
    assert writer.ended()
    assert deliveries.take("orders") == delivery("b", 2, 6)


def test_one_bound_holds_for_the_buffers_of_all_streams() -> None:
    deliveries = Deliveries(10)
    assert deliveries.put("orders", delivery("a", 1, 6))
    writer = Writer(deliveries, [delivery("a", 1, 6)], "others")
    writer.join(0.05)
    assert writer.taken == []
    assert next_of(deliveries) == ("orders", delivery("a", 1, 6))
    assert writer.ended()
    assert next_of(deliveries) == ("others", delivery("a", 1, 6))


def test_a_delivery_larger_than_the_bound_passes_when_the_buffers_are_empty() -> None:
    deliveries = Deliveries(10)
    assert deliveries.put("orders", delivery("a", 1, 1000))
    assert next_of(deliveries) == ("orders", delivery("a", 1, 1000))


@given(
    sizes=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=20),
    limit=st.integers(1, 60),
)
def test_the_buffers_hold_no_more_than_their_bound_and_give_everything(
    sizes: list[tuple[str, int]], limit: int
) -> None:
    deliveries = Deliveries(limit)
    items = {
        name: [delivery("-", n, size) for n, (stream, size) in enumerate(sizes) if stream == name]
        for name in "abc"
    }
    writers = [Writer(deliveries, own, name) for name, own in items.items()]
    given_size = 0
    while given_size < sum(size for _, size in sizes):
        assert deliveries._bytes <= max(limit, 40)
        _, item = next_of(deliveries)
        given_size += item.size
    assert all(writer.ended() and all(writer.taken) for writer in writers)


# The end.


def test_a_waiting_writer_is_let_go_when_the_buffers_are_closed() -> None:
    deliveries = Deliveries(10)
    writer = Writer(deliveries, [delivery("a", 1, 10), delivery("a", 2, 10)])
    assert eventually(lambda: writer.taken == [True])
    deliveries.close()
    assert writer.ended()
    assert writer.taken == [True, False]


def test_closed_buffers_take_and_give_nothing() -> None:
    deliveries = Deliveries(10)
    deliveries.put("orders", delivery("a", 1))
    deliveries.close()
    assert not deliveries.put("orders", delivery("a", 2))
    assert deliveries.take("orders") is None
    assert deliveries.next_stream(None, 0) is None


# What a stream gets.


def test_empty_buffers_give_nothing_in_time() -> None:
    deliveries = Deliveries(10)
    assert deliveries.next_stream(None, 0) is None
    assert deliveries.take("orders") is None


def test_a_reader_that_waits_gets_what_comes() -> None:
    deliveries = Deliveries(10)
    writer = Writer(deliveries, [delivery("a", 1)])
    assert next_of(deliveries) == ("orders", delivery("a", 1))
    assert writer.ended()


def test_deliveries_of_one_shard_that_wait_behind_each_other_are_joined() -> None:
    deliveries = Deliveries(100)
    for item in (delivery("a", 1, 2), delivery("a", 2, 3, ended=True), delivery("b", 3)):
        deliveries.put("orders", item)
    assert deliveries.take("orders") == delivery("a", 2, 5, ended=True)
    assert deliveries.take("orders") == delivery("b", 3)


@given(
    sizes=st.lists(st.integers(0, 300_000), max_size=12),
    limit=st.integers(1, 1_000_000),
)
def test_whatever_is_joined_the_last_cursor_and_all_bytes_arrive(sizes: list[int], limit: int) -> None:
    deliveries = Deliveries(limit)
    writer = Writer(deliveries, [delivery("a", n, size) for n, size in enumerate(sizes)])
    taken = 0
    last = ""
    while last != str(len(sizes) - 1) and sizes:
        _, item = next_of(deliveries)
        taken += item.size
        assert int(item.cursor.position) > int(last or -1)
        last = item.cursor.position
    assert taken == sum(sizes)
    assert writer.ended()


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("shards", [1, 4])
def test_the_order_of_each_shard_is_kept(shards: int, streams: int) -> None:
    deliveries = Deliveries(20)
    count = 50
    places = [(f"t{stream}", f"s{shard}") for stream in range(streams) for shard in range(shards)]
    writers = [
        Writer(deliveries, [delivery(shard, n, 3, ended=n == count - 1) for n in range(count)], stream)
        for stream, shard in places
    ]
    seen: dict[tuple[str, str], list[int]] = {}
    ended = 0
    while ended < len(places):
        stream, item = next_of(deliveries)
        seen.setdefault((stream, item.shard), []).append(int(item.cursor.position))
        ended += item.ended
    assert all(positions == sorted(set(positions)) for positions in seen.values())
    assert all(positions[-1] == count - 1 for positions in seen.values())
    assert all(writer.ended() and all(writer.taken) for writer in writers)


# Whose turn it is.


def test_the_stream_with_most_in_its_buffer_comes_first() -> None:
    deliveries = Deliveries(100)
    for stream, size in (("small", 1), ("large", 9), ("middle", 5)):
        deliveries.put(stream, delivery("a", 1, size))
    assert deliveries.next_stream(None, 0) == "large"


def test_every_stream_whose_reading_begins_has_a_turn_before_it_has_anything() -> None:
    deliveries = Deliveries(100)
    deliveries.begin("orders")
    deliveries.begin("others")
    deliveries.begin("orders")
    assert [deliveries.next_stream(None, 0) for _ in range(3)] == ["orders", "others", None]


def test_a_burst_goes_on_while_its_stream_has_anything() -> None:
    deliveries = Deliveries(10 << 20)
    deliveries.put("others", delivery("a", 1, 5 << 20))
    deliveries.put("orders", delivery("a", 1))
    assert deliveries.next_stream("orders", 0) == "orders"


def test_little_of_another_stream_does_not_end_a_burst_at_once() -> None:
    deliveries = Deliveries(100)
    deliveries.put("orders", delivery("a", 1))
    deliveries.take("orders")
    deliveries.put("others", delivery("a", 1))
    assert deliveries.next_stream("orders", 0) is None
    assert deliveries.next_stream("orders", DEADLINE) == "others"


@pytest.mark.parametrize(
    "items", [[delivery("a", 1, 300 << 10)], [delivery("a", 1, ended=True)]], ids=["much", "its end"]
)
def test_much_of_another_stream_or_its_end_ends_a_burst(items: list[Delivery]) -> None:
    deliveries = Deliveries(10 << 20)
    deliveries.put("orders", delivery("a", 1))
    deliveries.take("orders")
    for item in items:
        deliveries.put("others", item)
    assert deliveries.next_stream("orders", 0) == "others"


def test_a_writer_that_waits_for_room_ends_a_burst() -> None:
    deliveries = Deliveries(10)
    deliveries.put("orders", delivery("a", 1, 1))
    deliveries.take("orders")
    writer = Writer(deliveries, [delivery("a", 1, 6), delivery("a", 2, 6)], "others")
    assert eventually(lambda: writer.taken == [True])
    assert eventually(lambda: deliveries.next_stream("orders", 0) == "others")
    deliveries.close()
    assert writer.ended()
