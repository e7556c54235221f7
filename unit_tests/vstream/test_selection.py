"""Which columns a stream asks for, and what a reader takes by such a list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.shape import shape_of
from source_planetscale.table import Column, Table
from source_planetscale.vstream.selection import SelectList, SelectRefused, columns_to_ask_for
from source_planetscale.vstream.table_reader import TableReader
from unit_tests.support.events import (
    KEYLESS,
    KEYSPACE,
    NOON,
    OTHER_TABLE,
    TABLE,
    change,
    fields,
    gtid,
    inserted,
    row,
    rows,
    small_copy,
    transaction,
)
from unit_tests.support.readers import Shard, feed, images, kinds
from unit_tests.support.reading import ONE, START, after, position

if TYPE_CHECKING:
    from source_planetscale.vstream.cursor import Cursor

SHAPE = shape_of(TABLE.columns)
ASKED = ("id", "label")
NARROW = replace(TABLE, columns=TABLE.columns[:2])
LIST = SelectList(ASKED, SHAPE)


def table_of(*columns: tuple[str, str, bool], key: tuple[str, ...] = ("id",)) -> Table:
    made = tuple(Column(name, kind, nullable=nullable) for name, kind, nullable in columns)
    return Table(KEYSPACE, "t", made, key)


# What is asked for.


def test_the_key_is_asked_for_with_what_is_wanted_in_table_order() -> None:
    assert columns_to_ask_for(TABLE, {"note"}) == ("id", "note")
    assert columns_to_ask_for(TABLE, {"label", "id", "_ab_cdc_cursor"}) == ("id", "label")


@pytest.mark.parametrize("wanted", [None, {"id", "label", "note", "more"}])
def test_whoever_wants_everything_asks_without_a_list(wanted: set[str] | None) -> None:
    assert columns_to_ask_for(TABLE, wanted) is None


def test_a_table_without_a_key_or_with_the_name_of_a_pattern_has_no_list() -> None:
    assert columns_to_ask_for(KEYLESS, {"id"}) is None
    assert columns_to_ask_for(replace(TABLE, name="/orders"), {"id"}) is None


def test_the_smallest_column_that_is_never_null_is_asked_for_if_no_other_such_one_is_wanted() -> None:
    table = table_of(
        ("id", "bigint", False),
        ("a", "int", True),
        ("t", "longtext", False),
        ("v", "varchar(9)", False),
        ("n", "int", False),
    )
    assert columns_to_ask_for(table, {"a"}) == ("id", "a", "n")
    assert columns_to_ask_for(table, {"v"}) == ("id", "v")


kinds_of_columns = st.sampled_from(["int", "varchar(9)", "longblob", "json"])
columns_of_tables = st.lists(st.tuples(kinds_of_columns, st.booleans()), min_size=1, max_size=6)


@given(columns_of_tables, st.data())
def test_a_list_has_all_that_is_wanted_and_what_tells_rows_apart(
    columns: list[tuple[str, bool]], data: st.DataObject
) -> None:
    names = [f"c{number}" for number in range(len(columns))]
    table = table_of(
        *((name, kind, nullable) for name, (kind, nullable) in zip(names, columns, strict=True)),
        key=tuple(data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))),
    )
    wanted = data.draw(st.sets(st.sampled_from(names)))
    asked = columns_to_ask_for(table, wanted)
    chosen = names if asked is None else list(asked)
    assert chosen == [name for name in names if name in chosen]
    assert wanted | set(table.primary_key) <= set(chosen)
    required = {c.name for c in table.columns if not c.nullable} - set(table.primary_key)
    assert not required or required & set(chosen)
    assert len(set(chosen) - wanted - set(table.primary_key)) <= 1


# What is taken.


def reader(cursor: Cursor, select: SelectList = LIST) -> Shard:
    return Shard([TableReader(TABLE, cursor, track_changes=True, select=select)], position(10))


def test_a_copy_by_a_list_gives_its_columns_and_the_shape_of_the_whole_table() -> None:
    shard = reader(START)
    runs = feed(shard, small_copy(row(1, "one"), row(2, None), table=NARROW))
    assert images(runs) == [[b"1", b"one"], [b"2", None]]
    assert (shard.cursor.position, shard.cursor.shape) == (gtid(10), SHAPE)
    assert shard.unproven == {"orders"}


def test_changes_by_a_list_are_updates_deletes_and_changed_keys() -> None:
    shard = reader(after(5))
    events = rows(
        change(row(1, "one"), row(1, "one")), change(row(2, "two")), change(row(3, None), row(4, None))
    )
    runs = shard.feed(transaction(6, fields(NARROW, at=NOON), events))
    assert kinds(runs) == [(False, [1]), (True, [2, 3]), (False, [4])]
    assert shard.cursor.shape == SHAPE


@pytest.mark.parametrize(
    "described",
    [
        TABLE,
        replace(TABLE, columns=TABLE.columns[::2]),
        replace(NARROW, columns=(TABLE.columns[0], replace(TABLE.columns[1], column_type="varchar(30)"))),
        replace(NARROW, columns=NARROW.columns[::-1]),
        replace(OTHER_TABLE, name="orders"),
    ],
    ids=["all", "others", "another type", "another order", "another table"],
)
def test_a_description_of_other_columns_ends_the_stream_before_its_rows(described: Table) -> None:
    shard = reader(after(5))
    images_of = [None] * (len(described.columns) - 1)
    shard.read(transaction(6, fields(described, at=NOON), inserted(row(1, *images_of))).SerializeToString())
    assert (shard.ended, shard.widens, shard.table.list_refused) == (True, True, True)
    assert shard.position == gtid(5)
    assert shard.finding is None
    assert shard.feed(transaction(7, inserted(row(2, *images_of)))) == []


def test_a_list_for_another_shape_is_refused() -> None:
    shard = reader(replace(after(5), shape=SHAPE[:2]))
    shard.feed(transaction(6, fields(NARROW, at=NOON), inserted(row(1, "one"))))
    assert shard.widens
    with pytest.raises(SelectRefused):
        LIST.refuse_others(TABLE.columns)


def test_a_stream_of_all_columns_proves_nothing_and_tells_whether_it_names_them() -> None:
    shard = Shard([TableReader(TABLE, after(5))], position(10))
    shard.feed(transaction(6, fields(at=NOON), inserted(ONE)))
    assert (shard.unproven, shard.table.named_as_written, shard.at_rest) == (set(), True, True)
    shard = Shard([TableReader(TABLE, after(5))], position(10))
    renamed = replace(TABLE, columns=(*TABLE.columns[:2], replace(TABLE.columns[2], name="text")))
    shard.feed(transaction(6, fields(renamed, at=NOON), inserted(ONE)))
    assert not shard.table.named_as_written
