"""Shards whose end is lost, waited for or not told: nothing that it leads to is taken for read."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from airbyte_cdk.models import FailureType

from source_planetscale.state import Reshard
from unit_tests.support.events import (
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
    RESYNC,
    SILENCE,
    FakeVtgate,
    Item,
    Reading,
    broken,
    failed,
)
from unit_tests.support.reading import ONE, THREE, TWO, after, saved
from unit_tests.support.resharded import NEW, OLD, START, TABLES, serve, shards_of, small

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.wire import vstream_pb2 as wire
    from unit_tests.support.keyspace import KeyspaceModel

pytestmark = pytest.mark.usefixtures("_in_no_time")


def old_shards_bring(model: KeyspaceModel, item: Item) -> FakeVtgate:
    """A server on which the old shards bring only this."""

    def play(cursor: Cursor, tables: Sequence[str]) -> Sequence[Item]:
        return [item] if cursor.shard in OLD else model.serve(cursor, tables)

    return FakeVtgate(serve=play, current=model.current)


def gone(model: KeyspaceModel) -> FakeVtgate:
    """A server on which the old shards are not there any more."""
    words = "shard provided in VGTID, -80, not found in the shop keyspace"
    return old_shards_bring(model, broken(words, grpc.StatusCode.UNKNOWN))


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
    config = replace(RESYNC, timeout_seconds=0.2, max_retries=0)
    vtgate = old_shards_bring(model, SILENCE)
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


def test_the_end_of_a_shard_that_is_not_selected_is_not_looked_for() -> None:
    vtgate = serve(small())
    config = replace(CONFIG, shards=("-80",))
    outcome = Reading(vtgate, table=TABLES[0], config=config, shards=OLD, state=START).run()
    assert failed(outcome).failure_type is FailureType.transient_error
    assert "Shard -80 of keyspace shop" in str(outcome.error)
    assert {cursor.shard for cursor in vtgate.opened} == {"-80"}


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
