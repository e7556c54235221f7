"""Positions: parsing and comparing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.vstream.position import Goal, Position, PositionError

A = "6ca9ebda-e590-11f1-936a-02fc00000001"
B = "6ca9ebda-e590-11f1-936a-02fc00000002"


def position(text: str) -> Position:
    return Position.parse(text)


@pytest.mark.parametrize(
    ("larger", "smaller", "contained"),
    [
        (f"MySQL56/{A}:1-10", f"MySQL56/{A}:1-10", True),
        (f"MySQL56/{A}:1-10", f"MySQL56/{A}:5", True),
        (f"MySQL56/{A}:1-10", f"MySQL56/{A}:1-11", False),
        (f"MySQL56/{A}:1-10,{B}:1", f"MySQL56/{A}:1-10", True),
        (f"MySQL56/{A}:1-10", f"MySQL56/{A}:1-10,{B}:1", False),
        (f"MySQL56/{A}:1-3:4-50", f"MySQL56/{A}:2-49", True),
        (f"MySQL56/{A}:1-3:5-50", f"MySQL56/{A}:2-49", False),
        (f"MySQL56/{A.upper()}:1-3", f"MySQL56/{A}:1-3", True),
        (f"MySQL56/{A}:1-3, {A}:4-9", f"MySQL56/{A}:1-9", True),
        (f"MySQL56/{A}:1-3:tag:1-5", f"MySQL56/{A}:tag:5", True),
        (f"MySQL56/{A}:1-9", f"MySQL56/{A}:tag:5", False),
        (f"MySQL56/{A}:1-9", "MySQL56/", True),
        ("MySQL56/", f"MySQL56/{A}:1", False),
        ("MariaDB/0-1-20,1-1-5", "MariaDB/0-2-19", True),
        ("MariaDB/0-1-20", "MariaDB/1-1-1", False),
        ("FilePos/binlog.000002:4", "FilePos/binlog.000001:999", True),
        ("FilePos/binlog.000002:4", "FilePos/binlog.000002:5", False),
        ("FilePos/binlog.000002:4", f"MySQL56/{A}:1", False),
        (f"MySQL56/{A}:1-9", "FilePos/binlog.000002:4", False),
    ],
)
def test_a_position_contains_another_when_it_holds_all_of_its_transactions(
    larger: str, smaller: str, contained: bool
) -> None:
    assert position(larger).contains(position(smaller)) is contained
    assert Goal(position(smaller)).reached_by(larger) is contained


@pytest.mark.parametrize(
    "text",
    [
        "",
        "current",
        f"{A}:1-5",
        "MySQL56/garbage",
        f"MySQL56/{A}",
        f"MySQL56/{A}:0-5",
        f"MySQL56/{A}:1-5:9bad",
        f"Mysql56/{A}:1",
        "MariaDB/1-2",
        "FilePos/binlog",
    ],
)
def test_a_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(PositionError):
        position(text)


intervals = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 10)), min_size=1, max_size=5)
simple_sets = st.dictionaries(
    st.sampled_from([A, B]), st.integers(0, 9).map(lambda length: [(1, length)]), max_size=2
)
gtid_sets = st.dictionaries(st.sampled_from([A, B]), intervals, max_size=2)


def _members(sets: dict[str, list[tuple[int, int]]]) -> set[tuple[str, int]]:
    return {
        (uuid, number)
        for uuid, spans in sets.items()
        for start, length in spans
        for number in range(start, start + length + 1)
    }


def _text(sets: dict[str, list[tuple[int, int]]]) -> str:
    return "MySQL56/" + ",".join(
        uuid + "".join(f":{start}-{start + length}" for start, length in spans)
        for uuid, spans in sets.items()
    )


@given(gtid_sets, gtid_sets)
def test_contains_is_the_subset_relation_of_the_transactions(
    one: dict[str, list[tuple[int, int]]], two: dict[str, list[tuple[int, int]]]
) -> None:
    assert position(_text(one)).contains(position(_text(two))) == (_members(two) <= _members(one))


@given(gtid_sets | simple_sets, gtid_sets | simple_sets)
def test_a_goal_is_reached_by_the_positions_that_contain_it(
    reaching: dict[str, list[tuple[int, int]]], goal: dict[str, list[tuple[int, int]]]
) -> None:
    reached = Goal(position(_text(goal))).reached_by(_text(reaching))
    assert reached is (_members(goal) <= _members(reaching))


@given(st.text())
def test_any_text_is_a_position_or_a_position_error(text: str) -> None:
    try:
        parsed = position("MySQL56/" + text)
    except PositionError:
        return
    assert parsed.contains(parsed)


@pytest.mark.parametrize(
    ("one", "other", "more"),
    [
        (f"MySQL56/{A}:1-10", f"MySQL56/{A}:1-4", 6),
        (f"MySQL56/{A}:1-10", f"MySQL56/{A}:1-10", 0),
        (f"MySQL56/{A}:1-4", f"MySQL56/{A}:1-10", 0),
        (f"MySQL56/{A}:1-10,{B}:1-3", f"MySQL56/{A}:1-12,{B}:1", 2),
        (f"MySQL56/{A}:1-10,{B}:1-3", f"MySQL56/{A}:1-4", 9),
        (f"MySQL56/{A}:1-10", f"MySQL56/{B}:1-300", 10),
        (f"MySQL56/{A}:1-10:tag:1-5", f"MySQL56/{A}:1-10:tag:1-2", 3),
        (f"MySQL56/{A}:1-3:7-9", f"MySQL56/{A}:1-4", 2),
        (f"MySQL56/{A}:1-10", "MySQL56/", 10),
        ("MySQL56/", f"MySQL56/{A}:1-10", 0),
        ("MariaDB/0-1-20,1-1-5", "MariaDB/0-2-15,1-1-5", 5),
        ("FilePos/binlog.000002:5000", "FilePos/binlog.000002:1000", 4000),
    ],
)
def test_what_a_position_holds_more_of_is_counted_by_source(one: str, other: str, more: int) -> None:
    assert position(one).beyond(position(other)) == more


@given(gtid_sets | simple_sets, gtid_sets | simple_sets)
def test_a_position_is_beyond_one_that_it_contains_by_its_transactions_more(
    one: dict[str, list[tuple[int, int]]], two: dict[str, list[tuple[int, int]]]
) -> None:
    both = {uuid: [*one.get(uuid, []), *two.get(uuid, [])] for uuid in one.keys() | two.keys()}
    more = position(_text(both)).beyond(position(_text(two)))
    assert more == len(_members(both) - _members(two))
    assert position(_text(two)).beyond(position(_text(both))) == 0
