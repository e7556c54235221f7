"""Syncs while a keyspace is split and merged, and after that."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_planetscale.config import InvalidPositionPolicy
from source_planetscale.state import Reshard, StreamState
from unit_tests.support.events import (
    KEYSPACE,
    begin,
    commit,
    fields,
    gtid,
    inserted,
    journal,
    response,
    small_copy,
    vgtid,
)
from unit_tests.support.fakes import (
    CONFIG,
    DEADLINE,
    SILENCE,
    FakeVtgate,
    Item,
    Outcome,
    Reading,
    broken,
    cursors_of,
)
from unit_tests.support.keyspace import (
    Destination,
    KeyspaceModel,
    ShardModel,
    Transaction,
    random_log,
    reshard,
    table,
)
from unit_tests.support.reading import ONE, THREE, TWO, after, saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from random import Random

    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.wire import vstream_pb2 as wire

pytestmark = pytest.mark.usefixtures("_in_no_time")

CDC = replace(CONFIG, include_cdc_columns=True)
RESYNC = replace(CONFIG, invalid_position_policy=InvalidPositionPolicy.RESYNC)
NAMES = ("ants", "bees")
TABLES = tuple(map(table, NAMES))
OLD = ("-80", "80-")
NEW = ("-40", "40-c0", "c0-")
KEYS = {"-80": range(1, 6), "80-": range(11, 16)}
NEW_KEYS: Mapping[str, Sequence[int]] = {"-40": [1, 2, 3], "40-c0": [4, 5, 11, 12], "c0-": [13, 14, 15]}
BEGINS = 50


def resharded(old: Mapping[str, list[Transaction]], new: Mapping[str, list[Transaction]]) -> KeyspaceModel:
    """A keyspace whose old shards, with these logs, were replaced together."""
    journal = reshard(7, tuple(old), tuple(new), BEGINS)
    shards = {name: ShardModel(name, log, journal=journal) for name, log in old.items()}
    content = {place: value for shard in shards.values() for place, value in shard.content().items()}
    for name, log in new.items():
        own = {place: value for place, value in content.items() if place[1] in NEW_KEYS.get(name, [place[1]])}
        shards[name] = ShardModel(name, log, BEGINS, own)
    return KeyspaceModel(shards)


def small(new: Sequence[str] = NEW) -> KeyspaceModel:
    """A keyspace with a few transactions on both sides of a reshard."""
    old: dict[str, list[Transaction]] = {
        shard: [[(name, keys[0] + number, "old") for name in NAMES] for number in range(3)]
        for shard, keys in KEYS.items()
    }
    later: dict[str, list[Transaction]] = {
        shard: [[(name, (NEW_KEYS.get(shard) or [1])[0], "new") for name in NAMES]] for shard in new
    }
    return resharded(old, later)


def serve(model: KeyspaceModel) -> FakeVtgate:
    return FakeVtgate(serve=model.serve, current=model.current)


def shards_of(state: Mapping[str, Any]) -> dict[str, str]:
    return {shard: cursor.position for shard, cursor in cursors_of(state).items()}


def take_all(reading: Reading) -> Destination:
    destination = Destination()
    for message in reading.messages():
        destination.take(message)
    return destination


START = saved(after(1), after(1, shard="80-"))


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
    monkeypatch.setattr("source_planetscale.sync.checkpoint.ROWS_BETWEEN_CHECKPOINTS", 0)
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


def gone(model: KeyspaceModel) -> FakeVtgate:
    """A server on which the old shards are not there any more."""
    error = broken("shard provided in VGTID, -80, not found in the shop keyspace", grpc.StatusCode.UNKNOWN)

    def play(cursor: Cursor, tables: Sequence[str]) -> Sequence[Item]:
        return [error] if cursor.shard in OLD else model.serve(cursor, tables)

    return FakeVtgate(serve=play, current=model.current)


def failed(outcome: Outcome) -> AirbyteTracedException:
    assert isinstance(outcome.error, AirbyteTracedException)
    return outcome.error


def test_old_shards_that_were_removed_before_their_end_was_read_are_an_error() -> None:
    outcome = Reading(gone(small()), table=TABLES[0], shards=NEW, state=START).run()
    assert failed(outcome).failure_type is FailureType.config_error
    assert "it was resharded to -40, 40-c0, c0-" in str(outcome.error)
    assert shards_of(outcome.states[-1]) == shards_of(START)


def test_old_shards_that_were_removed_are_copied_anew_where_that_is_configured() -> None:
    model = small()
    outcome = Reading(gone(model), table=TABLES[0], shards=NEW, state=START, config=RESYNC).run()
    assert outcome.error is None
    assert set(outcome.ids) == {key for name, key in model.content() if name == "ants"}
    assert shards_of(outcome.states[-1]) == {shard: model.current[shard] for shard in NEW}


def test_an_old_shard_that_has_ended_is_copied_anew_with_one_that_was_lost_before_its_end() -> None:
    model = small()
    removed = gone(model)

    def half(cursor: Cursor, tables: Sequence[str]) -> Sequence[Item]:
        return [broken()] if cursor.shard == "80-" else model.serve(cursor, tables)

    vtgate = FakeVtgate(serve=half, current=model.current)
    first = Reading(vtgate, table=TABLES[0], config=RESYNC, shards=OLD, state=START).run()
    second = Reading(removed, table=TABLES[0], config=RESYNC, shards=NEW, state=first.states[-1]).run()
    assert second.error is None
    assert set(second.ids) == {key for name, key in model.content() if name == "ants"}
    assert shards_of(second.states[-1]) == {shard: model.current[shard] for shard in NEW}


@pytest.mark.parametrize("config", [CONFIG, RESYNC], ids=["fail", "resync"])
def test_a_shard_that_is_removed_while_it_is_read_is_left_to_the_next_sync(config: Any) -> None:
    outcome = Reading(gone(small()), table=TABLES[0], shards=OLD, state=START, config=config).run()
    assert failed(outcome).failure_type is FailureType.transient_error
    assert "Sync again" in str(outcome.error)
    assert shards_of(outcome.states[-1]) == shards_of(START)


def test_an_old_shard_whose_end_is_not_known_yet_is_no_success() -> None:
    vtgate = FakeVtgate(current=gtid(1))
    outcome = Reading(vtgate, table=TABLES[0], shards=NEW, state=START).run()
    assert failed(outcome).failure_type is FailureType.transient_error
    assert "no longer serves" in str(outcome.error)
    assert shards_of(outcome.states[-1]) == shards_of(START)


def test_shards_that_were_never_copied_to_their_end_are_copied_from_the_new_ones() -> None:
    model = small()
    vtgate = serve(model)
    outcome = Reading(vtgate, table=TABLES[0], shards=NEW, state=saved(after(1))).run()
    assert outcome.error is None
    assert {cursor.shard for cursor in vtgate.opened} == set(NEW)
    assert set(outcome.ids) == {key for name, key in model.content() if name == "ants"}


def test_a_shard_whose_end_is_saved_is_not_read_again() -> None:
    """It may be gone by now, and what it had to tell is known."""
    merge = Reshard(7, ("-40", "40-80"), {"-80": gtid(107)})
    end = [journal(gtid(7), ["-80"], participants=["-40", "40-80"]), vgtid(gtid(7), shard="40-80"), commit()]
    end[0].journal.shard_gtids[0].gtid = gtid(107)
    vtgate = FakeVtgate(
        {
            "40-80": [[response(begin(), *end)]],
            "-80": [
                [response(begin(), fields(), inserted(ONE), vgtid(gtid(200)), commit())],
            ],
        },
        current={"40-80": gtid(9), "-80": gtid(200)},
    )
    before = saved(after(5, shard="-40"), after(5, shard="40-80"), reshards={"-40": merge})
    outcome = Reading(vtgate, shards=("-80",), state=before).run()
    assert (outcome.error, outcome.ids) == (None, [1])
    assert outcome.positions == {"-80": gtid(200)}


def test_what_a_shard_still_tells_that_was_given_up_with_a_lost_one_is_left_out() -> None:
    lost = broken(
        "shard provided in VGTID, -40, not found in the shop keyspace", grpc.StatusCode.FAILED_PRECONDITION
    )
    told = Event()

    def wait() -> None:
        assert told.wait(DEADLINE)

    position = vgtid(gtid(9), shard="40-80")
    late = response(begin(), fields(), inserted(ONE), position, commit())
    vtgate = FakeVtgate(
        {"-40": [[lost]], "40-80": [[wait, late]], "-80": [of_shard("-80", small_copy(TWO, THREE, last=9))]},
        current=gtid(9),
    )
    reading = Reading(
        vtgate,
        shards=("-80",),
        state=saved(after(5, shard="-40"), after(5, shard="40-80")),
        config=RESYNC,
    )
    outcome = reading.run(on_record=told.set)
    assert (outcome.error, outcome.ids, outcome.positions) == (None, [2, 3], {"-80": gtid(9)})


def test_an_end_that_a_sync_did_not_bring_is_no_success() -> None:
    """The shard that was to tell it has been copied since, so nobody reads the rows of the one that waits."""
    merge = Reshard(7, OLD, {"-": gtid(107)})
    before = saved(after(1), after(1, shard="80-"), reshards={"-80": merge})
    vtgate = FakeVtgate(current=gtid(1))
    outcome = Reading(vtgate, table=TABLES[0], shards=OLD, state=before).run()
    assert failed(outcome).failure_type is FailureType.transient_error
    assert "Shard -80 of keyspace shop, from which table ants was read" in str(outcome.error)
    assert "resharded together with 80-" in str(outcome.error)
    assert "clear this stream's data" in str(outcome.error)
    assert (vtgate.opened, outcome.states[-1]) == ([], before)


def test_who_waits_for_an_end_that_a_whole_sync_did_not_bring_is_copied_where_that_is_configured() -> None:
    merge = Reshard(7, OLD, {"-": gtid(107)})
    before = saved(after(1), after(1, shard="80-"), reshards={"-80": merge})
    vtgate = FakeVtgate({"-80": [of_shard("-80", small_copy(ONE, last=1))]}, current=gtid(1))
    first = Reading(vtgate, config=RESYNC, shards=OLD, state=before).run()
    assert "The next sync copies it again." in str(first.error)
    second = Reading(vtgate, config=RESYNC, shards=OLD, state=first.states[-1]).run()
    assert (second.error, second.ids) == (None, [1])
    assert second.positions == dict.fromkeys(OLD, gtid(1))


def test_an_end_that_waits_for_a_partner_that_was_copied_in_the_same_sync_is_no_success() -> None:
    """Its own shard may serve again, and have had changes since."""
    end = journal(gtid(7), ["-"], participants=[*OLD])
    ended = response(begin(), end, vgtid(gtid(7), shard="-80"), commit())
    unreadable = broken("cannot determine table columns for orders: event has [..]", grpc.StatusCode.UNKNOWN)
    anew = of_shard("80-", small_copy(ONE, last=9))
    copied = Event()

    def wait() -> None:
        assert copied.wait(DEADLINE)

    vtgate = FakeVtgate({"-80": [[wait, ended]], "80-": [[unreadable], anew]}, current=gtid(9))
    before = saved(after(5, shard="-80"), after(5, shard="80-"))
    outcome = Reading(vtgate, config=RESYNC, shards=OLD, state=before).run(on_record=copied.set)
    assert failed(outcome).failure_type is FailureType.transient_error
    assert "Shard -80" in str(outcome.error)


def test_a_copy_that_meets_a_reshard_of_a_shard_that_serves_again_begins_anew() -> None:
    split = journal(gtid(7), ["-40", "40-80"], participants=["-80"])
    ended = response(begin(), split, vgtid(gtid(7), shard="-80"), commit())
    vtgate = FakeVtgate({"-80": [[ended], of_shard("-80", small_copy(ONE, TWO, last=9))]}, current=gtid(9))
    before = saved(after(5, ONE, shard="-80"))
    first = Reading(vtgate, shards=("-80",), state=before).run()
    assert failed(first).failure_type is FailureType.transient_error
    assert "resharded while table orders was being copied" in str(first.error)
    second = Reading(vtgate, shards=("-80",), state=first.states[-1]).run()
    assert (second.error, second.ids, second.positions) == (None, [1, 2], {"-80": gtid(9)})


def test_a_silent_shard_that_no_longer_serves_is_told_as_that() -> None:
    vtgate = FakeVtgate(serve=lambda _cursor, _tables: [broken()], current=gtid(9))
    outcome = Reading(vtgate, table=TABLES[0], shards=NEW, state=START).run()
    assert "no longer serves: if its binary logs were purged" in str(outcome.error)


def test_the_shards_in_the_place_of_a_silent_one_are_copied_where_that_is_configured() -> None:
    """Nothing comes for a position that was purged, where the server does not let itself be asked."""
    model = small()

    def silent(cursor: Cursor, tables: Sequence[str]) -> Sequence[Item]:
        return [SILENCE] if cursor.shard in OLD else model.serve(cursor, tables)

    vtgate = FakeVtgate(serve=silent, current=model.current)
    config = replace(RESYNC, timeout_seconds=0.2, max_retries=0)
    outcome = Reading(vtgate, table=TABLES[0], config=config, shards=NEW, state=START).run()
    assert outcome.error is None
    assert set(outcome.ids) == {key for name, key in model.content() if name == "ants"}
    assert shards_of(outcome.states[-1]) == {shard: model.current[shard] for shard in NEW}


def test_an_end_that_names_a_shard_that_is_not_read_is_no_success(caplog: pytest.LogCaptureFixture) -> None:
    model = small()
    first = Reading(serve(model), table=TABLES[0], shards=("-80",), state=saved(after(1))).run()
    assert failed(first).failure_type is FailureType.transient_error
    assert "resharded together with 80-, and not all of these are read" in str(first.error)
    second = Reading(serve(model), table=TABLES[0], shards=NEW, state=first.states[-1]).run()
    assert second.error is None
    assert set(second.ids) == {key for name, key in model.content() if name == "ants"}
    assert "is copied from shard -40, 40-c0, c0-: the saved state does not lead there" in caplog.text


def test_an_old_shard_whose_log_cannot_be_read_is_not_copied_anew_but_the_new_ones() -> None:
    model = small()

    def unreadable(cursor: Cursor, tables: Sequence[str]) -> Sequence[Item]:
        if cursor.shard in OLD and not cursor.copying:
            words = "cannot determine table columns for ants: event has [..]"
            return [broken(words, grpc.StatusCode.UNKNOWN)]
        return model.serve(cursor, tables)

    vtgate = FakeVtgate(serve=unreadable, current=model.current)
    outcome = Reading(vtgate, table=TABLES[0], config=RESYNC, shards=NEW, state=START).run()
    assert outcome.error is None
    assert sorted(outcome.ids) == sorted({key for name, key in model.content() if name == "ants"})
    assert shards_of(outcome.states[-1]) == {shard: model.current[shard] for shard in NEW}


def of_shard(shard: str, script: Iterable[wire.VStreamResponse]) -> list[Item]:
    """A script of the usual shard as one of another."""
    moved: list[Item] = []
    for part in script:
        for event in part.events:
            for entry in event.vgtid.shard_gtids:
                entry.shard = shard
        moved.append(part)
    return moved
