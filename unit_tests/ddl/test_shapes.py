"""The shape of a table after a statement; what MySQL 9.7 made of each is what is expected here."""

from __future__ import annotations

import pytest

from source_planetscale.ddl import apply, parse
from source_planetscale.shape import Shape, ShapeColumn

LATIN1 = "latin1"


def shape(*columns: str, charset: str = "utf8mb4") -> Shape:
    """Columns as `name type`; text has the character set, or else what stands behind an `@`."""
    return tuple(_column(text, charset) for text in columns)


def _column(text: str, charset: str) -> ShapeColumn:
    name, _, rest = text.partition(" ")
    column_type, at, named = rest.partition("@")
    is_text = any(word in column_type.partition("(")[0] for word in ("char", "text", "enum", "set"))
    return ShapeColumn(name, column_type, named if at else charset if is_text else "")


def altered(clauses: str, before: Shape, default_charset: str | None = "utf8mb4") -> Shape | None:
    found = apply(parse(f"alter table t {clauses}"), "t", before, default_charset)
    return None if found is None else found.shape


TYPES = {
    "int": "int",
    "int(5)": "int",
    "integer unsigned": "int unsigned",
    "int(0) zerofill": "int(10) unsigned zerofill",
    "int(5) zerofill unsigned": "int(5) unsigned zerofill",
    "tinyint zerofill": "tinyint(3) unsigned zerofill",
    "smallint zerofill": "smallint(5) unsigned zerofill",
    "mediumint zerofill": "mediumint(8) unsigned zerofill",
    "bigint zerofill": "bigint(20) unsigned zerofill",
    "tinyint(1)": "tinyint(1)",
    "tinyint(1) signed": "tinyint(1)",
    "tinyint(1) unsigned": "tinyint unsigned",
    "tinyint(1) zerofill": "tinyint(1) unsigned zerofill",
    "tinyint(4)": "tinyint",
    "bool": "tinyint(1)",
    "BOOLEAN": "tinyint(1)",
    "int1": "tinyint",
    "int2": "smallint",
    "int3": "mediumint",
    "middleint": "mediumint",
    "int4": "int",
    "int8 unsigned": "bigint unsigned",
    "serial": "bigint unsigned",
    "decimal": "decimal(10,0)",
    "dec(5)": "decimal(5,0)",
    "numeric(5, 2) unsigned": "decimal(5,2) unsigned",
    "fixed zerofill": "decimal(10,0) unsigned zerofill",
    "decimal(0)": "decimal(10,0)",
    "float": "float",
    "float4 unsigned": "float unsigned",
    "float(24)": "float",
    "float(25)": "double",
    "float(25) zerofill": "double unsigned zerofill",
    "float(7,3) zerofill": "float(7,3) unsigned zerofill",
    "double(10,2)": "double(10,2)",
    "double precision": "double",
    "float8": "double",
    "real unsigned": "double unsigned",
    "bit": "bit(1)",
    "bit(64)": "bit(64)",
    "year": "year",
    "year(4)": "year",
    "date": "date",
    "time(0)": "time",
    "time(3)": "time(3)",
    "datetime(6)": "datetime(6)",
    "timestamp(0) null": "timestamp",
    "binary": "binary(1)",
    "binary(0)": "binary(0)",
    "varbinary(16)": "varbinary(16)",
    "char(3) byte": "binary(3)",
    "char(3) character set binary": "binary(3)",
    "varchar(3) character set binary": "varbinary(3)",
    "text character set binary": "blob",
    "longtext collate binary": "longblob",
    "blob": "blob",
    "blob(0)": "tinyblob",
    "blob(255)": "tinyblob",
    "blob(256)": "blob",
    "blob(70000)": "mediumblob",
    "blob(20000000)": "longblob",
    "long varbinary": "mediumblob",
    "json": "json",
    "geometry not null srid 4326": "geometry",
    "point": "point",
    "geometrycollection": "geomcollection",
    "geomcollection": "geomcollection",
    "vector": "vector(2048)",
    "vector(3)": "vector(3)",
    "enum('a ') character set binary": "enum('a ')@",
}
TEXTS = {
    "char": "char(1)@utf8mb4",
    "character(4)": "char(4)@utf8mb4",
    "char varying(4)": "varchar(4)@utf8mb4",
    "varcharacter(0)": "varchar(0)@utf8mb4",
    "nchar": "char(1)@utf8mb3",
    "national character(2)": "char(2)@utf8mb3",
    "nchar varchar(2)": "varchar(2)@utf8mb3",
    "nchar varying(2)": "varchar(2)@utf8mb3",
    "nvarchar(2)": "varchar(2)@utf8mb3",
    "national varchar(2)": "varchar(2)@utf8mb3",
    "national char varying(2)": "varchar(2)@utf8mb3",
    "varchar(2) charset latin1": "varchar(2)@latin1",
    "varchar(2) char set 'latin1'": "varchar(2)@latin1",
    "varchar(2) character set LATIN1 collate latin1_bin": "varchar(2)@latin1",
    "varchar(2) not null default 'x' collate latin2_general_ci": "varchar(2)@latin2",
    "varchar(2) collate utf8_general_ci": "varchar(2)@utf8mb3",
    "varchar(2) character set utf8": "varchar(2)@utf8mb3",
    "varchar(2) binary": "varchar(2)@utf8mb4",
    "char(2) ascii": "char(2)@latin1",
    "text unicode": "text@ucs2",
    "tinytext": "tinytext@utf8mb4",
    "long": "mediumtext@utf8mb4",
    "long varchar": "mediumtext@utf8mb4",
    "long char varying charset ascii": "mediumtext@ascii",
    "text(0)": "tinytext@utf8mb4",
    "text(63)": "tinytext@utf8mb4",
    "text(100)": "text@utf8mb4",
    "text(100) charset latin1": "tinytext@latin1",
    "text(20000)": "mediumtext@utf8mb4",
    "text(5000000)": "longtext@utf8mb4",
    "enum('a','b ')": "enum('a','b')@utf8mb4",
    'set("x", "y""z") charset greek': "set('x','y\"z')@greek",
    r"enum('it''s', 'b\\c', 'n\nx', 'r\r', 'o\'q')": r"enum('it''s','b\\c','n\nx','r\r','o''q')@utf8mb4",
    r"enum('t\tz', 'z\Zq', 'nul\0x', '\%p', '\w')": "enum('t\tz','z\x1aq','nul\\0x','\\\\%p','w')@utf8mb4",
    "enum(',', ')', '', '表')": "enum(',',')','','表')@utf8mb4",
}


