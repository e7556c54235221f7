"""How the transactions of one binlog file are told from those of the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.vstream.binlog_file import BinlogFile
from source_planetscale.vstream.wire import vstream_pb2 as wire


def event(number: int, gtid: str = "") -> wire.VEvent:
    return wire.VEvent(type=wire.BEGIN, sequence_number=number, event_gtid=gtid)


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
