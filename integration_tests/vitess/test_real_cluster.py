"""The real cluster of many processes that other tests rely on, and the connector on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from integration_tests.support.copying import fill, is_copying, read_around
from integration_tests.support.followed_table import FollowedTable
from integration_tests.vitess.processes import ClusterError, wait_until
from integration_tests.vitess.workflows import Workflow
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.vitess.real_cluster import RealCluster

SECONDS = 60.0

# Prints where its cluster lives, then waits to be killed.
OWNER = """
import signal
from integration_tests.vitess.real_cluster import RealCluster
cluster = RealCluster.start({"src": {"0": 1}})
print(cluster.directory, flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def shop(real_cluster: RealCluster) -> Iterator[str]:
    """A keyspace of two shards with two tablets each."""
    with real_cluster.keyspace("shop", {"-80": 2, "80-": 2}) as keyspace:
        yield keyspace


def journals(cluster: RealCluster, keyspace: str, shard: str, gtid_set: str) -> list[wire.Journal]:
    """Reads a shard from a position to its end, which only a reshard brings, with nothing but gRPC."""
    position = wire.ShardGtid(keyspace=keyspace, shard=shard, gtid=f"MySQL56/{gtid_set}")
    request = wire.VStreamRequest(
        tablet_type=wire.PRIMARY,
        vgtid=wire.VGtid(shard_gtids=[position]),
        filter=wire.Filter(rules=[wire.Rule(match="/.*")]),
        flags=wire.VStreamFlags(stop_on_reshard=True),
    )
    with grpc.insecure_channel(f"{cluster.host}:{cluster.grpc_port}") as channel:
        vstream = channel.unary_stream(
            "/vtgateservice.Vitess/VStream",
            request_serializer=wire.VStreamRequest.SerializeToString,
            response_deserializer=wire.VStreamResponse.FromString,
        )
        events = [event for response in vstream(request, timeout=SECONDS) for event in response.events]
    return [event.journal for event in events if event.type == wire.JOURNAL]


def test_every_tablet_is_a_server_of_its_own(real_cluster: RealCluster, shop: str) -> None:
    for shard in ("-80", "80-"):
        primary = real_cluster.primary(shop, shard)
        (replica,) = real_cluster.replicas(shop, shard)
        servers = {
            real_cluster.execute("select @@server_uuid from dual", f"{shop}:{shard}@{kind}")[0][0]
            for kind in ("primary", "replica")
        }
        assert servers == {tablet.execute("select @@server_uuid")[0][0] for tablet in (primary, replica)}
    assert len({tablet.position() for tablet in real_cluster.tablets(shop)}) > 1


def test_a_copy_and_the_changes_after_it_equal_the_source(real_cluster: RealCluster, shop: str) -> None:
    table = FollowedTable(
        real_cluster,
        shop,
        "create table followed (id bigint primary key, home int, note varchar(20))",
        "home",
    )
    table.insert((number, number % 7, "old") for number in range(1000))
    table.sync()
    table.assert_equal()
    table.sql("update {t} set note = 'new' where id < 10", "delete from {t} where id between 10 and 19")
    table.insert([(5000, 3, "late")])
    done = table.sync()
    table.assert_equal()
    assert len(done.records(table.table)) == 21


def test_a_planned_failover_in_the_copy_leaves_it_complete(real_cluster: RealCluster) -> None:
    with real_cluster.keyspace("planned", {"0": 2}) as keyspace:
        table = FollowedTable(
            real_cluster, keyspace, "create table copied (id bigint primary key, note varchar(200))"
        )
        old = real_cluster.primary(keyspace, "0")
        fill(old, table.table, 40_000, "n, repeat('x', 150)")

        def fail_over() -> None:
            assert is_copying(old, table.table)
            real_cluster.planned_reparent(keyspace, "0")

        done = read_around(real_cluster, table.config, table.table, fail_over)
        assert real_cluster.primary(keyspace, "0") is not old
        assert done.statuses(table.table)[-1] == "COMPLETE"
        table.load(done)
        table.assert_equal()


def test_replicas_serve_a_read_and_a_tablet_more_can_be_had(real_cluster: RealCluster, shop: str) -> None:
    table = FollowedTable(real_cluster, shop, "create table on_rdonly (id bigint primary key)", "id")
    table.insert((number,) for number in range(20))
    for shard in ("-80", "80-"):
        real_cluster.add_tablet(shop, shard, "rdonly")
    real_cluster.vtctldclient("ReloadSchemaKeyspace", shop)
    done = table.sync(use_rdonly=True)
    assert len(done.records(table.table)) == 20


def test_a_dead_primary_is_replaced(real_cluster: RealCluster) -> None:
    with real_cluster.keyspace("emergency", {"0": 2}) as keyspace:
        table = FollowedTable(real_cluster, keyspace, "create table t (id int primary key)")
        table.insert([(1,)])
        old = real_cluster.primary(keyspace, "0")
        (replica,) = real_cluster.replicas(keyspace, "0")
        executed = old.position()
        wait_until(lambda: replica.has_executed(executed), "the replica has it", SECONDS)
        old.kill()
        assert real_cluster.emergency_reparent(keyspace, "0", replica) is replica
        table.insert([(2,)])
        assert table.source() == [{"id": 1}, {"id": 2}]


def test_killed_servers_come_back_with_their_rows(real_cluster: RealCluster) -> None:
    with real_cluster.keyspace("killed", {"0": 1}) as keyspace:
        table = FollowedTable(real_cluster, keyspace, "create table t (id int primary key)")
        table.insert([(1,)])
        (tablet,) = real_cluster.tablets(keyspace)
        for server in (tablet.mysqld, tablet.vttablet, real_cluster.vtgate):
            server.kill()
            assert not server.running
            server.start()
            real_cluster.wait_until_answering([keyspace], SECONDS)
            assert table.source() == [{"id": 1}]
        tablet.vttablet.stop()
        assert not tablet.vttablet.running
        tablet.start()
        real_cluster.wait_until_answering([keyspace], SECONDS)


def test_purged_binary_logs_are_those_of_one_tablet(real_cluster: RealCluster, shop: str) -> None:
    primary = real_cluster.primary(shop, "80-")
    replica = real_cluster.replicas(shop, "80-")[0]
    purged = replica.execute("select @@global.gtid_purged")
    executed = primary.position()
    primary.purge_binlogs()
    assert primary.execute(f"select gtid_subset('{executed}', @@global.gtid_purged)") == [(1,)]
    assert replica.execute("select @@global.gtid_purged") == purged


def test_a_keyspace_is_split_and_merged_and_tells_it_in_a_journal(real_cluster: RealCluster) -> None:
    with real_cluster.keyspace("split", {"0": 1}, sharded=True) as keyspace:
        table = FollowedTable(real_cluster, keyspace, "create table t (id int primary key, home int)", "home")
        table.insert((number, number % 7) for number in range(100))
        rows = table.source()
        before = real_cluster.primary(keyspace, "0").position()

        split = Workflow.reshard(real_cluster, keyspace, ["0"], {"-80": 1, "80-": 1})
        split.wait_until_caught_up()
        assert real_cluster.shards(keyspace) == ["0"]
        split.switch_traffic()
        assert real_cluster.shards(keyspace) == ["-80", "80-"]
        real_cluster.wait_until_answering([keyspace], SECONDS)
        assert table.source() == rows
        (journal,) = journals(real_cluster, keyspace, "0", before)
        assert journal.migration_type == wire.SHARDS
        assert {shard.shard for shard in journal.shard_gtids} == {"-80", "80-"}
        assert [shard.shard for shard in journal.participants] == ["0"]

        split.reverse_traffic()
        assert real_cluster.shards(keyspace) == ["0"]
        real_cluster.wait_until_answering([keyspace], SECONDS)
        table.insert([(1000, 3)])
        split.switch_traffic()
        split.complete()
        with pytest.raises(ClusterError, match="node doesn't exist"):
            real_cluster.vtctldclient("GetShard", f"{keyspace}/0")

        merge = Workflow.reshard(real_cluster, keyspace, ["-80", "80-"], {"-": 1}, "merge")
        merge.switch_traffic()
        merge.complete()
        assert real_cluster.shards(keyspace) == ["-"]
        real_cluster.wait_until_answering([keyspace], SECONDS)
        assert table.source() == [*rows, {"id": 1000, "home": 3}]


def test_a_table_moves_to_another_keyspace(real_cluster: RealCluster) -> None:
    with real_cluster.keyspace("old", {"0": 1}) as old, real_cluster.keyspace("new", {"0": 1}) as new:
        table = FollowedTable(real_cluster, old, "create table moved (id int primary key)")
        table.insert([(1,), (2,)])
        move = Workflow.move_tables(real_cluster, old, new, [table.table])
        move.switch_traffic()
        move.complete()
        assert real_cluster.execute("select * from moved", f"{new}:0@primary") == [(1,), (2,)]


def test_nothing_is_left_of_a_cluster_whose_owner_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        directory = Path(owner.stdout.readline().strip())
        assert servers_of(directory) > {"etcd", "vtctld", "vtgate", "vttablet"}
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not directory.exists(), "the data is gone", SECONDS)
    assert not servers_of(directory)


def servers_of(directory: Path) -> set[str]:
    """The programs that run in a directory."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(directory):
                found.add((process / "exe").readlink().name)
        except OSError:
            continue
    return found
