"""The real Vitess that the other tests rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from integration_tests.vitess.processes import Processes, alive, wait_until
from integration_tests.vitess.topology import shard_names
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from integration_tests.vitess.cluster import VitessCluster

ROWS = 40
SECONDS = 60.0

# An owner of processes that prints their numbers and then waits to be killed.
OWNER = """
import signal
from integration_tests.vitess.processes import Processes
processes = Processes({})
direct = processes.start(["sleep", "600"])
# The shell ends at once and leaves an orphan in a session of its own.
processes.start(["sh", "-c", "setsid sleep 600 & echo $! > orphan"])
print(direct, processes.directory, flush=True)
signal.pause()
"""


def copy(cluster: VitessCluster, keyspace: str, table: str) -> list[wire.VEvent]:
    """Copies a table with one VStream over all shards of a keyspace and returns the events."""
    request = wire.VStreamRequest(
        tablet_type=wire.PRIMARY,
        vgtid=wire.VGtid(shard_gtids=[wire.ShardGtid(keyspace=keyspace)]),
        filter=wire.Filter(rules=[wire.Rule(match=table)]),
    )
    events: list[wire.VEvent] = []
    with grpc.insecure_channel(f"{cluster.host}:{cluster.grpc_port}") as channel:
        vstream = channel.unary_stream(
            "/vtgateservice.Vitess/VStream",
            request_serializer=wire.VStreamRequest.SerializeToString,
            response_deserializer=wire.VStreamResponse.FromString,
        )
        for response in vstream(request, timeout=SECONDS):
            events.extend(response.events)
            # The event that ends the copy of all shards has no shard of its own.
            if any(e.type == wire.COPY_COMPLETED and not e.shard for e in response.events):
                return events
    raise AssertionError("the stream ended before the copy")


@pytest.mark.parametrize("keyspace", ["shop", "src"])
def test_every_shard_answers_sql_on_primary_and_replica(vitess: VitessCluster, keyspace: str) -> None:
    for shard in vitess.shards(keyspace):
        for tablet_type in ("primary", "replica"):
            rows = vitess.execute("select 1 from dual", f"{keyspace}:{shard}@{tablet_type}")
            assert rows == [(1,)]


def test_a_created_table_takes_rows_on_both_shards(vitess: VitessCluster) -> None:
    vitess.create_table("shop", "create table fixture_rows (id bigint primary key)", "id")
    vitess.execute_many("insert into fixture_rows values (%s)", "shop", [(key,) for key in range(ROWS)])
    counts = [
        vitess.execute("select count(*) from fixture_rows", f"shop:{shard}")[0][0]
        for shard in vitess.shards("shop")
    ]
    assert all(counts)
    assert sum(counts) == ROWS


def test_a_vstream_copies_a_table_from_two_shards(vitess: VitessCluster) -> None:
    vitess.create_table("shop", "create table fixture_copy (id bigint primary key, name varchar(20))", "id")
    vitess.execute_many(
        "insert into fixture_copy values (%s, %s)", "shop", [(key, "é") for key in range(ROWS)]
    )
    events = copy(vitess, "shop", "fixture_copy")
    rows = [event for event in events if event.type == wire.ROW]
    assert {event.row_event.shard for event in rows} == {"-80", "80-"}
    values = [change.after.values for event in rows for change in event.row_event.row_changes]
    assert sorted(values) == sorted(f"{key}é".encode() for key in range(ROWS))


def test_purged_binary_logs_are_gone(vitess: VitessCluster) -> None:
    executed = vitess.execute_on_mysqld("select @@gtid_executed")
    vitess.purge_binlogs()
    assert vitess.execute_on_mysqld("select @@gtid_purged") == executed


def test_rows_and_vschema_survive_killed_servers(vitess: VitessCluster) -> None:
    vitess.create_table("shop", "create table fixture_killed (id bigint primary key)", "id")
    vitess.execute("insert into fixture_killed values (1)", "shop")
    vitess.kill_vtgate()
    vitess.start_vtgate()
    vitess.kill_mysqld()
    vitess.restart_mysqld()
    # A sharded keyspace takes an insert only into a table whose vindex it knows.
    vitess.execute("insert into fixture_killed (id) values (2)", "shop")
    assert vitess.execute("select id from fixture_killed order by id", "shop") == [(1,), (2,)]


def test_shards_are_named_as_vitess_names_them() -> None:
    assert shard_names(1) == ["0"]
    assert shard_names(2) == ["-80", "80-"]
    assert shard_names(4) == ["-40", "40-80", "80-c0", "c0-"]


def test_processes_and_data_are_gone_after_stop() -> None:
    processes = Processes({})
    pid = processes.start(["sleep", "600"])
    assert alive(pid)
    processes.stop()
    assert not alive(pid)
    assert not processes.directory.exists()


def test_processes_and_data_are_gone_after_their_owner_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        direct, name = owner.stdout.readline().split()
        directory = Path(name)
        orphan = directory / "orphan"
        wait_until(lambda: orphan.exists() and bool(orphan.read_text()), "it started", SECONDS)
        pids = [int(direct), int(orphan.read_text())]
        assert all(alive(pid) for pid in pids)
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not directory.exists(), "the data is gone", SECONDS)
    assert not any(alive(pid) for pid in pids)
