"""The contract of both databases: what statements over MySQL's protocol find."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.contract.database import run, table

if TYPE_CHECKING:
    from embedded_database.contract.database import Database


def test_discovery_queries_answer_as_vtgate_does(database: Database) -> None:
    table(
        database,
        "c_discovered",
        "b int, a varchar(10) character set latin1 not null, e enum('x','y') default 'y',"
        " u bigint unsigned, d decimal(10,2), t timestamp(3) null, g int generated always as (b + 1) virtual,"
        " primary key (a, b), key other (u)",
    )

    columns = database.execute(
        "select column_name, column_type, character_set_name, is_nullable, column_key, extra, column_default"
        " from information_schema.columns where table_schema = 'src' and table_name = 'c_discovered'"
        " order by ordinal_position",
        "src",
    )
    keys = database.execute(
        "select index_name, seq_in_index, column_name, non_unique from information_schema.statistics"
        " where table_schema = database() and table_name = 'c_discovered' order by 1, 2",
        "src",
    )
    kinds = database.execute(
        "select table_type from information_schema.tables"
        " where table_schema = database() and table_name = 'c_discovered'",
        "src",
    )

    assert columns == [
        ("b", "int", None, "NO", "PRI", "", None),
        ("a", "varchar(10)", "latin1", "NO", "PRI", "", None),
        ("e", "enum('x','y')", "utf8mb4", "YES", "", "", "y"),
        ("u", "bigint unsigned", None, "YES", "MUL", "", None),
        ("d", "decimal(10,2)", None, "YES", "", "", None),
        ("t", "timestamp(3)", None, "YES", "", "", None),
        ("g", "int", None, "YES", "", "VIRTUAL GENERATED", None),
    ]
    assert keys == [("other", 1, "u", 1), ("PRIMARY", 1, "a", 0), ("PRIMARY", 2, "b", 0)]
    assert kinds == [("BASE TABLE",)]


def test_a_table_comes_with_an_estimate_of_its_rows(database: Database) -> None:
    name = table(database, "c_estimated")
    run(database, f"insert into {name} values (1,'a'), (2,'b'), (3,'c')")
    run(database, f"analyze table {name}")

    ((rows,),) = database.execute(
        f"select table_rows from information_schema.tables where table_schema = database()"
        f" and table_name = '{name}'",
        "src:0@primary",
    )

    assert rows == 3


def test_shards_and_targets_answer_as_vtgate_does(database: Database) -> None:
    name = table(database, "c_executed")
    run(database, f"insert into {name} values (1,'a')")

    shards = {name for (name,) in database.execute("show vitess_shards", "src")}
    ((target,),) = database.execute("select database()", "shop:-80@primary")
    ((executed, purged),) = database.execute(
        "select @@global.gtid_executed, @@global.gtid_purged", "src:0@primary"
    )
    ((contains,),) = database.execute(
        "select gtid_subset(@@global.gtid_purged, @@global.gtid_executed)", "src:0@primary"
    )

    assert {"shop/-80", "shop/80-", "src/0"} <= shards
    assert target == "shop:-80@primary"
    assert ":1-" in executed
    assert isinstance(purged, str)
    assert contains == 1


def test_an_unknown_keyspace_is_refused_with_the_login(database: Database) -> None:
    with pytest.raises(Exception, match="unknown database 'nowhere'") as refusal:
        database.execute("select 1", "nowhere")

    assert refusal.value.args[0] == 1049


@pytest.mark.parametrize(
    ("definition", "literal", "condition"),
    [
        ("datetime(6)", "'2024-01-02 03:04:05'", "= '2024-01-02 03:04:05'"),
        ("date", "'2024-01-02'", "in ('2024-1-2')"),
        ("time(3)", "'1:02:03'", "between '01:02:03' and '01:02:03'"),
        ("bit(9)", "5", "= 5"),
        ("bit(9)", "5", "= b'101'"),
        ("binary(4)", "'ab'", "= x'61620000'"),
        ("varbinary(4)", "'ab'", "= 'ab'"),
        ("varchar(9)", "'Äb'", "= 'ab'"),
        ("varchar(9) collate utf8mb4_bin", "'Ab'", "<> 'ab'"),
        ("enum('x','y')", "'y'", "= 'Y'"),
        ("set('x','y')", "'x,y'", "= 'x,y'"),
        ("decimal(10,2)", "1.5", "= '1.5'"),
        ("bigint unsigned", "18446744073709551615", "> 9223372036854775808"),
        ("int", "7", "= '7'"),
        ("year", "2024", "= 2024"),
    ],
)
def test_a_condition_finds_a_row_by_value(
    database: Database, definition: str, literal: str, condition: str
) -> None:
    name = table(database, "c_condition", f"id int primary key, k {definition}")
    run(database, f"insert into {name} values (1, {literal}), (2, null)")

    found = database.execute(f"select id from {name} where k {condition}", "src")
    run(database, f"delete from {name} where k {condition}")

    assert found == [(1,)]
    assert database.execute(f"select id from {name}", "src") == [(2,)]


def test_values_read_back_over_sql_as_they_were_written(database: Database) -> None:
    name = table(
        database,
        "c_values",
        "id int primary key, u bigint unsigned, d decimal(10,2), b varbinary(9), f double, n varchar(9),"
        " bit9 bit(9)",
    )
    row = (1, 2**64 - 1, "0.50", b"\0\xff'\\", 1.5, "é€", 5)
    database.execute(f"insert into {name} values (%s,%s,%s,%s,%s,%s,%s)", "src", row)

    ((key, unsigned, decimal, data, number, text, bits),) = database.execute(f"select * from {name}", "src")

    assert (key, unsigned, str(decimal), data) == (1, 2**64 - 1, "0.50", b"\0\xff'\\")
    assert (number, text, bits) == (1.5, "é€", b"\0\x05")
