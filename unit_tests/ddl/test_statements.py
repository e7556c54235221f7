"""Which tables a statement changes, and how."""

from __future__ import annotations

import pytest

from source_planetscale.ddl import Effect, TableName, parse, touches

SHAPE, HARMLESS, UNKNOWN = Effect.SHAPE, Effect.HARMLESS, Effect.UNKNOWN
REMOVED, EXCHANGED, AWAY = Effect.ROWS_REMOVED, Effect.ROWS_EXCHANGED, Effect.RENAMED_AWAY
ADDED, CHANGED, CHARSET = Effect.ADDED_VALUES, Effect.VALUES_CHANGED, Effect.CHARSET
KEY, UNIQUE, CREATED, DROPPED = Effect.KEY_CHANGED, Effect.UNIQUE_KEYS, Effect.CREATED, Effect.DROPPED

MADE_OF_A_QUERY = {CREATED, Effect.MADE_ANEW, EXCHANGED}

ALTERS = {
    "add column a int": {SHAPE},
    "add a int first": {SHAPE},
    "add (a int, b text)": {SHAPE},
    "add column a int null default null": {SHAPE},
    "add column a int default (null)": {SHAPE},
    "add column a timestamp null on update current_timestamp(3)": {SHAPE},
    "add column a int default 0": {SHAPE, ADDED},
    "add column a int not null": {SHAPE, ADDED},
    "add column a int as (b + 1) stored": {SHAPE, ADDED},
    "add a int generated always as ((b)) virtual not null comment 'x'": {SHAPE, ADDED},
    "add column a datetime(3) default current_timestamp(3) on update now(3)": {SHAPE, ADDED},
    "add column a double default -1.5e-3 comment 'x' first": {SHAPE, ADDED},
    "add a double default .5, add b double default 1.": {SHAPE, ADDED},
    "add a bit(1) default b'1', add b blob default (x'00')": {SHAPE, ADDED},
    "add a varchar(9) default _utf8mb4'x' collate utf8mb4_bin": {SHAPE, ADDED},
    "add a varchar(9) default 'a' 'b' check (a <> ')') not enforced": {SHAPE, ADDED},
    "add column a bigint auto_increment unique": {SHAPE, ADDED, UNIQUE},
    "add column a serial": {SHAPE, ADDED, UNIQUE},
    "add a int, add id bigint auto_increment primary key": {SHAPE, ADDED, KEY},
    "add a int references u (id) match full on delete set null on update no action": {SHAPE},
    "add a int constraint positive check (a > 0)": {SHAPE},
    "add a int column_format dynamic storage disk visible engine_attribute = '{}'": {SHAPE},
    "drop column a": {SHAPE},
    "drop a cascade": {SHAPE},
    "drop `primary`": {SHAPE},
    "rename column a to b": {SHAPE, ADDED},
    "modify a int": {SHAPE, CHANGED},
    "modify column a point not null srid 4326 after b": {SHAPE, CHANGED},
    "modify id bigint primary key": {SHAPE, CHANGED, KEY},
    "change a b text character set latin1 collate latin1_bin": {SHAPE, CHANGED},
    "convert to character set utf8mb4 collate utf8mb4_bin": {SHAPE, CHARSET, CHANGED},
    "convert to charset default": {SHAPE, CHARSET, CHANGED},
    "add primary key (id)": {KEY},
    "add constraint primary key using btree (id)": {KEY},
    "drop primary key, add primary key (a, b)": {KEY},
    "drop index `PRIMARY`": {KEY},
    "add unique key u (a)": {UNIQUE},
    "add constraint u unique (a), add key (b)": {UNIQUE},
    "drop key i": {UNIQUE},
    "drop index i, drop constraint c": {UNIQUE},
    "add key i (a, b(10) desc), add index ((lower(c)))": {HARMLESS},
    "add fulltext index (a), add spatial key (b)": {HARMLESS},
    "add constraint f foreign key (a) references u (id)": {HARMLESS},
    "add check (a in (1, 2)), drop check c, drop foreign key f": {HARMLESS},
    "rename index i to j, rename key k to l": {HARMLESS},
    "alter column a set default 'x, y', alter b drop default": {HARMLESS},
    "alter index i invisible, alter check c not enforced": {HARMLESS},
    "comment = 'drop column a', engine innodb row_format=dynamic": {HARMLESS},
    "auto_increment 7, algorithm = inplace, lock=none": {HARMLESS},
    "default character set = latin1 collate latin1_bin": {HARMLESS},
    "collate utf8mb4_bin": {HARMLESS},
    "union = (u, v), data directory '/x' index directory = '/y'": {HARMLESS},
    "disable keys": {HARMLESS},
    "force, order by a desc, b": {HARMLESS},
    "with validation": {HARMLESS},
    "add partition (partition p values less than (10))": {HARMLESS},
    "partition by hash (id) partitions 4": {HARMLESS},
    "remove partitioning": {HARMLESS},
    "reorganize partition p into (partition q values in (1), partition r values in (2))": {HARMLESS},
    "coalesce partition 2": {HARMLESS},
    "rebuild partition p, q": {HARMLESS},
    "upgrade partitioning": {HARMLESS},
    "": {HARMLESS},
    "drop partition p, q": {REMOVED},
    "truncate partition all": {REMOVED},
    "discard tablespace": {REMOVED},
    "discard partition p tablespace": {REMOVED},
    "import tablespace": {EXCHANGED},
    "import partition p tablespace": {EXCHANGED},
    "add a int partition by hash (id)": {SHAPE},
    "add a int, add key (a), comment 'x'": {SHAPE},
    "rename to u": {AWAY},
    "rename as u": {AWAY},
    "rename u, add a int": {AWAY, SHAPE},
    "add a int default 1, modify b text, drop primary key": {SHAPE, ADDED, CHANGED, KEY},
}


