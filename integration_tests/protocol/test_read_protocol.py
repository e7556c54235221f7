"""The order and the shape of what `read` writes, on a real Vitess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airbyte_cdk.models import AirbyteMessageSerializer, AirbyteStateMessageSerializer

from integration_tests.support.command import TERMINAL, configured, cursors, read, read_well, run
from integration_tests.support.tables import create, executed_position, insert
from source_planetscale.vstream.position import Position

if TYPE_CHECKING:
    from integration_tests.support.command import Run
    from integration_tests.vitess.cluster import VitessCluster

ROWS = {"-80": 30, "80-": 20}
STREAMS = ("proto_rows", "proto_empty")
MANY = [f"proto_many_{number:02}" for number in range(28)]
MODES = pytest.mark.parametrize("sync_mode", ["incremental", "full_refresh"])


@pytest.fixture(scope="module", autouse=True)
def tables(vitess: VitessCluster) -> None:
    create(
        vitess,
        "shop",
        "create table proto_rows (id bigint primary key, note varchar(20))",
        "create table proto_empty (id bigint primary key)",
        "create table proto_one_shard (id bigint primary key)",
    )
    for shard, count in ROWS.items():
        insert(vitess, "shop", shard, "proto_rows", [(key, f"{shard} {key}") for key in range(count)])
    insert(vitess, "shop", "80-", "proto_one_shard", [(1,), (2,)])


@pytest.fixture(scope="module")
def first(vitess: VitessCluster) -> Run:
    return read_well(vitess.config("shop"), *STREAMS, "proto_one_shard")


@pytest.fixture(scope="module")
def second(vitess: VitessCluster, first: Run) -> Run:
    """The sync after `first`, with nothing new for any stream."""
    return read_well(vitess.config("shop"), *STREAMS, "proto_one_shard", state=first.state)


@pytest.fixture(scope="module")
def full_refresh(vitess: VitessCluster) -> Run:
    return read_well(vitess.config("shop"), *STREAMS, sync_mode="full_refresh")


@pytest.mark.parametrize("stream", STREAMS)
def test_started_stands_before_any_record_of_each_configured_stream(first: Run, stream: str) -> None:
    assert first.outline(stream)[:2] == ["STARTED", "RUNNING"]


@pytest.mark.parametrize("stream", STREAMS)
def test_complete_is_the_last_word_of_a_stream_that_succeeded(first: Run, stream: str) -> None:
    assert first.outline(stream)[-1] == "COMPLETE"


def test_statuses_records_and_states_come_in_the_protocols_order(first: Run) -> None:
    assert first.outline("proto_rows") in (
        ["STARTED", "RUNNING", "RECORD", "STATE", "COMPLETE"],
        ["STARTED", "RUNNING", "RECORD", "STATE", "RECORD", "STATE", "COMPLETE"],
    )


def test_an_empty_table_gets_every_status_and_its_state(first: Run) -> None:
    assert first.outline("proto_empty") == ["STARTED", "RUNNING", "STATE", "COMPLETE"]


def test_running_is_said_once_where_only_the_last_shard_has_rows(first: Run) -> None:
    assert first.statuses("proto_one_shard") == ["STARTED", "RUNNING", "COMPLETE"]
    assert len(first.records("proto_one_shard")) == 2


def test_a_sync_with_nothing_new_ends_with_state_and_complete(first: Run, second: Run) -> None:
    for stream in STREAMS:
        assert second.outline(stream) == ["STARTED", "RUNNING", "STATE", "COMPLETE"]
        assert set(second.stream_state(stream)["shards"]) == set(first.stream_state(stream)["shards"])


@pytest.mark.parametrize("stream", STREAMS)
def test_a_full_refresh_stream_gets_statuses_and_state(full_refresh: Run, stream: str) -> None:
    outline = full_refresh.outline(stream)
    assert outline[:2] == ["STARTED", "RUNNING"]
    assert outline[-2:] == ["STATE", "COMPLETE"]


def test_state_has_type_stream_with_its_descriptor_and_no_data(first: Run, full_refresh: Run) -> None:
    for done in (first, full_refresh):
        for message in done.of_type("STATE"):
            state = message["state"]
            assert state["type"] == "STREAM"
            assert set(state) == {"type", "stream", "sourceStats"}
            assert set(state["stream"]) == {"stream_descriptor", "stream_state"}
            assert state["stream"]["stream_descriptor"]["namespace"] == "shop"


def test_every_state_lists_the_cursors_of_all_shards(first: Run) -> None:
    for message in first.of_type("STATE"):
        shards = message["state"]["stream"]["stream_state"]["shards"]
        assert set(shards) == set(ROWS)
        assert all(isinstance(shard["cursor"], str) for shard in shards.values())


def test_a_finished_cursor_names_shard_keyspace_and_position_of_the_source(
    vitess: VitessCluster, first: Run
) -> None:
    executed = Position.parse(executed_position(vitess))
    for shard, cursor in cursors(first.stream_state("proto_rows"), "shop").items():
        assert (cursor.keyspace, cursor.shard, cursor.last_pk) == ("shop", shard, None)
        assert executed.contains(Position.parse(cursor.position))


def test_a_state_follows_each_shard(first: Run) -> None:
    assert len(first.states("proto_rows")) >= len(ROWS)


def test_source_stats_count_the_records_since_the_state_before(first: Run) -> None:
    counted, since = [], 0
    for message in first.messages:
        if message["type"] == "RECORD" and message["record"]["stream"] == "proto_rows":
            since += 1
        if message in first.of_type("STATE"):
            state = message["state"]
            if state["stream"]["stream_descriptor"]["name"] == "proto_rows":
                counted.append((state["sourceStats"]["recordCount"], since))
                since = 0
    assert [stats for stats, _ in counted] == [count for _, count in counted]
    assert sum(count for _, count in counted) == sum(ROWS.values())


def test_every_record_has_stream_namespace_time_and_data(first: Run) -> None:
    for record in first.record_messages("proto_rows"):
        assert set(record) == {"stream", "namespace", "emitted_at", "data"}
        assert record["namespace"] == "shop"
        assert set(record["data"]) == {"id", "note"}


def test_states_and_statuses_can_be_found_by_searching_lines(first: Run) -> None:
    def lines_with(*words: str) -> int:
        return sum(all(word in line for word in words) for line in first.lines)

    for stream in STREAMS:
        assert lines_with('"type":"STATE"', '"type":"STREAM"', f'"name":"{stream}"') >= 1
        for status in ("STARTED", "COMPLETE"):
            assert lines_with(f'"status":"{status}"', f'"name":"{stream}"') == 1


def test_every_line_of_stdout_is_a_message_of_the_protocols_own_model(first: Run, second: Run) -> None:
    for message in [*first.messages, *second.messages]:
        AirbyteMessageSerializer.load(message)
    assert first.stderr == second.stderr == ""


def test_an_emitted_state_comes_back_exactly_after_a_round_trip(first: Run) -> None:
    for message in first.of_type("STATE"):
        state = message["state"]
        assert (
            AirbyteStateMessageSerializer.dump(AirbyteStateMessageSerializer.load(state))["stream"]
            == (state["stream"])
        )


def test_the_v2_array_of_the_first_run_makes_the_second_incremental(first: Run, second: Run) -> None:
    assert len(first.records("proto_rows")) == sum(ROWS.values())
    assert second.of_type("RECORD") == []
    for stream in STREAMS:
        # Both readings saw the same position, or a later one.
        for shard, before in cursors(first.stream_state(stream), "shop").items():
            after = cursors(second.stream_state(stream), "shop")[shard]
            assert Position.parse(after.position).contains(Position.parse(before.position))


def test_28_streams_get_their_terminal_status_in_the_first_and_in_the_incremental_sync(
    vitess: VitessCluster,
) -> None:
    create(vitess, "src", *[f"create table {name} (id bigint primary key)" for name in MANY])
    for name in MANY:
        insert(vitess, "src", "0", name, [(1,)])
    initial = read_well(vitess.config("src"), *MANY)
    for name in MANY:
        insert(vitess, "src", "0", name, [(2,)])
    later = read_well(vitess.config("src"), *MANY, state=initial.state)
    for done, key in ((initial, 1), (later, 2)):
        # In the order in which they were done.
        assert sorted(name for name, status in done.all_statuses if status == "COMPLETE") == MANY
        assert [status for _, status in done.all_statuses].count("STARTED") == len(MANY)
        assert all(done.records(name) == [{"id": key}] for name in MANY)
        assert {state["type"] for state in done.state} == {"STREAM"}


def test_each_of_28_streams_gets_a_terminal_status_when_the_first_one_fails(vitess: VitessCluster) -> None:
    create(vitess, "src", *[f"create table {name} (id bigint primary key)" for name in MANY])
    done = read(vitess.config("src"), "proto_absent", *MANY)
    terminal = [(name, status) for name, status in done.all_statuses if status in TERMINAL]
    assert terminal[0] == ("proto_absent", "INCOMPLETE")
    assert sorted(terminal[1:]) == [(name, "COMPLETE") for name in MANY]
    assert done.exit_code != 0


@MODES
def test_a_table_that_does_not_exist_is_an_error_of_its_stream_and_stops_no_other(
    vitess: VitessCluster, sync_mode: str
) -> None:
    done = read(vitess.config("shop"), "proto_absent", "proto_rows", sync_mode=sync_mode)
    assert done.exit_code != 0
    assert done.outline("proto_absent") == ["STARTED", "RUNNING", "INCOMPLETE"]
    (message,) = done.errors_of("proto_absent")
    assert "proto_absent" in message
    assert "not found" in message
    assert done.statuses("proto_rows")[-1] == "COMPLETE"
    assert len(done.records("proto_rows")) == sum(ROWS.values())


def test_a_column_that_has_gone_is_left_out_and_told_in_the_log(vitess: VitessCluster) -> None:
    with_gone_column = {
        "name": "proto_rows",
        "namespace": "shop",
        "json_schema": {"type": "object", "properties": {"id": {}, "gone": {}}},
        "supported_sync_modes": ["full_refresh", "incremental"],
    }
    done = read_well(vitess.config("shop"), with_gone_column)
    assert all("id" in row and "gone" not in row for row in done.records("proto_rows"))
    assert len(done.records("proto_rows")) == sum(ROWS.values())
    (line,) = [line for line in done.logs if "no longer has the column(s) gone" in line]
    assert "proto_rows" in line


def test_all_errors_of_a_run_are_reported_and_none_is_overwritten(vitess: VitessCluster) -> None:
    done = read(vitess.config("shop"), "proto_absent", "proto_rows", "proto_lost")
    assert done.exit_code != 0
    for name in ("proto_absent", "proto_lost"):
        assert len(done.errors_of(name)) == 1
        assert done.statuses(name)[-1] == "INCOMPLETE"
        # The error that ends the run names every stream that failed.
        assert name in done.errors[-1]["message"]


def catalog_descriptor(name: str, namespace: str | None) -> dict[str, str]:
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}


@pytest.mark.parametrize("namespace", [None, ""])
def test_a_catalog_without_namespaces_means_the_database_and_is_answered_without(
    vitess: VitessCluster, first: Run, namespace: str | None
) -> None:
    catalog = configured("proto_rows", namespace=namespace)
    bare = [
        {
            **state,
            "stream": {
                **state["stream"],
                "stream_descriptor": {"name": state["stream"]["stream_descriptor"]["name"]},
            },
        }
        for state in first.state
    ]
    for state in (first.state, bare):
        done = run("read", config=vitess.config("shop"), catalog=catalog, state=state)
        assert done.exit_code == 0
        assert done.of_type("RECORD") == []
        (emitted,) = done.state
        # The platform takes a stream for another one whose descriptor is not the catalog's.
        descriptor = emitted["stream"]["stream_descriptor"]
        assert descriptor == catalog_descriptor("proto_rows", namespace)


@pytest.mark.parametrize("state", ["", "{}", "[]", "null", None])
def test_an_empty_state_means_fresh_cursors(vitess: VitessCluster, state: object) -> None:
    done = read_well(vitess.config("shop"), "proto_rows", state=state)
    assert len(done.records("proto_rows")) == sum(ROWS.values())


def test_a_state_file_that_is_missing_means_fresh_cursors(vitess: VitessCluster) -> None:
    catalog = configured("proto_rows")
    done = run("read", "--state", "/nonexistent/state.json", config=vitess.config("shop"), catalog=catalog)
    assert done.exit_code == 0
    assert len(done.records("proto_rows")) == sum(ROWS.values())


def test_a_stream_that_is_missing_from_the_state_is_copied(vitess: VitessCluster, first: Run) -> None:
    others = [s for s in first.state if s["stream"]["stream_descriptor"]["name"] != "proto_rows"]
    done = read_well(vitess.config("shop"), *STREAMS, state=others)
    assert len(done.records("proto_rows")) == sum(ROWS.values())


def test_a_shard_that_is_missing_from_the_state_starts_its_copy(vitess: VitessCluster, first: Run) -> None:
    (state,) = (s for s in first.state if s["stream"]["stream_descriptor"]["name"] == "proto_rows")
    saved = dict(state["stream"]["stream_state"])
    saved["shards"] = {"80-": saved["shards"]["80-"]}
    state = {**state, "stream": {**state["stream"], "stream_state": saved}}
    done = read_well(vitess.config("shop"), "proto_rows", state=[state])
    assert sorted(row["id"] for row in done.records("proto_rows")) == list(range(ROWS["-80"]))
    assert set(done.stream_state("proto_rows")["shards"]) == set(ROWS)
