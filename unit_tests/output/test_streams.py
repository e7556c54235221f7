"""Partitions, the ids of states, and the names of streams."""

from __future__ import annotations

from collections import Counter

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalog, ConfiguredAirbyteCatalogSerializer
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.output.streams import Closed, OutputStreams
from source_planetscale.records.jsonl import JsonLines


def catalog(*streams: dict[str, str]) -> ConfiguredAirbyteCatalog:
    configured = [
        {
            "stream": {"json_schema": {}, "supported_sync_modes": ["incremental"], **stream},
            "sync_mode": "incremental",
            "destination_sync_mode": "append",
        }
        for stream in streams
    ]
    return ConfiguredAirbyteCatalogSerializer.load({"streams": configured})


def streams(*names: str) -> OutputStreams:
    return OutputStreams(catalog(*({"name": name, "namespace": "shop"} for name in names)), JsonLines())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_partitions_end_with_their_state_and_belong_to_one_stream(steps: list[tuple[str, bool]]) -> None:
    known = streams("a", "b", "c")
    records: dict[str, set[str]] = {name: set() for name in "abc"}
    closed: dict[str, list[str]] = {name: [] for name in "abc"}
    for name, is_state in steps:
        stream = known.find(name, "shop")
        if is_state:
            number, partition, _ = stream.close_partition()
            closed[name].append(partition)
            assert number == len(closed[name])
        else:
            assert stream.partition not in closed[name]
            records[name].add(stream.partition)
    every = [partition for partitions in closed.values() for partition in partitions]
    assert len(every) == len(set(every))
    assert all(records[name].isdisjoint(records[other]) for name in "abc" for other in "abc" if name < other)


@pytest.mark.parametrize("namespace", [None, ""])
def test_a_namespace_that_was_filled_in_is_taken_back(namespace: str | None) -> None:
    stream = {"name": "t"} if namespace is None else {"name": "t", "namespace": namespace}
    found = OutputStreams(catalog(stream), JsonLines()).find("t", "shop")
    assert found.descriptor.namespace == namespace


def test_namesakes_are_told_apart_by_their_namespace() -> None:
    known = OutputStreams(
        catalog({"name": "t"}, {"name": "t", "namespace": "shop"}, {"name": "u", "namespace": "x"}),
        JsonLines(),
    )
    assert known.find("t", "shop").descriptor.namespace == "shop"
    assert known.find("t", "other").descriptor.namespace is None
    assert known.find("u", "x").descriptor.name == "u"


own = st.tuples(st.just("own"), st.integers(1, 5))
elsewhere = st.tuples(st.sampled_from(["w1.0", "w2.0"]), st.integers(1, 5))
# Their last rows have come before, or come with the end.
end = st.tuples(st.sampled_from(["end of w1.0", "end of w2.0"]), st.integers(0, 5))
other_state = st.tuples(st.just("state"), st.just(0))


@given(st.lists(own | elsewhere | end | other_state, max_size=40))
def test_partitions_that_end_elsewhere_have_states_of_their_own(steps: list[tuple[str, int]]) -> None:
    stream = streams("a", "b").find("b", "shop")
    counts: Counter[str] = Counter()
    numbers = {"w1.0": 1, "w2.0": 1}
    sent = ended = states = 0
    for kind, records in steps:
        sent += records
        partition = current = stream.partition
        if kind == "own":
            stream.count(records, partition)
            counts[partition] += records
            continue
        if kind != "state":
            prefix = kind.removeprefix("end of ")
            partition = f"{prefix}-{numbers[prefix]}"
            stream.count(records, partition)
            counts[partition] += records
            if kind == prefix:
                continue
            stream.end(partition)
            numbers[prefix] += 1
        states += 1
        closed = stream.close_partition()
        assert closed == Closed(states, partition, counts.pop(partition, 0))
        ended += closed.records
        # A partition that ends elsewhere leaves the stream's own as it is.
        assert (stream.partition == current) is (kind != "state")
    assert sent == ended + sum(counts.values())
