"""Saved states that cannot be used: an error that names what is wrong, and nothing read, on a real Vitess."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.support.command import configured, read, run
from integration_tests.support.tables import create, executed_position, insert
from source_planetscale.vstream.cursor import Cursor

if TYPE_CHECKING:
    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

UUID = "6ca9ebda-e590-11f1-936a-02fc00000001"


@pytest.fixture(scope="module", autouse=True)
def tables(vitess: VitessCluster) -> None:
    create(
        vitess,
        "shop",
        "create table damaged_rows (id bigint primary key)",
        "create table damaged_healthy (id bigint primary key)",
    )
    for table in ("damaged_rows", "damaged_healthy"):
        insert(vitess, "shop", "-80", table, [(1,)])
        insert(vitess, "shop", "80-", table, [(2,)])


def state(stream_state: object, name: str = "damaged_rows") -> list[Json]:
    stream = {"stream_descriptor": {"name": name, "namespace": "shop"}, "stream_state": stream_state}
    return [{"type": "STREAM", "stream": stream}]


def read_both(vitess: VitessCluster, saved: object, **options: object) -> Run:
    done = read(vitess.config("shop", **options), "damaged_rows", "damaged_healthy", state=saved)
    assert done.exit_code != 0
    assert done.statuses("damaged_rows")[-1] == "INCOMPLETE"
    # The other stream is not held up.
    assert done.statuses("damaged_healthy")[-1] == "COMPLETE"
    assert len(done.records("damaged_healthy")) == 2
    return done


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


DAMAGED = {
    "no base64": "%%%",
    "no cursor": text(b"\xff\xff\xff"),
    "another keyspace": Cursor("elsewhere", "80-").encode(),
    "another shard": Cursor("shop", "-40").encode(),
    "garbage for a position": Cursor("shop", "80-", "garbage").encode(),
    "a position of no known flavor": Cursor("shop", "80-", "MySQL99/1-2-3").encode(),
    "a position that is a word": Cursor("shop", "80-", "current").encode(),
    "a number": 5,
}


@pytest.mark.parametrize("cursor", DAMAGED.values(), ids=list(DAMAGED))
def test_a_damaged_cursor_is_an_error_that_names_stream_and_shard_and_reads_nothing(
    vitess: VitessCluster, cursor: object
) -> None:
    healthy = Cursor("shop", "-80").encode()
    shards = {"-80": {"cursor": healthy}, "80-": {"cursor": cursor}}
    done = read_both(vitess, state({"shards": shards}))
    (message,) = done.errors_of("damaged_rows")
    assert "damaged_rows" in message
    assert "'80-'" in message
    assert done.records("damaged_rows") == []


@pytest.mark.parametrize("shard", [None, {}, [], "text"])
def test_a_shard_without_a_cursor_is_an_error_and_no_crash(vitess: VitessCluster, shard: object) -> None:
    done = read_both(vitess, state({"shards": {"80-": shard}}))
    (message,) = done.errors_of("damaged_rows")
    assert "'80-'" in message
    assert done.records("damaged_rows") == []


@pytest.mark.parametrize(
    "stream_state",
    [{"updated_at": "2024-01-01"}, {"shards": []}, {"shards": {}, "version": 99}, {"shards": "text"}],
)
def test_the_state_of_another_source_or_version_is_refused(
    vitess: VitessCluster, stream_state: object
) -> None:
    done = read_both(vitess, state(stream_state))
    (message,) = done.errors_of("damaged_rows")
    assert "damaged_rows" in message
    assert done.records("damaged_rows") == []


@pytest.mark.parametrize("position", [f"MySQL56/{UUID}:1-5", "ahead"])
def test_a_position_that_the_server_cannot_serve_is_told_at_once_and_never_taken_for_nothing_new(
    vitess: VitessCluster, position: str
) -> None:
    if position == "ahead":
        server = executed_position(vitess).removeprefix("MySQL56/").split(":")[0]
        position = f"MySQL56/{server}:1-99999999"
    shards = {shard: {"cursor": Cursor("shop", shard, position).encode()} for shard in vitess.shards("shop")}
    done = read_both(vitess, state({"shards": shards}))
    (message,) = done.errors_of("damaged_rows")
    for shard in vitess.shards("shop"):
        assert f"shard {shard}" in message
    assert done.stream_state("damaged_rows")["shards"] == shards


def test_a_position_that_the_server_cannot_serve_is_copied_again_if_the_option_says_so(
    vitess: VitessCluster,
) -> None:
    shards = {"80-": {"cursor": Cursor("shop", "80-", f"MySQL56/{UUID}:1-5").encode()}}
    config = vitess.config("shop", invalid_cdc_cursor_position_behavior="Re-sync data")
    done = read(config, "damaged_rows", state=state({"shards": shards}))
    assert done.exit_code == 0
    assert sorted(row["id"] for row in done.records("damaged_rows")) == [1, 2]


def test_shards_of_the_state_that_are_gone_are_told(vitess: VitessCluster) -> None:
    here = executed_position(vitess)
    shards = {name: {"cursor": Cursor("shop", name, here).encode()} for name in ("-40", "40-80", "80-")}
    done = read_both(vitess, state({"shards": shards}))
    message = done.errors_of("damaged_rows")[0]
    assert "-40" in message
    assert "reshard" in message
    assert done.records("damaged_rows") == []


def test_a_shard_of_which_the_state_knows_a_part_only_is_copied(vitess: VitessCluster) -> None:
    part = Cursor("shop", "-40", executed_position(vitess)).encode()
    done = read(vitess.config("shop"), "damaged_rows", state=state({"shards": {"-40": {"cursor": part}}}))
    assert done.exit_code == 0
    assert sorted(row["id"] for row in done.records("damaged_rows")) == [1, 2]


def broken_files() -> dict[str, Any]:
    return {
        "no JSON": "no json",
        "a number": "5",
        "a text": '"text"',
        "an array of numbers": "[1]",
        "an unknown element": '[{"type": "OTHER"}]',
        "an unknown object": '{"bookmarks": {}}',
        "a stream without keyspace": '{"streams": {"damaged_rows": {"shards": {}}}}',
        "an element that is no state": '[{"type": "STREAM", "stream": 5}]',
        "an element without its stream": '[{"type": "STREAM"}]',
    }


@pytest.mark.parametrize("content", broken_files().values(), ids=list(broken_files()))
def test_a_state_file_of_no_known_form_is_a_clear_error_and_reads_nothing(
    vitess: VitessCluster, content: str
) -> None:
    done = read(vitess.config("shop"), "damaged_rows", state=content)
    assert done.exit_code != 0
    assert done.of_type("RECORD") == []
    assert done.of_type("STATE") == []
    assert "state" in done.errors[-1]["message"].lower()


@pytest.mark.parametrize("content", ["no json", "[]", "{}", '{"streams": 5}', '{"streams": [{"stream": 1}]}'])
def test_a_catalog_file_of_no_known_form_is_a_clear_error_and_reads_nothing(
    vitess: VitessCluster, content: str
) -> None:
    done = run("read", config=vitess.config("shop"), catalog=content)
    assert done.exit_code != 0
    assert done.of_type("RECORD") == []
    assert "catalog" in done.errors[-1]["message"].lower()


def test_a_state_for_streams_that_are_not_configured_is_left_alone(vitess: VitessCluster) -> None:
    others = state({"shards": {"80-": {"cursor": "%%%"}}}, name="damaged_rows")
    done = run("read", config=vitess.config("shop"), catalog=configured("damaged_healthy"), state=others)
    assert done.exit_code == 0
    assert len(done.records("damaged_healthy")) == 2
