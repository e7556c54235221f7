"""Processes that read shards for a read over sockets: when there are any, and what their end means."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.database import EmbeddedDatabase
from embedded_database.ssh_server import SshServer
from integration_tests.support.command import SECONDS, configured, run
from integration_tests.support.destination import DedupedTable
from integration_tests.support.socket_read import SocketRead, read_over_sockets
from source_planetscale.workers.crew import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.support.command import Json

TABLE = "sent"
OTHER = "also_sent"
COUNT = 1000
FORMATS = pytest.mark.parametrize("serialization", ["JSONL", "PROTOBUF"])


@pytest.fixture(autouse=True)
def _processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROCESSES, "2")


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    ddl = [f"create table {name} (id bigint primary key, note varchar(2000))" for name in (TABLE, OTHER)]
    with EmbeddedDatabase.start(tables={"shop": ddl}) as database:
        database.load("shop", TABLE, [(key, "x" * 1500) for key in range(COUNT)])
        database.load("shop", OTHER, [(key, "y") for key in range(10)])
        yield database


def catalog(config: Json, *tables: str) -> Json:
    (message,) = run("discover", config=config).of_type("CATALOG")
    streams = {stream["name"]: stream for stream in message["catalog"]["streams"]}
    return configured(*[streams[table] for table in tables])


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def rows(database: EmbeddedDatabase) -> list[Json]:
    found = database.execute(f"select id, note from {TABLE}", "shop")  # noqa: S608 - the test's own
    return sorted(({"id": key, "note": note} for key, note in found), key=lambda row: row["id"])


@FORMATS
def test_shards_are_read_side_by_side_by_processes_of_their_own(
    database: EmbeddedDatabase, serialization: str
) -> None:
    config = database.config("shop")
    with SocketRead(config, catalog(config, TABLE), serialization=serialization) as command:
        done = command.finish()
        workers = command.workers
        destination = command.destination
    assert done.exit_code == 0
    assert len(set(workers)) == len(workers) == 2
    assert all(map(is_gone, workers))
    assert sorted(row["id"] for row in destination.data(TABLE)) == list(range(COUNT))
    partitions = [{row["partition_id"] for row in received.records} for received in destination.sockets]
    assert set().union(*partitions) <= {state["partition_id"] for state in destination.states}


def test_few_rows_are_not_worth_a_process(
    database: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROCESSES, "")
    config = database.config("shop")
    with SocketRead(config, catalog(config, TABLE)) as command:
        assert command.finish().exit_code == 0
        assert command.workers == []


def test_a_number_of_processes_that_is_none_is_told_before_anything_is_read(
    database: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROCESSES, "many")
    config = database.config("shop")
    with SocketRead(config, catalog(config, TABLE)) as command:
        done = command.finish()
    assert done.exit_code == 1
    assert PROCESSES in done.errors[-1]["message"]
    assert done.all_statuses == []


@pytest.mark.parametrize("phase", ["copy", "catch-up"])
def test_a_process_that_is_killed_ends_its_shard_alone_and_loses_nothing(
    database: EmbeddedDatabase, phase: str
) -> None:
    config = database.config(
        "shop", include_cdc_columns=True, max_retries=0, checkpoint_target_interval_seconds=1
    )
    streams = catalog(config, TABLE, OTHER)
    table, state = DedupedTable(["id"]), None
    if phase == "catch-up":
        first, destination = read_over_sockets(config, streams)
        table.load([record for record in destination.records if record["stream"] == TABLE])
        state = first.state
        for part in range(10):
            where = f"id between {part * 100} and {part * 100 + 89}"
            database.execute(f"update {TABLE} set note = '{'z' * 1500}' where {where}", "shop")  # noqa: S608 - the test's own
        database.execute(f"delete from {TABLE} where id between 90 and 99", "shop")  # noqa: S608 - the test's own
    database.fault("slow", shard="80-", bytes_per_second=100_000, times=0)
    with SocketRead(config, streams, state=state) as command:
        until(lambda: read_up_to_stop(command, "-80"), "the other shard does not end")
        other = read_up_to_stop(command, "-80") or 0
        until(lambda: len(command.destination.data(TABLE)) > other, "no row comes")
        os.kill(reader_of(command, "80-") or 0, signal.SIGKILL)
        done = command.finish()
        destination = command.destination
    assert destination.problems == []
    assert done.exit_code == 1
    assert done.statuses(TABLE)[-1] == "INCOMPLETE"
    (error,) = done.errors_of(TABLE)
    assert "shard 80-" in error
    assert "has ended by signal 9" in error
    assert {found["failure_type"] for found in done.errors if found["message"] == error} == {
        "transient_error"
    }
    assert destination.confirmed == destination.states
    table.load([record for record in destination.records if record["stream"] == TABLE])

    database.clear_faults()
    rest, destination = read_over_sockets(config, streams, state=done.state)
    assert rest.exit_code == 0
    table.load([record for record in destination.records if record["stream"] == TABLE])
    assert [{"id": row["id"], "note": row["note"]} for row in table.rows()] == rows(database)


def reader_of(command: SocketRead, shard: str) -> int | None:
    """The process that reads a shard, as the log tells it."""
    found = re.search(rf"shard {shard}[^.:]* in process (\d+)", command.said)
    return int(found[1]) if found else None


def read_up_to_stop(command: SocketRead, shard: str) -> int | None:
    """How many rows of a shard were read, once it has ended."""
    found = re.search(rf"Table {TABLE}, shard {shard} read up to its stop position: (\d+) rows", command.said)
    return int(found[1]) if found else None


def test_a_process_that_ends_before_it_has_brought_anything_is_done_without(
    database: EmbeddedDatabase,
) -> None:
    database.fault("stall", table=TABLE, after_events=5, times=0)
    config = database.config("shop")
    with SocketRead(config, catalog(config, TABLE)) as command:
        until(lambda: len(command.workers) == 2, "no process reads")
        database.clear_faults()
        for pid in command.workers:
            os.kill(pid, signal.SIGKILL)
        done = command.finish()
        destination = command.destination
    assert done.exit_code == 0
    assert destination.problems == []
    assert done.output.count("so this process reads instead") == 2
    assert sorted(row["id"] for row in destination.data(TABLE)) == list(range(COUNT))


def test_processes_end_with_the_one_that_started_them(database: EmbeddedDatabase) -> None:
    database.fault("stall", table=TABLE, after_events=5, times=0)
    config = database.config("shop")
    with SocketRead(config, catalog(config, TABLE)) as command:
        until(lambda: len(command.workers) == 2, "no process reads")
        workers = command.workers
        command.signal(signal.SIGKILL)
        command.wait()
        until(lambda: all(map(is_gone, workers)), "a process has stayed")
        command.destination.join()
        assert all(received.ended for received in command.destination.sockets)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_to_all_processes_at_once_is_an_orderly_end(
    database: EmbeddedDatabase, number: signal.Signals
) -> None:
    database.fault("stall", table=TABLE, after_events=300, times=0)
    config = database.config("shop")
    with SocketRead(config, catalog(config, TABLE)) as command:
        until(lambda: command.destination.records, "no record comes")
        workers = command.workers
        for pid in workers:
            os.kill(pid, number)
        command.signal(number)
        done = command.finish()
        destination = command.destination
    assert done.exit_code == 128 + number
    assert (destination.problems, done.stderr) == ([], "")
    assert destination.confirmed == destination.states
    stated = {state["partition_id"] for state in destination.states}
    assert {record["partition_id"] for record in destination.records} <= stated
    assert "told to stop" in done.errors[-1]["message"]
    assert all(map(is_gone, workers))


def test_rows_that_no_state_covers_yet_are_covered_while_nothing_comes(database: EmbeddedDatabase) -> None:
    database.fault("stall", table=TABLE, after_events=300, times=0)
    config = database.config("shop", checkpoint_target_interval_seconds=1)
    with SocketRead(config, catalog(config, TABLE)) as command:
        until(lambda: covered(command) > 0, "no state covers what has come")
        command.signal(signal.SIGTERM)
        command.finish()
        destination = command.destination
    assert destination.problems == []
    assert destination.confirmed == destination.states


def covered(command: SocketRead) -> float:
    counts = [float(state["sourceStats"]["recordCount"]) for state in command.destination.states]
    return sum(counts)


def test_processes_read_through_the_tunnel_of_the_one_that_started_them(database: EmbeddedDatabase) -> None:
    with SshServer() as ssh:
        config = database.config("shop", tunnel_method=ssh.fields())
        done, destination = read_over_sockets(config, catalog(config, TABLE))
        logins = ssh.logins
    assert done.exit_code == 0
    assert sorted(row["id"] for row in destination.data(TABLE)) == list(range(COUNT))
    # One of discovery and one of the read.
    assert logins == 2


def test_a_tunnel_that_ends_is_told_as_the_reason(database: EmbeddedDatabase) -> None:
    database.fault("stall", table=TABLE, after_events=300, times=0)
    options: dict[str, Any] = {"max_retries": 0, "timeout_seconds": 5}
    with SshServer() as ssh:
        config = database.config("shop", tunnel_method=ssh.fields(), **options)
        with SocketRead(config, catalog(config, TABLE)) as command:
            until(lambda: command.destination.records, "no record comes")
            ssh.stop()
            done = command.finish()
    assert done.exit_code == 1
    assert "SSH server" in done.errors[-1]["message"]
