"""Syncs while a keyspace is split and merged, and after that."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_planetscale.state import StreamState
from unit_tests.support.events import KEYSPACE, gtid
from unit_tests.support.fakes import CONFIG, FakeVtgate, Item, Reading, broken
from unit_tests.support.keyspace import Destination, random_log
from unit_tests.support.resharded import (
    KEYS,
    NAMES,
    NEW,
    NEW_KEYS,
    OLD,
    START,
    TABLES,
    resharded,
    serve,
    shards_of,
    small,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from source_planetscale.vstream.cursor import Cursor

pytestmark = pytest.mark.usefixtures("_in_no_time")

CDC = replace(CONFIG, include_cdc_columns=True)


def take_all(reading: Reading) -> Destination:
    destination = Destination()
    for message in reading.messages():
        destination.take(message)
    return destination


# While it is read.


def test_a_reshard_in_the_middle_is_followed_to_the_new_shards() -> None:
    model = small()
    reading = Reading(serve(model), tables=TABLES, config=CDC, shards=OLD, state=START)
    destination = take_all(reading)
    assert reading.errors == {}
    assert dict.fromkeys(NEW, 51) == {
        shard: int(position.rpartition("-")[2])
        for shard, position in shards_of(destination.states["ants"]).items()
    }
    for name in NAMES:
        assert set(shards_of(destination.states[name])) == set(NEW)
    assert {place: value for place, value in model.content().items() if value == "new"} == {
        place: value for place, value in destination.content.items() if value == "new"
    }


def test_the_streams_of_a_resharded_keyspace_share_a_pass_of_each_new_shard_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("source_planetscale.sync.tasks._SECONDS_TO_GATHER", 1.0)
    vtgate = serve(small())
    reading = Reading(vtgate, tables=TABLES, shards=OLD, state=START)
    assert reading.run().errors == {}
    opened = [(c.shard, sorted(tables)) for c, tables in zip(vtgate.opened, vtgate.tables, strict=True)]
    assert sorted(opened) == sorted((shard, [*NAMES]) for shard in (*OLD, *NEW))


@pytest.mark.parametrize("early", OLD)
def test_a_shard_that_told_its_position_before_a_reshard_of_the_others_is_read_on_to_its_end(
    monkeypatch: pytest.MonkeyPatch, early: str
) -> None:
    """A reshard reaches the logs of its shards one after the other, also while a sync asks where they are."""
    model = small()
    vtgate = serve(model)
    positions = {early: gtid(2)}

    def current_position(_vtgate: FakeVtgate, _table: str, shard: str, _timeout: float) -> str:
        return positions.pop(shard, model.current[shard])

    monkeypatch.setattr(FakeVtgate, "current_position", current_position)
    reading = Reading(vtgate, tables=TABLES, config=CDC, shards=OLD, state=START)
    destination = take_all(reading)
    assert reading.errors == {}
    for name in NAMES:
        assert shards_of(destination.states[name]) == {shard: model.current[shard] for shard in NEW}
    assert {place: value for place, value in model.content().items() if value == "new"} == {
        place: value for place, value in destination.content.items() if value == "new"
    }


@pytest.mark.usefixtures("_state_after_every_delivery")
def test_the_old_shards_leave_the_state_in_the_write_in_which_the_new_ones_come() -> None:
    outcome = Reading(serve(small()), table=TABLES[0], shards=OLD, state=START).run()
    seen = [set(shards_of(state)) for state in outcome.states]
    assert all(shards in (set(OLD), set(NEW)) for shards in seen)
    assert seen == sorted(seen, key=lambda shards: shards == set(NEW))


def test_new_shards_wait_until_all_old_ones_have_been_read_to_their_end() -> None:
    model = small()

    def half(cursor: Cursor, tables: Sequence[str]) -> Sequence[Item]:
        return [broken()] if cursor.shard == "80-" else model.serve(cursor, tables)

    vtgate = FakeVtgate(serve=half, current=model.current)
    first = Reading(vtgate, table=TABLES[0], config=CDC, shards=OLD, state=START).run()
    assert "shard 80-" in str(first.error)
    assert {cursor.shard for cursor in vtgate.opened} == set(OLD)
    state = StreamState.parse(first.states[-1], keyspace=KEYSPACE, stream="ants")
    assert set(state.reshards) == {"-80"}
    going_on = serve(model)
    second = Reading(going_on, table=TABLES[0], config=CDC, shards=NEW, state=first.states[-1]).run()
    assert second.error is None
    assert set(shards_of(second.states[-1])) == set(NEW)


@pytest.fixture
def _state_after_every_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.follow.checkpoint.ROWS_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr("source_planetscale.sync.delivery._JOINED_BYTES", 1)


@pytest.mark.usefixtures("_state_after_every_delivery")
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=True), copied=st.booleans())
def test_a_reshard_that_is_cut_anywhere_loses_no_change(random: Random, copied: bool) -> None:
    old = {
        shard: random_log(random, NAMES, keys=keys, length=random.randint(2, 6))
        for shard, keys in KEYS.items()
    }
    new = {
        shard: random_log(random, NAMES, keys=keys, length=random.randint(0, 4))
        for shard, keys in NEW_KEYS.items()
    }
    model = resharded(old, new)
    destination = Destination()
    if copied:
        for shard in OLD:
            for place, value in model.shards[shard].content(1).items():
                destination.rows[place] = (1, value)
    states: dict[str, dict[str, Any]] = dict.fromkeys(NAMES, START) if copied else {}

    def cut(cursor: Cursor, tables: Sequence[str]) -> Sequence[Item]:
        script: list[Item] = list(model.serve(cursor, tables))
        if random.random() < 0.3:
            script[random.randint(0, len(script)) :] = [broken()]
        return script

    for attempt in range(6):
        vtgate = FakeVtgate(serve=cut, current=model.current)
        reading = Reading(
            vtgate,
            tables=TABLES,
            config=replace(CDC, max_retries=50),
            shards=NEW if attempt else OLD,
            states=states,
        )
        taken = random.randint(0, 25) if attempt < 5 else None
        with closing(reading.messages()) as messages:
            for message in islice(messages, taken):
                destination.take(message)
        destination.uncovered.clear()
        states = dict(destination.states)
        assert reading.errors == {}
    content = model.content()
    assert {place: destination.content.get(place) for place in content} == content
    for name in NAMES:
        assert shards_of(states[name]) == {shard: model.current[shard] for shard in NEW}


# Before it is read.


def test_a_reshard_since_the_last_sync_is_followed_from_the_old_shards() -> None:
    model = small()
    vtgate = serve(model)
    outcome = Reading(vtgate, table=TABLES[0], shards=NEW, state=START).run()
    assert outcome.error is None
    assert {cursor.shard for cursor in vtgate.opened[:2]} == set(OLD)
    assert set(shards_of(outcome.states[-1])) == set(NEW)
