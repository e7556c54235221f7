"""The contract of both databases: how changes of rows and of a table's shape come."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql
import pytest

from embedded_database.contract.database import MARKER, position, run, stream, table
from embedded_database.contract.recording import Request, record, seen
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from embedded_database.contract.database import Database


def test_current_gives_the_position_and_then_changes(database: Database) -> None:
    name = table(database, "c_current")
    request = Request("src", {"0": "current"}, {name: f"select * from {name}"})

    recording = record(
        database.grpc_port,
        request,
        seen(MARKER),
        started=lambda: run(database, f"insert into {name} values (999,'m')"),
    )

    assert [event.type for event in recording.responses[0]] == [wire.VGTID, wire.OTHER]
    assert recording.lines[-1] == "{BEGIN FIELD c_current ROW c_current .>(999,m) V COMMIT}"


def test_heartbeats_come_where_they_are_asked_for(database: Database) -> None:
    name = table(database, "c_heartbeat")

    def heartbeat(responses: list[list[wire.VEvent]]) -> bool:
        return responses[-1][0].type == wire.HEARTBEAT

    recording = stream(database, name, heartbeat, "current", flags={"heartbeat_interval": 1})

    (event,) = recording.responses[-1]
    assert (event.keyspace, event.shard) == ("", "")
    assert event.timestamp > 0


def catch_up(database: Database, name: str, *statements: str) -> list[str]:
    """What a stream from before the statements shows of them; a marker row ends it and is left out."""
    before = position(database, name)
    run(database, *statements, f"insert into {name} (id) values ({MARKER.decode()})")
    return stream(database, name, seen(MARKER), before).lines[:-1]


def test_inserts_updates_and_deletes_carry_full_images(database: Database) -> None:
    name = table(database, "c_changes")

    assert catch_up(
        database,
        name,
        f"insert into {name} values (1,'a'),(2,'b')",
        f"update {name} set v = 'c' where id = 1",
        f"update {name} set id = 3 where id = 2",
        f"delete from {name} where id = 1",
        f"update {name} set v = null",
    ) == [
        "{BEGIN FIELD c_changes ROW c_changes .>(1,a) .>(2,b) V COMMIT}",
        "{BEGIN ROW c_changes (1,a)>(1,c) V COMMIT}",
        "{BEGIN ROW c_changes (2,b)>(3,b) V COMMIT}",
        "{BEGIN ROW c_changes (1,c)>. V COMMIT}",
        "{BEGIN ROW c_changes (3,b)>(3,-) V COMMIT}",
    ]


def test_replace_and_on_duplicate_key_update_an_existing_row(database: Database) -> None:
    name = table(database, "c_upserts")

    assert catch_up(
        database,
        name,
        f"replace into {name} values (1,'a')",
        f"replace into {name} values (1,'b')",
        f"insert into {name} values (1,'c') on duplicate key update v = concat(v, values(v))",
        f"insert into {name} values (2,'d') on duplicate key update v = 'never'",
        f"insert ignore into {name} values (2,'e')",
    ) == [
        "{BEGIN FIELD c_upserts ROW c_upserts .>(1,a) V COMMIT}",
        "{BEGIN ROW c_upserts (1,a)>(1,b) V COMMIT}",
        "{BEGIN ROW c_upserts (1,b)>(1,bc) V COMMIT}",
        "{BEGIN ROW c_upserts .>(2,d) V COMMIT}",
    ]


def transaction(database: Database, *statements: str) -> None:
    """Runs statements on one connection."""
    connection = pymysql.connect(
        host="127.0.0.1", port=database.mysql_port, user="user", password="password", database="src"
    )
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_a_transaction_of_several_statements_has_a_row_event_for_each(database: Database) -> None:
    name = table(database, "c_transaction")
    before = position(database, name)
    transaction(
        database,
        "begin",
        f"insert into {name} values (1,'a')",
        f"update {name} set v = 'b' where id = 1",
        f"insert into {name} values (999,'m')",
        "commit",
    )

    assert stream(database, name, seen(MARKER), before).lines == [
        (
            "{BEGIN FIELD c_transaction ROW c_transaction .>(1,a) ROW c_transaction (1,a)>(1,b)"
            " ROW c_transaction .>(999,m) V COMMIT}"
        )
    ]


def test_what_is_rolled_back_shows_nowhere(database: Database) -> None:
    name = table(database, "c_rollback")
    before = position(database, name)
    transaction(database, "begin", f"insert into {name} values (1,'a')", "rollback")
    transaction(
        database,
        "begin",
        f"insert into {name} values (2,'b')",
        "savepoint s",
        f"insert into {name} values (3,'c')",
        "rollback to s",
        "commit",
    )
    run(database, f"insert into {name} values (999,'m')")

    assert stream(database, name, seen(MARKER), before).lines[:-1] == [
        "{BEGIN FIELD c_rollback ROW c_rollback .>(2,b) V COMMIT}"
    ]


def test_a_transaction_on_another_table_moves_the_position_alone(database: Database) -> None:
    name, other = table(database, "c_mine"), table(database, "c_other")
    before = position(database, name)
    run(database, f"insert into {other} values (1,'a')", f"insert into {name} values (999,'m')")

    responses = stream(database, name, seen(MARKER), before).responses

    assert [wire.BEGIN, wire.VGTID, wire.COMMIT] in [
        [event.type for event in group] for group in responses[:-1]
    ]


def test_an_added_column_comes_with_a_ddl_event_and_new_fields(database: Database) -> None:
    name = table(database, "c_ddl")

    assert catch_up(
        database,
        name,
        f"insert into {name} values (1,'a')",
        f"alter table {name} add column w int default 7",
        f"insert into {name} values (2,'b',5)",
    )[1:] == [
        "{V DDL alter table c_ddl add column w int default 7}",
        "{BEGIN FIELD c_ddl ROW c_ddl .>(2,b,5) V COMMIT}",
    ]


def test_truncate_is_a_ddl_event_without_deletes(database: Database) -> None:
    name = table(database, "c_truncate")

    assert catch_up(database, name, f"insert into {name} values (1,'a')", f"truncate table {name}")[1:] == [
        "{V DDL truncate table c_truncate}"
    ]


# Vitess reads an old row event with the schema of today, by place and type.
@pytest.mark.parametrize(
    ("case", "change", "expected"),
    [
        ("last", "add column z int", "FIELD ROW .>(1,5,6)"),
        ("middle", "add column mid int after id", "FIELD ROW .>(1,5,6)"),
        ("replaced", "drop column a, add column c int", "FIELD ROW .>(1,5,6)"),
        ("wider", "modify column a bigint unsigned", "FIELD ROW .>(1,5,6)"),
    ],
)
def test_a_row_from_before_a_ddl_is_read_with_the_schema_of_today(
    database: Database, case: str, change: str, expected: str
) -> None:
    name = table(database, f"c_lag_{case}", "id int primary key, a int, b int")
    before = position(database, name)
    run(database, f"insert into {name} values (1,5,6)", f"alter table {name} {change}")

    recording = stream(database, name, seen(b"1"), before)

    assert recording.lines[-1].replace(f" {name}", "") == f"{{BEGIN {expected} V COMMIT}}"
    names = {
        "last": ["id", "a", "b"],
        "middle": ["id", "mid", "a"],
        "replaced": ["id", "b", "c"],
        # Before Vitess 23 a type that differs leaves the names of all columns unknown.
        "wider": ["id", "a", "b"] if database.major >= 23 else ["@1", "@2", "@3"],
    }
    assert [column.name for column in recording.fields] == names[case]


def test_an_old_enum_value_comes_under_the_label_that_its_number_has_today(database: Database) -> None:
    name = table(database, "c_lag_enum", "id int primary key, e enum('x','y')")
    before = position(database, name)
    run(
        database,
        f"insert into {name} values (1,'y')",
        f"alter table {name} modify column e enum('q','x','y')",
    )

    assert stream(database, name, seen(b"1"), before).rows == [[b"1", b"x"]]


def test_more_columns_in_an_event_than_in_the_table_end_the_stream(database: Database) -> None:
    name = table(database, "c_lag_less", "id int primary key, a int, b int")
    before = position(database, name)
    run(database, f"insert into {name} values (1,5,6)", f"alter table {name} drop column b")

    recording = stream(database, name, seen(b"1"), before)

    assert recording.code == "UNKNOWN"
    assert f"cannot determine table columns for {name}" in recording.details
