"""Partitions, the ids of states, and the names of streams."""

from __future__ import annotations

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalog, ConfiguredAirbyteCatalogSerializer
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.output.streams import OutputStreams
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
            number, partition = stream.close_partition()
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