@pytest.mark.parametrize("definition", [*TYPES, *TEXTS])
def test_a_type_is_spelled_as_mysql_spells_it(definition: str) -> None:
    spelled = {**TYPES, **TEXTS}[definition]
    assert altered(f"add column a {definition}", shape("id int")) == shape("id int", f"a {spelled}")


@pytest.mark.parametrize("definition", TYPES)
def test_a_type_without_text_needs_no_character_set(definition: str) -> None:
    assert altered(f"add column a {definition}", shape("id int"), None) is not None


BEFORE = shape("a int", "b int", "c varchar(9)@latin1", "d int")
CHANGES = {
    "add e int": ["a int", "b int", "c varchar(9)@latin1", "d int", "e int"],
    "add e int first": ["e int", "a int", "b int", "c varchar(9)@latin1", "d int"],
    "add e int after B": ["a int", "b int", "e int", "c varchar(9)@latin1", "d int"],
    "add (e int, f int)": ["a int", "b int", "c varchar(9)@latin1", "d int", "e int", "f int"],
    "add (e int, primary key (e), f int)": [
        "a int",
        "b int",
        "c varchar(9)@latin1",
        "d int",
        "e int",
        "f int",
    ],
    "drop b": ["a int", "c varchar(9)@latin1", "d int"],
    "drop column A, drop column D": ["b int", "c varchar(9)@latin1"],
    "rename column b to x": ["a int", "x int", "c varchar(9)@latin1", "d int"],
    "rename column a to b, rename column b to a": ["b int", "a int", "c varchar(9)@latin1", "d int"],
    "rename column a to A": ["A int", "b int", "c varchar(9)@latin1", "d int"],
    "change a b int, change b a bigint": ["b int", "a bigint", "c varchar(9)@latin1", "d int"],
    "modify A bigint": ["A bigint", "b int", "c varchar(9)@latin1", "d int"],
    # Not the column's own character set: the table's.
    "modify c varchar(20)": ["a int", "b int", "c varchar(20)@utf8mb4", "d int"],
    "modify d int after a, modify a int after c": ["d int", "b int", "c varchar(9)@latin1", "a int"],
    "modify a int after b, modify d int first, add e int after a": [
        *("d int", "b int", "a int", "e int", "c varchar(9)@latin1"),
    ],
    "rename column a to x, modify b int after x, rename column d to a": [
        *("x int", "b int", "c varchar(9)@latin1", "a int"),
    ],
    "change a z int, add a int after z, drop b, add b int first": [
        *("b int", "z int", "a int", "c varchar(9)@latin1", "d int"),
    ],
    "drop a, add a text": ["b int", "c varchar(9)@latin1", "d int", "a text"],
    "alter column a set default 4, add key (b), comment 'x'": [
        *("a int", "b int", "c varchar(9)@latin1", "d int"),
    ],
    "convert to character set utf8mb3": ["a int", "b int", "c varchar(9)@utf8mb3", "d int"],
    "convert to character set binary": ["a int", "b int", "c varbinary(9)", "d int"],
    "add e text, default charset greek, add f char": [
        *("a int", "b int", "c varchar(9)@latin1", "d int", "e text@greek", "f char(1)@greek"),
    ],
    "add e text collate latin2_bin, convert to charset greek, add f char byte, add g text charset binary": [
        *("a int", "b int", "c varchar(9)@greek", "d int", "e text@greek", "f binary(1)", "g blob"),
    ],
    # MariaDB's.
    "add column if not exists a text, drop column if exists x, modify column if exists y int": [
        *("a int", "b int", "c varchar(9)@latin1", "d int"),
    ],
    "add column if not exists e int, drop column if exists a": [
        *("b int", "c varchar(9)@latin1", "d int", "e int"),
    ],
}