@pytest.mark.parametrize("clauses", ALTERS)
def test_an_alter_does_what_all_its_clauses_do(clauses: str) -> None:
    statement = parse(f"alter table t {clauses}")
    assert statement.understood
    assert statement.effects_on("t") == ALTERS[clauses]


WHOLE: dict[str, dict[str, set[Effect]]] = {
    "truncate t": {"t": {REMOVED}},
    "truncate table `t`": {"t": {REMOVED}},
    "drop table t": {"t": {REMOVED, DROPPED}},
    "DROP TABLE IF EXISTS `t`,`s`.`u` /* generated by server */": {
        "t": {REMOVED, DROPPED},
        "u": {REMOVED, DROPPED},
    },
    "drop table t restrict": {"t": {REMOVED, DROPPED}},
    "create table t (id int)": {"t": {CREATED, Effect.MADE_ANEW}},
    "create table if not exists t like u": {"t": {CREATED}},
    "create table t (id int not null, primary key (id)) start transaction": {"t": MADE_OF_A_QUERY},
    "CREATE TABLE `t` (`id` int) DEFAULT CHARSET=utf8mb4 START TRANSACTION": {"t": MADE_OF_A_QUERY},
    "create table t (id int) partition by hash (id) partitions 2 start transaction": {"t": MADE_OF_A_QUERY},
    "create table t (id int, foreign key (id) references u (id))": {"t": {CREATED, Effect.MADE_ANEW}},
    "create table t select * from u": {"t": {CREATED, Effect.MADE_ANEW}},
    "create or replace table t (id int)": {"t": {CREATED, REMOVED}},
    "create index i on t (a)": {"t": {HARMLESS}},
    "create fulltext index i on t (a)": {"t": {HARMLESS}},
    "create unique index i using btree on t (a)": {"t": {UNIQUE}},
    "drop index i on t": {"t": {UNIQUE}},
    "drop index `PRIMARY` on t": {"t": {KEY}},
    "optimize local table t, u": {"t": {HARMLESS}, "u": {HARMLESS}},
    "analyze table t update histogram on a": {"t": {HARMLESS}},
    "alter ignore table t add a int": {"t": {SHAPE}},
    "alter table t exchange partition p with table u without validation": {
        "t": {EXCHANGED},
        "u": {EXCHANGED},
    },
}


@pytest.mark.parametrize("text", WHOLE)
def test_a_statement_says_which_tables_it_changes_and_how(text: str) -> None:
    statement = parse(text)
    assert statement.understood
    assert {change.table.name: set(change.effects) for change in statement.changes} == WHOLE[text]
    assert statement.tables == frozenset(WHOLE[text])


