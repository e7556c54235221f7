"""Tables that share the reading of a shard's log: where each boards, and what takes one of them out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_planetscale.mysql.database import BinlogStatus
from unit_tests.support.events import (
    SHARD,
    begin,
    commit,
    ddl,
    gtid,
    heartbeat,
    last_key,
    response,
    row,
    statement_event,
    vgtid,
)
from unit_tests.support.fakes import (
    CONFIG,
    RESYNC,
    FakeDatabase,
    FakeVtgate,
    Item,
    Outcome,
    Reading,
    broken,
    cursors_of,
)
from unit_tests.support.keyspace import (
    Destination,
    ShardModel,
    inserts,
    of_copy,
    random_log,
    table,
)
from unit_tests.support.reading import after, saved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.errors import VStreamError
    from source_planetscale.vstream.wire import vstream_pb2 as wire

pytestmark = pytest.mark.usefixtures("_in_no_time")

CDC = replace(CONFIG, include_cdc_columns=True)
NAMES = ("ants", "bees", "cats")
TABLES = tuple(map(table, NAMES))
UNKNOWN = grpc.StatusCode.UNKNOWN


def ids(outcome: Outcome) -> dict[str, list[int]]:
    return {name: outcome.of(name).ids for name in NAMES}


def positions(outcome: Outcome) -> dict[str, str]:
    return {name: cursors_of(state)[SHARD].position for name, state in outcome.last_states.items()}


# Where tables board.


def test_tables_at_different_positions_share_what_they_both_need() -> None:
    model = ShardModel(SHARD, [[(name, number, "a") for name in NAMES] for number in range(1, 11)])
    vtgate = FakeVtgate(serve=model.stream)
    states = {"ants": saved(after(2)), "bees": saved(after(7)), "cats": saved(after(2))}
    outcome = Reading(vtgate, tables=TABLES, states=states).run()
    assert outcome.errors == {}
    assert ids(outcome) == {
        "ants": [*range(3, 11)],
        "bees": [*range(8, 11)],
        "cats": [*range(3, 11)],
    }
    assert [
        (cursor.position, tables) for cursor, tables in zip(vtgate.opened, vtgate.tables, strict=True)
    ] == [
        (gtid(2), ("ants", "cats")),
        (gtid(7), ("ants", "bees", "cats")),
    ]


def test_a_new_table_and_one_cut_in_its_copy_are_copied_beside_the_pass_of_the_others() -> None:
    model = ShardModel(SHARD, [[(name, number, "a") for name in NAMES] for number in range(1, 11)])
    vtgate = FakeVtgate(serve=model.stream)
    key = last_key(row(4, "a", None)).SerializeToString(deterministic=True)
    states = {"bees": saved(replace(after(8), last_pk=key)), "cats": saved(after(9))}
    outcome = Reading(vtgate, tables=TABLES, states=states).run()
    assert outcome.errors == {}
    assert ids(outcome) == {"ants": [*range(1, 11)], "bees": [9, 10, *range(5, 11)], "cats": [10]}
    assert sorted(vtgate.tables) == [("ants",), ("bees",), ("cats",)]
    assert positions(outcome) == dict.fromkeys(NAMES, gtid(10))


def test_a_table_that_stands_at_the_stop_position_takes_no_part() -> None:
    vtgate = FakeVtgate({SHARD: [[inserts(10, ants=[1])]]})
    states = {"ants": saved(after(5)), "bees": saved(after(10)), "cats": saved(after(12))}
    outcome = Reading(vtgate, tables=TABLES[:2], states=states).run()
    assert (outcome.errors, vtgate.tables) == ({}, [("ants",)])


def test_tables_at_positions_of_which_none_contains_the_other_are_read_apart() -> None:
    other = "MySQL56/7ca9ebda-e590-11f1-936a-02fc00000002:1-4"
    both = f"{gtid(10)},{other.removeprefix('MySQL56/')}"
    ending = response(begin(), vgtid(both), commit())
    vtgate = FakeVtgate({f"{SHARD} ants": [[ending]], f"{SHARD} bees": [[ending]]}, current=both)
    states = {"ants": saved(after(5)), "bees": saved(replace(after(5), position=other))}
    status = BinlogStatus(both.removeprefix("MySQL56/"), "", full_images=True)
    outcome = Reading(vtgate, tables=TABLES[:2], states=states, database=FakeDatabase(status, TABLES)).run()
    assert (outcome.errors, sorted(vtgate.tables)) == ({}, [("ants",), ("bees",)])


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=True))
def test_wherever_tables_stand_and_streams_break_nothing_is_lost(random: Random) -> None:
    model = ShardModel(SHARD, random_log(random, NAMES, keys=range(1, 6), length=12))
    destination = Destination()
    states = {}
    for name in NAMES:
        start = random.randint(0, 12)
        if start:
            states[name] = saved(after(start))
        for (owner, key), value in model.content(start).items():
            if owner == name and start:
                destination.rows[name, key] = (1, value)

    def serve(cursor: Cursor, tables: Sequence[str]) -> list[Item]:
        script: list[Item] = list(model.stream(cursor, tables))
        if random.random() < 0.5:
            script[random.randint(0, len(script)) :] = [broken()]
        return script

    config = replace(CDC, max_retries=50)
    reading = Reading(FakeVtgate(serve=serve, current=gtid(12)), tables=TABLES, states=states, config=config)
    for message in reading.messages():
        destination.take(message)
    assert reading.errors == {}
    content = model.content()
    assert {place: destination.content.get(place) for place in content} == content


# One table that cannot be read.


def errs(error: VStreamError) -> Callable[[Cursor, Sequence[str]], list[Item]]:
    """A shard whose streams do not pass a transaction as long as `bees` takes part."""
    model = ShardModel(SHARD, [[(name, number, "a") for name in NAMES] for number in range(1, 11)])

    def serve(cursor: Cursor, tables: Sequence[str]) -> list[Item]:
        responses: list[Item] = list(model.stream(cursor, tables))
        passed = 7 - int(cursor.position.rpartition("-")[2])
        return [*responses[:passed], error] if "bees" in tables else responses

    return serve


@pytest.mark.parametrize(
    "error",
    [
        broken("cannot determine table columns for bees: event has [1], schema has [2]", UNKNOWN),
        broken("table bees not found in the vschema", UNKNOWN),
        broken("stream needs a position or a table to copy", UNKNOWN),
        broken("table bees is not present in the database", UNKNOWN),
        broken("something is wrong with one of them", UNKNOWN),
    ],
    ids=[
        "named, for its shape",
        "named, as missing",
        "permanent, without a name",
        "unknown",
        "without a name",
    ],
)
def test_an_error_of_one_table_leaves_the_others_complete(error: VStreamError) -> None:
    outcome = Reading(FakeVtgate(serve=errs(error)), tables=TABLES, state=saved(after(5))).run()
    assert set(outcome.errors) == {"bees"}
    assert "table bees, shard -80" in str(outcome.errors["bees"]).lower()
    assert ids(outcome) == {"ants": [*range(6, 11)], "bees": [6, 7], "cats": [*range(6, 11)]}
    assert positions(outcome) == {"ants": gtid(10), "bees": gtid(7), "cats": gtid(10)}


def test_a_lost_connection_is_the_error_of_all_tables() -> None:
    vtgate = FakeVtgate({SHARD: lambda _cursor: [broken()]})
    outcome = Reading(vtgate, tables=TABLES, state=saved(after(5))).run()
    assert set(outcome.errors) == set(NAMES)
    assert len(vtgate.opened) == CONFIG.max_retries + 1
    for error in outcome.errors.values():
        assert isinstance(error, AirbyteTracedException)
        assert error.failure_type is FailureType.transient_error


@pytest.mark.parametrize(
    "found",
    [
        statement_event("insert into bees values (1)"),
        ddl("alter table bees exchange partition p with table other"),
    ],
    ids=["a change as a statement", "rows without events"],
)
def test_what_makes_one_table_unreadable_leaves_the_others_complete(found: wire.VEvent) -> None:
    at = response(begin(), found, vgtid(gtid(6)), commit())
    script = [at, inserts(7, ants=[1], bees=[1]), inserts(10, cats=[1])]
    outcome = Reading(FakeVtgate({SHARD: [script]}), tables=TABLES, state=saved(after(5))).run()
    assert set(outcome.errors) == {"bees"}
    assert ids(outcome) == {"ants": [1], "bees": [], "cats": [1]}
    assert positions(outcome) == {"ants": gtid(10), "bees": gtid(5), "cats": gtid(10)}


@pytest.mark.parametrize("before", [[], [response(heartbeat())]], ids=["at once", "after a heartbeat"])
def test_a_table_that_cannot_be_followed_is_copied_after_the_pass_where_that_is_configured(
    before: list[Item],
) -> None:
    model = ShardModel(SHARD, [[(name, number, "a") for name in NAMES] for number in range(1, 11)])
    error = broken("cannot determine table columns for bees: event has [1], schema has [2]", UNKNOWN)

    def serve(cursor: Cursor, tables: Sequence[str]) -> list[Item]:
        responses: list[Item] = list(model.stream(cursor, tables))
        return [*before, error] if "bees" in tables and not cursor.copying else responses

    outcome = Reading(FakeVtgate(serve=serve), tables=TABLES, state=saved(after(5)), config=RESYNC).run()
    assert outcome.errors == {}
    assert ids(outcome) == {"ants": [*range(6, 11)], "bees": [*range(1, 11)], "cats": [*range(6, 11)]}


def test_a_table_that_is_gone_from_the_keyspace_leaves_the_others_complete() -> None:
    vtgate = FakeVtgate({f"{SHARD} ants": [of_copy("ants", [])], SHARD: [[inserts(10, ants=[1])]]})
    database = FakeDatabase(found=TABLES[:1])
    outcome = Reading(vtgate, tables=TABLES[:2], state=saved(after(10)), database=database).run()
    assert set(outcome.errors) == {"bees"}
    assert "Table bees of keyspace shop was not found" in str(outcome.errors["bees"])


def test_a_damaged_state_of_one_stream_leaves_the_others_complete() -> None:
    states = {"ants": {"shards": {SHARD: {"cursor": "garbage"}}}, "bees": saved(after(5))}
    vtgate = FakeVtgate({SHARD: [[inserts(10, bees=[1])]]})
    outcome = Reading(vtgate, tables=TABLES[:2], states=states).run()
    assert set(outcome.errors) == {"ants"}
    assert outcome.of("bees").ids == [1]
