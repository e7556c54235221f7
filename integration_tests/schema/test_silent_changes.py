"""What no row event tells: rows that come or go, values and keys that change, on a real Vitess.

Such a change is told, as a warning where the rest can be read on rightly, and by INCOMPLETE where it cannot.
"""

from __future__ import annotations

import pytest

from integration_tests.schema.changed_table import ChangedTable, migrated, rows
from integration_tests.support.command import RESYNC, read
from integration_tests.support.marks import NEEDS_SCHEMA_RELOAD
from integration_tests.vitess.cluster import VitessCluster

PLAIN = "create table changing (id int primary key, v int)"
FIRST = "insert into changing values (1, 1), (2, 2)"
PARTS = """create table changing (id int primary key, v int) partition by range (id)
    (partition p0 values less than (100), partition p1 values less than maxvalue)"""
NINE = "insert into changing (id, v) values (9, 9)"
NINE_ROW = {"id": 9, "v": 9}


def made(vitess: VitessCluster, *statements: str) -> ChangedTable:
    table = ChangedTable(vitess, *statements)
    table.completed()
    return table


@pytest.mark.parametrize(
    ("table", "change", "word"),
    [
        (PLAIN, "truncate table changing", "TRUNCATE"),
        (PLAIN, "/* ApplicationName=DBeaver 24.1 */ truncate table changing", "TRUNCATE"),
        (PLAIN, "-- nightly\ntruncate changing", "TRUNCATE"),
        (PARTS, "alter table changing truncate partition p0", "TRUNCATE"),
        (PARTS, "alter table changing drop partition p0", "DROP"),
    ],
    ids=["plain", "behind a comment", "behind a line", "truncate partition", "drop partition"],
)
def test_rows_that_went_without_deletes_are_told(
    vitess: VitessCluster, table: str, change: str, word: str
) -> None:
    changed = made(vitess, table, FIRST)
    changed.change(change, "insert into changing (id, v) values (900, 9)")
    done = changed.completed()
    assert rows(done) == [{"id": 900, "v": 9}]
    assert any(f"{word} of table changing, shard 0" in line for line in done.logs)


@pytest.mark.parametrize(
    "statement",
    [
        "/* ApplicationName=DBeaver 24.1 */ truncate table changing",
        "-- nightly\n truncate table changing",
        "truncate table changing /* app='x',traceparent='00-1' */",
        "/*!50000 truncate table changing */",
    ],
)
def test_rows_that_went_behind_a_comment_through_vtgate_are_told(
    vitess: VitessCluster, statement: str
) -> None:
    changed = made(vitess, PLAIN, FIRST)
    vitess.execute(statement, "src")
    changed.change(NINE)
    done = changed.completed()
    assert rows(done) == [NINE_ROW]
    assert any("TRUNCATE of table changing, shard 0" in line for line in done.logs)


def test_a_table_made_anew_in_the_same_shape_brings_its_rows_and_a_warning(vitess: VitessCluster) -> None:
    table = made(vitess, PLAIN, FIRST)
    table.change("drop table changing", PLAIN, NINE)
    done = table.completed()
    assert rows(done) == [NINE_ROW]
    assert any("DROP of table changing, shard 0" in line for line in done.logs)


def test_a_table_made_anew_where_one_was_renamed_away_brings_its_rows_and_a_warning(
    vitess: VitessCluster,
) -> None:
    table = made(vitess, PLAIN, FIRST, "drop table if exists changed")
    table.change("rename table changing to changed", PLAIN, NINE)
    done = table.completed()
    assert rows(done) == [NINE_ROW]
    assert any("RENAME of table changing, shard 0" in line for line in done.logs)


def test_a_database_made_anew_brings_its_rows_and_a_warning() -> None:
    with VitessCluster.start({"src": 1}) as vitess:
        table = made(vitess, PLAIN, FIRST)
        table.change("drop database vt_src_0", "create database vt_src_0", "use vt_src_0", PLAIN, NINE)
        vitess.vtctldclient("ReloadSchemaKeyspace", "--include-primary", "src")
        done = table.completed()
        assert rows(done) == [NINE_ROW]
        assert any("DROP of table changing, shard 0" in line for line in done.logs)


def test_an_xa_transaction_is_told_as_what_no_stream_passes_or_the_table_is_copied_again() -> None:
    with VitessCluster.start({"src": 1}) as vitess:
        table = made(vitess, PLAIN, FIRST, "create table other (id int primary key)")
        table.change(
            "xa start 'x'",
            "insert into other values (1)",
            "xa end 'x'",
            "xa prepare 'x'",
            "xa commit 'x'",
            NINE,
        )
        for _ in range(2):
            message = table.refused()
            assert "Vitess cannot read a statement that stands behind it" in message
            assert "XA transaction" in message
            assert "Re-sync data" in message
        assert [row["id"] for row in rows(table.completed(**RESYNC))] == [1, 2, 9]
        assert rows(table.completed()) == []


