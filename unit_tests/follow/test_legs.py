"""In which order tables at different positions of one log are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.follow.legs import Leg, next_leg
from source_planetscale.vstream.position import Position
from unit_tests.support.reading import position

if TYPE_CHECKING:
    from collections.abc import Mapping

A, B = "6ca9ebda-e590-11f1-936a-02fc00000001", "6ca9ebda-e590-11f1-936a-02fc00000002"


def at(**positions: int) -> dict[str, Position]:
    return {table: position(last) for table, last in positions.items()}


def of(text: str) -> Position:
    return Position.parse(f"MySQL56/{text}")


def legs_of(positions: Mapping[str, Position], stop: Position) -> list[Leg]:
    """All legs, one after the other, where each is read exactly to its goal."""
    left, legs = dict(positions), []
    while (leg := next_leg(left, stop)) is not None:
        legs.append(leg)
        left.update(dict.fromkeys(leg.tables, leg.goal))
    return legs


def test_tables_at_one_position_are_read_together() -> None:
    assert next_leg(at(a=5, b=5), position(10)) == Leg(("a", "b"), position(10))


def test_the_oldest_goes_first_to_where_the_next_one_boards() -> None:
    assert legs_of(at(a=7, b=3, c=5, d=5), position(10)) == [
        Leg(("b",), position(5)),
        Leg(("b", "c", "d"), position(7)),
        Leg(("a", "b", "c", "d"), position(10)),
    ]


def test_a_table_at_the_stop_position_or_beyond_takes_no_part() -> None:
    assert next_leg(at(a=5, b=10, c=12), position(10)) == Leg(("a",), position(10))


def test_there_is_nothing_to_read_at_the_stop_position() -> None:
    assert next_leg(at(a=10, b=12), position(10)) is None
    assert next_leg({}, position(10)) is None


def test_a_table_beyond_the_goal_of_others_waits_for_them() -> None:
    """A response may bring tables further than to where the next ones board."""
    assert next_leg(at(a=6, b=5), position(10)) == Leg(("b",), position(6))


def test_positions_that_cannot_be_compared_have_passes_of_their_own() -> None:
    positions = {"a": of(f"{A}:1-5,{B}:1-3"), "b": of(f"{A}:1-3,{B}:1-5")}
    stop = of(f"{A}:1-9,{B}:1-9")
    assert legs_of(positions, stop) == [Leg(("a",), stop), Leg(("b",), stop)]


def test_a_position_that_no_other_contains_may_still_be_the_oldest_of_some() -> None:
    positions = {
        "a": of(f"{A}:1-5,{B}:1-3"),
        "b": of(f"{A}:1-3,{B}:1-5"),
        "c": of(f"{A}:1-5,{B}:1-5"),
    }
    stop = of(f"{A}:1-9,{B}:1-9")
    assert legs_of(positions, stop) == [
        Leg(("a",), positions["c"]),
        Leg(("b",), positions["c"]),
        Leg(("a", "b", "c"), stop),
    ]


LINEAR = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 14), min_size=1)


@given(LINEAR, st.integers(1, 12))
def test_each_part_of_the_log_is_read_once_by_each_table_and_over_one_stream(
    positions: dict[str, int], stop: int
) -> None:
    left = at(**positions)
    read: dict[str, list[int]] = {table: [] for table in positions}
    streamed: list[int] = []
    while (leg := next_leg(left, position(stop))) is not None:
        boarding = left[leg.tables[0]]
        start, goal = _last(boarding), _last(leg.goal)
        part = range(start + 1, goal + 1)
        assert part
        streamed += part
        for table in leg.tables:
            # It boards exactly where it stands.
            assert left[table] == boarding
            read[table] += part
            left[table] = leg.goal
    assert read == {table: list(range(last + 1, stop + 1)) for table, last in positions.items()}
    assert streamed == list(range(min(positions.values()) + 1, stop + 1))


@given(LINEAR, st.integers(1, 12), st.data())
def test_nothing_is_left_out_where_a_leg_reads_beyond_its_goal(
    positions: dict[str, int], stop: int, data: st.DataObject
) -> None:
    left = at(**positions)
    for _ in range(200):
        leg = next_leg(left, position(stop))
        if leg is None:
            break
        boarding = left[leg.tables[0]]
        beyond = data.draw(st.integers(_last(leg.goal), _last(leg.goal) + 2))
        for table in leg.tables:
            assert left[table] == boarding
            left[table] = position(beyond)
    assert all(last.contains(position(stop)) for last in left.values())


SETS = st.builds(lambda a, b: of(f"{A}:1-{a},{B}:1-{b}"), st.integers(1, 5), st.integers(1, 5))


@given(st.dictionaries(st.sampled_from("abcdef"), SETS, min_size=1))
def test_any_positions_come_to_the_stop_position(positions: dict[str, Position]) -> None:
    stop = of(f"{A}:1-5,{B}:1-5")
    left = dict(positions)
    for leg in legs_of(positions, stop):
        for table in leg.tables:
            assert leg.goal.contains(left[table])
            assert leg.goal != left[table]
            left[table] = leg.goal
    assert all(last.contains(stop) for last in left.values())


def _last(text: Position) -> int:
    ((_, last),) = next(iter(text.members.values()))
    return last