@pytest.mark.parametrize("clauses", CHANGES)
def test_an_alter_leads_from_one_shape_to_the_next(clauses: str) -> None:
    assert altered(clauses, BEFORE) == shape(*CHANGES[clauses])


@pytest.mark.parametrize(
    ("before", "charset", "after"),
    [
        ("tinytext@latin1", "utf8mb4", "text@utf8mb4"),
        ("text@latin1", "utf8mb4", "mediumtext@utf8mb4"),
        ("mediumtext@latin1", "utf8mb4", "longtext@utf8mb4"),
        ("longtext@latin1", "utf8mb4", "longtext@utf8mb4"),
        ("tinytext@utf8mb3", "utf8mb4", "text@utf8mb4"),
        ("tinytext@ucs2", "utf8mb3", "text@utf8mb3"),
        ("text@utf8mb4", "latin1", "text@latin1"),
        ("tinytext@utf8mb4", "utf8mb4", "tinytext@utf8mb4"),
        ("enum('x')@latin1", "utf8mb4", "enum('x')@utf8mb4"),
        ("text@latin1", "binary", "blob"),
        ("json", "utf8mb4", "json"),
        ("varbinary(4)", "utf8mb4", "varbinary(4)"),
    ],
)
def test_a_conversion_leaves_room_for_as_many_characters(before: str, charset: str, after: str) -> None:
    clauses = f"convert to character set {charset}"
    assert altered(clauses, shape(f"a {before}"), LATIN1) == shape(f"a {after}")


@pytest.mark.parametrize(
    "clauses",
    [
        "add e text",
        "modify c varchar(20)",
        "add e enum('x')",
        "add e char(3) binary",
        "convert to character set default",
        "default charset default, add e text",
    ],
)
def test_a_character_set_that_is_nowhere_named_is_never_guessed(clauses: str) -> None:
    assert altered(clauses, BEFORE, None) is None


@pytest.mark.parametrize(
    "clauses",
    [
        "drop x",
        "modify x int",
        "rename column x to y",
        "add e int after x",
        "modify a int after a",
        "modify b int after x",
        "modify a int, modify a bigint",
        "rename column a to x, drop a",
        "add a int",
        "rename column a to B",
        "drop a, drop b, drop c, drop d",
        "frobnicate",
        "add e newtype",
        "rename to u",
    ],
)
def test_a_statement_that_does_not_fit_the_shape_gives_none(clauses: str) -> None:
    assert altered(clauses, BEFORE) is None


@pytest.mark.parametrize("before", ["int(11)", "int(10) unsigned", "year(4)"])
def test_widths_that_only_older_servers_write_are_not_guessed(before: str) -> None:
    assert altered("add e int", shape(f"a {before}")) is None
    assert altered("add e date, rename column a to b", shape(f"a {before}")) == shape(f"b {before}", "e date")


@pytest.mark.parametrize(
    "text",
    [
        "truncate t",
        "alter table t engine = innodb",
        "alter table t exchange partition p with table u",
        "alter table u exchange partition p with table t",
        "alter table u drop a",
        "drop user t",
        "drop table u",
        "frobnicate u",
        "create table if not exists t (x int)",
    ],
)
def test_a_statement_that_changes_no_column_leaves_the_shape(text: str) -> None:
    found = apply(parse(text), "t", BEFORE)
    assert found is not None
    assert (found.shape, found.origins) == (BEFORE, ("a", "b", "c", "d"))


@pytest.mark.parametrize("text", ["drop table t", "frobnicate t", "create table t like u"])
def test_a_statement_after_which_the_shape_is_another_gives_none(text: str) -> None:
    assert apply(parse(text), "t", BEFORE, "utf8mb4") is None