@pytest.mark.parametrize(
    "text",
    [
        "drop user t",
        "drop role t",
        "drop trigger t",
        "drop procedure if exists t",
        "drop function t",
        "drop event t",
        "drop view t",
        "drop temporary table if exists t",
        "drop prepare t",
        "drop spatial reference system 4120",
        "create temporary table t (id int)",
        "create user 't'@'%' identified with 'x' as 'y'",
        "create role t",
        "CREATE ALGORITHM=UNDEFINED DEFINER=`t`@`%` SQL SECURITY DEFINER VIEW `v` AS select * from t",
        "create definer = current_user trigger g before insert on t for each row set new.a = 1",
        "create or replace definer=t@`%` procedure t() begin truncate table t; drop table t; end",
        "create aggregate function t returns integer soname 'x.so'",
        "create event e on schedule every 1 day do truncate t",
        "create server t foreign data wrapper mysql options (host 'x')",
        "create spatial reference system 4120 name 'x'",
        "alter view t as select 1",
        "alter algorithm = merge view t as select 1",
        "alter user t account lock",
        "alter event t rename to u",
        "alter database t character set latin1",
        "rename user t to u",
        "grant select on t to u",
        "revoke all on t from u",
        "set password for t = 'x'",
        "flush tables t",
    ],
)
def test_a_statement_about_something_else_of_the_same_name_changes_no_table(text: str) -> None:
    statement = parse(text)
    assert statement.understood
    assert statement.tables == frozenset()
    assert not statement.may_concern("t")
    assert statement.effects_on("t") == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "/* ApplicationName=DBeaver 24.1 */ truncate table t",
        "-- nightly\ntruncate table t",
        "--\ttidy\r\ntruncate\r\n\ttable t",
        "# x\ntruncate table t",
        "/* a */ -- b\n # c\n TrunCate/**/TABLE/* d */`t`",
        "truncate table t;",
        "truncate table `vt_shop_-80`.t",
        "truncate `vt_shop_-80` . `t` -- the end",
        "/*!80000 truncate table t */",
        "truncate /*!50100 table */ t",
        'truncate "t"',
    ],
)
def test_comments_case_quotes_and_databases_make_no_difference(text: str) -> None:
    statement = parse(text)
    assert statement.understood
    assert statement.tables == {"t"}
    assert statement.effects_on("t") == {REMOVED}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("truncate `we``ird`", "we`ird"),
        ("truncate `a.b`", "a.b"),
        ("truncate `drop table x -- /* '`", "drop table x -- /* '"),
        ("truncate 2024_sales", "2024_sales"),
        ("truncate s.1", "1"),
        ("truncate straße", "straße"),
        ('truncate `表, "x"`', '表, "x"'),
        ("alter table `add` add `drop` int", "add"),
        ("truncate .t", "t"),
    ],
)
def test_names_hold_any_character(text: str, name: str) -> None:
    statement = parse(text)
    assert statement.understood
    assert statement.tables == {name}


def test_a_qualified_name_keeps_its_database() -> None:
    (change,) = parse("drop table `vt_shop_-80`.t").changes
    assert change.table == TableName("vt_shop_-80", "t")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "t",
        "select 1",
        "delete from t",
        "alter",
        "truncate",
        "truncate table t; drop table u",
        "drop table t, ",
        "rename table t",
        "alter table t frobnicate",
        "alter table t add a newtype",
        "alter table t add a int frobnicated",
        "alter table t add a varchar",
        "alter table t add a int b int",
        "alter table t add a enum('x'",
        "alter table t add a int 'oops",
        "/* truncate table t",
        "/*! truncate table t",
        "drop table `t",
    ],
)
def test_a_statement_that_is_not_understood_says_so_and_may_do_anything(text: str) -> None:
    statement = parse(text)
    assert not statement.understood
    assert statement.may_concern("t") == (" t" in text or "`t" in text or text == "t")
    assert (UNKNOWN in statement.effects_on("t")) == statement.may_concern("t")


def test_what_was_understood_before_an_unknown_clause_is_kept() -> None:
    statement = parse("alter table t add a int, frobnicate u")
    assert statement.effects_on("t") == {SHAPE, UNKNOWN}
    assert statement.effects_on("u") == {UNKNOWN}
    assert statement.effects_on("v") == frozenset()


@pytest.mark.parametrize(
    ("text", "name", "concerned"),
    [
        ("frobnicate orders", "orders", True),
        ("frobnicate ORDERS", "orders", True),
        ("frobnicate `orders`", "orders", True),
        ("frobnicate shop.orders(id)", "orders", True),
        ("frobnicate old_orders", "orders", False),
        ("frobnicate orders2", "orders", False),
        ("frobnicate orders$", "orders", False),
        ("frobnicate `we``ird`", "we`ird", True),
        ("frobnicate `a-b`", "a-b", True),
        ("frobnicate `x+`", "x+", True),
    ],
)
def test_an_unknown_statement_may_concern_the_tables_whose_names_stand_in_it(
    text: str, name: str, concerned: bool
) -> None:
    assert parse(text).may_concern(name) == concerned


@pytest.mark.parametrize(
    ("text", "concerned"),
    [
        ("truncate t", {"t"}),
        ("truncate T", {"T"}),
        ("truncate u", {"U"}),
        ("truncate x", set()),
        ("drop table t, u, v", {"t", "U"}),
        ("frobnicate t", {"t", "T"}),
        ("frobnicate everything", set()),
    ],
)
def test_a_name_in_other_letters_counts_unless_another_table_has_exactly_these(
    text: str, concerned: set[str]
) -> None:
    assert touches(parse(text), ["t", "T", "U", "w"]) == concerned


def test_passwords_in_a_statement_do_not_show_in_its_representation() -> None:
    assert "secret" not in repr(parse("create user u identified by 'secret'"))
