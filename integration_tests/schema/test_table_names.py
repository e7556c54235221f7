"""Tables and columns whose names mean something to a server, on a real Vitess: each yields its own rows."""

# ruff: noqa: S608 - names are the tests' own

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integration_tests.schema.changed_table import ChangedTable, rows
from integration_tests.support.command import configured, read, read_well, run
from integration_tests.support.marks import NEEDS_SCHEMA_RELOAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.vitess.cluster import VitessCluster

# A name with a slash in front is a regular expression to VStream, one with a percent sign a pattern to MySQL.
NAMES = (
    *("/.*", "/named", "named.dot", "named%", "named a b", "NAMED", "named", "größe", "日本", 'named"b'),
    *("named'b", "named\\b", "named$", "-named", "1named", "named?", "select", "@named", "#named"),
)
# vttablet does not quote the one rightly, and takes the other for MySQL's own.
UNSTREAMED = ("named`b", "dual")


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def on_mysqld(vitess: VitessCluster, *statements: str) -> None:
    with closing(vitess.connect_mysqld("vt_src_0")) as session, session.cursor() as cursor:
        cursor.execute("set names utf8mb4")
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="module", autouse=True)
def _tables(vitess: VitessCluster) -> Iterator[None]:
    """A table of each name, with its name in its only row."""
    for name in (*NAMES, *UNSTREAMED):
        on_mysqld(
            vitess,
            f"drop table if exists {quoted(name)}",
            f"create table {quoted(name)} (id int primary key, v varchar(20)) charset utf8mb4",
            f"insert into {quoted(name)} values (1, hex({ascii_hex(name)}))",
        )
    vitess.vtctldclient("ReloadSchemaKeyspace", "--include-primary", "src")
    yield
    on_mysqld(vitess, *(f"drop table {quoted(name)}" for name in (*NAMES, *UNSTREAMED)))


def ascii_hex(name: str) -> str:
    return f"x'{name.encode()[:10].hex()}'"


@NEEDS_SCHEMA_RELOAD
def test_a_table_of_any_name_yields_its_own_rows_in_copy_and_catch_up(vitess: VitessCluster) -> None:
    config = vitess.config("src", include_cdc_columns=True)
    first = read(config, *NAMES)
    assert [error["message"] for error in first.errors] == []
    for number, name in enumerate(NAMES):
        on_mysqld(
            vitess,
            f"insert into {quoted(name)} values (2, '{number}')",
            f"alter table {quoted(name)} add column m int after id",
            f"insert into {quoted(name)} values (3, {number}, '{number}')",
        )
    second = read_well(config, *NAMES, state=first.state)
    for number, name in enumerate(NAMES):
        mark = name.encode()[:10].hex().upper()
        assert rows(first, name) == [{"id": 1, "v": mark}]
        assert rows(second, name) == [
            {"id": 2, "v": str(number)},
            {"id": 3, "m": number, "v": str(number)},
        ]


def test_a_table_that_vitess_cannot_stream_is_left_out_of_the_catalog_and_refused_by_name(
    vitess: VitessCluster,
) -> None:
    config = vitess.config("src")
    discovered = run("discover", config=config)
    (catalog,) = discovered.of_type("CATALOG")
    names = {stream["name"] for stream in catalog["catalog"]["streams"]}
    assert names & {*NAMES, *UNSTREAMED} == set(NAMES)
    for name in UNSTREAMED:
        assert any(f"Table {name} is left out of the catalog" in line for line in discovered.logs)
        refused = run("read", config=config, catalog=configured(name, namespace="src"))
        assert refused.statuses(name)[-1] == "INCOMPLETE"
        assert "Rename it, or take the stream out" in refused.errors_of(name)[0]


def test_a_table_that_vitess_keeps_for_itself_is_told_as_that(vitess: VitessCluster) -> None:
    on_mysqld(vitess, "drop table if exists _named_old", "create table _named_old (id int primary key)")
    done = read(vitess.config("src"), "_named_old")
    assert done.statuses("_named_old")[-1] == "INCOMPLETE"
    assert "VStream sends no changes of them" in done.errors_of("_named_old")[0]


def test_a_column_that_is_named_as_the_server_names_unknown_ones_has_its_values(
    vitess: VitessCluster,
) -> None:
    table = ChangedTable(
        vitess,
        "create table changing (id int primary key, `@timestamp` int, `@2` int)",
        "insert into changing values (1, 5, 6)",
    )
    assert rows(table.completed()) == [{"id": 1, "@timestamp": 5, "@2": 6}]
    table.change(
        "insert into changing values (2, 7, 8)",
        "alter table changing add column z int first",
        "insert into changing values (9, 3, 10, 11)",
    )
    assert rows(table.completed()) == [
        {"id": 2, "@timestamp": 7, "@2": 8},
        {"z": 9, "id": 3, "@timestamp": 10, "@2": 11},
    ]


def test_a_name_that_differs_in_the_case_of_its_letters_is_another_table(vitess: VitessCluster) -> None:
    done = read(vitess.config("src"), "Named")
    assert "was not found" in done.errors_of("Named")[0]
