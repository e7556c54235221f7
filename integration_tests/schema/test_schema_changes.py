"""Tables whose columns change between syncs, on a real Vitess: every row by its own columns.

A tablet decodes old row events with the table's columns of today, by position and type. Each case writes
rows, changes the table while they are unread, writes more, and reads on from a state of before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from integration_tests.schema.changed_table import TABLE, ChangedTable, migrated, rows
from integration_tests.support.command import RESYNC, read_well
from integration_tests.support.tables import create, insert, on_shard

if TYPE_CHECKING:
    from integration_tests.support.command import Json
    from integration_tests.vitess.cluster import VitessCluster

PLAIN = "create table changing (id int primary key, n int, a int, b int, note varchar(20))"
FIRST = "insert into changing values (1, 10, 100, 1000, 'x')"
SECOND = "insert into changing values (2, 20, 200, 2000, 'y')"
NUMBERS = "create table changing (id int primary key, n int, u int unsigned)"
LABELED = "create table changing (id int primary key, e enum('x','y'), a int, s set('a','b'))"
MOMENTS = "create table changing (id int primary key, d datetime, t timestamp(3) null, c time)"


class Case(NamedTuple):
    """A table that changes while rows of it are unread.

    Attributes:
        statements: The table and what happens before the first sync.
        changes: What happens between the two syncs.
        rows: What the second sync brings.
    """

    statements: tuple[str, ...]
    changes: tuple[str, ...]
    rows: list[dict[str, Any]]


def wide(number: int, **changed: object) -> dict[str, Any]:
    """A row of the plain table; a column that is None is left out."""
    row = {"id": number, "n": number * 10, "a": number * 100, "b": number * 1000, **changed}
    return {name: value for name, value in row.items() if value is not None}


CASES = {
    "drop and add a column of the same name elsewhere": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "alter table changing drop column a",
            "insert into changing values (3, 30, 3000, 'z')",
            "alter table changing add column a int after n",
            "insert into changing values (4, 40, 400, 4000, 'w')",
        ),
        [wide(2, note="y"), {**wide(3, a=None), "note": "z"}, wide(4, note="w")],
    ),
    "add in the middle": Case(
        (PLAIN, FIRST),
        (SECOND, "alter table changing add m int after id", "insert into changing (id, m) values (3, 7)"),
        [wide(2, note="y"), {"id": 3, "m": 7, "n": None, "a": None, "b": None, "note": None}],
    ),
    "drop the last column": Case((PLAIN, FIRST), (SECOND, "alter table changing drop note"), [wide(2)]),
    "drop one, add one at its place": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "alter table changing drop a, add c int after n",
            "insert into changing values (3, 30, 7, 3000, 'z')",
        ),
        [wide(2, a=None, note="y"), wide(3, a=None, c=7, note="z")],
    ),
    "drop one, add one at the end, each number in the place of another": Case(
        ("create table changing (id int primary key, n mediumint, y year, b bigint)",),
        (
            "insert into changing values (2, -711, 2012, 4)",
            "alter table changing drop n, add c tinyint",
            "insert into changing values (3, 1968, 5, 105)",
        ),
        [{"id": 2, "y": 2012, "b": 4}, {"id": 3, "y": 1968, "b": 5, "c": 105}],
    ),
    "drop one, add one at the end, each text or time in the place of another": Case(
        ("create table changing (id int primary key, d datetime, t text, v varbinary(9), j json)",),
        (
            "insert into changing values (2, '2020-01-01 01:02:03', 'é', x'00ff', '[1]')",
            "alter table changing drop d, add c time",
            "insert into changing values (3, 'é', x'00ff', '[1]', '01:02:03')",
        ),
        [
            {"id": 2, "t": "é", "v": "AP8=", "j": "[1]"},
            {"id": 3, "t": "é", "v": "AP8=", "j": "[1]", "c": "01:02:03"},
        ],
    ),
    "rename": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "alter table changing rename column a to c",
            "insert into changing values (3, 30, 300, 3000, 'z')",
        ),
        [wide(2, a=None, c=200, note="y"), wide(3, a=None, c=300, note="z")],
    ),
    "rename a column to one that is dropped": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "alter table changing drop b, rename column a to b",
            "insert into changing values (3, 30, 300, 'z')",
        ),
        [wide(2, a=None, b=200, note="y"), wide(3, a=None, b=300, note="z")],
    ),
    "swap the names of two columns": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "alter table changing rename column a to b, rename column b to a",
            "insert into changing values (3, 30, 3000, 300, 'z')",
        ),
        [wide(2, a=2000, b=200, note="y"), wide(3, note="z")],
    ),
    "reorder": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "alter table changing modify b int after id",
            "insert into changing values (3, 3000, 30, 300, 'z')",
        ),
        [wide(2, note="y"), wide(3, note="z")],
    ),
    "int to varchar": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "alter table changing modify a varchar(20)",
            "insert into changing values (3, 30, 'x', 3000, 'z')",
        ),
        [wide(2, a="200", note="y"), wide(3, a="x", note="z")],
    ),
    "another character set": Case(
        ("create table changing (id int primary key, v varchar(20)) charset latin1",),
        (
            "insert into changing values (2, 'é')",
            "alter table changing convert to character set utf8mb4",
            "insert into changing values (3, 'é😀')",
        ),
        [{"id": 2, "v": "é"}, {"id": 3, "v": "é😀"}],
    ),
    "other precisions": Case(
        (MOMENTS,),
        (
            "insert into changing values (2, '2020-01-01 01:02:03', '2020-01-01 01:02:03.123', '01:02:03')",
            "alter table changing modify d datetime(6), modify t timestamp null, modify c time(3)",
            "insert into changing values (3, '2020-01-01 01:02:03.5', '2020-01-01 01:02:03', '01:02:03.5')",
        ),
        [
            {
                "id": 2,
                "d": "2020-01-01T01:02:03.000000",
                "t": "2020-01-01T01:02:03.123000+00:00",
                "c": "01:02:03",
            },
            {
                "id": 3,
                "d": "2020-01-01T01:02:03.500000",
                "t": "2020-01-01T01:02:03.000000+00:00",
                "c": "01:02:03.500",
            },
        ],
    ),
    "other signs": Case(
        (NUMBERS,),
        (
            "insert into changing values (2, -5, 4000000000)",
            "update changing set n = 5",
            "alter table changing modify n int unsigned",
            "alter table changing modify u bigint",
        ),
        [{"id": 2, "n": -5, "u": 4000000000}, {"id": 2, "n": 5, "u": 4000000000}],
    ),
    "a label in front and one taken out": Case(
        (LABELED,),
        (
            "insert into changing values (2, 'y', 1, 'a,b')",
            "alter table changing modify e enum('q','y'), modify s set('z','a','b')",
            "insert into changing values (3, 'q', 2, 'z,b')",
        ),
        [{"id": 2, "e": "y", "a": 1, "s": "a,b"}, {"id": 3, "e": "q", "a": 2, "s": "z,b"}],
    ),
    "a table made anew in another shape": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            "drop table changing",
            "create table changing (id int primary key, q varchar(10), n int)",
            "insert into changing values (9, 'nine', 9)",
        ),
        [{"id": 2, "n": 20}, {"id": 9, "q": "nine", "n": 9}],
    ),
    "a migration and its revert": Case(
        (PLAIN, FIRST),
        (
            SECOND,
            *migrated("drop column a", ["id", "n", "b", "note"]),
            "insert into changing values (3, 30, 3000, 'z')",
        ),
        [wide(2, note="y"), wide(3, a=None, note="z")],
    ),
}


def made(vitess: VitessCluster, case: Case) -> ChangedTable:
    table = ChangedTable(vitess, *case.statements)
    table.completed()
    return table


@pytest.mark.parametrize("name", CASES)
def test_rows_on_both_sides_of_a_change_have_the_values_of_their_own_columns(
    vitess: VitessCluster, name: str
) -> None:
    table = made(vitess, CASES[name])
    table.change(*CASES[name].changes)
    # Columns that are gone are left out of what was expected above.
    today = set(table.discovered()["json_schema"]["properties"])
    wanted = [{key: value for key, value in row.items() if key in today} for row in CASES[name].rows]
    assert rows(table.completed()) == wanted


@pytest.mark.parametrize("refreshed", [False, True], ids=["old catalog", "refreshed catalog"])
@pytest.mark.parametrize("alter", ["direct", "migration"])
@pytest.mark.parametrize("unread", [False, True], ids=["nothing unread", "rows unread"])
def test_a_catalog_of_before_or_after_a_change_reads_on(
    vitess: VitessCluster, unread: bool, alter: str, refreshed: bool
) -> None:
    table = ChangedTable(vitess, PLAIN, FIRST)
    old = table.discovered()
    table.completed(old)
    change = "add m int after id, drop column note"
    direct = [f"alter table changing {change}"]
    table.change(
        *([SECOND] if unread else []),
        *(direct if alter == "direct" else migrated(change, ["id", "n", "a", "b"])),
        "insert into changing values (3, 7, 30, 300, 3000)",
    )
    done = table.completed(table.discovered() if refreshed else old)
    # A column that the catalog does not know is not selected.
    new = {"m": 7} if refreshed else {}
    assert rows(done) == [*([wide(2)] if unread else []), wide(3, **new)]
    assert rows(table.completed()) == []


@pytest.mark.parametrize(
    "changes",
    [
        ["alter table changing drop a"],
        ["alter table changing modify e varchar(10)"],
        ["alter table changing add m int after id"],
        ["update changing set e = 'x'", "alter table changing modify e enum('x')"],
        ["alter table changing drop e, add v varchar(9) after id"],
        ["alter table changing drop a, add v enum('q') after id"],
    ],
    ids=[
        "drop",
        "another type",
        "add in the middle",
        "a label gone",
        "text for labels",
        "labels for a number",
    ],
)
def test_rows_that_the_server_cannot_decode_are_refused_or_copied_again(
    vitess: VitessCluster, changes: list[str]
) -> None:
    table = ChangedTable(vitess, LABELED, "insert into changing values (1, 'x', 1, 'a')")
    table.completed()
    table.change("insert into changing values (2, 'y', 2, 'b')", *changes)
    message = table.refused()
    assert "table changing, shard 0" in message
    assert "cannot decode such rows of a table that has an ENUM or SET column" in message
    assert "Re-sync data" in message
    assert [row["id"] for row in rows(table.completed(**RESYNC))] == [1, 2]
    table.change("insert into changing (id) values (9)")
    assert [row["id"] for row in rows(table.completed())] == [9]


def test_a_change_of_a_table_with_labels_and_nothing_unread_is_no_reason_to_stop(
    vitess: VitessCluster,
) -> None:
    table = ChangedTable(vitess, LABELED)
    table.completed()
    table.change("alter table changing drop a", "insert into changing values (2, 'y', 'b')")
    assert rows(table.completed()) == [{"id": 2, "e": "y", "s": "b"}]


def test_rows_between_two_migrations_are_refused_or_copied_again(vitess: VitessCluster) -> None:
    table = ChangedTable(vitess, PLAIN, FIRST)
    table.completed()
    table.change(
        SECOND,
        *migrated("drop column a", ["id", "n", "b", "note"]),
        "insert into changing values (3, 30, 3000, 'z')",
        *migrated("add column a int after n", ["id", "n", "b", "note"]),
        "insert into changing values (4, 40, 400, 4000, 'w')",
    )
    done = table.sync()
    assert done.statuses(TABLE)[-1] == "INCOMPLETE"
    # What was written before the first of them has come.
    assert rows(done) == [wide(2, note="y")]
    (message,) = done.errors_of(TABLE)
    assert "the statements in between do not tell with which columns the rows were written" in message
    again = {row["id"]: row for row in rows(table.completed(**RESYNC))}
    assert again[3] == {**wide(3, note="z"), "a": None}
    assert again[4] == wide(4, note="w")


def without_shape(states: list[Json]) -> list[Json]:
    """States as the connector before this one saved them."""
    (state,) = json.loads(json.dumps(states))
    shards = state["stream"]["stream_state"]["shards"]
    shards["0"] = {"cursor": shards["0"]["cursor"]}
    return [state]


def test_a_state_without_a_shape_reads_on_where_nothing_changed_and_is_refused_where_something_did(
    vitess: VitessCluster,
) -> None:
    table = ChangedTable(vitess, PLAIN, FIRST)
    table.completed()
    without = table.state = without_shape(table.state)
    table.change(SECOND)
    assert rows(table.completed()) == [wide(2, note="y")]
    table.state = without
    table.change("alter table changing drop a, add c int after n")
    assert "the statements in between do not tell" in table.refused()


def test_a_character_set_that_was_saved_under_its_old_name_reads_on(vitess: VitessCluster) -> None:
    table = ChangedTable(
        vitess,
        "create table changing (id int primary key, v varchar(20)) charset utf8mb3",
        "insert into changing values (1, 'é')",
    )
    table.completed()
    assert "utf8mb3" in json.dumps(table.state)
    # MySQL 5.7, and 8.0 before 8.0.28, call it so.
    table.state = json.loads(json.dumps(table.state).replace("utf8mb3", "utf8"))
    for number in (2, 3):
        insert(vitess, "src", "0", TABLE, [(number, "é")])
        assert rows(table.completed()) == [{"id": number, "v": "é"}]


def test_shards_that_change_at_different_times_are_each_read_by_their_own_columns(
    vitess: VitessCluster,
) -> None:
    low, high = vitess.shards("shop")
    create(vitess, "shop", "create table changing (id int primary key, e enum('x','y'), a int, b int)")
    config = vitess.config("shop", include_cdc_columns=True)
    state = read_well(config, TABLE).state
    insert(vitess, "shop", low, TABLE, [(1, "x", 10, 100)])
    insert(vitess, "shop", high, TABLE, [(2, "y", 20, 200)])
    state, found = read_on(config, state)
    assert found == {1: (10, 100), 2: (20, 200)}
    on_shard(vitess, "shop", low, "alter table changing drop a, add column c int after id")
    insert(vitess, "shop", low, TABLE, [(3, 7, "x", 300)])
    insert(vitess, "shop", high, TABLE, [(4, "y", 40, 400)])
    for _ in range(2):
        state, found = read_on(config, state)
        assert {key: value[1] for key, value in found.items()} in ({3: 300, 4: 400}, {})
    insert(vitess, "shop", high, TABLE, [(6, "y", 60, 600)])
    state, found = read_on(config, state)
    assert found[6][1] == 600
    on_shard(vitess, "shop", high, "alter table changing drop a, add column c int after id")
    insert(vitess, "shop", high, TABLE, [(8, 9, "y", 800)])
    state, found = read_on(config, state)
    assert found == {8: (None, 800)}


def read_on(config: Json, state: list[Json]) -> tuple[list[Json], dict[int, tuple[int | None, int]]]:
    """Reads on and gives the state, and `a` and `b` by the key."""
    done = read_well(config, TABLE, state=state)
    return done.state or state, {row["id"]: (row.get("a"), row["b"]) for row in rows(done)}
