"""What holds for every statement."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.ddl import apply, parse, touches
from unit_tests.ddl.alters import TABLE, Alter, alters

PIECES = (
    *("alter table t ", "create table t (", "drop table ", "rename table ", "truncate ", "add ", "column "),
    *("drop ", "modify ", "change ", "primary key", "partition ", "exchange ", "with table u", "default "),
    *("a ", "b ", "int ", "varchar(9) ", "enum('x') ", "first", "after a", "as (", "order by ", "check "),
    *(
        "(",
        ")",
        ",",
        ".",
        "'",
        '"',
        "`",
        "/*",
        "/*!80000 ",
        "*/",
        "--",
        "-- ",
        "#",
        "\n",
        ";",
        "\\",
        "\0",
        "1",
    ),
)
STATEMENTS = (
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
    | st.text()
    | alters().map(lambda alter: alter.statement)
)
COMMENTS = st.lists(
    st.text(st.characters(exclude_characters="*/\n!")).map("/*{}*/".format)
    | st.text(st.characters(exclude_characters="\n")).map("-- {}\n".format)
    | st.text(st.characters(exclude_characters="\n")).map("#{}\n".format)
    | st.sampled_from((" ", "\t", "\r\n")),
    max_size=3,
).map("".join)


@given(alters())
def test_an_alter_gives_the_shape_that_the_model_gives(alter: Alter) -> None:
    found = apply(parse(alter.statement), TABLE, alter.before, alter.charset)
    assert found is not None
    assert found.shape == alter.after
    assert found.origins == alter.origins


@given(alters())
def test_a_table_has_the_shape_that_it_is_created_with(alter: Alter) -> None:
    found = apply(parse(alter.created), TABLE, (), None)
    assert found is not None
    assert found.shape == alter.before


@given(STATEMENTS, alters())
def test_no_text_raises(text: str, alter: Alter) -> None:
    statement = parse(text)
    assert statement.text == text
    assert touches(statement, [TABLE]) <= {TABLE}
    assert bool(statement.effects_on(TABLE)) == bool(touches(statement, [TABLE]))
    found = apply(statement, TABLE, alter.before, "utf8mb4")
    if not statement.may_concern(TABLE):
        assert found is not None
        assert found.shape == alter.before


@given(COMMENTS, STATEMENTS, COMMENTS)
def test_comments_around_a_statement_do_not_change_it(before: str, text: str, after: str) -> None:
    plain, commented = parse(text), parse(before + text)
    assert commented.changes == plain.changes
    assert commented.understood == plain.understood
    if plain.understood:
        assert parse(f"{text}\n{after}").changes == plain.changes


@given(st.text(min_size=1), st.text())
def test_a_quoted_name_is_read_as_it_is(name: str, database: str) -> None:
    quoted, qualifier = ("`" + text.replace("`", "``") + "`" for text in (name, database))
    for text in (f"truncate {quoted}", f"drop table {qualifier}.{quoted}", f"alter table {quoted} add a int"):
        assert parse(text).tables == {name}
    assert parse(f"frobnicate {quoted}").may_concern(name)