def test_a_statement_about_something_else_that_vitess_cannot_read_warns_of_nothing(
    vitess: VitessCluster,
) -> None:
    table = made(vitess, PLAIN, FIRST)
    table.change(
        "create user changing@localhost identified by 'secret'",
        "drop user changing@localhost",
        "create procedure changing() select 1",
        "drop procedure changing",
        "create trigger changing before insert on changing for each row set @nothing = 1",
        "drop trigger changing",
        NINE,
    )
    done = table.completed()
    assert rows(done) == [NINE_ROW]
    assert [line for line in done.logs if "DROP" in line or "Refresh" in line] == []


SWAPS = {
    "a swap of tables": [
        "create table changing_new (id int primary key, v int)",
        "insert into changing_new values (50, 50)",
        "rename table changing to changing_old, changing_new to changing",
    ],
    "an exchange of partitions": [
        "create table changing_new (id int primary key, v int)",
        "insert into changing_new values (50, 50)",
        "alter table changing exchange partition p0 with table changing_new",
    ],
    "a table renamed to the place of a dropped one": [
        "create table changing_new like changing",
        "insert into changing_new values (50, 50)",
        "drop table changing",
        "rename table changing_new to changing",
    ],
    "a table made of a query": [
        "drop table changing",
        "create table changing (id int primary key) select 50 as id, 50 as v",
    ],
}


@pytest.mark.parametrize("case", SWAPS)
def test_rows_that_came_without_inserts_are_refused_or_copied_again(vitess: VitessCluster, case: str) -> None:
    table = made(
        vitess,
        PARTS if "partition" in case else PLAIN,
        FIRST,
        "drop table if exists changing_new, changing_old",
    )
    table.change(*SWAPS[case], NINE)
    message = table.refused()
    assert "gave table changing, shard 0 rows that no row event tells" in message
    assert "Re-sync data" in message
    assert [row["id"] for row in rows(table.completed(**RESYNC))] == [9, 50]


def test_the_cut_over_of_a_migration_is_no_swap_of_tables(vitess: VitessCluster) -> None:
    table = made(vitess, PLAIN, FIRST)
    table.change(*migrated("add column z int", ["id", "v"]), NINE)
    assert rows(table.completed()) == [{**NINE_ROW, "z": None}]


MIGRATIONS = {
    "a column with values": ("add column z int not null default 7", True),
    "a column with an expression": ("add column z int as (v * 2) stored", True),
    "another type": ("modify v varchar(9)", True),
    "an index": ("add index (v)", False),
    "a wider type": ("modify v bigint", False),
}


@pytest.mark.parametrize("unread", ["insert into changing values (3, 3)", "select 1"])
@pytest.mark.parametrize("case", MIGRATIONS)
def test_values_that_a_migration_changed_without_row_events_are_told(
    vitess: VitessCluster, case: str, unread: str
) -> None:
    alter, is_told = MIGRATIONS[case]
    table = made(vitess, PLAIN, FIRST)
    table.change(unread, *migrated(alter, ["id", "v"]))
    lines = [line for line in table.completed().logs if "Refresh this stream" in line]
    assert [line.startswith("Columns of table changing, shard 0") for line in lines] == [True] * is_told


ADDED = {
    "a default": "add column z int not null default 7",
    "a default text": "add column z varchar(9) not null default 'x'",
    "no default": "add column z int not null",
    "a virtual expression": "add column z int as (v * 2) virtual",
    "a stored expression": "add column z int as (v * 2) stored",
    "the time": "add column z timestamp default current_timestamp",
    "numbers": "add column z int auto_increment unique",
    "an invisible default": "add column z int invisible default 3",
    "another expression": "modify g int as (v * 3) stored",
    "not null over nulls": "modify n int not null",
    "another name": "rename column n to m",
    "another character set": "modify t varchar(9) character set latin1",
    "another character set of all columns": "convert to character set latin1",
    "another character set beside that of the table": "character set latin1, modify t varchar(9)",
}


@pytest.mark.parametrize("case", ADDED)
def test_values_that_changed_without_row_events_are_told(vitess: VitessCluster, case: str) -> None:
    table = made(
        vitess,
        "create table changing (id int primary key, v int, g int as (v * 2) stored, n int, t varchar(9))",
        "insert into changing (id, v) values (1, 1), (2, 2)",
    )
    table.change(
        "insert into changing (id, v) values (3, 3)",
        "set sql_mode = ''",
        f"alter table changing {ADDED[case]}",
        "insert into changing (id, v) values (9, 9)",
    )
    done = table.completed()
    before, after = rows(done)
    assert (before["id"], before["g"], after["id"]) == (3, 6, 9)
    assert after["g"] == (27 if case == "another expression" else 18)
    assert any("table changing, shard 0" in line and "Refresh this stream" in line for line in done.logs)


