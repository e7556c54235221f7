"""Faults that only a server made for it can produce, from the embedded database: right rows or INCOMPLETE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.database import EmbeddedDatabase
from integration_tests.support.command import configured, read, read_well, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.support.command import Run

TABLE = "faults"
COUNT = 400

PASSING = {
    "UNAVAILABLE": "Socket closed",
    "UNKNOWN": "persistent error in vstream for src/0 on tablet zone1-1; giving up: vttablet: rpc error: "
    "net.Dial(mysql.sock) to local server failed: connect: connection refused (errno 2002)",
    "NOT_FOUND": "failed to get tablet connection to test-100: tablet test-100 is either down or nonexistent",
    "CANCELLED": "failed to find a PRIMARY tablet for VStream in src/0 within the test cell(s): context has "
    "expired",
    "RESOURCE_EXHAUSTED": "trying to send message larger than max (17826149 vs. 16777216)",
    "ABORTED": "transaction rolled back",
    "DEADLINE_EXCEEDED": "context ended while sending events",
    "INTERNAL": "stream terminated by RST_STREAM with error code: INTERNAL_ERROR",
}
LASTING = {
    "UNAUTHENTICATED": "username and password must be provided",
    "PERMISSION_DENIED": 'auth failure: caller "local" provided invalid credentials',
    "UNIMPLEMENTED": "unknown service vtgateservice.Vitess",
}


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    tables = [f"create table {TABLE} (id bigint primary key, note varchar(2000))"]
    with EmbeddedDatabase.start(tables={"src": tables, "shop": tables}) as database:
        database.load("src", TABLE, [(key, "x" * 1500) for key in range(COUNT)])
        database.load("shop", TABLE, [(key, "x" * 1500) for key in range(COUNT)])
        yield database


def ids(done: Run) -> list[int]:
    return [row["id"] for row in done.records(TABLE)]


def changed(database: EmbeddedDatabase) -> Run:
    """A first sync, and changes after it: two small transactions, and one of several responses."""
    first = read_well(database.config("src"), TABLE)
    for where in ("id < 40", "id between 40 and 79", "id >= 80"):
        database.execute(f"update {TABLE} set note = 'new' where {where}", "src")  # noqa: S608 - the test's own
    return first


@pytest.mark.parametrize("code", PASSING)
@pytest.mark.parametrize("after_events", [0, 200])
def test_an_error_that_may_pass_in_the_copy_is_tried_again(
    database: EmbeddedDatabase, code: str, after_events: int
) -> None:
    database.fault("error", after_events=after_events, code=code, message=PASSING[code], times=2)
    done = read_well(database.config("src"), TABLE)
    assert ids(done) == list(range(COUNT))


@pytest.mark.parametrize("code", PASSING)
def test_an_error_in_catch_up_that_does_not_pass_ends_incomplete_and_the_next_sync_goes_on(
    database: EmbeddedDatabase, code: str
) -> None:
    first = changed(database)
    database.fault("error", table=TABLE, after_events=12, code=code, message=PASSING[code], times=0)
    broken = read(database.config("src", max_retries=0, timeout_seconds=1), TABLE, state=first.state)
    assert broken.exit_code != 0
    assert broken.statuses(TABLE)[-1] == "INCOMPLETE"
    assert f"table {TABLE}, shard 0" in broken.errors_of(TABLE)[0]
    assert broken.errors[0]["failure_type"] == "transient_error"
    database.clear_faults()
    rest = read_well(database.config("src"), TABLE, state=broken.state)
    # Each attempt that finished a transaction was progress.
    assert min(ids(rest)) == 80
    assert set(ids(broken) + ids(rest)) == set(range(COUNT))


@pytest.mark.parametrize("code", LASTING)
def test_an_error_that_cannot_pass_is_told_at_once(database: EmbeddedDatabase, code: str) -> None:
    database.fault("error", code=code, message=LASTING[code], times=0)
    done = read(database.config("src"), TABLE)
    assert done.statuses(TABLE)[-1] == "INCOMPLETE"
    assert done.errors[0]["failure_type"] == "config_error"
    assert not any("attempt" in line for line in done.logs)


@pytest.mark.parametrize("heartbeats", [False, True])
def test_a_stream_without_progress_is_opened_anew_heartbeats_or_not(
    database: EmbeddedDatabase, *, heartbeats: bool
) -> None:
    first = changed(database)
    database.fault("stall", table=TABLE, after_events=12, heartbeats=heartbeats)
    done = read_well(database.config("src", timeout_seconds=2), TABLE, state=first.state)
    assert set(ids(done)) == set(range(COUNT))
    assert any("nothing came for 2 seconds" in line for line in done.logs)


def test_a_stream_that_hangs_for_ever_ends_incomplete_and_never_in_a_partial_success(
    database: EmbeddedDatabase,
) -> None:
    first = changed(database)
    database.fault("stall", table=TABLE, after_events=12, heartbeats=True, times=0)
    broken = read(database.config("src", timeout_seconds=1, max_retries=0), TABLE, state=first.state)
    assert broken.exit_code != 0
    assert broken.statuses(TABLE)[-1] == "INCOMPLETE"
    assert "nothing came for 1 seconds" in broken.errors_of(TABLE)[0]
    database.clear_faults()
    rest = read_well(database.config("src"), TABLE, state=broken.state)
    assert set(ids(broken) + ids(rest)) == set(range(COUNT))


def test_a_slow_stream_takes_longer_than_the_timeout_and_completes(database: EmbeddedDatabase) -> None:
    database.fault("slow", bytes_per_second=200_000, times=0)
    done = read_well(database.config("src", timeout_seconds=2, max_retries=0), TABLE)
    assert ids(done) == list(range(COUNT))


def test_a_shard_that_is_down_is_incomplete_while_the_other_one_is_read_and_saved(
    database: EmbeddedDatabase,
) -> None:
    first = read_well(database.config("shop"), TABLE)
    database.execute(f"update {TABLE} set note = 'new'", "shop")  # noqa: S608 - the test's own
    database.fault("down", keyspace="shop", shard="80-")
    broken = read(database.config("shop", max_retries=1, timeout_seconds=2), TABLE, state=first.state)
    assert broken.exit_code != 0
    assert broken.statuses(TABLE)[-1] == "INCOMPLETE"
    assert "80-" in broken.errors_of(TABLE)[0]
    database.clear_faults()
    rest = read_well(database.config("shop"), TABLE, state=broken.state)
    assert ids(broken)
    assert sorted(ids(broken) + ids(rest)) == list(range(COUNT))


def test_a_message_far_beyond_grpcs_own_limit_is_taken(database: EmbeddedDatabase) -> None:
    database.fault("large_message", size=30 << 20)
    done = read_well(database.config("src"), TABLE)
    assert set(ids(done)) == set(range(COUNT))


def test_a_transaction_that_is_cut_in_any_of_its_responses_arrives_whole(database: EmbeddedDatabase) -> None:
    first = read_well(database.config("src"), TABLE)
    database.fault("huge_transaction", keyspace="src", table=TABLE, size=20_000, first=COUNT)
    for after_bytes in (300_000, 900_000):
        database.fault("cut", table=TABLE, after_bytes=after_bytes)
    done = read_well(database.config("src"), TABLE, state=first.state)
    assert set(ids(done)) == set(range(COUNT, COUNT + 20_000))


def test_a_keyspace_that_is_down_is_incomplete_while_the_other_one_is_read_and_saved(
    database: EmbeddedDatabase,
) -> None:
    streams = [configured(TABLE, namespace=keyspace)["streams"][0] for keyspace in ("src", "shop")]
    config = database.config("shop", keyspaces="src", max_retries=0, timeout_seconds=1)
    database.fault("down", keyspace="src", shard="0")
    done = run("read", config=config, catalog={"streams": streams})
    assert sorted(ids(done)) == list(range(COUNT))
    assert sorted(done.statuses(TABLE)[-2:]) == ["COMPLETE", "INCOMPLETE"]
    assert "keyspace src" in done.errors_of(TABLE)[0]
    assert done.exit_code != 0
    database.clear_faults()
    done = run("read", config=config, catalog={"streams": streams}, state=done.state)
    assert (sorted(ids(done)), done.exit_code) == (list(range(COUNT)), 0)
