"""The reading of one shard in a sync: retries, the next binlog file, stalls, errors."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import grpc
import pytest
from airbyte_cdk.models import FailureType

from source_planetscale.follow.member import Member
from source_planetscale.follow.stall import StallClock
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.shape import shape_of
from source_planetscale.state import StreamState
from source_planetscale.sync.delivery import Deliveries, Delivery
from source_planetscale.sync.shard_task import ShardTask
from source_planetscale.sync.shard_thread import ShardThread
from source_planetscale.table import Column
from source_planetscale.workers.messages import Outlet
from unit_tests.support.events import (
    KEYLESS,
    KEYSPACE,
    SHARD,
    TABLE,
    begin,
    commit,
    copied,
    ddl,
    fields,
    gtid,
    inserted,
    last_key,
    numbered,
    response,
    row,
    small_copy,
    transaction,
    vgtid,
)
from unit_tests.support.fakes import (
    CONFIG,
    DEADLINE,
    HUSH,
    SILENCE,
    FakeDatabase,
    FakeVtgate,
    Item,
    Reading,
    Script,
    broken,
    catch_up,
    failure,
)
from unit_tests.support.reading import ONE, THREE, TWO, after, saved

if TYPE_CHECKING:
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.wire import vstream_pb2 as wire

pytestmark = pytest.mark.usefixtures("_in_no_time")

QUICK = replace(CONFIG, timeout_seconds=0.05)


# Going on after a stream broke off.


def test_a_copy_goes_on_after_its_last_key_when_the_stream_breaks() -> None:
    begun = response(copied(ONE), vgtid(gtid(10), last_key(ONE)), commit())
    first: Script = [*small_copy()[:2], begun, broken()]
    rest: Script = [
        response(begin(), fields()),
        response(vgtid(gtid(10), last_key(ONE))),
        response(copied(TWO), vgtid(gtid(10), last_key(TWO)), commit()),
        *small_copy()[2:],
    ]
    vtgate = FakeVtgate({SHARD: [first, rest]})
    outcome = Reading(vtgate).run()
    assert (outcome.ids, outcome.error) == ([1, 2], None)
    assert vtgate.opened[1].last_pk == last_key(ONE).SerializeToString(deterministic=True)


def test_a_copy_whose_snapshot_is_later_than_the_stop_position_goes_on_as_well() -> None:
    begun = response(copied(ONE), vgtid(gtid(20), last_key(ONE)), commit())
    rest = response(copied(TWO), vgtid(gtid(20), last_key(TWO)), commit())
    scripts: list[Script] = [
        [*small_copy()[:2], begun, broken()],
        [response(begin(), fields()), rest, *small_copy(last=20)[2:]],
    ]
    outcome = Reading(FakeVtgate({SHARD: scripts})).run()
    assert (outcome.ids, outcome.error) == ([1, 2], None)


@pytest.mark.parametrize("cut", [1, 2])
def test_a_stream_that_breaks_before_the_first_key_begins_the_copy_again(cut: int) -> None:
    script = small_copy(ONE)
    vtgate = FakeVtgate({SHARD: [[*script[:cut], broken()], script]})
    outcome = Reading(vtgate).run()
    assert (outcome.ids, outcome.error) == ([1], None)
    assert [cursor.position for cursor in vtgate.opened] == ["", ""]


def test_a_stream_that_ends_without_an_error_is_opened_again() -> None:
    outcome = catch_up([transaction(6)], [transaction(10)])
    assert (outcome.positions, outcome.error) == ({SHARD: gtid(10)}, None)


def test_attempts_are_counted_anew_after_progress() -> None:
    scripts: list[list[Item]] = [[transaction(last), broken()] for last in range(6, 11)]
    assert len(scripts) > CONFIG.max_retries + 1
    outcome = catch_up(*scripts)
    assert (outcome.positions, outcome.error) == ({SHARD: gtid(10)}, None)


def test_attempts_without_progress_come_to_an_end() -> None:
    scripts: list[list[Item]] = [
        [transaction(6), broken()],
        [broken()],
        [broken()],
        [broken()],
        [transaction(10)],
    ]
    outcome = catch_up(*scripts)
    error = failure(outcome)
    assert error.failure_type is FailureType.transient_error
    assert "after 3 attempts without progress" in str(error)
    assert outcome.positions == {SHARD: gtid(6)}


def test_errors_that_come_at_once_are_met_with_attempts_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(0, 10)
    now = [0]

    def ten_seconds_pass() -> None:
        now[0] = next(seconds)

    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("source_planetscale.follow.shard.time", clock)
    vtgate = FakeVtgate({SHARD: lambda _cursor: [ten_seconds_pass, broken()]})
    outcome = Reading(vtgate, state=saved(after(5)), least_seconds=60.0).run()
    assert "after 7 attempts without progress" in str(failure(outcome))


def test_a_server_that_sends_nonsense_is_told_in_whole_sentences() -> None:
    nonsense = response(inserted(ONE))
    error = str(failure(catch_up([nonsense], [nonsense], [nonsense])))
    assert "before the description of their columns. What was read is saved" in error


def test_a_copy_that_never_goes_on_comes_to_an_end_on_a_busy_server_too() -> None:
    key = last_key(ONE)
    scripts: list[Script] = [
        [response(begin(), vgtid(gtid(last), key), commit()), broken()] for last in range(11, 31)
    ]
    outcome = Reading(FakeVtgate({SHARD: scripts}), state=saved(after(10, ONE))).run()
    assert "attempts without progress" in str(failure(outcome))


def test_no_retries_means_one_attempt() -> None:
    vtgate = FakeVtgate({SHARD: [[broken()]]})
    outcome = Reading(vtgate, config=replace(CONFIG, max_retries=0), state=saved(after(5))).run()
    assert outcome.error is not None
    assert len(vtgate.opened) == 1


def test_rows_of_a_copy_that_always_begins_again_are_no_progress() -> None:
    script: list[Item] = [*small_copy(ONE, TWO, table=KEYLESS)[:3], broken()]
    vtgate = FakeVtgate({SHARD: lambda _cursor: script})
    outcome = Reading(vtgate, table=KEYLESS).run()
    assert "without progress" in str(failure(outcome))
    assert len(vtgate.opened) == CONFIG.max_retries + 1


def test_the_same_transaction_again_and_again_is_no_progress() -> None:
    script: list[Item] = [response(begin(), fields(), inserted(ONE)), broken()]
    vtgate = FakeVtgate({SHARD: lambda _cursor: script})
    outcome = Reading(vtgate, state=saved(after(5))).run()
    assert "without progress" in str(failure(outcome))
    assert outcome.positions == {SHARD: gtid(5)}


# From one binlog file into the next.


def in_file(number: int, last: int, *images: wire.Row) -> wire.VStreamResponse:
    return numbered(number, last, begin(), fields(), inserted(*images), vgtid(gtid(last)), commit())


def test_the_next_binlog_file_is_read_over_a_new_stream_which_is_no_retry() -> None:
    scripts: list[Script] = [
        [in_file(40, 6, ONE), in_file(1, 7, row(99, "of another table", None))],
        [in_file(1, 7, TWO), in_file(1, 8)],
        [in_file(1, 8), in_file(2, 10, THREE)],
    ]
    vtgate = FakeVtgate({SHARD: scripts})
    outcome = Reading(vtgate, state=saved(after(5)), config=replace(CONFIG, max_retries=0)).run()
    assert (outcome.ids, outcome.error, outcome.positions) == ([1, 2, 3], None, {SHARD: gtid(10)})
    assert [cursor.position for cursor in vtgate.opened] == [gtid(5), gtid(6), gtid(7)]


def test_a_copy_that_is_resumed_goes_on_after_its_last_key_in_the_next_binlog_file() -> None:
    copying = after(5, ONE)
    in_copy = vgtid(gtid(6), last_key(ONE))
    changed = numbered(40, 6, begin(), fields(), inserted(ONE), in_copy, commit())
    rest = [*small_copy()[:2], response(copied(TWO), vgtid(gtid(10), last_key(TWO)), commit())]
    vtgate = FakeVtgate({SHARD: [[changed, in_file(1, 7)], [*rest, *small_copy()[2:]]]})
    outcome = Reading(vtgate, state=saved(copying)).run()
    assert (outcome.ids, outcome.error) == ([1, 2], None)
    assert vtgate.opened[1] == replace(copying, position=gtid(6))


# Stalls.


def test_a_stream_of_heartbeats_alone_is_stalled() -> None:
    vtgate = FakeVtgate({SHARD: [[transaction(6), SILENCE], [transaction(10)]]})
    outcome = Reading(vtgate, config=QUICK, state=saved(after(5))).run()
    assert (outcome.positions, outcome.error) == ({SHARD: gtid(10)}, None)


@pytest.mark.parametrize("mark", [SILENCE, HUSH])
def test_a_look_ahead_that_brings_nothing_forward_is_stalled(mark: Item) -> None:
    log: list[Item] = [transaction(6, fields(), inserted(ONE)), transaction(10)]
    vtgate = FakeVtgate({SHARD: [[transaction(6), mark], log, log]})
    outcome = Reading(vtgate, config=QUICK, state=saved(replace(after(5), shape=None))).run()
    assert (outcome.ids, outcome.error) == ([1], None)


def test_a_look_ahead_that_never_brings_anything_forward_is_given_up() -> None:
    vtgate = FakeVtgate({SHARD: lambda _: [SILENCE]})
    outcome = Reading(vtgate, config=QUICK, state=saved(replace(after(5), shape=None))).run()
    assert "nothing came for" in str(failure(outcome))


@pytest.mark.parametrize(
    "again",
    [
        response(begin(), fields()),
        response(begin(), fields(), inserted(ONE)),
        response(begin(), fields(), vgtid(gtid(5))),
    ],
    ids=["description", "rows", "position"],
)
def test_a_server_that_begins_for_ever_is_stalled(again: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = itertools.count()
    now = [0.0]

    def clock() -> float:
        return time.monotonic() + now[0]

    def an_hour_passes() -> None:
        now[0] = 3600.0 * next(hours)

    def for_ever(_cursor: Cursor) -> list[Item]:
        return [an_hour_passes, again] * 5 + [HUSH]

    monkeypatch.setattr("source_planetscale.follow.stall.time", SimpleNamespace(monotonic=clock))
    outcome = Reading(FakeVtgate({SHARD: for_ever}), state=saved(after(5))).run()
    assert "nothing came for 60 seconds" in str(failure(outcome))


def test_a_long_wait_for_the_server_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_planetscale.follow.stall.SECONDS_BETWEEN_REPORTS", 0.02)
    with caplog.at_level("INFO"):
        catch_up([SILENCE], [transaction(10)], config=replace(CONFIG, timeout_seconds=0.3))
    told = [record.getMessage() for record in caplog.records if "Waiting for" in record.getMessage()]
    assert len(told) > 1
    assert "table orders, shard -80" in told[0]
    assert "throttle" in told[0]


class Waiting:
    """A thread of a shard that is held up before or in the buffers."""

    def __init__(self, deliveries: Deliveries) -> None:
        opened = threading.Event()
        changes = [transaction(6, fields(), inserted(ONE)), transaction(10, inserted(TWO))]
        self.core = Reading(FakeVtgate({SHARD: [[opened.set, *changes]]})).core()
        numbers = ChangeSequence(0, 0)
        task = ShardTask(
            self.core,
            CONFIG,
            [Member(TABLE, after(5))],
            {"orders": Outlet(TABLE)},
            {"orders": numbers},
            numbers,
        )
        self._opened = opened
        self._now = 0.0
        self._stall = StallClock(lambda: self._now)
        self._deliveries = deliveries
        self._thread = ShardThread(task, deliveries, "0", stall=self._stall)

    def __enter__(self) -> Waiting:
        self._thread.start()
        assert self._opened.wait(DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        self._deliveries.close()
        self._thread.close()
        self._thread.join()

    def is_no_stall(self) -> bool:
        """Whether hours that pass from now on are soon not counted."""
        self._now += 3600.0
        deadline = time.monotonic() + DEADLINE
        while self._stall.idle_seconds and time.monotonic() < deadline:
            time.sleep(0.001)
        return not self._stall.idle_seconds


def test_a_slow_reader_of_the_output_is_no_stall() -> None:
    full = Deliveries(1)
    full.put("others", Delivery(SHARD, after(5), size=1))
    with Waiting(full) as waiting:
        assert waiting.is_no_stall()


def test_a_shard_that_waits_for_its_turn_behind_another_one_is_no_stall() -> None:
    waiting = Waiting(Deliveries(1))
    with ExitStack() as turn:
        turn.enter_context(waiting.core.turn)
        with waiting:
            assert waiting.is_no_stall()
            turn.close()


# Errors that stay.


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "Check username and password"),
        (grpc.StatusCode.UNIMPLEMENTED, "is no vtgate with VStream"),
    ],
)
def test_a_permanent_error_is_told_at_once(code: grpc.StatusCode, named: str) -> None:
    vtgate = FakeVtgate({SHARD: [[transaction(6), broken("no", code)]]})
    outcome = Reading(vtgate, state=saved(after(5))).run()
    assert failure(outcome).failure_type is FailureType.config_error
    assert named in str(outcome.error)
    assert f"shard {SHARD}" in str(outcome.error)
    assert (len(vtgate.opened), outcome.positions) == (1, {SHARD: gtid(6)})


def test_a_table_that_its_tablet_does_not_know_is_asked_for_again_before_it_is_given_up() -> None:
    unknown = broken("table orders is not present in the database", grpc.StatusCode.UNKNOWN)
    known_later = catch_up([unknown], [unknown], [transaction(10)])
    assert (known_later.positions, known_later.error) == ({SHARD: gtid(10)}, None)
    error = failure(catch_up([unknown], [unknown], [unknown]))
    assert error.failure_type is FailureType.transient_error
    assert "The tablet does not know table orders, shard -80 yet" in str(error)


def test_the_state_of_what_was_read_comes_before_the_error() -> None:
    outcome = catch_up(
        [transaction(6, fields(), inserted(ONE)), broken("auth failure", grpc.StatusCode.PERMISSION_DENIED)]
    )
    assert outcome.ids == [1]
    assert outcome.messages[-1].state is not None
    assert outcome.positions == {SHARD: gtid(6)}


def test_an_unexpected_failure_names_its_kind_and_place_and_nothing_that_was_read() -> None:
    def fail() -> None:
        raise ValueError("secret row")

    error = str(failure(Reading(FakeVtgate({SHARD: [[fail]]}), state=saved(after(5))).run()))
    assert "table orders, shard -80 failed unexpectedly: ValueError in test_shard_thread.py, line " in error
    assert "secret" not in error


# Changes of the table.


def test_a_schema_change_as_the_last_thing_read_leaves_the_shape_of_today_in_the_state() -> None:
    wider = replace(TABLE, columns=(*TABLE.columns, Column("added", "int")))
    altered = response(vgtid(gtid(10)), ddl("alter table orders add column added int"))
    outcome = Reading(
        FakeVtgate({SHARD: [[altered]]}), state=saved(after(5)), database=FakeDatabase(found=(wider,))
    ).run()
    assert outcome.error is None
    state = StreamState.parse(outcome.states[-1], keyspace=KEYSPACE, stream="orders")
    assert state.cursors[SHARD].shape == shape_of(wider.columns)


def test_removed_rows_are_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        outcome = catch_up([response(vgtid(gtid(10)), ddl("truncate table orders"))])
    assert outcome.error is None
    assert "TRUNCATE of table orders, shard -80" in caplog.text
