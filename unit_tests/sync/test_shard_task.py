"""Which tasks are worth a process of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.follow.member import Member
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.sync.shard_task import ShardTask
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.position import Position
from source_planetscale.workers.messages import Outlet
from unit_tests.support.events import KEYSPACE, OTHER_TABLE, SHARD, TABLE
from unit_tests.support.fakes import CONFIG, FakeVtgate, Reading
from unit_tests.support.reading import ONE, START, after, position

ROWS, TRANSACTIONS = 100_000, 20_000


def task(*cursors: Cursor, rows: int | None = None) -> ShardTask:
    """A task of a table for each cursor."""
    tables = [replace(TABLE, name=f"table{number}", estimated_rows=rows) for number, _ in enumerate(cursors)]
    numbers = ChangeSequence(0, 0)
    return ShardTask(
        Reading(FakeVtgate()).core(),
        CONFIG,
        [Member(table, cursor) for table, cursor in zip(tables, cursors, strict=True)],
        {table.name: Outlet(table) for table in tables},
        {table.name: numbers for table in tables},
        numbers,
    )


@pytest.mark.parametrize("cursor", [START, after(5, ONE)], ids=["begins", "goes on"])
@pytest.mark.parametrize(
    ("rows", "large"), [(None, False), (0, False), (ROWS - 1, False), (ROWS, True), (10 * ROWS, True)]
)
def test_a_copy_is_large_with_many_rows(cursor: Cursor, rows: int | None, large: bool) -> None:
    assert task(cursor, rows=rows).is_large(position(10 * TRANSACTIONS)) is large


@given(st.lists(st.integers(1, 2 * TRANSACTIONS), min_size=1, max_size=4), st.integers(1, 3 * TRANSACTIONS))
def test_a_pass_is_large_when_one_of_its_tables_has_many_transactions_left(
    lasts: list[int], stop: int
) -> None:
    found = task(*map(after, lasts)).is_large(position(stop))
    assert found is (stop - min(lasts) >= TRANSACTIONS)


@pytest.mark.parametrize(("stop", "large"), [(5 + TRANSACTIONS, True), (4 + TRANSACTIONS, False)])
def test_a_pass_is_large_from_a_number_of_transactions_on(stop: int, large: bool) -> None:
    assert task(after(5)).is_large(position(stop)) is large


def test_the_rows_of_a_table_say_nothing_of_a_pass() -> None:
    assert not task(after(5), rows=10 * ROWS).is_large(position(10))


@pytest.mark.parametrize("place", ["current", "MySQL56/garbage", "Other/1-2"])
def test_positions_that_are_none_are_not_worth_a_process(place: str) -> None:
    stop = position(10 * TRANSACTIONS)
    none = Cursor(KEYSPACE, SHARD, place)
    assert not task(none).is_large(stop)
    assert not task(after(5), none).is_large(stop)


def test_a_table_that_has_yet_to_be_copied_is_not_worth_a_process_beside_others() -> None:
    assert not task(after(5), START, rows=ROWS).is_large(position(10 * TRANSACTIONS))


def test_what_no_source_of_the_stop_position_has_is_not_left() -> None:
    stop = Position.parse("MySQL56/")
    assert not task(after(5)).is_large(stop)


def test_a_task_is_named_after_its_first_table() -> None:
    numbers = ChangeSequence(0, 0)
    members = [Member(table, after(5, table=table)) for table in (TABLE, OTHER_TABLE)]
    both = ShardTask(Reading(FakeVtgate()).core(), CONFIG, members, {}, {}, numbers)
    assert both.shard == SHARD
    assert both.where == "table orders, shard -80 and 1 other tables of it"
    assert replace(both, members=members[:1]).where == "table orders, shard -80"
