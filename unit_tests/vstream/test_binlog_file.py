"""How the transactions of one binlog file are told from those of the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.vstream.binlog_file import BinlogFile
from source_planetscale.vstream.wire import vstream_pb2 as wire


def event(number: int, gtid: str = "") -> wire.VEvent:
    return wire.VEvent(type=wire.BEGIN, sequence_number=number, event_gtid=gtid)


def timed(second: int, kind: wire.VEventType.ValueType = wire.BEGIN) -> wire.VEvent:
    return wire.VEvent(type=kind, timestamp=second)


def test_a_file_may_be_entered_at_any_transaction() -> None:
    assert BinlogFile().holds(event(17, "a:17"))


def test_all_events_of_a_transaction_belong_together() -> None:
    file = BinlogFile()
    assert all(file.holds(event(3, "a:3")) for _ in range(3))


def test_a_number_that_comes_again_for_another_transaction_is_of_the_next_file() -> None:
    file = BinlogFile()
    file.holds(event(1, "a:1"))
    assert not file.holds(event(1, "a:2"))


def test_events_without_a_number_belong_to_any_file() -> None:
    file = BinlogFile()
    file.holds(event(9, "a:9"))
    assert file.holds(event(0))
    assert not file.holds(event(9, "a:10"))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_any_series_of_files_is_cut_where_each_begins(sizes: list[int], data: st.DataObject) -> None:
    series = [
        (number, f"{place}", event(number, f"{place}.{number}"))
        for place, size in enumerate(sizes)
        for number in range(1, size + 1)
    ]
    skipped = data.draw(st.integers(0, sizes[0] - 1))
    file = BinlogFile()
    current = "0"
    for _, place, of_it in series[skipped:]:
        if not file.holds(of_it):
            assert place != current
            file, current = BinlogFile(), place
            assert file.holds(of_it)
        assert place == current


# Servers that send no numbers.


def test_without_numbers_the_next_file_begins_with_the_first_transaction_after_the_start() -> None:
    file = BinlogFile(lambda: 1000)
    assert [file.holds(timed(second)) for second in (900, 950, 1010)] == [True, True, False]


@pytest.mark.parametrize("started", [None, 900, 850])
def test_a_start_that_is_unknown_or_before_the_first_transaction_parts_nothing(started: int | None) -> None:
    file = BinlogFile(lambda: started)
    assert all(file.holds(timed(second)) for second in (903, 950, 2000))


def test_a_transaction_that_goes_on_over_the_start_is_not_parted() -> None:
    file = BinlogFile(lambda: 1000)
    assert file.holds(timed(990))
    assert file.holds(timed(1003, wire.COMMIT))


def test_the_start_is_asked_for_once_and_never_where_there_are_numbers_or_copied_rows() -> None:
    asked: list[int] = []
    file = BinlogFile(lambda: asked.append(1))
    file.holds(event(9, "a:9"))
    file.holds(timed(0))
    assert not asked
    file.holds(timed(5))
    file.holds(timed(6))
    assert len(asked) == 1


def test_transactions_that_are_passed_together_are_held_up_to_the_start() -> None:
    file = BinlogFile(lambda: 1000)
    assert file.holds_all((), "", [900, 930])
    assert not file.holds_all((), "", [931, 1005, 940])
    assert file.holds_all((), "", [931])
    assert file.holds_all((), "", ())


@given(
    st.lists(st.integers(-50, 0), max_size=8),
    st.lists(st.integers(1, 50), max_size=8),
    st.integers(-1, 1),
    st.lists(st.booleans(), min_size=16, max_size=16),
)
def test_no_stream_holds_transactions_of_both_sides_of_a_start(
    before: list[int], after: list[int], error: int, together: list[bool]
) -> None:
    # A statement that began early may end late, so the times of either side are in no order.
    started = 1000
    series = [(second, "before") for second in before] + [(second, "after") for second in after]
    file, sides, streams = BinlogFile(lambda: started + error), set[str](), 1
    for (second, side), one in zip(series, together, strict=False):
        held = timed(started + second)
        if not (file.holds(held) if one else file.holds_all((), "", [held.timestamp])):
            file, sides, streams = BinlogFile(lambda: started + error), set(), streams + 1
            assert file.holds(held)
        sides.add(side)
        assert len(sides) == 1
    assert streams <= 2 + 5
