"""What can go wrong at either end: the destination is told the truth, and every socket ends."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.database import EmbeddedDatabase
from integration_tests.support.command import SECONDS, configured
from integration_tests.support.socket_read import SocketRead, read_over_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.support.command import Json, Run

TABLE = "sent"
OTHER = "also_sent"
COUNT = 1000
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    ddl = [f"create table {name} (id bigint primary key, note varchar(2000))" for name in (TABLE, OTHER)]
    with EmbeddedDatabase.start(tables={"shop": ddl}) as database:
        database.load("shop", TABLE, [(key, "x" * 1500) for key in range(COUNT)])
        database.load("shop", OTHER, [(key, "y") for key in range(10)])
        yield database


def catalog(*tables: str) -> Json:
    properties = {"id": {"type": "number", "airbyte_type": "integer"}, "note": {"type": ["null", "string"]}}
    streams = [
        {
            "name": table,
            "namespace": "shop",
            "json_schema": {"type": "object", "properties": properties},
            "supported_sync_modes": ["full_refresh", "incremental"],
        }
        for table in tables
    ]
    return configured(*streams)


def ids(data: list[Json]) -> set[int]:
    return {row["id"] for row in data}


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def reading(database: EmbeddedDatabase, *tables: str, **options: Any) -> SocketRead:
    overrides = {key: options.pop(key) for key in ("timeout_seconds", "max_retries") if key in options}
    return SocketRead(database.config("shop", **overrides), catalog(*(tables or (TABLE,))), **options)


PASSING: dict[str, dict[str, Any]] = {
    "cut": {"after_bytes": 200_000, "times": 2},
    "stall": {"after_events": 100},
    "error": {"after_events": 100, "code": "UNAVAILABLE", "times": 2},
    "slow": {"bytes_per_second": 500_000, "times": 0},
    "large_message": {"size": 20 << 20},
    "huge_transaction": {"keyspace": "shop", "size": 20_000, "first": COUNT},
}


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_leaves_the_destination_whole(database: EmbeddedDatabase, kind: str) -> None:
    config = database.config("shop", timeout_seconds=2)
    first, copied = read_over_sockets(config, catalog(TABLE, OTHER))
    database.execute(f"update {TABLE} set note = 'new' where id < 500", "shop")  # noqa: S608 - the test's own
    database.fault(kind, table=TABLE, **PASSING[kind])
    done, destination = read_over_sockets(config, catalog(TABLE, OTHER), state=first.state, sockets=3)
    assert done.exit_code == 0
    assert ids(copied.data(TABLE)) == set(range(COUNT))
    more = range(COUNT, COUNT + 20_000) if kind == "huge_transaction" else ()
    assert ids(destination.data(TABLE)) == {*range(500), *more}


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_within_a_copy_leaves_the_destination_whole(
    database: EmbeddedDatabase, kind: str
) -> None:
    database.fault(kind, table=TABLE, **PASSING[kind])
    config = database.config("shop", timeout_seconds=2)
    done, destination = read_over_sockets(config, catalog(TABLE, OTHER), sockets=3)
    assert done.exit_code == 0
    assert ids(destination.data(TABLE)) >= set(range(COUNT))


LASTING: dict[str, dict[str, Any]] = {
    "cut": {"table": TABLE, "shard": "80-", "after_bytes": 50_000, "times": 0},
    "stall": {"table": TABLE, "shard": "80-", "after_events": 12, "times": 0},
    "error": {"table": TABLE, "code": "PERMISSION_DENIED", "message": "auth failure", "times": 0},
    "down": {"keyspace": "shop", "shard": "80-"},
    "purge": {"keyspace": "shop"},
}


@pytest.mark.parametrize("kind", LASTING)
def test_a_fault_that_lasts_is_told_to_the_platform_alone_and_nothing_is_finalized(
    database: EmbeddedDatabase, kind: str
) -> None:
    config = database.config("shop", timeout_seconds=1, max_retries=0)
    first, _ = read_over_sockets(config, catalog(TABLE, OTHER))
    for part in range(10):
        where = f"id between {part * 100} and {part * 100 + 99}"
        database.execute(f"update {TABLE} set note = 'new' where {where}", "shop")  # noqa: S608 - the test's own
    database.fault(kind, **LASTING[kind])
    done, destination = read_over_sockets(config, catalog(TABLE, OTHER), state=first.state)
    assert done.exit_code == 1
    assert done.statuses(TABLE)[-1] == "INCOMPLETE"
    assert ("shop", TABLE) not in destination.completes
    assert not destination.finalizes


def test_the_rows_of_a_reshard_arrive_from_the_old_and_the_new_shards(database: EmbeddedDatabase) -> None:
    config = database.config("shop", include_cdc_columns=True)
    first, _ = read_over_sockets(config, catalog(TABLE))
    database.execute(f"update {TABLE} set note = 'new'", "shop")  # noqa: S608 - the test's own
    database.fault("reshard", table=TABLE, shard="80-", after_rows=20, shards="80-c0 c0-")
    done, destination = read_over_sockets(config, catalog(TABLE), state=first.state, sockets=3)
    assert done.exit_code == 0
    assert ids(destination.data(TABLE)) == set(range(COUNT))


def assert_lost(done: Run) -> None:
    assert done.exit_code == 1
    assert (TABLE, "COMPLETE") not in done.all_statuses
    error = done.errors[-1]
    assert error["failure_type"] == "transient_error"
    assert "has closed the data channel" in error["message"]
    assert done.stderr == ""


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_client_that_hangs_up_ends_the_read_and_every_socket(
    database: EmbeddedDatabase, number: int
) -> None:
    database.fault("slow", bytes_per_second=200_000, times=0)
    with reading(database, TABLE, OTHER, sockets=3, hangs_up_after={number: 1}) as command:
        done = command.finish()
        ended = [received.ended for received in command.destination.sockets]
    assert_lost(done)
    assert ended == [other != number for other in range(3)]


def test_a_client_that_hangs_up_while_nothing_comes_ends_the_read(database: EmbeddedDatabase) -> None:
    database.fault("stall", times=0)
    with reading(database) as command:
        until(lambda: "STARTED" in command.said, "the read does not start")
        command.destination.close()
        done = command.finish()
    assert_lost(done)


def test_no_client_is_waited_for_before_anything_is_read(database: EmbeddedDatabase) -> None:
    connects = threading.Event()
    with reading(database, connects=connects) as command:
        until(lambda: all(path.exists() for path in command.paths), "the sockets are not there")
        assert "STARTED" not in command.said
        connects.set()
        done = command.finish()
        assert command.destination.problems == []
        assert ids(command.destination.data(TABLE)) == set(range(COUNT))
    assert done.exit_code == 0


def test_a_slow_client_is_waited_for(database: EmbeddedDatabase) -> None:
    reads = threading.Event()
    with reading(database, sockets=2, reads=reads, chunk=512) as command:
        until(lambda: "STARTED" in command.said, "the read does not start")
        reads.set()
        done = command.finish()
        assert command.destination.problems == []
        assert ids(command.destination.data(TABLE)) == set(range(COUNT))
    assert done.exit_code == 0


@SIGNALS
def test_a_signal_ends_the_read_and_every_socket(database: EmbeddedDatabase, number: signal.Signals) -> None:
    database.fault("stall", table=TABLE, after_events=300, times=0)
    with reading(database, TABLE, OTHER, sockets=3) as command:
        until(lambda: command.destination.records, "no record comes")
        command.signal(number)
        done = command.finish()
        destination = command.destination
    assert done.exit_code == 128 + number
    assert destination.problems == []
    assert ("shop", TABLE) not in destination.completes
    assert (TABLE, "COMPLETE") not in done.all_statuses
    assert all(received.ended for received in destination.sockets)
    assert destination.confirmed == destination.states
    assert done.stderr == ""


@SIGNALS
def test_a_signal_before_the_destination_has_connected_ends_the_command(
    database: EmbeddedDatabase, number: signal.Signals
) -> None:
    connects = threading.Event()
    with reading(database, connects=connects) as command:
        until(lambda: all(path.exists() for path in command.paths), "the sockets are not there")
        command.signal(number)
        command.wait()
        assert not any(path.exists() for path in command.paths)
        command.destination.close()
        connects.set()
        done = command.finish()
    assert done.exit_code == 128 + number


@SIGNALS
def test_a_signal_ends_a_command_whose_sockets_nobody_reads(
    database: EmbeddedDatabase, number: signal.Signals
) -> None:
    database.fill("shop", OTHER, 50_000, first=100)
    reads = threading.Event()
    with reading(database, OTHER, sockets=2, reads=reads) as command:
        until(lambda: "RUNNING" in command.said, "the read does not start")
        command.signal(number)
        command.wait()
        reads.set()
        done = command.finish()
        destination = command.destination
    assert done.exit_code == 128 + number
    assert destination.completes == []


def test_a_state_within_the_interval_is_the_sign_of_life_while_nothing_comes(
    database: EmbeddedDatabase,
) -> None:
    database.fault("stall", times=0)
    config = database.config("shop", checkpoint_target_interval_seconds=1)
    with SocketRead(config, catalog(TABLE)) as command:
        until(lambda: command.said.count('"STATE"') > 2, "no sign of life")
        command.signal(signal.SIGTERM)
        command.finish()
        states = command.destination.states
    assert command.destination.problems == []
    assert [state["id"] for state in states] == list(range(1, len(states) + 1))
    assert {state["sourceStats"]["recordCount"] for state in states} == {0.0}
    assert command.destination.confirmed == states


def test_an_output_that_the_platform_no_longer_reads_ends_the_read_and_every_socket(
    database: EmbeddedDatabase,
) -> None:
    database.fault("slow", bytes_per_second=200_000, times=0)
    with reading(database, TABLE, OTHER, piped=True) as command:
        until(lambda: command.destination.records, "no record comes")
        command.close_stdout()
        done = command.finish()
        ended = [received.ended for received in command.destination.sockets]
    assert done.exit_code == 128 + signal.SIGPIPE
    # The small table may have come to its end before.
    assert ("shop", TABLE) not in command.destination.completes
    assert ended == [True, True]
    assert done.stderr == ""
