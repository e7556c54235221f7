"""The shards of a table side by side: retries, stalls, errors, ends."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.config import InvalidPositionPolicy
from source_planetscale.database import BinlogStatus
from source_planetscale.shape import shape_of
from source_planetscale.state import Cursor, StreamState
from source_planetscale.table import Column
from unit_tests.events import (
    KEYLESS,
    KEYSPACE,
    SHARD,
    TABLE,
    UUID,
    begin,
    change,
    commit,
    copied,
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
from unit_tests.fakes import (
    CONFIG,
    DEADLINE,
    HUSH,
    SILENCE,
    FakeDatabase,
    FakeVtgate,
    Item,
    Outcome,
    Reading,
    Script,
    broken,
    reader_threads,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source_planetscale.vstream.wire import vstream_pb2 as wire

ONE, TWO, THREE = row(1, "one", "x"), row(2, "two", None), row(3, "three", "z")
RESYNC = replace(CONFIG, invalid_position_policy=InvalidPositionPolicy.RESYNC)
QUICK = replace(CONFIG, timeout_seconds=0.05)


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("source_planetscale.shard_read.backoff_seconds", lambda _attempt: 0.0)
    monkeypatch.setattr("source_planetscale.positions.backoff_seconds", lambda _attempt: 0.0)
    monkeypatch.setattr("source_planetscale.table_read._POLL_SECONDS", 0.01)
    yield
    assert reader_threads() == []


def saved(*cursors: Cursor) -> dict[str, Any]:
    return StreamState({cursor.shard: cursor for cursor in cursors}).to_json()


def at(last: int, shard: str = SHARD) -> Cursor:
    return Cursor(KEYSPACE, shard, gtid(last), shape=shape_of(TABLE.columns))


def catch_up(*scripts: Script, start: int = 5, **more: Any) -> Outcome:
    """Reads one shard from a position, a script per stream."""
    return Reading(FakeVtgate({SHARD: list(scripts)}), state=saved(at(start)), **more).run()


def failure(outcome: Outcome) -> AirbyteTracedException:
    assert isinstance(outcome.error, AirbyteTracedException)
    assert "table orders" in str(outcome.error).lower()
    return outcome.error


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


def test_a_copy_that_never_goes_on_comes_to_an_end_on_a_busy_server_too() -> None:
    key = last_key(ONE)
    scripts: list[Script] = [
        [response(begin(), vgtid(gtid(last), key), commit()), broken()] for last in range(11, 31)
    ]
    cursor = replace(at(10), last_pk=key.SerializeToString(deterministic=True))
    outcome = Reading(FakeVtgate({SHARD: scripts}), state=saved(cursor)).run()
    assert "attempts without progress" in str(failure(outcome))


def test_no_retries_means_one_attempt() -> None:
    vtgate = FakeVtgate({SHARD: [[broken()]]})
    outcome = Reading(vtgate, config=replace(CONFIG, max_retries=0), state=saved(at(5))).run()
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
    outcome = Reading(vtgate, state=saved(at(5))).run()
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
    outcome = Reading(vtgate, state=saved(at(5)), config=replace(CONFIG, max_retries=0)).run()
    assert (outcome.ids, outcome.error, outcome.positions) == ([1, 2, 3], None, {SHARD: gtid(10)})
    assert [cursor.position for cursor in vtgate.opened] == [gtid(5), gtid(6), gtid(7)]


def test_a_copy_that_is_resumed_goes_on_after_its_last_key_in_the_next_binlog_file() -> None:
    copying = replace(at(5), last_pk=last_key(ONE).SerializeToString(deterministic=True))
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
    outcome = Reading(vtgate, config=QUICK, state=saved(at(5))).run()
    assert (outcome.positions, outcome.error) == ({SHARD: gtid(10)}, None)


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

    monkeypatch.setattr("source_planetscale.stall.time", SimpleNamespace(monotonic=clock))
    outcome = Reading(FakeVtgate({SHARD: for_ever}), state=saved(at(5))).run()
    assert "nothing came for 60 seconds" in str(failure(outcome))


def test_a_long_wait_for_the_server_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_planetscale.stall.SECONDS_BETWEEN_REPORTS", 0.02)
    with caplog.at_level("INFO"):
        catch_up([SILENCE], [transaction(10)], config=replace(CONFIG, timeout_seconds=0.3))
    told = [record.getMessage() for record in caplog.records if "Waiting for" in record.getMessage()]
    assert len(told) > 1
    assert "table orders, shard -80" in told[0]
    assert "throttle" in told[0]


def test_a_slow_reader_of_the_output_is_no_stall() -> None:
    first_is_out = threading.Event()

    def wait() -> None:
        assert first_is_out.wait(DEADLINE)

    script: list[Item] = [transaction(6, fields(), inserted(ONE)), wait, transaction(10, inserted(TWO))]
    reading = Reading(FakeVtgate({SHARD: [script]}), state=saved(at(5)))
    assert reading.run(first_is_out.set).ids == [1, 2]


# Errors that stay.


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (broken("auth failure", grpc.StatusCode.PERMISSION_DENIED), "Check username and password"),
        (
            broken(
                "shard provided in VGTID, -80, not found in the shop keyspace",
                grpc.StatusCode.FAILED_PRECONDITION,
            ),
            "the shard does not exist",
        ),
        (
            broken("table orders is not present in the database", grpc.StatusCode.UNKNOWN),
            "not present in the database",
        ),
    ],
)
def test_a_permanent_error_is_told_at_once(error: Item, named: str) -> None:
    vtgate = FakeVtgate({SHARD: [[transaction(6), error]]})
    outcome = Reading(vtgate, state=saved(at(5))).run()
    assert failure(outcome).failure_type is FailureType.config_error
    assert named in str(outcome.error)
    assert f"shard {SHARD}" in str(outcome.error)
    assert (len(vtgate.opened), outcome.positions) == (1, {SHARD: gtid(6)})


def test_a_defect_of_the_connector_is_told_and_ends_its_shard_alone() -> None:
    def defect() -> None:
        raise RuntimeError("a defect")

    vtgate = FakeVtgate({"-80": [[defect]], "80-": [[transaction_of("80-", 10)]]})
    outcome = Reading(vtgate, shards=("-80", "80-"), state=saved(at(5), at(5, "80-"))).run()
    assert failure(outcome).failure_type is FailureType.system_error
    assert outcome.positions == {"-80": gtid(5), "80-": gtid(10)}


def transaction_of(shard: str, last: int, *events: Any) -> Item:
    return response(begin(), *events, vgtid(gtid(last), shard=shard), commit())


def test_an_error_of_one_shard_leaves_the_others_complete_and_all_errors_are_told() -> None:
    denied = broken("auth failure", grpc.StatusCode.PERMISSION_DENIED)
    gone = broken("table orders is not present in the database", grpc.StatusCode.UNKNOWN)
    vtgate = FakeVtgate(
        {
            "-40": [[denied]],
            "40-80": [[gone]],
            "80-": [[transaction_of("80-", 10, fields(), inserted(ONE))]],
        }
    )
    cursors = [at(5, shard) for shard in vtgate.scripts]
    outcome = Reading(vtgate, shards=tuple(vtgate.scripts), state=saved(*cursors)).run()
    assert outcome.ids == [1]
    assert outcome.positions == {"-40": gtid(5), "40-80": gtid(5), "80-": gtid(10)}
    assert "shard -40" in str(outcome.error)
    assert "shard 40-80" in str(outcome.error)


def test_the_state_of_what_was_read_comes_before_the_error() -> None:
    outcome = catch_up(
        [transaction(6, fields(), inserted(ONE)), broken("auth failure", grpc.StatusCode.PERMISSION_DENIED)]
    )
    assert outcome.ids == [1]
    assert outcome.messages[-1].state is not None
    assert outcome.positions == {SHARD: gtid(6)}


def test_more_shards_than_are_read_at_once_are_all_read() -> None:
    shards = tuple(f"{n:02x}-{n + 1:02x}" for n in range(40))
    vtgate = FakeVtgate({shard: [[transaction_of(shard, 10)]] for shard in shards})
    outcome = Reading(vtgate, shards=shards, state=saved(*(at(5, shard) for shard in shards))).run()
    assert outcome.error is None
    assert set(outcome.positions.values()) == {gtid(10)}


# The stop position.


def test_the_stop_position_is_asked_for_again_when_the_question_fails() -> None:
    vtgate = FakeVtgate({SHARD: [small_copy(ONE)]}, failures=[broken(), broken()])
    assert Reading(vtgate).run().ids == [1]


def test_a_stop_position_that_cannot_be_had_is_an_error() -> None:
    outcome = Reading(FakeVtgate({}, failures=[broken()] * 3)).run()
    assert isinstance(outcome.error, AirbyteTracedException)
    assert "current position of shard -80" in str(outcome.error)


def test_a_cursor_at_the_stop_position_opens_no_stream() -> None:
    vtgate = FakeVtgate({})
    outcome = Reading(vtgate, state=saved(at(10))).run()
    assert (vtgate.opened, outcome.positions) == ([], {SHARD: gtid(10)})


# Cursors that cannot be followed.


PURGED = FakeDatabase(BinlogStatus(f"{UUID}:1-1000", f"{UUID}:1-7", full_images=True))
FOREIGN = Cursor(KEYSPACE, SHARD, "MySQL56/00000000-0000-0000-0000-000000000001:1-5")
RENAMED = replace(
    at(5),
    shape=shape_of((TABLE.columns[0], replace(TABLE.columns[1], name="title"), TABLE.columns[2])),
)
MISFIT = replace(at(5), last_pk=last_key(row(1, "a", "b"), KEYLESS).SerializeToString(), shape=None)


UNFOLLOWABLE = pytest.mark.parametrize(
    ("cursor", "database", "named"),
    [
        (at(5), PURGED, "have been purged"),
        (FOREIGN, FakeDatabase(), "ahead of the server or of another cluster"),
        (FOREIGN, FakeDatabase(None), "ahead of the server or of another cluster"),
        (at(2000), FakeDatabase(), "ahead of the server or of another cluster"),
        (RENAMED, FakeDatabase(), "`title` stands where `label` stands"),
        (MISFIT, FakeDatabase(), "last primary key does not fit"),
    ],
    ids=["purged", "foreign", "foreign, not asked", "ahead", "renamed", "misfit"],
)


@UNFOLLOWABLE
def test_a_cursor_that_cannot_be_followed_is_an_error_before_any_stream(
    cursor: Cursor, database: FakeDatabase, named: str
) -> None:
    vtgate = FakeVtgate({})
    outcome = Reading(vtgate, state=saved(cursor), database=database).run()
    assert failure(outcome).failure_type is FailureType.config_error
    assert named in str(outcome.error)
    assert "Re-sync data" in str(outcome.error)
    assert outcome.positions == {SHARD: cursor.position}


@UNFOLLOWABLE
def test_a_cursor_that_cannot_be_followed_is_copied_again_where_that_is_configured(
    cursor: Cursor, database: FakeDatabase, named: str
) -> None:
    del named
    outcome = Reading(
        FakeVtgate({SHARD: [small_copy(ONE)]}), state=saved(cursor), database=database, config=RESYNC
    ).run()
    assert (outcome.ids, outcome.error, outcome.positions) == ([1], None, {SHARD: gtid(10)})


NOT_WHOLE: list[Item] = [transaction(6, fields(), rows(change(None, ONE, present=(True, True, False))))]
MOVED = replace(TABLE, columns=(TABLE.columns[0], Column("mid", "bigint"), *TABLE.columns[1:]))
HAZARD: list[Item] = [transaction(6, fields(MOVED), inserted(row(1, 2, "a", "b")))]
UNDECODABLE: list[Item] = [
    transaction(6),
    broken("cannot determine table columns for orders: event has [..]", grpc.StatusCode.UNKNOWN),
]

FINDINGS = pytest.mark.parametrize(
    ("script", "named"),
    [
        (NOT_WHOLE, "Set binlog_format=ROW, binlog_row_image=FULL"),
        (HAZARD, "cannot be read rightly"),
        (UNDECODABLE, "cannot be read rightly"),
    ],
    ids=["not whole", "hazard", "undecodable"],
)


@FINDINGS
def test_changes_that_cannot_be_read_rightly_are_an_error(script: list[Item], named: str) -> None:
    outcome = catch_up(script)
    assert failure(outcome).failure_type is FailureType.config_error
    assert named in str(outcome.error)
    assert outcome.ids == []


@FINDINGS
def test_changes_that_cannot_be_read_rightly_are_copied_again_where_that_is_configured(
    script: list[Item], named: str
) -> None:
    del named
    outcome = catch_up(script, small_copy(ONE), config=RESYNC)
    assert (outcome.ids, outcome.error, outcome.positions) == ([1], None, {SHARD: gtid(10)})


def test_copying_again_is_tried_once() -> None:
    outcome = catch_up(NOT_WHOLE, [*small_copy(last=7), *NOT_WHOLE], config=RESYNC)
    assert failure(outcome).failure_type is FailureType.config_error


def test_an_unfinished_copy_without_a_position_begins_again() -> None:
    lost = Cursor(KEYSPACE, SHARD, "", last_key(ONE).SerializeToString())
    vtgate = FakeVtgate({SHARD: [small_copy(ONE)]})
    outcome = Reading(vtgate, state=saved(lost)).run()
    assert (outcome.ids, vtgate.opened[0].copying, vtgate.opened[0].last_pk) == ([1], True, None)


# Reshards and removed rows.


def test_a_reshard_ends_the_stream_with_the_changes_before_it() -> None:
    ended = response(begin(), journal(gtid(7), ["-40", "40-80"]), vgtid(gtid(7)), commit())
    outcome = catch_up([transaction(6, fields(), inserted(ONE)), ended])
    assert (outcome.ids, outcome.positions) == ([1], {SHARD: gtid(6)})
    assert "shard -80 was replaced by -40, 40-80" in str(failure(outcome))


def test_a_schema_change_as_the_last_thing_read_leaves_the_shape_of_today_in_the_state() -> None:
    wider = replace(TABLE, columns=(*TABLE.columns, Column("added", "int")))
    altered = response(vgtid(gtid(10)), ddl("alter table orders add column added int"))
    outcome = Reading(
        FakeVtgate({SHARD: [[altered]]}), state=saved(at(5)), database=FakeDatabase(found=(wider,))
    ).run()
    assert outcome.error is None
    state = StreamState.parse(outcome.states[-1], keyspace=KEYSPACE, stream="orders")
    assert state.cursors[SHARD].shape == shape_of(wider.columns)


def test_an_unexpected_failure_names_its_kind_and_place_and_nothing_that_was_read() -> None:
    def fail() -> None:
        raise ValueError("secret row")

    error = str(failure(Reading(FakeVtgate({SHARD: [[fail]]}), state=saved(at(5))).run()))
    assert "table orders, shard -80 failed unexpectedly: ValueError in test_shards.py, line " in error
    assert "secret" not in error


def test_removed_rows_are_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        outcome = catch_up([response(vgtid(gtid(10)), ddl("truncate table orders"))])
    assert outcome.error is None
    assert "TRUNCATE of table orders, shard -80" in caplog.text


# Ends that somebody else decides.


def test_an_interrupt_ends_a_waiting_read_with_its_state() -> None:
    reading = Reading(FakeVtgate({}), state=saved(at(5)))
    script: Script = [transaction(6, fields(), inserted(ONE)), reading.interrupted.set, SILENCE]
    reading.vtgate.scripts[SHARD] = [script]
    outcome = reading.run()
    assert isinstance(outcome.error, AirbyteTracedException)
    assert outcome.error.failure_type is FailureType.transient_error
    assert "told to stop" in str(outcome.error)
    assert outcome.states[-1] is not None
    assert reading.vtgate.closed


def test_a_consumer_that_goes_away_leaves_no_thread_behind() -> None:
    shards = ("-80", "80-")
    vtgate = FakeVtgate(
        {shard: [[transaction_of(shard, 6, fields(), inserted(ONE)), SILENCE]] for shard in shards}
    )
    messages = Reading(vtgate, shards=shards, state=saved(*(at(5, shard) for shard in shards))).messages()
    next(messages)
    messages.close()
    assert reader_threads() == []


def test_a_stream_that_opens_while_the_read_is_closed_is_left_at_once() -> None:
    opening, closed = threading.Event(), threading.Event()

    def open_late(_cursor: Cursor) -> list[Item]:
        opening.set()
        assert closed.wait(DEADLINE)
        return [HUSH]

    vtgate = FakeVtgate({"-80": open_late, "80-": [[transaction_of("80-", 10, fields(), inserted(ONE))]]})
    messages = Reading(vtgate, shards=("80-", "-80"), state=saved(at(5), at(5, "80-"))).messages()
    next(messages)
    assert opening.wait(DEADLINE)
    threading.Timer(0.05, closed.set).start()
    messages.close()
    assert reader_threads() == []
    assert vtgate.calls[-1].cancelled.is_set()
