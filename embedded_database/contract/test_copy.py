"""The contract of both databases: how a table is copied, and how a copy that was cut goes on."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedded_database.contract.database import COPY_ENDS, MARKER, run, stream, table
from embedded_database.contract.recording import Request, copied, record, seen
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from embedded_database.contract.database import Database

EMPTY = "{BEGIN V COMMIT}"
# Three rows of this size close a response of the default packet size.
LARGE_VALUE = 100_000


def test_a_small_table_is_copied_with_one_last_primary_key(database: Database) -> None:
    name = table(database, "c_small")
    run(database, f"insert into {name} values (3,null),(1,'a'),(2,'b')")

    assert stream(database, name, copied).lines == [
        "{BEGIN FIELD c_small}",
        "{V}",
        "{ROW c_small .>(1,a) ROW c_small .>(2,b) ROW c_small .>(3,-) V(c_small:3) COMMIT}",
        *COPY_ENDS,
    ]


def test_an_empty_table_is_copied_without_a_row(database: Database) -> None:
    name = table(database, "c_empty")

    assert stream(database, name, copied).lines == ["{BEGIN FIELD c_empty}", "{V}", *COPY_ENDS]


def test_a_copy_larger_than_a_packet_comes_in_batches(database: Database) -> None:
    name = table(database, "c_batches", "id int primary key, v longblob")
    run(database, *(f"insert into {name} values ({key}, repeat('x', {LARGE_VALUE}))" for key in range(7)))

    lines = [line.replace("x" * LARGE_VALUE, "x") for line in stream(database, name, copied).lines]

    assert lines == [
        "{BEGIN FIELD c_batches}",
        "{V}",
        "{ROW c_batches .>(0,x) ROW c_batches .>(1,x) ROW c_batches .>(2,x) V(c_batches:2) COMMIT}",
        "{BEGIN}",
        "{ROW c_batches .>(3,x) ROW c_batches .>(4,x) ROW c_batches .>(5,x) V(c_batches:5) COMMIT}",
        "{BEGIN}",
        "{ROW c_batches .>(6,x) V(c_batches:6) COMMIT}",
        *COPY_ENDS,
    ]


def test_two_tables_are_copied_in_name_order(database: Database) -> None:
    for name in ("c_two_b", "c_two_a"):
        table(database, name)
        run(database, f"insert into {name} values (1,'a')")

    request = Request("src", {"0": ""}, {"c_two_b": "", "c_two_a": ""})

    assert record(database.grpc_port, request, copied).lines == [
        "{BEGIN FIELD c_two_a}",
        "{V}",
        "{ROW c_two_a .>(1,a) V(c_two_a:1) COMMIT}",
        EMPTY,
        "{BEGIN FIELD c_two_b}",
        "{ROW c_two_b .>(1,a) V(c_two_b:1) COMMIT}",
        *COPY_ENDS,
    ]


def test_a_composite_key_is_copied_in_the_order_of_the_key(database: Database) -> None:
    name = table(database, "c_composite", "a int, b varchar(5), c int, primary key (b, a)")
    run(database, f"insert into {name} values (2,'x',1),(1,'x',2),(9,'a',3)")

    assert stream(database, name, copied).lines[2] == (
        "{ROW c_composite .>(9,a,3) ROW c_composite .>(1,x,2) ROW c_composite .>(2,x,1)"
        " V(c_composite:x,2) COMMIT}"
    )


def test_a_table_without_a_key_is_copied_with_all_its_columns_as_key(database: Database) -> None:
    name = table(database, "c_keyless", "a int, b varchar(5)")
    run(database, f"insert into {name} values (2,'x'),(1,'y')")

    assert stream(database, name, copied).lines[2] == (
        "{ROW c_keyless .>(1,y) ROW c_keyless .>(2,x) V(c_keyless:2,x) COMMIT}"
    )


def test_each_shard_completes_its_copy_and_the_last_one_the_request(database: Database) -> None:
    database.execute("drop table if exists c_sharded", "shop")
    database.create_table("shop", "create table c_sharded (id bigint primary key)", "id")
    database.execute(f"insert into c_sharded values {','.join(f'({key})' for key in range(40))}", "shop")
    request = Request("shop", {"-80": "", "80-": ""}, {"c_sharded": ""})

    recording = record(database.grpc_port, request, copied)

    completed = [event.shard for event in recording.events(wire.COPY_COMPLETED)]
    assert sorted(completed[:2]) == ["-80", "80-"]
    assert completed[2:] == [""]
    assert sorted(int(row[0] or b"") for row in recording.rows) == list(range(40))
    shards = {entry.shard for event in recording.events(wire.VGTID) for entry in event.vgtid.shard_gtids}
    assert shards == {"-80", "80-"}


def interrupted(database: Database, name: str, key: bytes) -> dict[str, Any]:
    """The place of a copy that was cut after a key: its position and last primary key."""
    entry = stream(database, name, copied).events(wire.VGTID)[1].vgtid.shard_gtids[0]
    last = entry.table_p_ks[0]
    last.lastpk.rows[0].CopyFrom(wire.Row(lengths=[len(key)], values=key))
    return {"gtid": entry.gtid, "last_pks": [last]}


def test_a_cut_copy_goes_on_after_its_last_primary_key(database: Database) -> None:
    name = table(database, "c_resume")
    run(database, f"insert into {name} values (1,'a'),(2,'b'),(3,'c')")
    place = interrupted(database, name, b"2")

    assert stream(database, name, copied, **place).lines == [
        "{BEGIN FIELD c_resume}",
        "{ROW c_resume .>(3,c) V(c_resume:3) COMMIT}",
        *COPY_ENDS,
    ]


def test_a_cut_copy_catches_up_before_it_goes_on(database: Database) -> None:
    name = table(database, "c_resume2")
    run(database, f"insert into {name} values (1,'a'),(2,'b'),(3,'c'),(4,'d')")
    place = interrupted(database, name, b"2")
    run(
        database,
        f"update {name} set v = 'z' where id = 1",
        f"update {name} set v = 'y' where id = 3",
        f"delete from {name} where id = 4",
        f"insert into {name} values (5,'e')",
    )

    assert stream(database, name, copied, **place).lines == [
        "{BEGIN FIELD c_resume2 ROW c_resume2 (1,a)>(1,z) V(c_resume2:2) COMMIT}",
        "{BEGIN ROW c_resume2 (3,c)>(3,y) V(c_resume2:2) COMMIT}",
        "{BEGIN ROW c_resume2 (4,d)>. V(c_resume2:2) COMMIT}",
        "{BEGIN ROW c_resume2 .>(5,e) V(c_resume2:2) COMMIT}",
        "{BEGIN FIELD c_resume2}",
        "{ROW c_resume2 .>(3,y) ROW c_resume2 .>(5,e) V(c_resume2:5) COMMIT}",
        *COPY_ENDS,
    ]


def test_a_change_after_the_copy_announces_the_fields_again(database: Database) -> None:
    name = table(database, "c_after")
    run(database, f"insert into {name} values (1,'a')")

    def insert_once_copied(responses: list[list[wire.VEvent]]) -> bool:
        if copied(responses):
            run(database, f"insert into {name} values ({MARKER.decode()},'m')")
        return seen(MARKER)(responses)

    lines = stream(database, name, insert_once_copied).lines

    assert lines[-1] == "{BEGIN FIELD c_after ROW c_after .>(999,m) V COMMIT}"
