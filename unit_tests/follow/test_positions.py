"""Where the read of one shard starts and stops, and what it does where it cannot go on from there."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.mysql.database import BinlogStatus
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.events import (
    KEYLESS,
    KEYSPACE,
    SHARD,
    UUID,
    change,
    fields,
    gtid,
    last_key,
    row,
    rows,
    small_copy,
    transaction,
)
from unit_tests.support.fakes import (
    RESYNC,
    FakeDatabase,
    FakeVtgate,
    Item,
    Reading,
    broken,
    catch_up,
    failure,
)
from unit_tests.support.reading import ONE, after, saved

pytestmark = pytest.mark.usefixtures("_in_no_time")


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
    outcome = Reading(vtgate, state=saved(after(10))).run()
    assert (vtgate.opened, outcome.positions) == ([], {SHARD: gtid(10)})


# Cursors that cannot be followed.


PURGED = FakeDatabase(BinlogStatus(f"{UUID}:1-1000", f"{UUID}:1-7", full_images=True))
FOREIGN = Cursor(KEYSPACE, SHARD, "MySQL56/00000000-0000-0000-0000-000000000001:1-5")
MISFIT = replace(after(5), last_pk=last_key(row(1, "a", "b"), KEYLESS).SerializeToString(), shape=None)


UNFOLLOWABLE = pytest.mark.parametrize(
    ("cursor", "database", "named"),
    [
        (after(5), PURGED, "have been purged"),
        (FOREIGN, FakeDatabase(), "ahead of the server or of another cluster"),
        (FOREIGN, FakeDatabase(None), "ahead of the server or of another cluster"),
        (after(2000), FakeDatabase(), "ahead of the server or of another cluster"),
        (MISFIT, FakeDatabase(), "last primary key does not fit"),
    ],
    ids=["purged", "foreign", "foreign, not asked", "ahead", "misfit"],
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


def test_an_unfinished_copy_without_a_position_begins_again() -> None:
    lost = Cursor(KEYSPACE, SHARD, "", last_key(ONE).SerializeToString())
    vtgate = FakeVtgate({SHARD: [small_copy(ONE)]})
    outcome = Reading(vtgate, state=saved(lost)).run()
    assert (outcome.ids, vtgate.opened[0].copying, vtgate.opened[0].last_pk) == ([1], True, None)


# Changes that cannot be read.


NOT_WHOLE: list[Item] = [transaction(6, fields(), rows(change(None, ONE, present=(True, True, False))))]
UNDECODABLE: list[Item] = [
    transaction(6),
    broken("cannot determine table columns for orders: event has [..]", grpc.StatusCode.UNKNOWN),
]

FINDINGS = pytest.mark.parametrize(
    ("script", "named"),
    [
        (NOT_WHOLE, "Set binlog_format=ROW, binlog_row_image=FULL"),
        (UNDECODABLE, "cannot be decoded by the server"),
    ],
    ids=["not whole", "undecodable"],
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
