"""One suite for the local database and a real Vitess: the same SQL, the same events."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pymysql
import pytest

from integration_tests.local import LocalDatabase
from integration_tests.local.contract import (
    Recording,
    Request,
    copied,
    record,
    responses_at_least,
    seen,
)
from integration_tests.local.contract_types import CASES, Case
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.local.contract import Until

MARKER = b"999"
EMPTY = "{BEGIN V COMMIT}"
COPY_ENDS = ["{BEGIN V COMMIT}", "{COPY_COMPLETED 0 COPY_COMPLETED}"]
# Three rows of this size close a response of the default packet size.
LARGE_VALUE = 100_000


class Server(Protocol):
    """What both servers have."""

    grpc_port: int
    mysql_port: int

    def execute(self, sql: str, target: str, args: Any = ()) -> list[tuple[Any, ...]]: ...

    def create_table(self, keyspace: str, ddl: str, vindex_column: str | None = None) -> None: ...


@pytest.fixture(scope="module")
def local() -> Iterator[LocalDatabase]:
    with LocalDatabase(users={}) as database:
        yield database


@pytest.fixture(scope="module", params=["local", pytest.param("vitess", marks=pytest.mark.vitess)])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def table(server: Server, name: str, columns: str = "id int primary key, v varchar(10)") -> str:
    server.execute(f"drop table if exists {name}", "src")
    server.create_table("src", f"create table {name} ({columns})")
    return name


def run(server: Server, *statements: str) -> None:
    for statement in statements:
        server.execute(statement, "src")


def stream(server: Server, name: str, until: Until, gtid: str = "", **options: Any) -> Recording:
    return record(
        server.grpc_port, Request("src", {"0": gtid}, {name: f"select * from {name}"}, **options), until
    )


def position(server: Server, name: str) -> str:
    recording = stream(server, name, responses_at_least(1), "current")
    return recording.events(wire.VGTID)[0].vgtid.shard_gtids[0].gtid


def catch_up(server: Server, name: str, *statements: str, marker: str = "") -> list[str]:
    """What a stream from before the statements shows of them; a marker row ends it and is left out."""
    before = position(server, name)
    run(server, *statements, marker or f"insert into {name} (id) values ({MARKER.decode()})")
    return stream(server, name, seen(MARKER), before).lines[:-1]


def test_a_small_table_is_copied_with_one_last_primary_key(server: Server) -> None:
    name = table(server, "c_small")
    run(server, f"insert into {name} values (3,null),(1,'a'),(2,'b')")

    assert stream(server, name, copied).lines == [
        "{BEGIN FIELD c_small}",
        "{V}",
        "{ROW c_small .>(1,a) ROW c_small .>(2,b) ROW c_small .>(3,-) V(c_small:3) COMMIT}",
        *COPY_ENDS,
    ]


def test_an_empty_table_is_copied_without_a_row(server: Server) -> None:
    name = table(server, "c_empty")

    assert stream(server, name, copied).lines == ["{BEGIN FIELD c_empty}", "{V}", *COPY_ENDS]


def test_a_copy_larger_than_a_packet_comes_in_batches(server: Server) -> None:
    name = table(server, "c_batches", "id int primary key, v longblob")
    run(server, *(f"insert into {name} values ({key}, repeat('x', {LARGE_VALUE}))" for key in range(7)))

    lines = [line.replace("x" * LARGE_VALUE, "x") for line in stream(server, name, copied).lines]

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


def test_two_tables_are_copied_in_name_order(server: Server) -> None:
    for name in ("c_two_b", "c_two_a"):
        table(server, name)
        run(server, f"insert into {name} values (1,'a')")

    request = Request("src", {"0": ""}, {"c_two_b": "", "c_two_a": ""})

    assert record(server.grpc_port, request, copied).lines == [
        "{BEGIN FIELD c_two_a}",
        "{V}",
        "{ROW c_two_a .>(1,a) V(c_two_a:1) COMMIT}",
        EMPTY,
        "{BEGIN FIELD c_two_b}",
        "{ROW c_two_b .>(1,a) V(c_two_b:1) COMMIT}",
        *COPY_ENDS,
    ]


def test_a_composite_key_is_copied_in_the_order_of_the_key(server: Server) -> None:
    name = table(server, "c_composite", "a int, b varchar(5), c int, primary key (b, a)")
    run(server, f"insert into {name} values (2,'x',1),(1,'x',2),(9,'a',3)")

    assert stream(server, name, copied).lines[2] == (
        "{ROW c_composite .>(9,a,3) ROW c_composite .>(1,x,2) ROW c_composite .>(2,x,1)"
        " V(c_composite:x,2) COMMIT}"
    )


def test_a_table_without_a_key_is_copied_with_all_its_columns_as_key(server: Server) -> None:
    name = table(server, "c_keyless", "a int, b varchar(5)")
    run(server, f"insert into {name} values (2,'x'),(1,'y')")

    assert stream(server, name, copied).lines[2] == (
        "{ROW c_keyless .>(1,y) ROW c_keyless .>(2,x) V(c_keyless:2,x) COMMIT}"
    )


def interrupted(server: Server, name: str, key: bytes) -> dict[str, Any]:
    """The place of a copy that was cut after a key: its position and last primary key."""
    entry = stream(server, name, copied).events(wire.VGTID)[1].vgtid.shard_gtids[0]
    last = entry.table_p_ks[0]
    last.lastpk.rows[0].CopyFrom(wire.Row(lengths=[len(key)], values=key))
    return {"gtid": entry.gtid, "last_pks": [last]}


def test_a_cut_copy_goes_on_after_its_last_primary_key(server: Server) -> None:
    name = table(server, "c_resume")
    run(server, f"insert into {name} values (1,'a'),(2,'b'),(3,'c')")
    place = interrupted(server, name, b"2")

    assert stream(server, name, copied, **place).lines == [
        "{BEGIN FIELD c_resume}",
        "{ROW c_resume .>(3,c) V(c_resume:3) COMMIT}",
        *COPY_ENDS,
    ]


def test_a_cut_copy_catches_up_before_it_goes_on(server: Server) -> None:
    name = table(server, "c_resume2")
    run(server, f"insert into {name} values (1,'a'),(2,'b'),(3,'c'),(4,'d')")
    place = interrupted(server, name, b"2")
    run(
        server,
        f"update {name} set v = 'z' where id = 1",
        f"update {name} set v = 'y' where id = 3",
        f"delete from {name} where id = 4",
        f"insert into {name} values (5,'e')",
    )

    assert stream(server, name, copied, **place).lines == [
        "{BEGIN FIELD c_resume2 ROW c_resume2 (1,a)>(1,z) V(c_resume2:2) COMMIT}",
        "{BEGIN ROW c_resume2 (3,c)>(3,y) V(c_resume2:2) COMMIT}",
        "{BEGIN ROW c_resume2 (4,d)>. V(c_resume2:2) COMMIT}",
        "{BEGIN ROW c_resume2 .>(5,e) V(c_resume2:2) COMMIT}",
        "{BEGIN FIELD c_resume2}",
        "{ROW c_resume2 .>(3,y) ROW c_resume2 .>(5,e) V(c_resume2:5) COMMIT}",
        *COPY_ENDS,
    ]


def test_a_change_after_the_copy_announces_the_fields_again(server: Server) -> None:
    name = table(server, "c_after")
    run(server, f"insert into {name} values (1,'a')")

    def insert_once_copied(responses: list[list[wire.VEvent]]) -> bool:
        if copied(responses):
            run(server, f"insert into {name} values ({MARKER.decode()},'m')")
        return seen(MARKER)(responses)

    lines = stream(server, name, insert_once_copied).lines

    assert lines[-1] == "{BEGIN FIELD c_after ROW c_after .>(999,m) V COMMIT}"


def test_current_gives_the_position_and_then_changes(server: Server) -> None:
    name = table(server, "c_current")
    request = Request("src", {"0": "current"}, {name: f"select * from {name}"})

    recording = record(
        server.grpc_port,
        request,
        seen(MARKER),
        started=lambda: run(server, f"insert into {name} values (999,'m')"),
    )

    assert [event.type for event in recording.responses[0]] == [wire.VGTID, wire.OTHER]
    assert recording.lines[-1] == "{BEGIN FIELD c_current ROW c_current .>(999,m) V COMMIT}"


def test_inserts_updates_and_deletes_carry_full_images(server: Server) -> None:
    name = table(server, "c_changes")

    assert catch_up(
        server,
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


def test_replace_and_on_duplicate_key_update_an_existing_row(server: Server) -> None:
    name = table(server, "c_upserts")

    assert catch_up(
        server,
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


def transaction(server: Server, *statements: str) -> None:
    """Runs statements on one connection."""
    connection = pymysql.connect(
        host="127.0.0.1", port=server.mysql_port, user="user", password="password", database="src"
    )
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_a_transaction_of_several_statements_has_a_row_event_for_each(server: Server) -> None:
    name = table(server, "c_transaction")
    before = position(server, name)
    transaction(
        server,
        "begin",
        f"insert into {name} values (1,'a')",
        f"update {name} set v = 'b' where id = 1",
        f"insert into {name} values (999,'m')",
        "commit",
    )

    assert stream(server, name, seen(MARKER), before).lines == [
        (
            "{BEGIN FIELD c_transaction ROW c_transaction .>(1,a) ROW c_transaction (1,a)>(1,b)"
            " ROW c_transaction .>(999,m) V COMMIT}"
        )
    ]


def test_what_is_rolled_back_shows_nowhere(server: Server) -> None:
    name = table(server, "c_rollback")
    before = position(server, name)
    transaction(server, "begin", f"insert into {name} values (1,'a')", "rollback")
    transaction(
        server,
        "begin",
        f"insert into {name} values (2,'b')",
        "savepoint s",
        f"insert into {name} values (3,'c')",
        "rollback to s",
        "commit",
    )
    run(server, f"insert into {name} values (999,'m')")

    assert stream(server, name, seen(MARKER), before).lines[:-1] == [
        "{BEGIN FIELD c_rollback ROW c_rollback .>(2,b) V COMMIT}"
    ]


def test_a_transaction_on_another_table_moves_the_position_alone(server: Server) -> None:
    name, other = table(server, "c_mine"), table(server, "c_other")
    before = position(server, name)
    run(server, f"insert into {other} values (1,'a')", f"insert into {name} values (999,'m')")

    responses = stream(server, name, seen(MARKER), before).responses

    assert [wire.BEGIN, wire.VGTID, wire.COMMIT] in [
        [event.type for event in group] for group in responses[:-1]
    ]


def test_an_added_column_comes_with_a_ddl_event_and_new_fields(server: Server) -> None:
    name = table(server, "c_ddl")

    assert catch_up(
        server,
        name,
        f"insert into {name} values (1,'a')",
        f"alter table {name} add column w int default 7",
        f"insert into {name} values (2,'b',5)",
    )[1:] == [
        "{V DDL alter table c_ddl add column w int default 7}",
        "{BEGIN FIELD c_ddl ROW c_ddl .>(2,b,5) V COMMIT}",
    ]


def test_truncate_is_a_ddl_event_without_deletes(server: Server) -> None:
    name = table(server, "c_truncate")

    assert catch_up(server, name, f"insert into {name} values (1,'a')", f"truncate table {name}")[1:] == [
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
    server: Server, case: str, change: str, expected: str
) -> None:
    name = table(server, f"c_lag_{case}", "id int primary key, a int, b int")
    before = position(server, name)
    run(server, f"insert into {name} values (1,5,6)", f"alter table {name} {change}")

    recording = stream(server, name, seen(b"1"), before)

    assert recording.lines[-1].replace(f" {name}", "") == f"{{BEGIN {expected} V COMMIT}}"
    names = {
        "last": ["id", "a", "b"],
        "middle": ["id", "mid", "a"],
        "replaced": ["id", "b", "c"],
        "wider": ["id", "a", "b"],
    }
    assert [column.name for column in recording.fields] == names[case]


def test_an_old_enum_value_comes_under_the_label_that_its_number_has_today(server: Server) -> None:
    name = table(server, "c_lag_enum", "id int primary key, e enum('x','y')")
    before = position(server, name)
    run(
        server,
        f"insert into {name} values (1,'y')",
        f"alter table {name} modify column e enum('q','x','y')",
    )

    assert stream(server, name, seen(b"1"), before).rows == [[b"1", b"x"]]


def test_more_columns_in_an_event_than_in_the_table_end_the_stream(server: Server) -> None:
    name = table(server, "c_lag_less", "id int primary key, a int, b int")
    before = position(server, name)
    run(server, f"insert into {name} values (1,5,6)", f"alter table {name} drop column b")

    recording = stream(server, name, seen(b"1"), before)

    assert recording.code == "UNKNOWN"
    assert f"cannot determine table columns for {name}" in recording.details


def test_a_rule_without_a_filter_copies_a_table_and_then_fails(server: Server) -> None:
    name = table(server, "c_unfiltered")
    request = Request("src", {"0": ""}, {name: ""})

    def insert_once_copied(responses: list[list[wire.VEvent]]) -> bool:
        if copied(responses):
            run(server, f"insert into {name} values (1,'a')")
        return False

    recording = record(server.grpc_port, request, insert_once_copied)

    assert recording.lines == ["{BEGIN FIELD c_unfiltered}", "{V}", *COPY_ENDS]
    assert recording.code == "UNKNOWN"
    assert "Query was empty" in recording.details


def test_an_unknown_table_is_refused_in_a_copy_alone(server: Server) -> None:
    refused = stream(server, "c_nowhere", copied)
    current = stream(server, "c_nowhere", responses_at_least(1), "current")

    assert refused.code == "UNKNOWN"
    assert "table c_nowhere is not present in the database" in refused.details
    assert current.code == ""


@pytest.mark.parametrize(
    ("keyspace", "shard", "gtid", "code", "text"),
    [
        ("src", "zz", "", "FAILED_PRECONDITION", "VGTID, zz, not found in the src keyspace"),
        ("nowhere", "0", "", "UNKNOWN", "node doesn't exist: keyspaces/nowhere/shards"),
        ("nowhere", "", "", "UNKNOWN", "node doesn't exist: keyspaces/nowhere/SrvKeyspace"),
        ("src", "0", "garbage", "INTERNAL", 'decode position: parse error: unknown GTIDSet flavor ""'),
        ("src", "0", "CURRENT", "INTERNAL", "unknown GTIDSet flavor"),
        (
            "src", "0", "MySQL56/garbage", "INTERNAL",
            'invalid MySQL 5.6 GTID set ("garbage"): expected uuid:interval',
        ),
        ("src", "0", "MySQL56/", "UNKNOWN", "stream needs a position or a table to copy"),
        ("src", "", "MySQL56/x:1", "INVALID_ARGUMENT", "the Gtid value must be 'current' or empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_streamed_is_refused_with_vtgates_code_and_text(
    server: Server, keyspace: str, shard: str, gtid: str, code: str, text: str
) -> None:
    name = table(server, "c_refused")
    request = Request(keyspace, {shard: gtid}, {name: ""})

    recording = record(server.grpc_port, request, responses_at_least(1))

    assert recording.code == code
    assert text in recording.details


def test_heartbeats_come_where_they_are_asked_for(server: Server) -> None:
    name = table(server, "c_heartbeat")

    def heartbeat(responses: list[list[wire.VEvent]]) -> bool:
        return responses[-1][0].type == wire.HEARTBEAT

    recording = stream(server, name, heartbeat, "current", flags={"heartbeat_interval": 1})

    (event,) = recording.responses[-1]
    assert (event.keyspace, event.shard) == ("", "")
    assert event.timestamp > 0


def test_each_shard_completes_its_copy_and_the_last_one_the_request(server: Server) -> None:
    server.execute("drop table if exists c_sharded", "shop")
    server.create_table("shop", "create table c_sharded (id bigint primary key)", "id")
    server.execute(f"insert into c_sharded values {','.join(f'({key})' for key in range(40))}", "shop")
    request = Request("shop", {"-80": "", "80-": ""}, {"c_sharded": ""})

    recording = record(server.grpc_port, request, copied)

    completed = [event.shard for event in recording.events(wire.COPY_COMPLETED)]
    assert sorted(completed[:2]) == ["-80", "80-"]
    assert completed[2:] == [""]
    assert sorted(int(row[0] or b"") for row in recording.rows) == list(range(40))
    shards = {entry.shard for event in recording.events(wire.VGTID) for entry in event.vgtid.shard_gtids}
    assert shards == {"-80", "80-"}


@pytest.fixture(scope="module")
def types_table(server: Server) -> tuple[Recording, Recording]:
    """A table with a column of each type, in the copy and in the binlog."""
    columns = ", ".join(f"{case.name} {case.definition}" for case in CASES)
    name = table(server, "c_types", f"id int primary key, {columns}, unique key uq (vn, ti), key k1 (si)")
    before = position(server, name)
    values = ", ".join(case.literal for case in CASES)
    run(server, f"insert into {name} values (1, {values})")
    return stream(server, name, copied), stream(server, name, seen(b"1"), before)


@pytest.mark.parametrize(("at", "case"), [pytest.param(at, c, id=c.name) for at, c in enumerate(CASES, 1)])
def test_a_type_has_its_field_and_its_bytes_in_both_phases(
    types_table: tuple[Recording, Recording], at: int, case: Case
) -> None:
    for recording, expected in zip(
        types_table, (case.copy, case.copy if case.binlog is None else case.binlog), strict=True
    ):
        column = recording.fields[at]
        assert (column.name, column.type, column.column_type) == (case.name, case.type, case.column_type)
        attributes = (column.column_length, column.charset, column.decimals, column.flags)
        assert attributes == (case.length, case.charset, case.decimals, case.flags)
        assert recording.rows[0][at] == expected


def test_discovery_queries_answer_as_vtgate_does(server: Server) -> None:
    table(
        server,
        "c_discovered",
        "b int, a varchar(10) character set latin1 not null, e enum('x','y') default 'y',"
        " u bigint unsigned, d decimal(10,2), t timestamp(3) null, g int generated always as (b + 1) virtual,"
        " primary key (a, b), key other (u)",
    )

    columns = server.execute(
        "select column_name, column_type, character_set_name, is_nullable, column_key, extra, column_default"
        " from information_schema.columns where table_schema = 'src' and table_name = 'c_discovered'"
        " order by ordinal_position",
        "src",
    )
    keys = server.execute(
        "select index_name, seq_in_index, column_name, non_unique from information_schema.statistics"
        " where table_schema = database() and table_name = 'c_discovered' order by 1, 2",
        "src",
    )
    kinds = server.execute(
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


def test_shards_and_targets_answer_as_vtgate_does(server: Server) -> None:
    shards = {name for (name,) in server.execute("show vitess_shards", "src")}
    ((database,),) = server.execute("select database()", "shop:-80@primary")
    ((executed, purged),) = server.execute(
        "select @@global.gtid_executed, @@global.gtid_purged", "src:0@primary"
    )
    ((contains,),) = server.execute(
        "select gtid_subset(@@global.gtid_purged, @@global.gtid_executed)", "src:0@primary"
    )

    assert {"shop/-80", "shop/80-", "src/0"} <= shards
    assert database == "shop:-80@primary"
    assert ":1-" in executed
    assert isinstance(purged, str)
    assert contains == 1


def test_an_unknown_keyspace_is_refused_with_the_login(server: Server) -> None:
    with pytest.raises(Exception, match="unknown database 'nowhere'") as refusal:
        server.execute("select 1", "nowhere")

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
    server: Server, definition: str, literal: str, condition: str
) -> None:
    name = table(server, "c_condition", f"id int primary key, k {definition}")
    run(server, f"insert into {name} values (1, {literal}), (2, null)")

    found = server.execute(f"select id from {name} where k {condition}", "src")
    run(server, f"delete from {name} where k {condition}")

    assert found == [(1,)]
    assert server.execute(f"select id from {name}", "src") == [(2,)]


def test_values_read_back_over_sql_as_they_were_written(server: Server) -> None:
    name = table(
        server,
        "c_values",
        "id int primary key, u bigint unsigned, d decimal(10,2), b varbinary(9), f double, n varchar(9),"
        " bit9 bit(9)",
    )
    row = (1, 2**64 - 1, "0.50", b"\0\xff'\\", 1.5, "é€", 5)
    server.execute(f"insert into {name} values (%s,%s,%s,%s,%s,%s,%s)", "src", row)

    ((key, unsigned, decimal, data, number, text, bits),) = server.execute(f"select * from {name}", "src")

    assert (key, unsigned, str(decimal), data) == (1, 2**64 - 1, "0.50", b"\0\xff'\\")
    assert (number, text, bits) == (1.5, "é€", b"\0\x05")
