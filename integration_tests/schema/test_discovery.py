"""Discovery, shards and positions on a real Vitess."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from source_planetscale.config import Config
from source_planetscale.endpoint import TabletType
from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.mysql.database import Database
from source_planetscale.table import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.vitess.cluster import VitessCluster
    from source_planetscale.table import Table

KEYSPACES = pytest.mark.parametrize("keyspace", ["shop", "src"])
UUID = "6ace8bcef73211ea87e9f875a4d24e90"
INTERNAL = (
    f"_vt_hld_{UUID}_20200915120410_",
    f"_vt_vrp_{UUID}_20200915120410_",
    *(f"_vt_{stage}_{UUID}_20200915120410" for stage in ("HOLD", "PURGE", "EVAC", "DROP")),
    "_6ace8bce_f732_11ea_87e9_f875a4d24e90_20200915120410_vrepl",
    "_disc_orders_old",
)
LOOKALIKES = (
    *("disc_vt_b", "disc_12345678_abcd_ef01_x", f"disc_vt_hld_{UUID}_20200915120410_", "disc_old"),
    *(f"disc_vt_HOLD_{UUID}_20200915120410", f"_vt_HOLD_{UUID}", f"_vt_KEEP_{UUID}_20200915120410"),
)
# Vitess lets a query of its default workload return 10,000 rows; these tables have 12,000 columns.
MANY_TABLES = 24
MANY_COLUMNS = 500


def config_of(vitess: VitessCluster, keyspace: str) -> Config:
    return Config.parse(vitess.config(keyspace))


def run(vitess: VitessCluster, keyspace: str, statements: Sequence[str]) -> None:
    """Runs statements on each shard itself, past vtgate's planner and without vindexes."""
    for shard in vitess.shards(keyspace):
        target = f"{keyspace}:{shard}@primary"
        with closing(vitess.connect(target)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def database_of(config: Config) -> Database:
    return Database(config.mysql, config.keyspace)


def discovered(vitess: VitessCluster, keyspace: str, *names: str) -> dict[str, Table]:
    tables = database_of(config_of(vitess, keyspace)).tables(names or None)
    return {table.name: table for table in tables}


@KEYSPACES
def test_shards_are_those_of_the_keyspace(vitess: VitessCluster, keyspace: str) -> None:
    database = database_of(config_of(vitess, keyspace))
    database.ping()
    assert database.shards() == vitess.shards(keyspace)


@KEYSPACES
def test_names_of_any_characters_are_discovered(vitess: VitessCluster, keyspace: str) -> None:
    names = ["disc sp ace", "disc.dot", 'disc"quote', "disc'apos", "disc`tick", "disc%s", "disc_üñí漢"]
    for name in names:
        quoted = name.replace("`", "``")
        run(
            vitess,
            keyspace,
            [
                f"drop table if exists `{quoted}`",
                f"create table `{quoted}` (`i d` int primary key, `a.b` int, `c``d` int, `é%s'\"` int)",
            ],
        )
    for found in (discovered(vitess, keyspace), discovered(vitess, keyspace, *names)):
        assert {name for name in found if name in names} == set(names)
        for name in names:
            assert [column.name for column in found[name].columns] == ["i d", "a.b", "c`d", "é%s'\""]
            assert found[name].primary_key == ("i d",)
            assert found[name].keyspace == keyspace


@KEYSPACES
def test_tables_stand_in_name_order_without_views_and_internal_ones(
    vitess: VitessCluster, keyspace: str
) -> None:
    tables = [*INTERNAL, *LOOKALIKES, "disc_base"]
    run(vitess, keyspace, [f"create table if not exists `{name}` (id int primary key)" for name in tables])
    run(vitess, keyspace, ["create or replace view disc_view as select id from disc_base"])
    try:
        names = list(discovered(vitess, keyspace))
        asked = discovered(vitess, keyspace, "disc_view", *tables)
    finally:
        run(vitess, keyspace, [f"drop table `{name}`" for name in INTERNAL])
        run(vitess, keyspace, ["drop view disc_view"])
    assert names == sorted(names)
    assert {*LOOKALIKES, "disc_base"} <= set(names)
    assert not {*INTERNAL, "disc_view"} & set(names)
    assert set(asked) == {*LOOKALIKES, "disc_base"}


@KEYSPACES
def test_another_keyspaces_tables_are_not_listed(vitess: VitessCluster, keyspace: str) -> None:
    run(vitess, keyspace, [f"create table if not exists disc_only_{keyspace} (id int primary key)"])
    other = {"shop": "src", "src": "shop"}[keyspace]
    assert f"disc_only_{keyspace}" in discovered(vitess, keyspace)
    assert f"disc_only_{keyspace}" not in discovered(vitess, other)


@KEYSPACES
@pytest.mark.parametrize(
    ("name", "definition", "primary_key"),
    [
        ("disc_keyless", "a int, b varchar(10)", ()),
        ("disc_composite", "a int, b int, c int, primary key (b, a)", ("b", "a")),
        ("disc_unique", "a int not null, b int not null, c int, unique (b, a), unique (c)", ("b", "a")),
        ("disc_null_unique", "a int, unique (a)", ()),
        ("disc_prefix_unique", "a varchar(99) not null, unique (a(9))", ()),
        ("disc_expression", "a int not null, unique ((a + 1))", ()),
        ("disc_two_unique", "a int not null, b int not null, unique zz (a), unique aa (b)", ("a",)),
    ],
)
def test_the_key_is_the_one_that_mysql_goes_by(
    vitess: VitessCluster, keyspace: str, name: str, definition: str, primary_key: tuple[str, ...]
) -> None:
    run(vitess, keyspace, [f"drop table if exists {name}", f"create table {name} ({definition})"])
    assert discovered(vitess, keyspace, name)[name].primary_key == primary_key


@KEYSPACES
def test_columns_of_every_kind_are_listed_with_type_and_charset(vitess: VitessCluster, keyspace: str) -> None:
    ddl = (
        "create table disc_columns (id bigint unsigned primary key, v int as (id + 1) virtual, "
        "s int as (id + 2) stored, h int invisible, l varchar(10) character set latin1 not null, "
        "u text character set utf16, e enum('é', 'b''c') character set latin1, b varbinary(3), "
        "z set('x', 'y') not null, j json, t tinyint(1), k int, key ((k + 3)))"
    )
    run(vitess, keyspace, ["drop table if exists disc_columns", ddl])
    assert discovered(vitess, keyspace, "disc_columns")["disc_columns"].columns == (
        Column("id", "bigint unsigned", "", False),
        Column("v", "int"),
        Column("s", "int"),
        Column("h", "int"),
        Column("l", "varchar(10)", "latin1", False),
        Column("u", "text", "utf16"),
        Column("e", "enum('é','b''c')", "latin1"),
        Column("b", "varbinary(3)"),
        Column("z", "set('x','y')", "utf8mb4", False),
        Column("j", "json"),
        Column("t", "tinyint(1)"),
        Column("k", "int"),
    )


@KEYSPACES
def test_500_columns_are_listed_in_order(vitess: VitessCluster, keyspace: str) -> None:
    names = [f"c{number}" for number in range(500)]
    columns = ", ".join(f"{name} int" for name in names)
    run(vitess, keyspace, ["drop table if exists disc_wide", f"create table disc_wide ({columns})"])
    table = discovered(vitess, keyspace, "disc_wide")["disc_wide"]
    assert [column.name for column in table.columns] == names


def test_more_columns_than_one_answer_may_have_rows_are_discovered(vitess: VitessCluster) -> None:
    columns = ", ".join(f"c{number} int" for number in range(MANY_COLUMNS))
    names = [f"disc_many_{number}" for number in range(MANY_TABLES)]
    run(vitess, "src", [f"create table if not exists {name} ({columns})" for name in names])
    try:
        found = discovered(vitess, "src")
    finally:
        run(vitess, "src", [f"drop table {', '.join(names)}"])
    assert all(len(found[name].columns) == MANY_COLUMNS for name in names)


def test_a_table_on_a_chosen_shard_is_described_from_there(vitess: VitessCluster) -> None:
    vitess.execute("drop table if exists disc_second_shard", "shop:80-@primary")
    vitess.execute("create table disc_second_shard (id int primary key)", "shop:80-@primary")
    try:
        first, second = (
            database_of(replace(config_of(vitess, "shop"), shards=(shard,))).tables(["disc_second_shard"])
            for shard in ("-80", "80-")
        )
    finally:
        vitess.execute("drop table disc_second_shard", "shop:80-@primary")
    assert [table.name for table in first] == []
    assert [table.name for table in second] == ["disc_second_shard"]


@KEYSPACES
def test_the_binlog_status_follows_the_shard(vitess: VitessCluster, keyspace: str) -> None:
    database = database_of(config_of(vitess, keyspace))
    shard = vitess.shards(keyspace)[-1]
    before = database.binlog_status(shard, TabletType.PRIMARY)
    run(vitess, keyspace, ["drop table if exists disc_moves", "create table disc_moves (id int)"])
    after = database.binlog_status(shard, TabletType.PRIMARY)
    assert before is not None
    assert after is not None
    assert before.executed != after.executed
    assert after.full_images
    assert database.binlog_status(shard, TabletType.REPLICA) is not None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"database": "nope"}, "database 'nope' does not exist"),
        ({"mysql_tls": True}, "does not offer TLS"),
    ],
)
def test_a_wrong_configuration_is_told_as_a_sentence(
    vitess: VitessCluster, change: dict[str, object], sentence: str
) -> None:
    config = Config.parse({**vitess.config("src"), **change})
    with pytest.raises(SourceError, match=sentence) as caught:
        database_of(config).ping()
    assert isinstance(caught.value, ConfigError)


