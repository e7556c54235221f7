"""Deletes, key changes and the cursor that orders them, on real Vitess."""

from __future__ import annotations

import json
import re
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integration_tests.support.command import Command, configured, read, read_well, run
from integration_tests.support.destination import CURSOR, DELETED_AT, METADATA, UPDATED_AT
from integration_tests.support.followed_table import FollowedTable, changes, sync_together
from integration_tests.vitess.processes import wait_until
from integration_tests.vitess.releases import chosen_release
from unit_tests.packaging import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

SECONDS = 60.0
# As Airbyte's MySQL source writes them.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_the_catalog_declares_the_columns_as_airbytes_mysql_source_does(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_catalog (id int primary key, v int)")
    done = run("discover", config=replica.config)
    (catalog,) = done.of_type("CATALOG")
    (stream,) = (found for found in catalog["catalog"]["streams"] if found["name"] == "cc_catalog")
    properties = stream["json_schema"]["properties"]
    assert properties[UPDATED_AT] == {"type": ["string"]}
    assert properties[DELETED_AT] == {"type": ["null", "string"]}
    assert properties[CURSOR] == {"type": ["number"], "airbyte_type": "integer"}
    assert stream["default_cursor_field"] == [CURSOR]
    assert stream["source_defined_cursor"] is True
    assert stream["source_defined_primary_key"] == [["id"]]


