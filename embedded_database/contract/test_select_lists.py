"""The contract of both databases: what comes of a select list, of rows that are read by it."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.contract.database import COPY_ENDS, MARKER, position, run, table
from embedded_database.contract.recording import Recording, Request, copied, record, seen
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from embedded_database.contract.database import Database
    from embedded_database.contract.recording import Until

COLUMNS = "id int primary key, a int, b int, e enum('x','y'), t text"


def selected(
    database: Database, name: str, columns: str, until: Until, gtid: str = "", **options: Any
) -> Recording:
    """Records the stream of one table, some of its columns alone."""
    select = f"select {columns} from `{name}`"
    return record(database.grpc_port, Request("src", {"0": gtid}, {name: select}, **options), until)


def test_a_copy_and_its_last_key_come_by_the_list(database: Database) -> None:
    name = table(database, "c_list_copy", COLUMNS)
    run(database, f"insert into {name} values (1,5,6,'y','t'),(2,7,8,'x',null)")
    recording = selected(database, name, "`b`, `id`", copied)
    assert recording.lines == [
        f"{{BEGIN FIELD {name}}}",
        "{V}",
        f"{{ROW {name} .>(6,1) ROW {name} .>(8,2) V({name}:2) COMMIT}}",
        *COPY_ENDS,
    ]
    assert [(column.name, column.column_type) for column in recording.fields] == [("b", "int"), ("id", "int")]


def test_a_key_that_is_not_in_the_list_is_the_last_key_all_the_same(database: Database) -> None:
    name = table(database, "c_list_key", COLUMNS)
    run(database, f"insert into {name} (id, a) values (1,5)")
    lines = selected(database, name, "a", copied).lines
    assert lines[2] == f"{{ROW {name} .>(5) V({name}:1) COMMIT}}"


def test_a_change_of_another_column_comes_with_equal_images(database: Database) -> None:
    name = table(database, "c_list_changes", COLUMNS)
    run(database, f"insert into {name} values (1,5,6,'y','t')")
    before = position(database, name)
    run(
        database,
        f"update {name} set t = 'u' where id = 1",
        f"update {name} set e = 'x', a = 9 where id = 1",
        f"update {name} set id = 2 where id = 1",
        f"delete from {name} where id = 2",
        f"insert into {name} (id, e) values ({MARKER.decode()}, 'y')",
    )
    recording = selected(database, name, "id, e, a", seen(MARKER), before)
    assert recording.lines == [
        f"{{BEGIN FIELD {name} ROW {name} (1,y,5)>(1,y,5) V COMMIT}}",
        f"{{BEGIN ROW {name} (1,y,5)>(1,x,9) V COMMIT}}",
        f"{{BEGIN ROW {name} (1,x,9)>(2,x,9) V COMMIT}}",
        f"{{BEGIN ROW {name} (2,x,9)>. V COMMIT}}",
        f"{{BEGIN ROW {name} .>(999,y,-) V COMMIT}}",
    ]


def test_labels_are_promised_for_a_column_that_is_not_in_the_list(database: Database) -> None:
    name = table(database, "c_list_labels", COLUMNS)
    before = position(database, name)
    run(database, f"insert into {name} (id, e) values ({MARKER.decode()}, 'y')")
    (event,) = selected(database, name, "id", seen(MARKER), before).events(wire.FIELD)
    assert event.field_event.enum_set_string_values


# A tablet finds the names of a list in the table of today, also for rows from before a change of columns.
@pytest.mark.parametrize(
    ("case", "change", "row"),
    [
        ("last", "add column z int", [b"1", b"5", b"6"]),
        ("renamed_other", "rename column t to u", [b"1", b"5", b"6"]),
        ("exchanged", "drop column a, add column a int after b", [b"1", b"6", b"5"]),
    ],
)
def test_a_row_from_before_a_ddl_has_the_columns_that_stand_at_the_places_of_today(
    database: Database, case: str, change: str, row: list[bytes]
) -> None:
    name = table(database, f"c_list_{case}", "id int primary key, a int, b int, t text")
    before = position(database, name)
    run(database, f"insert into {name} values (1,5,6,'t')", f"alter table {name} {change}")
    assert selected(database, name, "id, a, b", seen(b"1"), before).rows == [row]


@pytest.mark.parametrize(
    ("case", "change", "text"),
    [
        ("renamed", "rename column a to a2", "column a not found in table"),
        ("type", "modify column t int", "cannot use column names in vstream filter"),
    ],
)
def test_a_row_whose_columns_cannot_be_named_ends_the_stream(
    database: Database, case: str, change: str, text: str
) -> None:
    name = table(database, f"c_unlisted_{case}", "id int primary key, a int, b int, t text")
    before = position(database, name)
    run(database, f"insert into {name} values (1,5,6,null)", f"alter table {name} {change}")
    recording = selected(database, name, "id, a, b", seen(b"1"), before)
    if case == "type" and database.major < 23:
        text = "column id not found in table"
    assert recording.code == "UNKNOWN"
    assert text in recording.details
    assert name in recording.details


def test_a_column_that_is_not_there_refuses_a_copy(database: Database) -> None:
    name = table(database, "c_list_missing", COLUMNS)
    recording = selected(database, name, "id, nope", copied)
    assert recording.code == "FAILED_PRECONDITION"
    assert f"column nope not found in table {name}" in recording.details
