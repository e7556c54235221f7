"""Saved states of the Go connector: each goes on exactly where it stood, on a real Vitess.

`unit_tests/legacy_states/` holds states that the Go connector wrote; the tests move them to the running
cluster, with its position, and leave their form and their last primary keys.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.support.command import cursors, positions, read_well
from integration_tests.support.tables import create, executed_position, insert
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.position import Position

if TYPE_CHECKING:
    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

STATES = Path(__file__).parents[2] / "unit_tests" / "legacy_states"

TABLES = {
    "src": [
        "create table go_mut (id bigint primary key, note varchar(20))",
        "create table go_multipk (id bigint primary key, note varchar(20))",
        "create table go_big (id bigint primary key, note varchar(20))",
        "create table go_cpk (id bigint, sku varchar(20), note varchar(20), primary key (sku, id))",
        "create table go_nopkbig (sku varchar(20), q int)",
    ],
    "shop": [
        "create table go_x (id bigint primary key, note varchar(20))",
        "create table go_y (id bigint primary key, note varchar(20))",
    ],
}

# Rows that are there when the state is saved. Those of `go_big` lie on both sides of its saved last keys.
SAVED: dict[tuple[str, str], list[tuple[object, ...]]] = {
    ("0", "go_mut"): [(1, "old"), (2, "old")],
    ("0", "go_multipk"): [(1, "old")],
    ("0", "go_big"): [(103305, "old"), (122592, "old"), (122593, "old"), (200000, "old")],
    ("0", "go_cpk"): [
        (15826, "dxokhutc", "old"),
        (15827, "dxokhutc", "old"),
        (1, "zz", "old"),
        (9, "a", "old"),
    ],
    ("0", "go_nopkbig"): [("ivrrjcpq", 1727), ("zz", 1)],
    ("-80", "go_x"): [(1, "old")],
    ("80-", "go_x"): [(101, "old")],
    ("-80", "go_y"): [(1, "old")],
    ("80-", "go_y"): [(7922, "old"), (7923, "old")],
}

# Rows that come after the state was saved.
CHANGED: dict[tuple[str, str], tuple[object, ...]] = {
    ("0", "go_mut"): (3, "new"),
    ("0", "go_multipk"): (2, "new"),
    ("0", "go_big"): (5, "new"),
    ("0", "go_cpk"): (1, "b", "new"),
    ("0", "go_nopkbig"): ("a", 5),
    ("-80", "go_x"): (2, "new"),
    ("80-", "go_x"): (102, "new"),
    ("-80", "go_y"): (2, "new"),
    ("80-", "go_y"): (7, "new"),
}

ALL_OF_BIG = [(5, "new"), *SAVED["0", "go_big"]]


def new(*tables: tuple[str, str]) -> list[tuple[object, ...]]:
    return [CHANGED[table] for table in tables]


# What each file's next sync has to deliver, by stream.
EXPECTED: dict[str, dict[str, list[tuple[object, ...]]]] = {
    "01-single-shard-copied": {"go_mut": new(("0", "go_mut"))},
    "02-single-shard-after-incremental": {"go_mut": new(("0", "go_mut"))},
    "03-two-shards-copied": {"go_x": new(("-80", "go_x"), ("80-", "go_x"))},
    "04-two-shards-after-incremental": {"go_x": new(("-80", "go_x"), ("80-", "go_x"))},
    "05-two-shards-one-not-started": {
        "go_x": [*new(("-80", "go_x"), ("80-", "go_x")), *SAVED["80-", "go_x"]]
    },
    "06-mid-copy-single-pk": {"go_big": [*new(("0", "go_big")), (122593, "old"), (200000, "old")]},
    "07-mid-copy-composite-pk": {
        "go_cpk": [*new(("0", "go_cpk")), (15827, "dxokhutc", "old"), (1, "zz", "old")]
    },
    "08-mid-copy-no-primary-key": {"go_nopkbig": [*new(("0", "go_nopkbig")), *SAVED["0", "go_nopkbig"]]},
    "09-mid-copy-two-shards": {"go_y": [*new(("-80", "go_y"), ("80-", "go_y")), (7923, "old")]},
    "10-mid-copy-without-position": {"go_big": ALL_OF_BIG},
    # Nothing in it tells that the copy behind it never began.
    "11-copy-cut-before-first-pk": {"go_big": new(("0", "go_big"))},
    "12-mid-copy-resumed-complete": {"go_big": new(("0", "go_big"))},
    "13-two-streams": {"go_multipk": new(("0", "go_multipk")), "go_mut": new(("0", "go_mut"))},
    "14-shard-name-with-space": {"go_x": [*new(("-80", "go_x"), ("80-", "go_x")), *SAVED["80-", "go_x"]]},
    "15-emitted-message": {"go_x": new(("-80", "go_x"), ("80-", "go_x"))},
}

RESTARTED = ("08-mid-copy-no-primary-key", "10-mid-copy-without-position")


@pytest.fixture(scope="module")
def position(vitess: VitessCluster) -> str:
    """The position between the rows that were there and those that come after."""
    for keyspace, statements in TABLES.items():
        create(vitess, keyspace, *statements)
    for (shard, table), rows in SAVED.items():
        insert(vitess, keyspace_of(shard), shard, table, rows)
    saved = executed_position(vitess)
    for (shard, table), row in CHANGED.items():
        insert(vitess, keyspace_of(shard), shard, table, [row])
    return saved


def keyspace_of(shard: str) -> str:
    return "src" if shard == "0" else "shop"


def moved(state: Any, position: str) -> Any:
    """The state with every position replaced by one of the running cluster."""
    if isinstance(state, list):
        return [moved(item, position) for item in state]
    if not isinstance(state, dict):
        return state
    return {
        key: moved_cursor(value, position) if key == "cursor" else moved(value, position)
        for key, value in state.items()
    }


def moved_cursor(text: str, position: str) -> str:
    keyspace, shard = next(
        (keyspace, shard)
        for keyspace, shards in {"src": ["0"], "shop": ["-80", "80-"]}.items()
        for shard in shards
        if belongs_to(text, keyspace, shard)
    )
    cursor = Cursor.decode(text, keyspace=keyspace, shard=shard)
    return replace(cursor, position=position).encode() if cursor.position else text


def belongs_to(text: str, keyspace: str, shard: str) -> bool:
    try:
        Cursor.decode(text, keyspace=keyspace, shard=shard)
    except ValueError:
        return False
    return True


def saved_state(name: str, position: str) -> Json:
    state: Json = moved(json.loads((STATES / f"{name}.json").read_text()), position)
    return state


def sync(vitess: VitessCluster, name: str, state: Json) -> Run:
    streams = EXPECTED[name]
    keyspace = "shop" if {"go_x", "go_y"} & set(streams) else "src"
    return read_well(vitess.config(keyspace), *streams, state=state)


def rows(done: Run, stream: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in done.records(stream)]


def test_every_file_of_legacy_states_has_its_expectation() -> None:
    assert {path.stem for path in STATES.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_legacy_state_goes_on_exactly_where_it_stood(
    vitess: VitessCluster, position: str, name: str
) -> None:
    done = sync(vitess, name, saved_state(name, position))
    keyspace = done.state[0]["stream"]["stream_descriptor"]["namespace"]
    for stream, expected in EXPECTED[name].items():
        assert sorted(rows(done, stream), key=str) == sorted(expected, key=str)
        for shard, cursor in cursors(done.stream_state(stream), keyspace).items():
            assert shard == shard.strip()
            assert not cursor.copying
            assert Position.parse(cursor.position).contains(Position.parse(position))
    assert len(done.state) == len(EXPECTED[name])


@pytest.mark.parametrize("name", EXPECTED)
def test_the_state_after_a_legacy_state_is_of_type_stream_and_nothing_comes_twice(
    vitess: VitessCluster, position: str, name: str
) -> None:
    first = sync(vitess, name, saved_state(name, position))
    assert {state["type"] for state in first.state} == {"STREAM"}
    assert sync(vitess, name, first.state).of_type("RECORD") == []  # type: ignore[arg-type]  # a v2 array


@pytest.mark.parametrize("name", RESTARTED)
def test_a_copy_that_cannot_be_resumed_without_loss_starts_again_and_says_so(
    vitess: VitessCluster, position: str, name: str
) -> None:
    done = sync(vitess, name, saved_state(name, position))
    assert any("starts again" in line and "shard 0" in line for line in done.logs)


def wrapped(inner: Json) -> list[Any]:
    """Every form in which a legacy object may come back."""
    return [
        inner,
        {"data": inner},
        {"type": "LEGACY", "data": inner},
        {"type": "STATE", "state": {"data": inner}},
        [{"type": "LEGACY", "data": inner}],
        [{"data": inner}],
    ]


@pytest.mark.parametrize("form", range(6))
def test_a_legacy_object_is_accepted_with_and_without_its_wrappers(
    vitess: VitessCluster, position: str, form: int
) -> None:
    name = "03-two-shards-copied"
    done = sync(vitess, name, wrapped(saved_state(name, position))[form])
    assert sorted(rows(done, "go_x")) == sorted(EXPECTED[name]["go_x"])


@pytest.mark.parametrize("shards", [{}, {"shards": {}}, {"shards": {"-80": {"cursor": ""}}}, None])
def test_a_legacy_stream_without_cursors_is_copied_and_not_skipped(
    vitess: VitessCluster, position: str, shards: object
) -> None:
    state = {"streams": {"shop:go_x": shards}}
    done = read_well(vitess.config("shop"), "go_x", state=state)
    everything = [*SAVED["-80", "go_x"], *SAVED["80-", "go_x"], (2, "new"), (102, "new")]
    assert sorted(rows(done, "go_x")) == sorted(everything)
    assert set(positions(done.stream_state("go_x"), "shop")) == {"-80", "80-"}
    assert Position.parse(positions(done.stream_state("go_x"), "shop")["-80"]).contains(
        Position.parse(position)
    )
