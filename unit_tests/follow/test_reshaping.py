"""Which columns a table has behind the statements that change them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from source_planetscale import ddl
from source_planetscale.follow.reshaping import renames, settled
from source_planetscale.shape import Shape, shape_of
from source_planetscale.table import Column, Table
from source_planetscale.vstream.table_reader import Reshaping
from unit_tests.support.events import TABLE

BEFORE = shape_of(TABLE.columns)
ID, LABEL, NOTE = TABLE.columns
NEW = Column("extra", "varchar(9)", "latin1")


def today(*columns: Column) -> Table:
    return replace(TABLE, columns=columns)


def reshaping(text: str, before: Shape | None = BEFORE) -> Reshaping:
    statement = ddl.parse(text)
    return Reshaping(statement, before, None if before is None else ddl.apply(statement, "orders", before))


# Right behind a statement.


def test_a_statement_that_tells_the_shape_needs_no_table() -> None:
    found = settled(reshaping("alter table orders drop column note"), None)
    assert found == shape_of((ID, LABEL))


def test_a_statement_tells_the_shape_of_then_and_not_of_today() -> None:
    found = settled(reshaping("alter table orders add column z int"), today(ID, NOTE))
    assert found == shape_of((ID, LABEL, NOTE, Column("z", "int")))


def test_a_default_character_set_is_found_by_the_table_of_today() -> None:
    text = "alter table orders add column extra varchar(9)"
    assert settled(reshaping(text), today(ID, LABEL, NOTE, NEW)) == shape_of((ID, LABEL, NOTE, NEW))


def test_a_default_character_set_is_not_guessed_where_the_table_of_today_is_another_one() -> None:
    text = "alter table orders add column extra varchar(9)"
    assert settled(reshaping(text), today(ID, LABEL, NEW)) is None


def test_a_default_character_set_is_found_over_the_statements_in_between() -> None:
    following = ["alter table orders add column z int", "alter table orders drop column label"]
    found = settled(
        reshaping("alter table orders add column extra varchar(9)"),
        today(ID, NOTE, NEW, Column("z", "int")),
        [ddl.parse(text) for text in following],
    )
    assert found == shape_of((ID, LABEL, NOTE, NEW))


def test_the_character_set_of_a_column_that_is_gone_again_does_not_matter() -> None:
    found = settled(
        reshaping("alter table orders add column extra varchar(9)"),
        TABLE,
        [ddl.parse("alter table orders drop column extra")],
    )
    assert found is not None
    assert [name for name, *_ in found] == ["id", "label", "note", "extra"]


def in_utf8mb4(column: Column) -> Column:
    return replace(column, charset="utf8mb4") if column.charset else column


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (
            "alter table orders convert to character set utf8mb4",
            today(*map(in_utf8mb4, (ID, LABEL, NOTE, NEW))),
        ),
        (
            "alter table orders modify extra varchar(9) character set utf8mb4",
            today(ID, LABEL, NOTE, in_utf8mb4(NEW)),
        ),
        ("rename table orders to x, _orders_gho to orders", today(ID, LABEL, NOTE, NEW)),
    ],
    ids=["convert", "modify", "cut over"],
)
def test_a_default_character_set_is_not_guessed_where_a_later_statement_hides_it(
    text: str, after: Table
) -> None:
    added = reshaping("alter table orders add column extra varchar(9)")
    assert settled(added, after, [ddl.parse(text)]) is None


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("alter table orders frobnicate", BEFORE),
        ("alter table orders add column z int", None),
        ("drop table orders", BEFORE),
        ("rename table orders to x, _orders_gho to orders", BEFORE),
    ],
    ids=["not understood", "unknown before", "dropped", "cut over"],
)
def test_what_a_statement_does_not_tell_stays_open(text: str, before: Shape | None) -> None:
    assert settled(reshaping(text, before), TABLE) is None
    assert settled(reshaping(text, before), None) is None


# Names of today.


def renamed(*statements: str, to: Table) -> dict[str, str | None]:
    return renames(BEFORE, to, [ddl.parse(text) for text in statements])


TITLE = replace(LABEL, name="title")
HEADING = replace(LABEL, name="heading")


@pytest.mark.parametrize(
    "statement",
    [
        "alter table orders rename column label to title",
        "alter table orders change column label title varchar(20)",
        "alter table orders rename column label to title, add column z varchar(5) after id",
    ],
)
def test_a_renamed_column_is_found_by_its_statement(statement: str) -> None:
    assert renamed(statement, to=today(ID, TITLE, NOTE)) == {"label": "title"}


def test_a_column_renamed_twice_goes_to_its_last_name() -> None:
    found = renamed(
        "alter table orders rename column label to title",
        "alter table orders add column z int",
        "alter table orders rename column title to heading",
        to=today(ID, HEADING, NOTE),
    )
    assert found == {"label": "heading"}


def test_columns_that_swap_their_names_are_told_apart() -> None:
    found = renamed(
        "alter table orders rename column label to note, rename column note to label",
        to=today(ID, NOTE, LABEL),
    )
    assert found == {"label": "note", "note": "label"}


def test_a_column_renamed_away_and_back_keeps_its_name() -> None:
    found = renamed(
        "alter table orders rename column label to title",
        "alter table orders rename column title to label",
        to=TABLE,
    )
    assert found == {}


def test_a_column_that_is_dropped_after_its_rename_goes_nowhere() -> None:
    found = renamed(
        "alter table orders rename column label to title",
        "alter table orders drop column title",
        "alter table orders add column title int",
        to=today(ID, NOTE, Column("title", "int")),
    )
    assert found == {}


@pytest.mark.parametrize(
    "statements",
    [
        ("alter table orders drop column note, rename column label to note",),
        ("alter table orders drop column note", "alter table orders rename column label to note"),
    ],
)
def test_a_column_whose_name_another_one_has_got_goes_nowhere(statements: tuple[str, ...]) -> None:
    found = renamed(*statements, to=today(ID, replace(LABEL, name="note")))
    assert found == {"label": "note", "note": None}


@pytest.mark.parametrize(
    "statements",
    [
        (),
        ("alter table orders frobnicate",),
        ("alter table orders rename column label to title", "drop table orders"),
        ("alter table orders drop column label, add column title varchar(20)",),
    ],
)
def test_nothing_is_renamed_where_the_statements_do_not_say_so(statements: tuple[str, ...]) -> None:
    assert renamed(*statements, to=today(ID, TITLE, NOTE)) == {}