def test_another_primary_key_is_told(vitess: VitessCluster) -> None:
    table = made(
        vitess,
        "create table changing (id int, code varchar(10) not null, v int, primary key (id))",
        "insert into changing values (1, 'a', 1), (2, 'b', 2)",
    )
    table.change(
        "alter table changing drop primary key, add primary key (code)",
        "update changing set id = 99 where code = 'a'",
    )
    done = table.completed()
    assert rows(done) == [{"id": 99, "code": "a", "v": 1}]
    assert any("The primary key of table changing, shard 0 was changed" in line for line in done.logs)


REKEYED = {
    "by a migration": migrated("drop primary key, add primary key (code)", ["id", "code", "v"]),
    "by a statement": ["alter table changing drop primary key, add primary key (code)"],
    "under another name": ["alter table changing rename column id to number"],
}


@pytest.mark.parametrize("case", REKEYED)
def test_a_key_that_is_not_the_catalogs_any_more_is_told_by_every_sync(
    vitess: VitessCluster, case: str
) -> None:
    table = made(
        vitess,
        "create table changing (id int, code varchar(10) not null, v int, primary key (id))",
        "insert into changing values (1, 'a', 1)",
    )
    catalog = table.discovered()
    table.change(*REKEYED[case])
    key = "number" if "name" in case else "code"
    for _ in range(2):
        done = table.completed(catalog)
        assert any(
            f"The key of table changing of keyspace src is ({key}) now, and (id)" in line
            for line in done.logs
        )


def test_a_table_that_was_dropped_is_an_error_of_its_stream(vitess: VitessCluster) -> None:
    table = made(vitess, PLAIN, FIRST)
    table.change("drop table changing")
    assert "was not found" in table.refused()


def test_a_table_that_was_renamed_away_is_an_error_of_its_stream(vitess: VitessCluster) -> None:
    table = made(vitess, PLAIN, FIRST, "drop table if exists changed")
    table.change("rename table changing to changed")
    assert "dropped or renamed" in table.refused()


KEYED = "create table changing (k varchar(30) collate {} primary key, pad varchar(6100)) charset utf8mb4"
COLLATIONS = {
    "to one that ignores case": (
        "utf8mb4_bin",
        "modify k varchar(30) collate utf8mb4_0900_ai_ci",
    ),
    "to one that does not": ("utf8mb4_0900_ai_ci", "modify k varchar(30) collate utf8mb4_bin"),
    "of the whole table": (
        "utf8mb4_bin",
        "convert to character set utf8mb4 collate utf8mb4_0900_ai_ci",
    ),
}


@pytest.mark.parametrize("case", COLLATIONS)
def test_no_row_is_left_out_when_the_order_of_a_key_changes_while_its_copy_is_cut(
    vitess: VitessCluster, case: str
) -> None:
    before, alter = COLLATIONS[case]
    table = ChangedTable(vitess, KEYED.format(before))
    letters = "aBcDeFgHiJ"
    keys = [
        "".join(letters[number // 10**place % 10] for place in range(3)) + letters[number % 7]
        for number in range(500)
    ]
    vitess.execute_many("insert into changing values (%s, repeat('x', 6000))", "src", [[key] for key in keys])
    first = table.cut(after=150)
    assert len(rows(first)) < len(keys)
    table.change(f"alter table changing {alter}")
    second = table.completed()
    assert {row["k"] for row in (*rows(first), *rows(second))} == set(keys)


@NEEDS_SCHEMA_RELOAD
def test_a_table_that_its_tablet_does_not_know_yet_is_tried_again_and_then_told(
    vitess: VitessCluster,
) -> None:
    with_name = "changing_unknown"
    database = vitess.connect_mysqld("vt_src_0")
    with database, database.cursor() as cursor:
        cursor.execute(f"drop table if exists {with_name}")
        vitess.vtctldclient("ReloadSchemaKeyspace", "--include-primary", "src")
        cursor.execute(f"create table {with_name} (id int primary key)")
        config = vitess.config("src", max_retries=1, timeout_seconds=5)
        done = read(config, with_name)
        assert done.statuses(with_name)[-1] == "INCOMPLETE"
        (error,) = [error for error in done.errors if "stream_descriptor" in error]
        assert error["failure_type"] == "transient_error"
        assert "next schema reload" in error["message"]
        vitess.vtctldclient("ReloadSchemaKeyspace", "--include-primary", "src")
        assert read(config, with_name).statuses(with_name)[-1] == "COMPLETE"
        cursor.execute(f"drop table {with_name}")
