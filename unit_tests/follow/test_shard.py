"""Following several tables of a shard to its stop position, whatever happens on the way."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_planetscale.errors import ConfigError, TransientError
from source_planetscale.follow.member import Member
from source_planetscale.follow.shard import ShardFollower
from source_planetscale.shape import shape_of
from source_planetscale.table import Column
from unit_tests.support.events import (
    KEYLESS,
    NOON,
    TABLE,
    begin,
    change,
    commit,
    ddl,
    fields,
    gtid,
    inserted,
    journal,
    last_key,
    numbered,
    response,
    row,
    rows,
    small_copy,
    transaction,
    vgtid,
)
from unit_tests.support.fakes import FakeDatabase, FakeVtgate, Item, Script, broken
from unit_tests.support.following import core_of, followed, scripted
from unit_tests.support.model import TABLES, Log, Server, logs_of
from unit_tests.support.readers import images
from unit_tests.support.reading import ONE, START, THREE, TWO, after

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from source_planetscale.vstream.cursor import Cursor

PARTS = replace(TABLE, name="parts")
UNKNOWN = grpc.StatusCode.UNKNOWN

pytestmark = pytest.mark.usefixtures("no_waits")


def both(orders: Cursor, parts: Cursor) -> tuple[Member, Member]:
    return Member(TABLE, orders), Member(PARTS, parts)


# Legs.


def test_tables_at_different_positions_share_the_streams_from_where_they_board() -> None:
    vtgate = scripted(
        [transaction(7, fields(), inserted(ONE))],
        [transaction(10, fields(), inserted(TWO), fields(PARTS), inserted(THREE, table="parts"))],
    )
    result = followed(vtgate, *both(after(5), after(7)))
    assert (result.ids, result.errors) == ({"orders": [1, 2], "parts": [3]}, {})
    assert result.positions == {"orders": gtid(10), "parts": gtid(10)}
    assert vtgate.tables == [("orders",), ("orders", "parts")]


def test_a_table_at_the_stop_position_ends_without_a_stream() -> None:
    vtgate = scripted([transaction(10, fields(), inserted(ONE))])
    result = followed(vtgate, *both(after(5), after(10)))
    assert vtgate.tables == [("orders",)]
    assert result.positions == {"orders": gtid(10), "parts": gtid(10)}


def test_a_reshard_ends_all_tables_with_its_journal() -> None:
    end = response(begin(), journal(gtid(7), ["-40", "40-80"]), vgtid(gtid(7)), commit())
    result = followed(scripted([transaction(6), end]), *both(after(5), after(5)))
    assert all(step.journal is not None for step in result.ended.values())
    assert result.positions == {"orders": gtid(6), "parts": gtid(6)}


# One bad table.


NOT_WHOLE = rows(change(None, row(1, "one", None), present=(True, True, False)))


def test_a_table_that_cannot_be_read_leaves_the_others_alone() -> None:
    result = followed(
        scripted(
            [
                transaction(7, fields(), NOT_WHOLE, fields(PARTS), inserted(TWO, table="parts")),
                transaction(10),
            ]
        ),
        *both(after(5), after(5)),
    )
    assert isinstance(result.errors["orders"], ConfigError)
    assert result.ids == {"parts": [2]}
    assert result.positions == {"orders": gtid(5), "parts": gtid(10)}


def test_a_table_that_cannot_be_read_is_copied_again_where_that_is_configured() -> None:
    vtgate = scripted(
        [transaction(7, fields(), NOT_WHOLE, fields(PARTS), inserted(TWO, table="parts")), transaction(10)],
        small_copy(ONE, last=10),
    )
    result = followed(vtgate, *both(after(5), after(5)), resync=True)
    assert (result.errors, result.ids) == ({}, {"orders": [1], "parts": [2]})


def test_a_table_that_the_server_names_is_taken_out() -> None:
    words = "cannot determine table columns for parts: event has [..], schema has [..]"
    vtgate = scripted([transaction(6), broken(words, UNKNOWN)], [transaction(10, fields(), inserted(ONE))])
    result = followed(vtgate, *both(after(5), after(5)))
    assert set(result.errors) == {"parts"}
    assert result.ids == {"orders": [1]}
    assert vtgate.tables == [("orders", "parts"), ("orders",)]


def test_a_table_that_nobody_names_is_found_by_halves() -> None:
    def serve(cursor: Cursor, tables: Sequence[str]) -> list[Item]:
        del cursor
        return [broken("it broke", UNKNOWN)] if "parts" in tables else [transaction(10)]

    members = [Member(replace(TABLE, name=name), after(5)) for name in ("a", "b", "parts", "c", "d")]
    result = followed(FakeVtgate({}, serve=serve), *members)
    assert set(result.errors) == {"parts"}
    assert isinstance(result.errors["parts"], TransientError)
    assert {name for name, last in result.positions.items() if last == gtid(10)} == {"a", "b", "c", "d"}


def test_a_broken_connection_is_tried_again_for_all() -> None:
    vtgate = scripted([transaction(6), broken()], [transaction(10)])
    result = followed(vtgate, *both(after(5), after(5)))
    assert result.errors == {}
    assert [cursor.position for cursor in vtgate.opened] == [gtid(5), gtid(6)]


# Changed columns.


def test_rows_behind_a_statement_have_the_shape_that_it_tells() -> None:
    gone = replace(TABLE, columns=TABLE.columns[:2])
    vtgate = scripted(
        [
            transaction(6, fields(), inserted(ONE)),
            response(vgtid(gtid(7)), ddl("alter table orders drop column note")),
        ],
        [
            transaction(
                10, fields(gone), inserted(row(2, "two")), fields(PARTS), inserted(THREE, table="parts")
            )
        ],
    )
    result = followed(vtgate, *both(after(5), after(5)), database=FakeDatabase(found=[gone, PARTS]))
    assert (result.ids, result.errors) == ({"orders": [1, 2], "parts": [3]}, {})
    assert result.ended["orders"].cursor.shape == shape_of(gone.columns)
    assert result.ended["parts"].cursor.shape == shape_of(PARTS.columns)


def test_the_shape_behind_a_statement_that_does_not_tell_it_is_that_of_today() -> None:
    wider = replace(TABLE, columns=(*TABLE.columns, Column("z", "int")))
    cut_over = "rename table orders to _orders_del, _orders_gho to orders"
    vtgate = scripted(
        [response(vgtid(gtid(7)), ddl(cut_over))],
        # Nothing that changes the table stands between the statement and the present.
        [transaction(10, fields(wider), inserted(row(2, "two", None, 5)))],
        [transaction(10, fields(wider), inserted(row(2, "two", None, 5)))],
    )
    result = followed(vtgate, Member(TABLE, after(5)), database=FakeDatabase(found=[wider]))
    assert (result.ids, result.errors) == ({"orders": [2]}, {})
    assert result.ended["orders"].cursor.shape == shape_of(wider.columns)


def test_rows_between_two_statements_that_do_not_tell_the_shape_are_not_guessed() -> None:
    cut_over = ddl("rename table orders to _orders_del, _orders_gho to orders")
    rest: list[Item] = [
        transaction(8, fields(), inserted(TWO)),
        response(vgtid(gtid(9)), cut_over),
        transaction(10),
    ]
    vtgate = scripted([response(vgtid(gtid(7)), cut_over)], rest, rest)
    result = followed(vtgate, Member(TABLE, after(5)))
    assert isinstance(result.errors["orders"], ConfigError)
    assert result.ids == {}
    assert result.positions == {"orders": gtid(7)}


def test_rows_of_a_shape_that_nobody_can_tell_are_copied_again_where_that_is_configured() -> None:
    cut_over = ddl("rename table orders to _orders_del, _orders_gho to orders")
    rest: list[Item] = [
        transaction(8, fields(), inserted(TWO)),
        response(vgtid(gtid(9)), cut_over),
        transaction(10),
    ]
    vtgate = scripted([response(vgtid(gtid(7)), cut_over)], rest, rest, small_copy(ONE, TWO))
    result = followed(vtgate, Member(TABLE, after(5)), resync=True)
    assert (result.errors, result.ids) == ({}, {"orders": [1, 2]})


STRANGER = replace(TABLE, columns=(*TABLE.columns, Column("z", "int")))
UNFIT: list[Item] = [transaction(7, fields(STRANGER), inserted(row(1, "a", "b", 2)))]


def test_a_description_that_fits_neither_then_nor_now_is_tried_again_and_moves_nothing() -> None:
    result = followed(scripted([transaction(6), *UNFIT], UNFIT, UNFIT, UNFIT), Member(TABLE, after(5)))
    assert isinstance(result.errors["orders"], ConfigError)
    assert "columns that are neither those that the table had" in str(result.errors["orders"])
    assert (result.ids, result.positions) == ({}, {"orders": gtid(6)})


def test_a_table_of_such_a_description_is_copied_again_by_itself_where_that_is_configured() -> None:
    def serve(cursor: Cursor, tables: Sequence[str]) -> Script:
        if cursor.copying:
            return small_copy(ONE, TWO)
        return [
            *(UNFIT if "orders" in tables else []),
            transaction(10, fields(PARTS), inserted(THREE, table="parts")),
        ]

    vtgate = FakeVtgate({}, serve=serve)
    result = followed(vtgate, *both(after(5), after(5)), resync=True)
    assert (result.errors, result.ids) == ({}, {"orders": [1, 2], "parts": [3]})


def test_a_description_of_what_the_table_has_become_meanwhile_is_read_after_a_retry() -> None:
    log: list[Item] = [*UNFIT, transaction(10)]
    result = followed(scripted(log, log), Member(TABLE, after(5)), database=FakeDatabase(found=[STRANGER]))
    assert (result.errors, result.ids) == ({}, {"orders": [1]})


def test_a_column_that_a_later_statement_renames_goes_to_its_new_name() -> None:
    title = replace(TABLE.columns[1], name="title")
    today = replace(TABLE, columns=(TABLE.columns[0], title, TABLE.columns[2]))
    log: list[Item] = [
        transaction(6, fields(today), inserted(ONE)),
        response(vgtid(gtid(7)), ddl("alter table orders rename column label to title")),
        transaction(10),
    ]
    vtgate = scripted(log, log, [transaction(10)])
    result = followed(vtgate, Member(today, after(5)))
    assert (result.ids, result.errors) == ({"orders": [1]}, {})
    assert result.targets["orders"] == ["id", "title", "note"]


RENAMED = replace(
    TABLE, columns=(TABLE.columns[0], replace(TABLE.columns[1], name="title"), TABLE.columns[2])
)
RENAMING: list[Item] = [
    transaction(6, fields(RENAMED), inserted(ONE)),
    response(vgtid(gtid(7)), ddl("alter table orders rename column label to title")),
    transaction(10),
]


@pytest.mark.parametrize(
    "words", ["failed to build ENUM and SET column integer to string mappings", "it broke"]
)
def test_a_renamed_column_is_found_beside_a_table_whose_statements_cannot_be_read(words: str) -> None:
    def serve(cursor: Cursor, tables: Sequence[str]) -> list[Item]:
        if "parts" in tables:
            return [broken(words, UNKNOWN)]
        return RENAMING if cursor.position == gtid(5) else [transaction(10)]

    parts = replace(RENAMED, name="parts")
    result = followed(FakeVtgate({}, serve=serve), Member(RENAMED, after(5)), Member(parts, after(5)))
    assert set(result.errors) == {"parts"}
    assert result.ids == {"orders": [1]}
    assert result.targets["orders"] == ["id", "title", "note"]


def test_a_look_ahead_that_never_gets_through_is_an_error_and_leaves_no_column_out() -> None:
    broken_off: list[Item] = [broken()]
    rest: list[Item] = [transaction(10)]
    vtgate = scripted(broken_off, broken_off, broken_off, RENAMING, rest)
    result = followed(vtgate, Member(RENAMED, after(5)))
    assert isinstance(result.errors["orders"], TransientError)
    assert "orders" in str(result.errors["orders"])
    assert result.ids == {}


def test_a_state_without_a_shape_gets_that_of_today_where_nothing_changed_since() -> None:
    log: list[Item] = [transaction(6, fields(), inserted(ONE)), transaction(10)]
    result = followed(scripted(log, log), Member(TABLE, replace(after(5), shape=None)))
    assert (result.ids, result.errors) == ({"orders": [1]}, {})


def test_an_unfinished_copy_without_a_shape_gets_that_of_today_as_well() -> None:
    """The state of the Go connector holds none."""
    kept = last_key(ONE)
    resumed: list[Item] = [
        response(begin(), fields(at=NOON), inserted(TWO), vgtid(gtid(6), kept), commit()),
        response(begin(), fields()),
        response(vgtid(gtid(10), kept)),
        *small_copy(THREE)[2:],
    ]
    vtgate = scripted([transaction(6), transaction(10)], resumed)
    result = followed(vtgate, Member(TABLE, replace(after(5, ONE), shape=None)))
    assert (result.ids, result.errors) == ({"orders": [2, 3]}, {})
    assert vtgate.opened[0].last_pk is None


# Copies.


PARTED = pytest.mark.parametrize(
    "part",
    [
        response(vgtid(gtid(11)), ddl("alter table orders add column z int")),
        numbered(1, 11, begin(), vgtid(gtid(11)), commit()),
        response(begin(), fields(KEYLESS)),
        broken(),
    ],
    ids=["statement", "next binlog file", "described again", "broken off"],
)


@PARTED
def test_a_copy_without_an_order_that_is_parted_starts_again(part: Any) -> None:
    first = numbered(5, 10, begin(), vgtid(gtid(10)), commit())
    vtgate = scripted([*small_copy(ONE, table=KEYLESS)[:3], first, part], small_copy(ONE, TWO, table=KEYLESS))
    result = followed(vtgate, Member(KEYLESS, START))
    assert (result.ids, result.errors) == ({"orders": [1, 1, 2]}, {})


@PARTED
def test_a_parted_copy_without_an_order_ends_where_its_rows_must_not_come_twice(part: Any) -> None:
    first = numbered(5, 10, begin(), vgtid(gtid(10)), commit())
    vtgate = scripted([*small_copy(ONE, table=KEYLESS)[:3], first, part], small_copy(ONE, TWO, table=KEYLESS))
    result = followed(vtgate, Member(KEYLESS, START, copy_starts_again=False))
    assert isinstance(result.errors["orders"], TransientError)
    assert result.ids == {"orders": [1]}


def test_a_copy_without_an_order_that_never_gets_through_is_given_up() -> None:
    parted = [*small_copy(ONE, table=KEYLESS)[:3], response(begin(), fields(KEYLESS))]
    result = followed(scripted(*[parted] * 3), Member(KEYLESS, START))
    assert isinstance(result.errors["orders"], TransientError)
    assert "vreplication-copy-phase-duration" in str(result.errors["orders"])


# Any log, cut anywhere.


STANDS = st.one_of(st.none(), st.tuples(st.integers(1, 8), st.none() | st.integers(1, 6)))


@settings(deadline=None)
@given(
    log=logs_of(*TABLES),
    stands=st.fixed_dictionaries(dict.fromkeys(TABLES, STANDS)),
    random=st.randoms(use_true_random=True),
)
def test_tables_at_any_positions_come_to_the_stop_position_whole(
    log: Log, stands: dict[str, tuple[int, int | None] | None], random: Random
) -> None:
    server = Server(log, random)
    server.head = len(log)
    members: list[Member] = []
    content: dict[str, dict[int, str]] = {}
    for name, stand in stands.items():
        cursor, content[name] = START, {}
        if stand is not None:
            position, copied_to = min(stand[0], len(log)), stand[1]
            key = None if copied_to is None else row(copied_to, None, None)
            cursor = after(position, key)
            held = server.content(position, name)
            content[name] = {k: v for k, v in held.items() if copied_to is None or k <= copied_to}
        members.append(Member(TABLES[name], cursor))
    steps_left = 30

    def serve(cursor: Cursor, tables: Sequence[str]) -> list[Item]:
        nonlocal steps_left
        steps_left -= 1
        parts: list[Item] = list(server.stream(cursor, tables))
        if steps_left > 0 and random.random() < 0.5:
            parts = parts[: random.randint(0, len(parts))]
        return [*parts, broken()]

    vtgate = FakeVtgate({}, current=gtid(len(log)), serve=serve)
    database = FakeDatabase(found=list(TABLES.values()))
    core = core_of(vtgate, database, track_changes=True)
    core = replace(core, patience=replace(core.patience, max_retries=100))
    for step in ShardFollower(core, members, threading.Event()).steps():
        assert step.error is None
        for run in step.runs:
            for number, value, _note in images([run]):
                content[run.table].pop(int(number or b""), None)
                if not run.deleted:
                    content[run.table][int(number or b"")] = (value or b"").decode()
        if step.cursor == START:
            content[step.table].clear()
        if step.ended:
            stop = len(log)
            held = server.content(stop, step.table)
            assert {key: content[step.table].get(key) for key in held} == held
            assert not step.cursor.copying
            if stands[step.table] is not None:
                # Nothing tells a copy from the start what was deleted since an earlier try of it.
                assert content[step.table] == held
