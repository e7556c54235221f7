"""Which shards a configuration means."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.endpoint import Keyspace
from source_planetscale.errors import ConfigError
from source_planetscale.mysql.shards import KeyRange, key_range_order, selected_shards

FOUR = ["-40", "40-80", "80-c0", "c0-"]


def selected(*entries: str, known: list[str] = FOUR) -> list[str]:
    return selected_shards(Keyspace("shop", shards=entries), known)


@pytest.mark.parametrize(
    ("entries", "shards"),
    [
        ((), FOUR),
        (("40-80",), ["40-80"]),
        (("c0-", "-40"), ["-40", "c0-"]),
        (("-40", "-40"), ["-40"]),
        (("C0-",), ["c0-"]),
        (("-4", "c-"), ["-40", "c0-"]),
        (("4000-8000",), ["40-80"]),
        (("00-40",), ["-40"]),
        (("shop/-40", "shop:c0-"), ["-40", "c0-"]),
        (("-80",), ["-40", "40-80"]),
        (("40-c0",), ["40-80", "80-c0"]),
        (("shop/80-",), ["80-c0", "c0-"]),
        (("-",), FOUR),
        (("-80", "40-80", "c0-"), ["-40", "40-80", "c0-"]),
    ],
)
def test_an_entry_is_a_shard_in_any_spelling_or_a_range_of_shards(
    entries: tuple[str, ...], shards: list[str]
) -> None:
    assert selected(*entries) == shards


@pytest.mark.parametrize("name", ["0", "-", "main"])
def test_the_one_shard_of_an_unsharded_keyspace_has_its_own_name_and_is_the_whole_range(name: str) -> None:
    assert selected(name, known=[name]) == [name]
    assert selected("-", known=[name]) == [name]


@pytest.mark.parametrize(
    "entry", ["zz-", "0", "shop", "x/-40", "1-2-3", "80-40", "40-40", "-00", "80-00", "--"]
)
def test_an_entry_that_names_no_shard_is_told_beside_the_shards_there_are(entry: str) -> None:
    with pytest.raises(ConfigError, match="-40, 40-80, 80-c0, c0-") as caught:
        selected("-40", entry)
    assert f"lists shard(s) {entry}," in caught.value.message


@pytest.mark.parametrize(("entry", "divided"), [("-60", "40-80"), ("20-30", "-40"), ("f0-", "c0-")])
def test_a_range_that_divides_a_shard_is_told(entry: str, divided: str) -> None:
    with pytest.raises(ConfigError, match=rf"range {entry} .* divides shard\(s\) {divided} of"):
        selected(entry)


@st.composite
def partitions(draw: st.DrawFn) -> list[str]:
    """Shards of a whole keyspace, cut anywhere."""
    bounds = sorted(draw(st.sets(st.binary(min_size=1, max_size=3).filter(lambda b: b[-1]), max_size=8)))
    names = ["", *(bound.hex() for bound in bounds), ""]
    return [f"{start}-{end}" for start, end in itertools.pairwise(names)]


@given(partitions(), st.data())
def test_two_ranges_that_meet_divide_a_keyspace_without_gap_and_overlap(
    shards: list[str], data: st.DataObject
) -> None:
    middle = data.draw(st.sampled_from(shards)).partition("-")[2]
    first = selected(f"-{middle}", known=shards)
    second = selected(f"{middle}-", known=shards) if middle else []
    assert first + second == shards


@given(partitions(), st.text(alphabet="0123456789abcdefABCDEF-", max_size=7))
def test_a_range_takes_whole_shards_or_is_refused(shards: list[str], entry: str) -> None:
    try:
        chosen = selected(entry, known=shards)
    except ConfigError:
        return
    wanted = KeyRange.parse(entry)
    assert wanted
    for shard in shards:
        key_range = KeyRange.parse(shard)
        assert key_range
        assert wanted.contains(key_range) is wanted.overlaps(key_range) is (shard in chosen)


@pytest.mark.parametrize(
    "ordered",
    [["0"], ["-"], ["-80", "80-"], FOUR, ["-08", "08-1", "1-10c0", "10c0-"]],
)
def test_shards_are_ordered_by_key_range(ordered: list[str]) -> None:
    backwards = ordered[::-1]
    assert sorted(backwards, key=key_range_order) == ordered


@given(st.lists(st.text()))
def test_shard_names_of_any_kind_can_be_ordered(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=key_range_order) == sorted(backwards, key=key_range_order)
