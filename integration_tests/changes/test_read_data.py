"""Rows and changes that `read` delivers, on a real Vitess."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.support.command import Command, configured, positions, read, read_well
from integration_tests.support.destination import CURSOR, DELETED_AT
from integration_tests.support.marks import NEEDS_SCHEMA_RELOAD
from integration_tests.support.tables import create, executed_position, insert, on_shard
from source_planetscale.vstream.position import Position

if TYPE_CHECKING:
    from integration_tests.support.command import Run
    from integration_tests.vitess.cluster import VitessCluster

# Longer than a pipe holds, so that a reader that waits holds the command up.
FILLER = "x" * 500
MODES = ("full_refresh", "incremental")


@pytest.fixture(scope="module", autouse=True)
def tables(vitess: VitessCluster) -> None:
    create(
        vitess,
        "src",
        "create table data_changes (id bigint primary key, note varchar(40))",
        "create table data_keyless (a int, b varchar(10))",
        "create table data_large (id bigint primary key, filler varchar(600))",
        "create table `data odd.name` (id bigint primary key)",
    )
    create(vitess, "shop", "create table data_shards (id bigint primary key, note varchar(40))")
    insert(vitess, "src", "0", "data_changes", [(key, "first") for key in range(1, 11)])
    insert(vitess, "src", "0", "data_keyless", [(1, "twin")] * 3 + [(2, None), (None, None)])
    insert(vitess, "src", "0", "data_large", [(key, FILLER) for key in range(4000)])
    for shard, keys in {"-80": range(5), "80-": range(100, 103)}.items():
        insert(vitess, "shop", shard, "data_shards", [(key, shard) for key in keys])


@pytest.fixture(scope="module")
def copied(vitess: VitessCluster) -> Run:
    return read_well(vitess.config("src"), "data_changes", "data_keyless")


@pytest.fixture(scope="module")
def changed(vitess: VitessCluster, copied: Run) -> Run:
    """The sync after every kind of change."""
    on_shard(
        vitess,
        "src",
        "0",
        "insert into data_changes values (20, 'inserted')",
        "update data_changes set note = 'once' where id = 1",
        "update data_changes set note = 'twice' where id = 1",
        "delete from data_changes where id = 2",
        "update data_changes set id = 30 where id = 3",
        "begin",
        "insert into data_changes values (21, 'same'), (22, 'transaction')",
        "update data_changes set note = 'same transaction' where id in (4, 5)",
        "commit",
        "begin",
        "update data_changes set note = 'rolled back' where id = 6",
        "insert into data_changes values (23, 'rolled back')",
        "rollback",
        "update data_changes set note = 'first' where id = 7",
        "insert into data_keyless values (1, 'twin')",
    )
    return read_well(vitess.config("src"), "data_changes", "data_keyless", state=copied.state)


def test_a_copy_delivers_every_row_once(copied: Run) -> None:
    assert copied.records("data_changes") == [{"id": key, "note": "first"} for key in range(1, 11)]


def test_identical_rows_of_a_table_without_a_key_all_arrive(copied: Run, changed: Run) -> None:
    rows = Counter((row["a"], row["b"]) for row in copied.records("data_keyless"))
    assert rows == {(1, "twin"): 3, (2, None): 1, (None, None): 1}
    assert changed.records("data_keyless") == [{"a": 1, "b": "twin"}]


def test_catch_up_delivers_exactly_the_committed_changes_in_their_order(changed: Run) -> None:
    assert [(row["id"], row["note"]) for row in changed.records("data_changes")] == [
        (20, "inserted"),
        (1, "once"),
        (1, "twice"),
        (30, "first"),
        (21, "same"),
        (22, "transaction"),
        (4, "same transaction"),
        (5, "same transaction"),
    ]


def test_a_delete_leaves_no_record_but_moves_the_state(copied: Run, changed: Run) -> None:
    assert 2 not in [row["id"] for row in changed.records("data_changes")]
    before = positions(copied.stream_state("data_changes"), "src")["0"]
    after = positions(changed.stream_state("data_changes"), "src")["0"]
    assert not Position.parse(before).contains(Position.parse(after))


@pytest.mark.usefixtures("changed")
def test_a_delete_and_the_old_key_of_a_changed_row_are_records_with_the_change_columns(
    vitess: VitessCluster, copied: Run
) -> None:
    config = vitess.config("src", include_cdc_columns=True)
    done = read_well(config, "data_changes", state=copied.state)
    deleted = [row["id"] for row in done.records("data_changes") if row[DELETED_AT]]
    assert deleted == [2, 3]
    cursors = [row[CURSOR] for row in done.records("data_changes")]
    assert cursors == sorted(set(cursors))


def test_nothing_is_read_twice_after_the_changes(vitess: VitessCluster, changed: Run) -> None:
    done = read_well(vitess.config("src"), "data_changes", "data_keyless", state=changed.state)
    assert done.of_type("RECORD") == []


def test_two_full_refreshes_deliver_the_whole_table_each_and_ignore_the_state(vitess: VitessCluster) -> None:
    config = vitess.config("shop")
    first = read_well(config, "data_shards", sync_mode="full_refresh")
    second = read_well(config, "data_shards", sync_mode="full_refresh", state=first.state)
    for done in (first, second):
        assert sorted(row["id"] for row in done.records("data_shards")) == [*range(5), *range(100, 103)]


def test_full_refresh_and_incremental_deliver_the_same_rows(vitess: VitessCluster) -> None:
    runs = [read_well(vitess.config("shop"), "data_shards", sync_mode=mode) for mode in MODES]
    one, other = (sorted(map(json.dumps, done.records("data_shards"))) for done in runs)
    assert one == other


def starting_at(vitess: VitessCluster, position: str) -> dict[str, object]:
    gtids = {"shop": dict.fromkeys(vitess.shards("shop"), position)}
    return vitess.config("shop", starting_gtids=json.dumps(gtids))


def test_a_full_refresh_with_starting_gtids_is_full(vitess: VitessCluster) -> None:
    config = starting_at(vitess, executed_position(vitess))
    done = read_well(config, "data_shards", sync_mode="full_refresh")
    assert len(done.records("data_shards")) == 8


def test_starting_gtids_begin_where_they_say_and_a_saved_state_wins_over_them(vitess: VitessCluster) -> None:
    create(vitess, "shop", "create table data_starting (id bigint primary key)")
    insert(vitess, "shop", "80-", "data_starting", [(1,)])
    position = executed_position(vitess)
    insert(vitess, "shop", "80-", "data_starting", [(2,)])
    config = starting_at(vitess, position)
    first = read_well(config, "data_starting")
    assert first.records("data_starting") == [{"id": 2}]
    insert(vitess, "shop", "-80", "data_starting", [(3,)])
    second = read_well(config, "data_starting", state=first.state)
    assert second.records("data_starting") == [{"id": 3}]


@pytest.mark.parametrize("shards", ["80-", " 80- ,", "80-,80-"])
def test_the_list_of_shards_is_trimmed_and_decides_what_is_read(vitess: VitessCluster, shards: str) -> None:
    done = read_well(vitess.config("shop", shards=shards), "data_shards")
    assert sorted(row["id"] for row in done.records("data_shards")) == [100, 101, 102]
    assert list(done.stream_state("data_shards")["shards"]) == ["80-"]


def test_the_list_of_shards_also_decides_with_a_saved_state(vitess: VitessCluster) -> None:
    one = read_well(vitess.config("shop", shards="80-"), "data_shards")
    both = read_well(vitess.config("shop", shards="-80, 80-"), "data_shards", state=one.state)
    assert sorted(row["id"] for row in both.records("data_shards")) == list(range(5))
    assert set(both.stream_state("data_shards")["shards"]) == {"-80", "80-"}


def test_an_unknown_shard_is_an_error_of_every_stream_and_never_an_empty_success(
    vitess: VitessCluster,
) -> None:
    done = read(vitess.config("shop", shards="-80,nope"), "data_shards")
    assert done.exit_code != 0
    assert done.statuses("data_shards")[-1] == "INCOMPLETE"
    (message,) = done.errors_of("data_shards")
    assert "nope" in message
    assert done.of_type("RECORD") == []


@pytest.mark.parametrize("change", [{"grpc_port": 1}, {"mysql_port": 1}])
def test_a_server_that_cannot_be_reached_is_an_error_and_never_an_empty_success(
    vitess: VitessCluster, copied: Run, change: dict[str, Any]
) -> None:
    config = vitess.config("src", max_retries=0, timeout_seconds=3, **change)
    done = read(config, "data_changes", state=copied.state)
    assert done.exit_code != 0
    assert done.statuses("data_changes") == ["STARTED", "RUNNING", "INCOMPLETE"]
    (message,) = done.errors_of("data_changes")
    assert vitess.host in message
    for state in done.states("data_changes"):
        assert state["stream"]["stream_state"]["shards"] == copied.stream_state("data_changes")["shards"]


def test_a_name_that_needs_quoting_is_read(vitess: VitessCluster) -> None:
    # A backquote within a name is refused by the tablet itself (Vitess 24).
    name = "data odd.name"
    vitess.execute("insert into `data odd.name` values (7)", "src:0@primary")
    assert read_well(vitess.config("src"), name).records(name) == [{"id": 7}]


@NEEDS_SCHEMA_RELOAD
@pytest.mark.parametrize("sync_mode", MODES)
def test_a_replica_serves_the_same_rows(vitess: VitessCluster, sync_mode: str) -> None:
    done = read_well(vitess.config("shop", use_replica=True), "data_shards", sync_mode=sync_mode)
    assert len(done.records("data_shards")) == 8


def test_metadata_carries_position_time_and_a_number_that_grows_through_the_sync(
    vitess: VitessCluster,
) -> None:
    done = read_well(vitess.config("shop", include_metadata=True), "data_shards")
    metadata = [row["_planetscale_metadata"] for row in done.records("data_shards")]
    assert all(set(each) == {"vgtid_position", "extracted_at", "sequence_number"} for each in metadata)
    numbers = [each["sequence_number"] for each in metadata]
    assert sorted(numbers) == sorted(set(numbers))
    assert all(each["vgtid_position"].startswith("MySQL56/") for each in metadata)


def test_no_change_is_lost_between_a_sync_and_the_changes_made_while_it_runs(vitess: VitessCluster) -> None:
    config = vitess.config("src")
    with Command(["read"], config, configured("data_large", namespace="src")) as command:
        command.next_message("RECORD")
        on_shard(
            vitess,
            "src",
            "0",
            "update data_large set filler = 'early' where id = 0",
            "update data_large set filler = 'late' where id = 3999",
            "insert into data_large values (-1, 'before'), (5000, 'behind')",
            "delete from data_large where id = 10",
        )
        first = command.finish()
    assert first.exit_code == 0
    second = read_well(config, "data_large", state=first.state)
    replica = {row["id"]: row["filler"] for row in first.records("data_large")}
    replica |= {row["id"]: row["filler"] for row in second.records("data_large")}
    # A delete without the change columns stays in the destination.
    replica.pop(10)
    assert replica == dict(vitess.execute_on_mysqld("select id, filler from vt_src_0.data_large"))


def streams_created(vitess: VitessCluster) -> int:
    """How many VStreams vtgate has opened since it started."""
    address = f"http://{vitess.host}:{vitess.http_port}/debug/vars"
    with urllib.request.urlopen(address) as answer:
        return sum(json.load(answer)["VStreamsCreated"].values())


def test_a_sync_with_nothing_new_asks_each_shard_once_for_all_tables(vitess: VitessCluster) -> None:
    names = [f"data_quiet_{number}" for number in range(5)]
    create(vitess, "shop", *[f"create table {name} (id bigint primary key)" for name in names])
    copied = read_well(vitess.config("shop"), *names)
    before = streams_created(vitess)
    read_well(vitess.config("shop"), *names, state=copied.state)
    assert streams_created(vitess) - before == len(vitess.shards("shop"))


def test_a_state_message_holds_its_own_stream_only(copied: Run) -> None:
    for stream, other in (("data_changes", "data_keyless"), ("data_keyless", "data_changes")):
        assert all(other not in json.dumps(state) for state in copied.states(stream))


def test_the_log_says_what_happens_in_few_lines_without_password_and_row_data(vitess: VitessCluster) -> None:
    create(vitess, "shop", "create table data_secret (id bigint primary key, note varchar(40))")
    insert(vitess, "shop", "80-", "data_secret", [(987654321, "row-marker")])
    config = vitess.config("shop", username="user", password="password-marker")
    first = read_well(config, "data_secret")
    on_shard(vitess, "shop", "80-", "update data_secret set note = 'changed-marker'")
    second = read_well(config, "data_secret", state=first.state)
    for done in (first, second):
        said = "\n".join([*done.logs, done.stderr, json.dumps(done.of_type("TRACE"))])
        assert not [word for word in ("marker", "987654321") if word in said]
        for shard in vitess.shards("shop"):
            about = [line for line in done.logs if "data_secret" in line and f"shard {shard}" in line]
            assert 1 <= len(about) <= 3
        assert any("80-" in line and "1 rows" in line for line in done.logs)
