"""The statements of DDL events as a real Vitess sends them, and the shapes that MySQL makes of them."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings

from source_planetscale.ddl import Effect, apply, parse
from source_planetscale.shape import Shape, ShapeColumn
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.ddl.alters import TABLE, Alter, alters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.vitess.cluster import VitessCluster

DATABASE = "vt_src_0"
# A statement that does not arrive in so long has failed the test.
SECONDS = 60
COLUMNS = """
    select column_name, column_type, coalesce(character_set_name, '') from information_schema.columns
    where table_schema = database() and table_name = %s order by ordinal_position"""
CHARSET = """
    select character_set_name from information_schema.tables
    join information_schema.collation_character_set_applicability on collation_name = table_collation
    where table_schema = database() and table_name = %s"""


class Followed:
    """The stream of some tables beside a connection to MySQL, moved on together."""

    def __init__(self, vitess: VitessCluster, *tables: str) -> None:
        self._vitess = vitess
        self._mysqld = vitess.connect_mysqld(DATABASE)
        self._channel = grpc.insecure_channel(f"{vitess.host}:{vitess.grpc_port}")
        request = wire.VStreamRequest(
            tablet_type=wire.PRIMARY,
            vgtid=wire.VGtid(shard_gtids=[wire.ShardGtid(keyspace="src", shard="0", gtid="current")]),
            filter=wire.Filter(rules=[wire.Rule(match=table) for table in tables]),
        )
        self._responses: Iterator[wire.VStreamResponse] = iter(
            self._channel.unary_stream(
                "/vtgateservice.Vitess/VStream",
                request_serializer=wire.VStreamRequest.SerializeToString,
                response_deserializer=wire.VStreamResponse.FromString,
            )(request, timeout=SECONDS)
        )
        next(self._responses)

    def close(self) -> None:
        self._channel.close()
        self._mysqld.close()

    def through_vtgate(self, statement: str) -> list[str]:
        """Runs a statement and gives those of the DDL events that it makes."""
        self._vitess.execute(statement, "src")
        return self._arrived()

    def on_mysqld(self, statement: str, database: str | None = DATABASE) -> list[str]:
        """The same past Vitess, in a session of a database or of none."""
        with closing(self._vitess.connect_mysqld(database)) as session, session.cursor() as cursor:
            cursor.execute(statement)
        return self._arrived()

    def shape(self, table: str) -> Shape:
        return tuple(ShapeColumn(*row) for row in self._rows(COLUMNS, table))

    def default_charset(self, table: str) -> str:
        return str(self._rows(CHARSET, table)[0][0])

    def _rows(self, query: str, *arguments: str) -> tuple[tuple[Any, ...], ...]:
        with self._mysqld.cursor() as cursor:
            cursor.execute(query, arguments)
            return tuple(cursor.fetchall())

    def _arrived(self) -> list[str]:
        wanted = _sequence(self._rows("select @@global.gtid_executed")[0][0])
        statements = []
        for response in self._responses:
            statements += [event.statement for event in response.events if event.type == wire.DDL]
            positions = [entry.gtid for event in response.events for entry in event.vgtid.shard_gtids]
            if any(_sequence(position) >= wanted for position in positions):
                return statements
        raise AssertionError("the stream ended")


def _sequence(gtid_set: str) -> int:
    # One server has written all of it.
    return int(re.findall(r"\d+$", gtid_set)[0])


@pytest.fixture
def followed(vitess: VitessCluster) -> Iterator[Followed]:
    stream = Followed(vitess, TABLE)
    yield stream
    vitess.execute(f"drop table if exists {TABLE}", "src")
    stream.close()


CREATED = f"""create table {TABLE} (id bigint primary key, a int, e enum('x', 'y'),
    v varchar(10) character set latin1, s text) default charset utf8mb3"""
THROUGH_VTGATE = (
    "alter table t modify e enum('x', 'it''s, ok\\n', \"q\"\"q\", 'back\\\\slash', 'ü')",
    "alter table t change a `a b` int unsigned zerofill after e, add c set('p', 'q') first",
    "alter table t add (k int(5) zerofill, l varchar(3) charset latin1 default 'x'), drop c",
    "alter table t rename column k to m, rename column l to k, alter column v set default 'z', add key (m)",
    "create unique index i on t (m)",
    "drop index i on t",
    "alter table t add g int as (m + 1) stored not null, add d decimal(5) default -1.5, add f float(7,3)",
    "alter table t add n1 nchar(3), add n2 national varchar(4) not null, add n3 char(3) binary",
    "alter table t add b1 bool, add b2 bit, add b3 tinyint(1) unsigned, add b4 integer(9) unsigned",
    "alter table t add p point not null srid 4326 after id, add vec vector(3), add gc geometrycollection",
    "alter table t add y year(4), add t0 time(0), add t3 datetime(3) default current_timestamp(3)",
    "alter table t add r1 real, add r2 double precision, add r3 float(30), add r4 dec(4, 2) unsigned",
    "alter table t add x1 text(100), add x2 blob(100), add x3 text(30000), add x4 tinytext collate ascii_bin",
    "alter table t add y1 char(3) character set binary, add y2 text character set binary",
    "alter table t add `we``ird, name` int comment 'it\\'s' check (`we``ird, name` > 1), algorithm=copy",
    "alter table t modify s text first, modify id bigint not null after s, drop column d, add d int after g",
    "alter table t default charset greek, add u varchar(9), comment 'drop column a'",
    "alter table t convert to character set utf8mb4 collate utf8mb4_bin, add w longtext",
    "alter table t auto_increment 7 engine innodb, drop primary key",
    "truncate table t",
)
ON_MYSQLD = (
    "/* ApplicationName=DBeaver 24.1 */ ALTER TABLE `t`\n\tDROP `gc`, ADD COLUMN `z` NUMERIC(7)",
    f"-- nightly\r\nalter table `{DATABASE}`.t add z0 int1 unsigned, add z1 national character varying(2)",
    "alter /*!80000 table */ t add z2 long varchar, add z3 middleint zerofill # really",
    "alter table t add z4 float4, add z5 fixed(3), add z6 char(2) unicode, add z7 long varbinary",
    "create fulltext index ft on t (w)",
    "alter table t add z8 serial, algorithm=copy, lock=shared",
)


def test_each_statement_leads_from_the_shape_before_it_to_the_one_after_it(followed: Followed) -> None:
    followed.through_vtgate(f"drop table if exists {TABLE}")
    (created,) = followed.through_vtgate(CREATED)
    made = apply(parse(created), TABLE, (), "utf8mb4")
    assert made is not None
    assert made.shape == followed.shape(TABLE)
    runs = [(followed.through_vtgate, text) for text in THROUGH_VTGATE]
    for run, text in [*runs, *((followed.on_mysqld, text) for text in ON_MYSQLD)]:
        before, charset = followed.shape(TABLE), followed.default_charset(TABLE)
        (statement,) = run(text)
        parsed = parse(statement)
        assert parsed.understood, statement
        assert parsed.tables == {TABLE}, statement
        after = apply(parsed, TABLE, before, charset)
        assert after is not None, statement
        assert after.shape == followed.shape(TABLE), statement
        assert after.default_charset == followed.default_charset(TABLE), statement


def test_random_alters_give_the_shapes_that_mysql_gives(followed: Followed) -> None:
    @settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(alters())
    def check(alter: Alter) -> None:
        followed.through_vtgate(f"drop table if exists {TABLE}")
        (created,) = followed.through_vtgate(alter.created)
        (statement,) = followed.through_vtgate(alter.statement)
        made = apply(parse(created), TABLE, ())
        assert made is not None
        assert made.shape == alter.before
        after = apply(parse(statement), TABLE, alter.before, alter.charset)
        assert after is not None
        assert after.shape == followed.shape(TABLE) == alter.after

    check()


WHOLE: dict[str, tuple[str, set[Effect]]] = {
    "create table t like other": (TABLE, {Effect.CREATED, Effect.MADE_ANEW}),
    "drop table t": (TABLE, {Effect.ROWS_REMOVED, Effect.DROPPED}),
    "create table t select * from other": (
        TABLE,
        {Effect.CREATED, Effect.MADE_ANEW, Effect.ROWS_EXCHANGED},
    ),
    "rename table t to away, other to t, away to other": (TABLE, {Effect.ROWS_EXCHANGED, Effect.SHAPE}),
    "alter table t exchange partition p with table plain": (TABLE, {Effect.ROWS_EXCHANGED}),
    "alter table t truncate partition p": (TABLE, {Effect.ROWS_REMOVED}),
    "alter table t partition by key () partitions 2": (TABLE, {Effect.HARMLESS}),
    "alter table t remove partitioning": (TABLE, {Effect.HARMLESS}),
    "drop table if exists nosuch, t": (TABLE, {Effect.ROWS_REMOVED, Effect.DROPPED}),
    "create user somebody identified by 'secret'": ("", set()),
    "drop user somebody": ("", set()),
    "create role t": ("", set()),
    "drop role t": ("", set()),
    "create procedure t() begin truncate table t; end": ("", set()),
    "drop procedure t": ("", set()),
    "create view t as select 1 as one": ("", set()),
    "drop view t": ("", set()),
}


def test_what_mysql_logs_of_a_statement_is_understood(followed: Followed) -> None:
    for table in ("t", "other", "plain"):
        followed.on_mysqld(f"drop table if exists {table}")
    followed.on_mysqld("""create table other (id int primary key) partition by range (id)
        (partition p values less than (10), partition q values less than maxvalue)""")
    followed.on_mysqld("create table plain (id int primary key)")
    for text, (table, effects) in WHOLE.items():
        arrived = followed.on_mysqld(text)
        for statement in map(parse, arrived):
            assert statement.understood, statement.text
            assert statement.effects_on(TABLE) == effects, statement.text
            assert (TABLE in statement.tables) == bool(table)
        assert arrived or not table, text
    for table in ("other", "plain"):
        followed.on_mysqld(f"drop table {table}")


# Sent as OTHER, without their text, to a stream that follows `t`.
UNTOLD: dict[str, tuple[str | None, str]] = {
    "a change in a session of another database": ("mysql", f"alter table {DATABASE}.t add b int"),
    "a truncate in a session of another database": ("mysql", f"truncate table {DATABASE}.t"),
    "a change within an executable comment": (DATABASE, "/*!80000 alter table t add c int */"),
    "another table's partition for this one": (
        DATABASE,
        "alter table parts exchange partition p with table t",
    ),
    "maintenance": (DATABASE, "optimize table t"),
    "a new database": (DATABASE, "create database ddl_statements"),
    "a dropped database": (DATABASE, "drop database ddl_statements"),
    "an alter that brings another table under the name": (DATABASE, "alter table free rename to t"),
}


def test_some_statements_are_not_told_to_a_stream_of_the_table(followed: Followed) -> None:
    for statement in (
        "drop table if exists t, parts, free",
        "create table t (id int primary key)",
        "create table parts (id int primary key) partition by range (id) (partition p values less than (10))",
        "create table free (id int)",
    ):
        followed.on_mysqld(statement)
    assert followed.on_mysqld(f"alter table {DATABASE}.t add a int", None)
    told = {}
    for case, (database, statement) in UNTOLD.items():
        if case.startswith("another table's"):
            followed.on_mysqld("drop table t")
            followed.on_mysqld("create table t (id int primary key)")
        if case.startswith("an alter"):
            followed.on_mysqld("drop table t")
        told[case] = followed.on_mysqld(statement, database)
    assert not any(told.values()), told
    followed.on_mysqld("drop table parts")
