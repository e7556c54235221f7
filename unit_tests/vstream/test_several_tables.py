"""One stream of a shard for several tables: each gets its own rows, and its own troubles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.shape import shape_of
from source_planetscale.table import Column
from source_planetscale.vstream.images import IncompleteRow
from source_planetscale.vstream.layout import ShapeUnknown
from source_planetscale.vstream.reader import ProtocolError
from source_planetscale.vstream.table_reader import RowsExchanged
from unit_tests.support.events import (
    OTHER_TABLE,
    TABLE,
    begin,
    change,
    commit,
    ddl,
    fields,
    gtid,
    inserted,
    journal,
    response,
    row,
    rows,
    statement_event,
    transaction,
    vgtid,
)
from unit_tests.support.model import TABLES, Log, Server, logs_of
from unit_tests.support.readers import Shard, images, keys, readers
from unit_tests.support.reading import ONE, THREE, TWO, after

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from source_planetscale.vstream.table_reader import RowRun

PART = row(7, "bolt")
AT_FIVE = (TABLE, after(5)), (OTHER_TABLE, after(5, table=OTHER_TABLE))


def both(**more: bool) -> Shard:
    return readers(*AT_FIVE, **more)


def by_table(runs: Iterable[RowRun]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for run in runs:
        found.setdefault(run.table, []).extend(keys([run]))
    return found


def positions(shard: Shard) -> dict[str, str]:
    return {name: table.cursor.position for name, table in shard.tables.items()}


# Which table a row belongs to.


@pytest.mark.parametrize("prefix", ["", "shop."], ids=["bare names", "names with the keyspace"])
def test_rows_go_to_their_table(prefix: str) -> None:
    shard = both()
    runs = shard.feed(
        transaction(
            6,
            fields(prefix=prefix),
            inserted(ONE, table=f"{prefix}orders"),
            fields(OTHER_TABLE, prefix=prefix),
            inserted(PART, table=f"{prefix}parts"),
            inserted(TWO, table=f"{prefix}orders"),
        )
    )
    assert by_table(runs) == {"orders": [1, 2], "parts": [7]}
    assert [len(run.fields.columns) for run in runs] == [3, 2]
    assert positions(shard) == {"orders": gtid(6), "parts": gtid(6)}


def test_a_table_whose_name_looks_like_another_ones_with_its_keyspace_gets_its_own_rows() -> None:
    dotted = replace(TABLE, name="shop.orders")
    shard = readers((TABLE, after(5)), (dotted, after(5)))
    runs = shard.feed(
        transaction(6, fields(), inserted(ONE), fields(dotted), inserted(TWO, table="shop.orders"))
    )
    assert by_table(runs) == {"orders": [1], "shop.orders": [2]}


def test_rows_of_a_table_that_was_not_asked_for_are_an_error() -> None:
    with pytest.raises(ProtocolError, match="not asked for"):
        both().feed(transaction(6, fields(replace(TABLE, name="strangers"))))


def test_rows_of_each_table_keep_their_order() -> None:
    shard = both(track_changes=True)
    runs = shard.feed(
        transaction(
            6,
            fields(),
            fields(OTHER_TABLE),
            rows(change(None, ONE)),
            rows(change(None, PART), table="parts"),
            rows(change(ONE, None)),
            rows(change(PART, None), table="parts"),
            rows(change(None, ONE)),
        )
    )
    kinds = {name: [run.deleted for run in runs if run.table == name] for name in shard.tables}
    assert kinds == {"orders": [False, True, False], "parts": [False, True]}
    assert {run.position for run in runs} == {gtid(6)}


def test_a_quiet_table_moves_with_the_others() -> None:
    shard = both()
    shard.feed(transaction(6, fields(), inserted(ONE)))
    assert positions(shard) == {"orders": gtid(6), "parts": gtid(6)}


# A table that cannot be read.


NOT_WHOLE = rows(change(None, row(1, "one", None), present=(True, True, False)))


def test_a_table_with_a_finding_leaves_the_others_alone() -> None:
    shard = both()
    runs = shard.feed(
        transaction(6, fields(), NOT_WHOLE, fields(OTHER_TABLE), inserted(PART, table="parts"), inserted(TWO))
    )
    runs += shard.feed(transaction(7, inserted(THREE), inserted(PART, table="parts")))
    assert by_table(runs) == {"parts": [7, 7]}
    assert isinstance(shard.tables["orders"].finding, IncompleteRow)
    assert positions(shard) == {"orders": gtid(5), "parts": gtid(7)}
    assert shard.readable


def test_rows_of_a_finding_in_a_block_are_left_out() -> None:
    shard = both()
    shard.feed(transaction(6, fields(), NOT_WHOLE))
    many = [row(number, "x" * 100, None) for number in range(50)]
    assert shard.feed(transaction(7, inserted(*many))) == []
    assert positions(shard) == {"orders": gtid(5), "parts": gtid(7)}


def test_a_table_of_an_unknown_shape_leaves_the_others_alone() -> None:
    shard = readers((TABLE, replace(after(5), shape=None)), AT_FIVE[1])
    runs = shard.feed(
        transaction(6, fields(OTHER_TABLE), inserted(PART, table="parts"), fields(), inserted(ONE))
    )
    assert by_table(runs) == {"parts": [7]}
    assert isinstance(shard.tables["orders"].finding, ShapeUnknown)


def test_a_change_that_came_as_a_statement_concerns_its_table_alone() -> None:
    shard = both()
    shard.feed(response(begin(), statement_event("insert into `parts` values (1)"), vgtid(gtid(6)), commit()))
    assert isinstance(shard.tables["parts"].finding, IncompleteRow)
    assert positions(shard) == {"orders": gtid(6), "parts": gtid(5)}


def test_a_change_that_came_as_a_statement_without_its_text_may_concern_any_table() -> None:
    shard = both()
    shard.feed(response(begin(), statement_event(), vgtid(gtid(6)), commit()))
    assert not shard.readable


# Statements.


def test_a_statement_opens_the_shape_of_its_table_alone() -> None:
    shard = both()
    shard.feed(response(vgtid(gtid(6)), ddl("alter table parts add column z int")))
    assert shard.reshaped
    assert shard.tables["orders"].cursor == after(6)
    assert shard.tables["orders"].reshaping is None
    wider = (*OTHER_TABLE.columns, Column("z", "int"))
    assert shard.tables["parts"].cursor == replace(after(6), shape=shape_of(wider))
    assert shard.tables["parts"].reshaping is not None


def test_a_statement_about_both_opens_both_shapes() -> None:
    shard = both()
    shard.feed(response(vgtid(gtid(6)), ddl("drop table parts, orders")))
    assert all(table.reshaping is not None for table in shard.tables.values())


def test_exchanged_rows_are_a_finding_of_their_table_alone() -> None:
    shard = both()
    shard.feed(response(vgtid(gtid(6)), ddl("alter table parts exchange partition p with table s")))
    runs = shard.feed(transaction(7, fields(), inserted(ONE)))
    assert isinstance(shard.tables["parts"].finding, RowsExchanged)
    assert by_table(runs) == {"orders": [1]}
    assert positions(shard) == {"orders": gtid(7), "parts": gtid(5)}


def test_a_statement_about_a_table_with_a_finding_stops_nobody() -> None:
    shard = both()
    shard.feed(transaction(6, fields(), NOT_WHOLE))
    shard.feed(response(vgtid(gtid(7)), ddl("alter table orders add column z int")))
    assert not shard.reshaped
    assert positions(shard) == {"orders": gtid(5), "parts": gtid(7)}


def test_a_reshard_ends_all_tables() -> None:
    shard = both()
    shard.feed(
        response(
            *transaction(6).events, begin(), journal(gtid(7), ["-40", "40-80"]), vgtid(gtid(7)), commit()
        )
    )
    assert shard.ended
    assert positions(shard) == {"orders": gtid(6), "parts": gtid(6)}


# Any script, cut anywhere.


@settings(deadline=None)
@given(log=logs_of(*TABLES), random=st.randoms(use_true_random=True), start=st.integers(0, 4))
def test_any_stream_cut_anywhere_loses_no_change_of_any_table(log: Log, random: Random, start: int) -> None:
    server = Server(log, random)
    start = server.head = min(start, len(log))
    shape = shape_of(TABLE.columns)
    cursors = {name: replace(after(start), shape=shape) for name in TABLES}
    content = {name: server.content(start, name) for name in TABLES}
    for _ in range(200):
        shard = readers(
            *((TABLES[name], cursor) for name, cursor in cursors.items()), stop=len(log), track_changes=True
        )
        if shard.done:
            break
        responses = server.stream(cursors["orders"], list(TABLES))
        for part in responses[: random.randint(0, len(responses)) if random.random() < 0.7 else None]:
            for run in shard.feed(part):
                for key, value, _note in images([run]):
                    content[run.table].pop(int(key or b""), None)
                    if not run.deleted:
                        content[run.table][int(key or b"")] = (value or b"").decode()
        cursors = {name: table.cursor for name, table in shard.tables.items()}
        assert len({cursor.position for cursor in cursors.values()}) == 1
    assert content == {name: server.content(len(log), name) for name in TABLES}