def test_the_grpc_port_is_not_taken_for_the_mysql_port(vitess: VitessCluster) -> None:
    config = replace(config_of(vitess, "src"), mysql_port=vitess.grpc_port)
    with pytest.raises(SourceError, match="not its gRPC port"):
        database_of(config).ping()


def test_an_unknown_shard_has_no_positions_but_an_error(vitess: VitessCluster) -> None:
    with pytest.raises(SourceError, match="No healthy primary tablet") as caught:
        database_of(config_of(vitess, "src")).binlog_status("nope", TabletType.PRIMARY)
    assert isinstance(caught.value, TransientError)


@KEYSPACES
def test_only_tables_that_a_pattern_names_are_discovered(vitess: VitessCluster, keyspace: str) -> None:
    names = ("disc_like_one", "disc_like_two", "disc_likely", "disc_unlike")
    run(vitess, keyspace, [f"create table if not exists {name} (id int primary key)" for name in names])

    def found(*patterns: str) -> list[str]:
        filters = [{"database_name": keyspace, "table_name_patterns": list(patterns)}]
        config = Config.parse(vitess.config(keyspace, table_filters=filters))
        return [table.name for table in database_of(config).tables()]

    assert found("disc\\_like\\_%") == ["disc_like_one", "disc_like_two"]
    assert found("disc_like__") == ["disc_likely"]
    assert found("disc_unlike", "disc%two") == ["disc_like_two", "disc_unlike"]
    assert found("nothing'; --") == []