def test_without_the_option_no_column_is_added_and_deletes_stay_out(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_off (id int primary key, v int)")
    replica.sql("insert into {t} values (1, 1), (2, 2)")
    config = vitess.config("src")
    first = read_well(config, "cc_off")
    replica.sql("delete from {t} where id = 1", "update {t} set id = 3 where id = 2")
    second = read_well(config, "cc_off", state=first.state)
    assert first.records("cc_off") == [{"id": 1, "v": 1}, {"id": 2, "v": 2}]
    assert second.records("cc_off") == [{"id": 3, "v": 2}]


def test_copied_rows_and_changes_carry_the_columns_in_airbytes_format(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_format (id int primary key, v int)")
    replica.sql("insert into {t} values (1, 1)")
    copied = replica.sync().records("cc_format")
    replica.sql("update {t} set v = 2", "delete from {t}")
    changed = replica.sync().records("cc_format")
    assert [record[DELETED_AT] for record in (*copied, *changed[:1])] == [None, None]
    assert changed[1][DELETED_AT] == changed[1][UPDATED_AT]
    for record in (*copied, *changed):
        assert MOMENT.fullmatch(record[UPDATED_AT])
        assert isinstance(record[CURSOR], int)
        assert record[CURSOR] < 2**53


def test_a_change_carries_the_time_of_its_statement_and_not_of_its_commit(vitess: VitessCluster) -> None:
    columns = "id int primary key, at timestamp default current_timestamp on update current_timestamp, v int"
    replica = FollowedTable(vitess, "src", f"create table cc_time ({columns})")
    replica.sql("insert into {t} (id) values (1), (2)")
    replica.sync()
    with closing(vitess.connect("src")) as connection, connection.cursor() as cursor:
        # MySQL fills in the time at which a statement began.
        for statement in (
            "begin",
            "insert into cc_time (id) values (3), (4)",
            "update cc_time set v = 1 where id = 1",
            "delete from cc_time where id = 2",
        ):
            cursor.execute(statement)
            wait_for_the_next_second(vitess)
        cursor.execute("insert into cc_time (id) values (5)")
        wait_for_the_next_second(vitess)
        cursor.execute("commit")
    inserted, also_inserted, updated, deleted, last = replica.sync().records("cc_time")
    for record in (inserted, also_inserted, updated, last):
        assert record[UPDATED_AT][:19] == record["at"][:19]
        assert record[DELETED_AT] is None
    assert [record["id"] for record in (inserted, also_inserted, updated, deleted, last)] == [3, 4, 1, 2, 5]
    assert updated[UPDATED_AT] < deleted[DELETED_AT] == deleted[UPDATED_AT] < last[UPDATED_AT]
    assert "When the statement that made the change began" in project.text("docs/planetscale.md")


def wait_for_the_next_second(vitess: VitessCluster) -> None:
    """Waits until the server's clock shows another second."""
    ((now,),) = vitess.execute_on_mysqld("select unix_timestamp()")
    wait_until(
        lambda: vitess.execute_on_mysqld("select unix_timestamp()") != [(now,)], "a second passes", SECONDS
    )


@pytest.mark.parametrize("keyspace", ["src", "shop"])
def test_a_delete_carries_all_columns(vitess: VitessCluster, keyspace: str) -> None:
    ddl = "create table cc_delete (id int primary key, v int, t text, n int)"
    replica = FollowedTable(vitess, keyspace, ddl, "id" if keyspace == "shop" else None)
    replica.insert((number, number, f"text {number}", None) for number in range(1, 9))
    replica.sync()
    replica.sql("delete from {t} where id in (3, 5, 7)")
    done = replica.sync()
    assert sorted(changes(done, "cc_delete"), key=lambda change: int(change[1]["id"])) == [
        ("delete", {"id": number, "v": number, "t": f"text {number}", "n": None}) for number in (3, 5, 7)
    ]
    replica.assert_equal()


# How the table is made, what is in it, the change of keys, and how many keys it changes.
KEY_CHANGES = [
    (
        "create table cc_key_int (id int primary key, v int)",
        "insert into {t} values (1, 10), (2, 20), (3, 30)",
        "update {t} set id = id + 1 order by id desc",
        3,
    ),
    (
        "create table cc_key_pair (a int, b varchar(9), v int, primary key (b, a))",
        "insert into {t} values (1, 'x', 10), (2, 'x', 20)",
        "update {t} set b = 'y' where a = 2",
        1,
    ),
    (
        "create table cc_key_ci (id varchar(9) collate utf8mb4_general_ci primary key, v int)",
        "insert into {t} values ('a', 10), ('b', 20)",
        "update {t} set id = 'A' where id = 'a'",
        1,
    ),
    (
        "create table cc_key_pad (id varchar(9) collate utf8mb4_general_ci primary key, v int)",
        "insert into {t} values ('a', 10)",
        "update {t} set id = 'a ' where id = 'a'",
        1,
    ),
]


def test_a_changed_key_is_a_delete_of_the_old_and_an_upsert_of_the_new(vitess: VitessCluster) -> None:
    replicas = [FollowedTable(vitess, "src", ddl) for ddl, *_ in KEY_CHANGES]
    for replica, (_, insert, _, _) in zip(replicas, KEY_CHANGES, strict=True):
        replica.sql(insert)
    sync_together(replicas)
    for replica, (_, _, update, _) in zip(replicas, KEY_CHANGES, strict=True):
        replica.sql(update)
    done = sync_together(replicas)
    for replica, (_, _, _, count) in zip(replicas, KEY_CHANGES, strict=True):
        assert [kind for kind, _ in changes(done, replica.table)] == ["delete", "upsert"] * count
        replica.assert_equal()


def test_an_update_that_keeps_the_key_is_no_delete(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_same_key (id int primary key, v int)")
    replica.sql("insert into {t} values (1, 10)")
    replica.sync()
    replica.sql("update {t} set v = 11", "update {t} set id = 1, v = 12")
    assert changes(replica.sync(), replica.table) == [
        ("upsert", {"id": 1, "v": 11}),
        ("upsert", {"id": 1, "v": 12}),
    ]


# Each on a table of its own with the rows (1, 1, 'old'), (2, 2, 'old') and (3, 3, 'old'): the statement, and
# the keys that it touches.
REPLACEMENTS = {
    "cc_replace_key": ("replace into {t} values (1, 1, 'new')", {1}),
    "cc_replace_secondary": ("replace into {t} values (10, 1, 'new')", {1, 10}),
    "cc_replace_both": ("replace into {t} values (1, 2, 'new')", {1, 2}),
    "cc_replace_nothing": ("replace into {t} values (10, 10, 'new')", {10}),
    "cc_upsert": ("insert into {t} values (1, 9, 'new') on duplicate key update t = 'upd'", {1}),
    "cc_upsert_key": ("insert into {t} values (1, 9, 'new') on duplicate key update id = 10", {1, 10}),
    "cc_upsert_secondary": ("insert into {t} values (10, 2, 'new') on duplicate key update t = 'upd'", {2}),
}


def test_replace_and_insert_on_duplicate_key_leave_the_rows_of_the_source(vitess: VitessCluster) -> None:
    ddl = "create table {t} (id int primary key, u int unique, t varchar(9))"
    replicas = [FollowedTable(vitess, "src", ddl.replace("{t}", table)) for table in REPLACEMENTS]
    for replica in replicas:
        replica.sql("insert into {t} values (1, 1, 'old'), (2, 2, 'old'), (3, 3, 'old')")
    sync_together(replicas)
    for replica in replicas:
        replica.sql(REPLACEMENTS[replica.table][0])
    done = sync_together(replicas)
    for replica in replicas:
        touched = {row["id"] for _, row in changes(done, replica.table)}
        assert touched == REPLACEMENTS[replica.table][1]
        replica.assert_equal()


def test_rows_that_a_foreign_key_deletes_or_changes_follow(vitess: VitessCluster) -> None:
    # MySQL logs what a foreign key does from 9.6 on; InnoDB did so in silence before.
    vitess.execute("drop table if exists cc_child", "src")
    parent = FollowedTable(vitess, "src", "create table cc_parent (id int primary key)")
    child = FollowedTable(
        vitess,
        "src",
        "create table cc_child (id int primary key, p int, foreign key (p) references cc_parent (id)"
        " on delete cascade on update cascade)",
    )
    parent.sql("insert into cc_parent values (1), (2)", "insert into cc_child values (1, 1), (2, 1), (3, 2)")
    child.sync()
    parent.sql("delete from cc_parent where id = 1", "update cc_parent set id = 20 where id = 2")
    done = child.sync()
    assert changes(done, "cc_child") == [
        ("delete", {"id": 1, "p": 1}),
        ("delete", {"id": 2, "p": 1}),
        ("upsert", {"id": 3, "p": 20}),
    ]
    child.assert_equal()


def test_a_truncate_is_told_and_says_what_to_do(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_truncate (id int primary key, v int)")
    replica.sql("insert into {t} values (1, 1), (2, 2)")
    replica.sync()
    replica.sql("truncate table {t}", "insert into {t} values (2, 22), (3, 3)")
    done = replica.sync()
    assert changes(done, "cc_truncate") == [
        ("upsert", {"id": 2, "v": 22}),
        ("upsert", {"id": 3, "v": 3}),
    ]
    (warning,) = (line for line in done.logs if line.startswith("TRUNCATE"))
    assert "cc_truncate" in warning
    assert "Refresh" in warning


def test_a_table_without_a_key_appends_and_says_what_deduplication_cannot_do(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_keyless (a int, b int)")
    replica.sql("insert into {t} values (1, 1), (1, 1)")
    first = replica.sync()
    replica.sql("update {t} set b = 2 where a = 1 limit 1", "delete from {t} where b = 1")
    second = replica.sync()
    assert changes(first, "cc_keyless") == [("upsert", {"a": 1, "b": 1})] * 2
    assert changes(second, "cc_keyless") == [
        ("upsert", {"a": 1, "b": 2}),
        ("delete", {"a": 1, "b": 1}),
    ]
    cursors = [record[CURSOR] for done in (first, second) for record in done.records("cc_keyless")]
    assert cursors == sorted(set(cursors))
    assert any("cc_keyless has no primary key" in line for line in first.logs)


def test_changes_of_one_row_in_one_transaction_are_ordered(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_transaction (id int primary key, v int)")
    replica.sql("insert into {t} values (1, 1), (2, 2)")
    replica.sync()
    replica.sql(
        "begin",
        "update {t} set v = 10 where id = 1",
        "update {t} set v = 11 where id = 1",
        "delete from {t} where id = 2",
        "insert into {t} values (2, 22)",
        "insert into {t} values (3, 3)",
        "delete from {t} where id = 3",
        "commit",
    )
    done = replica.sync()
    assert changes(done, "cc_transaction") == [
        ("upsert", {"id": 1, "v": 10}),
        ("upsert", {"id": 1, "v": 11}),
        ("delete", {"id": 2, "v": 2}),
        ("upsert", {"id": 2, "v": 22}),
        ("upsert", {"id": 3, "v": 3}),
        ("delete", {"id": 3, "v": 3}),
    ]
    replica.assert_equal()


def test_changes_on_every_shard_arrive(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "shop", "create table cc_shards (id int primary key, v varchar(9))", "id")
    replica.insert((number, "old") for number in range(20))
    replica.sync()
    replica.sql(
        "update {t} set v = 'new' where id % 3 = 0",
        "delete from {t} where id % 5 = 0",
        "insert into {t} values (100, 'x')",
    )
    replica.sync()
    replica.assert_equal()


def test_the_numbers_are_reserved_in_a_state_before_the_first_record(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_reserve (id int primary key, v int)")
    replica.sql("insert into {t} values (1, 1), (2, 2)")
    done = replica.sync()
    (reserving, *_) = done.states("cc_reserve")
    assert done.outline("cc_reserve").index("STATE") < done.outline("cc_reserve").index("RECORD")
    reserved = reserving["stream"]["stream_state"]["cdc_cursor"]
    assert all(record[CURSOR] < reserved for record in done.records("cc_reserve"))
    assert reserving["sourceStats"]["recordCount"] == 0
    # A sync that was killed right after its first records goes on from that state.
    replica.state = [reserving]
    replica.sql("update {t} set v = 3")
    replica.sync()
    replica.assert_equal()


def test_a_clock_that_stands_behind_the_state_leaves_the_order(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_clock (id int primary key, v int)")
    replica.sql("insert into {t} values (1, 1)")
    ahead: list[Json] = replica.sync().state
    ahead[0]["stream"]["stream_state"]["cdc_cursor"] += 10**12
    replica.state = ahead
    replica.sql("update {t} set v = 2")
    (changed,) = replica.sync().records("cc_clock")
    replica.sql("update {t} set v = 3")
    (later,) = replica.sync().records("cc_clock")
    assert ahead[0]["stream"]["stream_state"]["cdc_cursor"] < changed[CURSOR] < later[CURSOR]
    replica.assert_equal()


def test_a_killed_copy_goes_on_and_its_rows_stay_behind_their_changes(vitess: VitessCluster) -> None:
    replica = FollowedTable(vitess, "src", "create table cc_copy (id int primary key, v varchar(200))")
    replica.insert((number, "x" * 150) for number in range(60_000))
    config = {**replica.config, "checkpoint_target_interval_seconds": 1}
    catalog = configured(replica.table, namespace="src")
    with Command(["read"], config, catalog) as command:
        reserving = command.next_message("STATE")
        resumable = command.next_message("STATE")
        command.signal(signal.SIGKILL)
        cut = command.finish()
    assert reserving["state"]["stream"]["stream_state"] != resumable["state"]["stream"]["stream_state"]
    replica.load(cut)
    # Rows that no state covers: what the continued copy cannot tell of them, the changes must.
    last = max(record["id"] for record in cut.records(replica.table))
    vitess.execute("delete from cc_copy where id between %s and %s", "src", [last - 20, last])
    replica.sql(
        "update {t} set v = 'changed' where id < 100",
        "delete from {t} where id between 100 and 199",
        "update {t} set id = id + 100000 where id between 200 and 299",
        "update {t} set v = 'late' where id > 59900",
    )
    replica.sync()
    replica.assert_equal()


def metadata_of(done: Run, *tables: str) -> list[Json]:
    by_table = {message["record"]["stream"] for message in done.of_type("RECORD")}
    assert by_table == set(tables)
    return [message["record"]["data"][METADATA] for message in done.of_type("RECORD")]


def test_metadata_numbers_increase_through_the_sync_over_streams_and_shards(vitess: VitessCluster) -> None:
    tables = ("cc_meta_one", "cc_meta_two")
    replicas = [
        FollowedTable(vitess, "shop", f"create table {table} (id int primary key, v int)", "id")
        for table in tables
    ]
    for replica in replicas:
        replica.insert((number, 0) for number in range(8))
    config = vitess.config("shop", include_metadata=True)
    first = read_well(config, *tables)
    for replica in replicas:
        replica.sql("update {t} set v = 1 where id < 4", "delete from {t} where id = 7")
    second = read_well(config, *tables, state=first.state)
    for done, count in ((first, 16), (second, 8)):
        found = metadata_of(done, *tables)
        assert len(found) == count
        for metadata in found:
            assert set(metadata) == {"vgtid_position", "extracted_at", "sequence_number"}
            assert metadata["vgtid_position"].startswith("MySQL56/")
        assert len({metadata["sequence_number"] for metadata in found}) == count
        assert min(metadata["sequence_number"] for metadata in found) >= 1
    for table in tables:
        assert all(UPDATED_AT not in record for record in second.records(table))


def on_mysqld(vitess: VitessCluster, session: Sequence[str], statement: str) -> None:
    """Runs a statement in the database of keyspace src in a session with settings that vtgate refuses."""
    with closing(vitess.connect_mysqld("vt_src_0")) as connection, connection.cursor() as cursor:
        for setting in session:
            cursor.execute(f"set session {setting}")
        cursor.execute(statement)


# Each on a table of its own with one row: settings of the session, and the change.
REDUCED = {
    "cc_minimal_update": ("binlog_row_image = 'minimal'", "update {t} set v = 2 where id = 1"),
    "cc_minimal_insert": ("binlog_row_image = 'minimal'", "insert into {t} (id) values (9)"),
    "cc_noblob_update": ("binlog_row_image = 'noblob'", "update {t} set v = 2 where id = 1"),
    "cc_partial_json": (
        "binlog_row_value_options = 'PARTIAL_JSON'",
        "update {t} set j = json_set(j, '$.a', 2) where id = 1",
    ),
}


@pytest.mark.parametrize("cdc", [True, False])
def test_a_row_image_without_all_columns_is_an_error_and_no_made_up_null(
    vitess: VitessCluster, cdc: bool
) -> None:
    ddl = "create table {t} (id int primary key, v int, b text, j json, w int not null)"
    replicas = [FollowedTable(vitess, "src", ddl.replace("{t}", table)) for table in REDUCED]
    for replica in replicas:
        replica.insert([(1, 1, "text", json.dumps({"a": 1, "b": "x" * 200}), 7)])
    config = vitess.config("src", include_cdc_columns=cdc)
    first = read_well(config, *REDUCED)
    for table, (setting, statement) in REDUCED.items():
        on_mysqld(vitess, [setting, "sql_mode = ''"], statement.replace("{t}", table))
    done = read(config, *REDUCED, state=first.state)
    for table in REDUCED:
        if table == "cc_partial_json" and not chosen_release().tells_partial_json:
            # One of the documented limits of that release.
            assert (done.records(table), done.statuses(table)[-1]) == ([], "COMPLETE")
            continue
        (sentence,) = done.errors_of(table)
        assert "binlog_row" in sentence
        assert "binlog_row_image=FULL" in sentence
        assert table in sentence
        assert done.records(table) == []
        assert done.statuses(table)[-1] == "INCOMPLETE"
    assert done.exit_code != 0