def test_a_new_table_has_the_columns_that_it_is_created_with() -> None:
    text = """create table `t` (
        `id` bigint unsigned not null auto_increment,
        name varchar(9) default ')', e enum('x') collate greek_bin,
        primary key (`id`), unique key `name` (`name`), constraint c check (id > 0)
    ) engine InnoDB, charset latin1 comment 'x' partition by hash (id)"""
    found = apply(parse(text), "t", (), "utf8mb4")
    assert found is not None
    assert found.shape == shape("id bigint unsigned", "name varchar(9)@latin1", "e enum('x')@greek")
    assert found.default_charset == LATIN1
    made_from_a_query = "CREATE TABLE `t` (`id` int NOT NULL, `c` char(1)) START TRANSACTION"
    again = apply(parse(made_from_a_query), "t", BEFORE, LATIN1)
    assert again is not None
    assert (again.shape, again.origins) == (shape("id int", "c char(1)@latin1"), (None, None))
    assert apply(parse("create table t (a int) select 1 as b"), "t", (), LATIN1) is None


def test_each_column_tells_the_name_that_it_had() -> None:
    statement = parse("alter table t rename column b to x, drop a, add a int first, change C y int after x")
    found = apply(statement, "t", BEFORE, LATIN1)
    assert found is not None
    assert [column.name for column in found.shape] == ["a", "x", "y", "d"]
    assert found.origins == (None, "b", "c", "d")


@pytest.mark.parametrize(
    ("clauses", "charset"),
    [
        ("add e int", LATIN1),
        ("default charset greek", "greek"),
        ("collate = utf8mb4_bin", "utf8mb4"),
        ("convert to character set utf8", "utf8mb3"),
        ("convert to character set default, drop c", None),
    ],
)
def test_the_default_character_set_goes_on(clauses: str, charset: str | None) -> None:
    found = apply(parse(f"alter table t {clauses}"), "t", shape("a int", "c date"), LATIN1)
    assert found is not None
    assert found.default_charset == charset


@pytest.mark.parametrize(
    ("clauses", "converted"),
    [
        ("modify a bigint", ()),
        ("modify a int", ()),
        ("modify a varchar(20)", ("a",)),
        ("modify a smallint", ("a",)),
        ("change a x int unsigned", ("x",)),
        ("modify a int as (b + 1) stored", ("a",)),
        ("modify s varchar(20) charset greek", ("s",)),
        ("modify s varchar(20) charset utf8mb3", ()),
        ("modify s varchar(20) charset utf8mb4", ()),
        ("convert to character set latin2", ("s", "e")),
        ("convert to character set ucs2", ()),
        ("convert to character set ascii, modify s varchar(9) charset latin1", ("s", "e")),
        ("character set greek, modify s varchar(9)", ("s",)),
        ("modify s varchar(5)", ("s",)),
        ("modify e enum('z','y','x')", ()),
        ("modify e enum('x')", ("e",)),
        ("rename column a to x, drop b", ()),
        ("modify y binary(5)", ("y",)),
        ("modify y binary(3)", ()),
        ("modify y varbinary(5)", ("y",)),
        ("modify f int", ("f",)),
        ("modify f tinyint(1)", ()),
        ("modify a tinyint(1)", ("a",)),
    ],
)
def test_columns_whose_old_values_may_read_differently_are_named(
    clauses: str, converted: tuple[str, ...]
) -> None:
    before = shape(
        "a int", "b int", "s varchar(9)@latin1", "e enum('x','y')@latin1", "y binary(3)", "f tinyint(1)"
    )
    found = apply(parse(f"alter table t {clauses}"), "t", before, "utf8mb4")
    assert found is not None
    assert found.converted == converted


@pytest.mark.parametrize(
    ("clauses", "renamed"),
    [
        ("rename column a to x", True),
        ("change a x int", True),
        ("rename column a to b, rename column b to a", True),
        ("rename column a to A", True),
        ("drop a, add x int", False),
        ("modify a int after b", False),
    ],
)
def test_a_column_that_gets_another_name_shows(clauses: str, *, renamed: bool) -> None:
    found = apply(parse(f"alter table t {clauses}"), "t", shape("a int", "b int"))
    assert found is not None
    assert found.renamed is renamed


def test_columns_that_old_rows_have_values_in_without_an_event_are_named() -> None:
    statement = parse("alter table t add e int default 1, add f int, modify a int not null, modify b int")
    found = apply(statement, "t", BEFORE)
    assert found is not None
    assert found.filled == ("e",)
    assert found.required == ("a",)
