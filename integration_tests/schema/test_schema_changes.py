"""Tables that change between syncs and during them, on a real Vitess: never values under a wrong column.

A tablet decodes old row events with the table's shape of today, by position and type. Each case writes
rows, changes the table while they are unread, and reads on from a state of before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, delay
from integration_tests.support.command import Command, configured, read, read_well
from integration_tests.support.tables import create, insert, on_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

TABLE = "changing"
PLAIN = "create table changing (id bigint primary key, a int, b int)"
LABELED = "create table changing (id bigint primary key, a enum('x','y'), b int)"
TEXT = "create table changing (id bigint primary key, a varchar(20), b int)"
RESYNC = {"invalid_cdc_cursor_position_behavior": "Re-sync data"}

HARMLESS: dict[str, tuple[str, str, tuple[object, ...], dict[str, object]]] = {
    "a column added at the end": (PLAIN, "alter table changing add z int", (7, 70), {"a": 7, "b": 70}),
    "a wider integer": (PLAIN, "alter table changing modify a bigint", (7, 70), {"a": 7, "b": 70}),
    "a longer text": (TEXT, "alter table changing modify a varchar(300)", ("é", 70), {"a": "é", "b": 70}),
    "a label added at the end": (
        LABELED,
        "alter table changing modify a enum('x','y','z')",
        ("y", 70),
        {"a": "y", "b": 70},
    ),
    "an index": (PLAIN, "alter table changing add key by_a (a)", (7, 70), {"a": 7, "b": 70}),
}
HAZARDS = {
    "a column added in the middle": (PLAIN, ["alter table changing add mid int after id"], (7, 70)),
    "a column dropped and one added": (PLAIN, ["alter table changing drop a, add cc int"], (7, 70)),
    "a column dropped": (PLAIN, ["alter table changing drop b"], (7, 70)),
    "a column renamed": (PLAIN, ["alter table changing rename column a to aa"], (7, 70)),
    "columns swapped": (PLAIN, ["alter table changing modify b int after id"], (7, 70)),
    "an incompatible type": (PLAIN, ["alter table changing modify a varchar(40)"], (7, 70)),
    "a sign dropped": (PLAIN, ["alter table changing modify a int unsigned"], (7, 70)),
    "labels reordered": (LABELED, ["alter table changing modify a enum('q','x','y')"], ("y", 70)),
    "another character set": (
        TEXT,
        ["alter table changing modify a varchar(20) character set latin1"],
        ("é", 70),
    ),
    "a table dropped and made anew in another shape": (
        PLAIN,
        ["drop table changing", "create table changing (id bigint primary key, b int, a int)"],
        (7, 70),
    ),
}


def ddl(vitess: VitessCluster, *statements: str) -> None:
    on_shard(vitess, "src", "0", *statements)
    vitess.vtctldclient("ReloadSchemaKeyspace", "--include-primary", "src")


def unread_change(vitess: VitessCluster, table: str, row: Sequence[object], changes: Sequence[str]) -> Run:
    """A first sync, then a row that no sync has read, then a change of the table."""
    create(vitess, "src", table)
    insert(vitess, "src", "0", TABLE, [(1, None, 1)])
    first = read_well(vitess.config("src"), TABLE)
    insert(vitess, "src", "0", TABLE, [(2, *row)])
    ddl(vitess, *changes)
    return first


def rows_of(vitess: VitessCluster) -> list[Json]:
    """The table as a fresh copy has it."""
    return read_well(vitess.config("src"), TABLE).records(TABLE)


@pytest.mark.parametrize("case", HARMLESS)
def test_unread_changes_from_before_a_harmless_change_have_the_right_values(
    vitess: VitessCluster, case: str
) -> None:
    table, change, row, wanted = HARMLESS[case]
    first = unread_change(vitess, table, row, [change])
    ddl(vitess, "insert into changing (id, b) values (3, 3)")
    done = read_well(vitess.config("src"), TABLE, state=first.state)
    old, new = done.records(TABLE)
    assert {name: old[name] for name in ("id", "a", "b")} == {"id": 2, **wanted}
    assert {name: new[name] for name in ("id", "a", "b")} == {"id": 3, "a": None, "b": 3}


@pytest.mark.parametrize("case", HAZARDS)
def test_unread_changes_that_would_stand_under_wrong_columns_fail_with_advice(
    vitess: VitessCluster, case: str
) -> None:
    first = unread_change(vitess, HAZARDS[case][0], HAZARDS[case][2], HAZARDS[case][1])
    refused = read(vitess.config("src"), TABLE, state=first.state)
    assert refused.exit_code != 0
    assert refused.statuses(TABLE)[-1] == "INCOMPLETE"
    assert refused.records(TABLE) == []
    (message,) = refused.errors_of(TABLE)
    assert "table changing, shard 0" in message
    assert "Re-sync data" in message


@pytest.mark.parametrize("case", HAZARDS)
def test_unread_changes_that_would_stand_under_wrong_columns_are_copied_again_if_the_option_says_so(
    vitess: VitessCluster, case: str
) -> None:
    first = unread_change(vitess, HAZARDS[case][0], HAZARDS[case][2], HAZARDS[case][1])
    again = read_well(vitess.config("src", **RESYNC), TABLE, state=first.state)
    assert again.records(TABLE) == rows_of(vitess)
    # The next sync goes on from there.
    ddl(vitess, "insert into changing (id) values (9)")
    after = read_well(vitess.config("src"), TABLE, state=again.state)
    assert [row["id"] for row in after.records(TABLE)] == [9]


def test_rows_before_and_after_a_change_at_the_end_each_have_their_values(vitess: VitessCluster) -> None:
    create(vitess, "src", PLAIN)
    first = read_well(vitess.config("src"), TABLE)
    insert(vitess, "src", "0", TABLE, [(1, 10, 100)])
    ddl(vitess, "alter table changing add z int default 5")
    insert(vitess, "src", "0", TABLE, [(2, 20, 200, 2000)])
    ddl(vitess, "alter table changing add zz int")
    insert(vitess, "src", "0", TABLE, [(3, 30, 300, 3000, 30000)])
    done = read_well(vitess.config("src"), TABLE, state=first.state)
    values = [[row.get(name) for name in ("id", "a", "b", "zz")] for row in done.records(TABLE)]
    assert values == [[1, 10, 100, None], [2, 20, 200, None], [3, 30, 300, 30000]]


def test_a_table_that_was_dropped_is_an_error_of_its_stream(vitess: VitessCluster) -> None:
    first = unread_change(vitess, PLAIN, (7, 70), ["drop table changing"])
    done = read(vitess.config("src"), TABLE, state=first.state)
    assert done.exit_code != 0
    assert done.statuses(TABLE)[-1] == "INCOMPLETE"
    assert "was not found" in done.errors_of(TABLE)[0]


def test_a_table_that_vitess_keeps_for_itself_is_told_as_that(vitess: VitessCluster) -> None:
    ddl(vitess, "drop table if exists _changing_old", "create table _changing_old (id int primary key)")
    done = read(vitess.config("src"), "_changing_old")
    assert done.statuses("_changing_old")[-1] == "INCOMPLETE"
    assert "VStream sends no changes of them" in done.errors_of("_changing_old")[0]


def test_a_table_that_was_renamed_away_is_an_error_of_its_stream(vitess: VitessCluster) -> None:
    ddl(vitess, "drop table if exists changed")
    first = unread_change(vitess, PLAIN, (7, 70), ["rename table changing to changed"])
    done = read(vitess.config("src"), TABLE, state=first.state)
    assert done.statuses(TABLE)[-1] == "INCOMPLETE"
    assert "dropped or renamed" in done.errors_of(TABLE)[0]


def test_a_table_made_anew_in_the_same_shape_brings_its_rows_and_a_warning(vitess: VitessCluster) -> None:
    first = unread_change(vitess, PLAIN, (7, 70), ["drop table changing", PLAIN])
    insert(vitess, "src", "0", TABLE, [(5, 50, 500)])
    done = read_well(vitess.config("src"), TABLE, state=first.state)
    assert done.records(TABLE)[-1] == {"id": 5, "a": 50, "b": 500}
    assert any("DROP of table changing, shard 0" in line for line in done.logs)


def test_a_truncate_is_told_and_the_rows_after_it_arrive(vitess: VitessCluster) -> None:
    first = unread_change(vitess, PLAIN, (7, 70), ["truncate table changing"])
    insert(vitess, "src", "0", TABLE, [(5, 50, 500)])
    done = read_well(vitess.config("src"), TABLE, state=first.state)
    assert done.records(TABLE)[-1] == {"id": 5, "a": 50, "b": 500}
    assert any("TRUNCATE of table changing, shard 0" in line for line in done.logs)


DURING = {
    "a column added at the end": "alter table changing add z int",
    "a column added in the middle": "alter table changing add mid int after id",
    "a column dropped": "alter table changing drop b",
    "columns swapped": "alter table changing modify b int after id",
    "a table truncated": "truncate table changing",
    "a table dropped": "drop table changing",
    "a table renamed": "rename table changing to changed",
}


def slowly(vitess: VitessCluster, relay: Relay, state: object, meanwhile: Callable[[], None]) -> Run:
    """A sync during which something happens once its first record is out."""
    relay.always(delay(0.02))
    config = vitess.config("src", grpc_port=relay.port, max_retries=2, timeout_seconds=20)
    with Command(["read"], config, configured(TABLE, namespace="src"), state) as command:
        command.next_message("RECORD")
        meanwhile()
        return command.finish()


def assert_right_values(done: Run) -> None:
    """Every row has the values of its own columns, whatever else happened."""
    for row in done.records(TABLE):
        assert row.get("a", row["id"] + 1) in (row["id"] + 1, None)
        assert row.get("b", row["id"] + 2) in (row["id"] + 2, None)
    if done.statuses(TABLE)[-1] == "INCOMPLETE":
        assert done.exit_code != 0
        assert "changing" in done.errors_of(TABLE)[0]


@pytest.mark.parametrize("case", DURING)
def test_a_table_that_changes_during_its_copy_has_right_values_or_a_clear_error(
    vitess: VitessCluster, case: str
) -> None:
    ddl(vitess, "drop table if exists changed")
    create(vitess, "src", PLAIN)
    rows = [(key * 10, key * 10 + 1, key * 10 + 2) for key in range(40_000)]
    insert(vitess, "src", "0", TABLE, rows)
    with Relay(vitess.grpc_port) as relay:
        done = slowly(vitess, relay, None, lambda: ddl(vitess, DURING[case]))
    assert_right_values(done)
    if done.statuses(TABLE)[-1] == "COMPLETE" and "table" not in case:
        assert {row["id"] for row in done.records(TABLE)} == {key for key, *_ in rows}


@pytest.mark.parametrize("case", DURING)
def test_a_table_that_changes_during_catch_up_has_right_values_or_a_clear_error(
    vitess: VitessCluster, case: str
) -> None:
    ddl(vitess, "drop table if exists changed")
    create(vitess, "src", PLAIN)
    first = read_well(vitess.config("src"), TABLE)
    for start in range(0, 20_000, 2000):
        rows = [(key * 10, key * 10 + 1, key * 10 + 2) for key in range(start, start + 2000)]
        insert(vitess, "src", "0", TABLE, rows)
    with Relay(vitess.grpc_port) as relay:
        done = slowly(vitess, relay, first.state, lambda: ddl(vitess, DURING[case]))
    assert_right_values(done)
    if done.statuses(TABLE)[-1] == "COMPLETE":
        assert {row["id"] for row in done.records(TABLE)} == {key * 10 for key in range(20_000)}
