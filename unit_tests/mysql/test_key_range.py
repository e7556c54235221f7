"""The key ranges of shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.mysql.key_range import KeyRange, cover

EIGHTH = 1 << 61
BOUNDS = st.integers(0, 8)


def named(start: int, end: int) -> str:
    """The shard between two eighths of the ids, as Vitess names it."""
    first = "" if start == 0 else f"{start * 32:02x}"
    last = "" if end == 8 else f"{end * 32:02x}"
    return f"{first}-{last}"


RANGES = st.tuples(st.integers(0, 7), st.integers(1, 8)).filter(lambda bounds: bounds[0] < bounds[1])


@pytest.mark.parametrize(
    ("shard", "start", "end"),
    [
        ("-", 0, 8),
        ("0", 0, 8),
        ("-80", 0, 4),
        ("80-", 4, 8),
        ("40-80", 2, 4),
        ("40-8000", 2, 4),
        ("4000000000000000-C0", 2, 6),
        ("not a range", 0, 8),
        ("x-y", 0, 8),
    ],
)
def test_a_shard_stands_for_the_ids_that_its_name_says(shard: str, start: int, end: int) -> None:
    assert KeyRange.of(shard) == KeyRange(start * EIGHTH, end * EIGHTH)


@given(RANGES, RANGES)
def test_shards_overlap_where_they_share_ids(one: tuple[int, int], other: tuple[int, int]) -> None:
    shared = set(range(*one)) & set(range(*other))
    assert KeyRange.of(named(*one)).overlaps(KeyRange.of(named(*other))) is bool(shared)


@given(st.lists(RANGES), RANGES)
def test_shards_cover_another_where_they_have_all_of_its_ids(
    ranges: list[tuple[int, int]], wanted: tuple[int, int]
) -> None:
    ids = {eighth for bounds in ranges for eighth in range(*bounds)}
    found = cover([KeyRange.of(named(*bounds)) for bounds in ranges], KeyRange.of(named(*wanted)))
    assert found is set(range(*wanted)).issubset(ids)


@given(st.text(max_size=8))
def test_any_name_is_a_range(shard: str) -> None:
    start, end = KeyRange.of(shard)
    assert start >= 0
    assert end <= 8 * EIGHTH
