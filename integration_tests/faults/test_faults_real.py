"""Faults of the network and of the servers, on a real Vitess: the right rows, or INCOMPLETE and why."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.contract.recording import Request, record
from embedded_database.relay import Relay, cut, delay, refuse, stall
from integration_tests.support.command import RESYNC, Command, configured, cursors, positions, read, read_well
from integration_tests.support.destination import DELETED_AT
from integration_tests.support.tables import create, executed_position, insert, on_shard
from integration_tests.vitess.cluster import VitessCluster
from integration_tests.vitess.processes import wait_until
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from embedded_database.contract.recording import Responses
    from integration_tests.support.command import Run

TABLE = "faults_rows"
ROWS = 3000
KILOBYTE = "x" * 1000
# A timeout that ends retries in a while; a busy machine still connects in it.
SOON = 3
# How long the tablets may take to hear of a new configuration of their throttler.
THROTTLER_SECONDS = 60.0
# So many of a stream's beats, a second apart, without the change that waits for it mean that it is held back.
HEARTBEATS = 3


@pytest.fixture(scope="module")
def vitess(vitess: VitessCluster) -> Iterator[VitessCluster]:
    """A Vitess whose servers may be killed, with responses so small that a copy can be cut anywhere."""
    del vitess
    flags = ("--vstream-packet-size=50000", "--vstream-dynamic-packet-size=false")
    with VitessCluster.start({"shop": 2, "src": 1}, vtcombo_flags=flags) as cluster:
        yield cluster


@pytest.fixture
def relay(vitess: VitessCluster) -> Iterator[Relay]:
    with Relay(vitess.grpc_port) as relay:
        yield relay


@pytest.fixture
def table(vitess: VitessCluster) -> str:
    """A table of about 3 MB, in about 60 responses of the server."""
    create(vitess, "src", f"create table {TABLE} (id bigint primary key, note varchar(2000))")
    insert(vitess, "src", "0", TABLE, [(key, KILOBYTE) for key in range(ROWS)])
    return TABLE


def through(relay: Relay, vitess: VitessCluster, **overrides: object) -> dict[str, object]:
    return vitess.config("src", **{"grpc_port": relay.port, "timeout_seconds": 20, **overrides})


def update(vitess: VitessCluster, note: str) -> None:
    """Sets the notes of the table, in one transaction."""
    on_shard(vitess, "src", "0", f"update {TABLE} set note = {note}")  # noqa: S608 - the test's own table


def ids(done: Run, table: str = TABLE) -> list[int]:
    return [row["id"] for row in done.records(table)]


def with_position(
    state: list[dict[str, Any]], positions: Mapping[str, str], keyspace: str = "src"
) -> list[dict[str, Any]]:
    """The state with other positions, by shard."""
    (message,) = state
    saved = message["stream"]["stream_state"]
    shards = {**saved["shards"]}
    for shard, cursor in cursors(saved, keyspace).items():
        if shard in positions:
            moved = replace(cursor, position=positions[shard])
            shards[shard] = {**shards[shard], "cursor": moved.encode()}
    stream = {**message["stream"], "stream_state": {**saved, "shards": shards}}
    return [{**message, "stream": stream}]


def test_a_connection_cut_in_the_copy_goes_on_after_the_last_key(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    relay.plan(cut(1_000_000, slowed=0.01))
    done = read_well(through(relay, vitess), table)
    assert len(relay.met) == 1
    assert ids(done) == list(range(ROWS))
    assert any("broke off" in line for line in done.logs)


def test_a_connection_cut_in_catch_up_goes_on_from_the_last_transaction(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    first = read_well(vitess.config("src"), table)
    for part in range(10):
        update(vitess, f"concat('new', note) where id between {part * 100} and {part * 100 + 99}")
    relay.plan(cut(700_000, slowed=0.01))
    done = read_well(through(relay, vitess), table, state=first.state)
    assert len(relay.met) == 1
    assert sorted(set(ids(done))) == list(range(1000))
    # The transaction that was cut comes again, those before it do not.
    assert len(ids(done)) <= 1100


def test_a_cut_inside_a_transaction_of_many_responses_loses_and_skips_none_of_it(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    first = read_well(vitess.config("src"), table)
    update(vitess, "concat('new', note)")
    relay.plan(cut(1_000_000, slowed=0.01), cut(2_000_000, slowed=0.01))
    done = read_well(through(relay, vitess), table, state=first.state)
    assert len(relay.met) == 2
    assert set(ids(done)) == set(range(ROWS))


def test_a_state_in_the_middle_of_a_large_transaction_stands_before_it(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    first = read_well(vitess.config("src"), table)
    update(vitess, "concat('new', note)")
    relay.always(cut(1_000_000, slowed=0.01))
    config = through(relay, vitess, max_retries=0, timeout_seconds=SOON)
    broken = read(config, table, state=first.state)
    assert broken.statuses(table)[-1] == "INCOMPLETE"
    relay.heal()
    done = read_well(through(relay, vitess), table, state=broken.state)
    assert sorted(ids(done)) == list(range(ROWS))


def test_retries_count_only_attempts_without_progress(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    relay.always(cut(700_000, slowed=0.01))
    done = read_well(through(relay, vitess, max_retries=1), table)
    assert len(relay.met) >= 3
    assert set(ids(done)) == set(range(ROWS))


def test_an_end_of_retries_is_incomplete_with_its_progress_saved(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    relay.plan(cut(1_000_000, slowed=0.01))
    relay.always(refuse())
    broken = read(through(relay, vitess, max_retries=1, timeout_seconds=SOON), table)
    assert broken.exit_code != 0
    assert broken.statuses(table)[-1] == "INCOMPLETE"
    (message,) = broken.errors_of(table)
    assert re.search(r"stopped after \d+ attempts without progress", message)
    assert "table faults_rows, shard 0" in message
    relay.heal()
    # Nothing was written meanwhile: the position is the same, and the copy goes on all the same.
    rest = read_well(through(relay, vitess), table, state=broken.state)
    assert ids(broken) + ids(rest) == list(range(ROWS))
    assert 0 < len(ids(broken)) < ROWS


def test_a_stalled_connection_is_given_up_and_read_on_over_a_new_one(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    relay.plan(stall(1_000_000))
    # Retries enough for a machine on which a good connection takes longer than the timeout as well.
    done = read_well(through(relay, vitess, max_retries=20, timeout_seconds=3), table)
    assert len(relay.met) == 1
    assert ids(done) == list(range(ROWS))
    assert any("nothing came for 3 seconds" in line for line in done.logs)


def test_a_sync_longer_than_the_timeout_goes_on_while_there_is_progress(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    relay.always(delay(0.05))
    done = read_well(through(relay, vitess, max_retries=0, timeout_seconds=6), table)
    emitted = [record["emitted_at"] for record in done.record_messages(table)]
    assert emitted[-1] - emitted[0] > 6000
    assert ids(done) == list(range(ROWS))


@pytest.mark.parametrize("synced_before", [False, True])
def test_a_position_that_cannot_be_looked_up_is_an_error_and_no_empty_success(
    vitess: VitessCluster, table: str, relay: Relay, *, synced_before: bool
) -> None:
    state = read_well(vitess.config("src"), table).state if synced_before else None
    relay.always(refuse())
    done = read(through(relay, vitess, max_retries=1, timeout_seconds=SOON), table, state=state)
    assert done.exit_code != 0
    assert done.statuses(table)[-1] == "INCOMPLETE"
    assert "current position of shard 0 of keyspace src could not be read" in done.errors_of(table)[0]
    assert ids(done) == []


def read_while(relay: Relay, vitess: VitessCluster, table: str, *happens: Callable[[], None]) -> Run:
    """Reads a table slowly and has things happen once the first record is there."""
    relay.plan(delay(0.02))
    config = through(relay, vitess, max_retries=20)
    with Command(["read"], config, configured(table, namespace="src")) as command:
        command.next_message("RECORD")
        for each in happens:
            each()
        return command.finish()


def test_a_restart_of_vtgate_in_the_copy_is_waited_for(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    done = read_while(relay, vitess, table, vitess.kill_vtgate, vitess.start_vtgate)
    assert done.statuses(table)[-1] == "COMPLETE"
    assert set(ids(done)) == set(range(ROWS))


def test_a_restart_of_mysql_in_the_copy_is_waited_for(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    done = read_while(relay, vitess, table, vitess.kill_mysqld, vitess.restart_mysqld)
    assert done.statuses(table)[-1] == "COMPLETE"
    assert set(ids(done)) == set(range(ROWS))


def test_changes_on_both_sides_of_a_restart_of_mysql_are_those_of_the_table(vitess: VitessCluster) -> None:
    name = "faults_restart"
    for keyspace in ("src", "shop"):
        create(vitess, keyspace, f"create table {name} (id bigint primary key)")
    databases = ["vt_src_0", "vt_shop_-80"]
    # MySQL numbers tables anew after each of these restarts.
    vitess.kill_mysqld()
    vitess.restart_mysqld()
    first = read_well(vitess.config("src"), name)
    for number in range(20):
        insert_pair(vitess, name, number, databases)
    vitess.kill_mysqld()
    vitess.restart_mysqld()
    for number in range(20, 60):
        insert_pair(vitess, name, number, databases[:: -1 if number % 2 else 1])
    before, after = (table_numbers(vitess, file, name) for file in vitess.binlogs()[-2:])
    # A number that stood for one of the tables stands for the other one now: left alone, the tablet takes
    # one for the other.
    assert any(after[number] != before[number] for number in before.keys() & after.keys())
    done = read_well(vitess.config("src"), name, state=first.state)
    assert ids(done, name) == list(range(0, 120, 2))
    assert not any("broke off" in line for line in done.logs)


def insert_pair(vitess: VitessCluster, table: str, number: int, databases: list[str]) -> None:
    """Inserts a row into each database, an even number into that of `src`; MySQL numbers both anew for it."""
    vitess.execute_on_mysqld("flush tables")
    for database in databases:
        key = 2 * number + (database != "vt_src_0")
        vitess.execute_on_mysqld(f"insert into `{database}`.{table} values ({key})")  # noqa: S608 - the test's own table


def table_numbers(vitess: VitessCluster, binlog: str, table: str) -> dict[int, str]:
    """The databases of a table, by the numbers that it has in a binlog file."""
    infos = [event[5] for event in vitess.execute_on_mysqld(f"show binlog events in '{binlog}'")]
    maps = (re.match(rf"table_id: (\d+) \((.+)\.{table}\)", info) for info in infos)
    return {int(found[1]): found[2] for found in maps if found}


def test_a_stream_that_vitess_throttles_is_waited_for_and_no_success_before(
    vitess: VitessCluster, table: str
) -> None:
    first = read_well(vitess.config("src"), table)
    update(vitess, "'new' where id = 7")
    (position,) = positions(first.stream_state(table), "src").values()
    with ExitStack() as running:
        with streams_held_back(vitess, table, position):
            broken = read(vitess.config("src", max_retries=0, timeout_seconds=10), table, state=first.state)
            waits = running.enter_context(
                Command(["read"], vitess.config("src"), configured(table, namespace="src"), first.state)
            )
            while not is_rate_limited(waits.next_message("TRACE")):
                pass
        done = waits.finish()
    assert (broken.statuses(table)[-1], ids(broken)) == ("INCOMPLETE", [])
    assert "nothing came for 10 seconds" in broken.errors_of(table)[0]
    assert (done.statuses(table)[-1], ids(done)) == ("COMPLETE", [7])
    # STARTED, RUNNING, then RUNNING because of the limit, and once more when the stream goes on.
    assert done.statuses(table) == ["STARTED", "RUNNING", "RUNNING", "RUNNING", "COMPLETE"]


def is_rate_limited(message: Mapping[str, Any]) -> bool:
    """Whether a message says that a stream waits for the server's throttler."""
    reasons = message["trace"].get("stream_status", {}).get("reasons") or []
    return "RATE_LIMITED" in {reason["type"] for reason in reasons}


@contextmanager
def streams_held_back(vitess: VitessCluster, table: str, position: str) -> Iterator[None]:
    """Has Vitess throttle all streams of `src`, from the moment on that one of its own is seen to be held.

    Args:
        vitess: The cluster.
        table: A table.
        position: One that a change of the table follows.
    """
    app = ("--throttle-app=vstreamer", "--throttle-app-ratio=1", "--throttle-app-duration=1h")
    vitess.vtctldclient("UpdateThrottlerConfig", "--enable", *app, "src")
    try:
        wait_until(
            lambda: throttles_streams(vitess) and is_held_back(vitess, table, position),
            "Vitess holds streams back",
            THROTTLER_SECONDS,
        )
        yield
    finally:
        vitess.vtctldclient("UpdateThrottlerConfig", "--disable", "src")


def throttles_streams(vitess: VitessCluster) -> bool:
    """Whether the tablet has taken up that it throttles streams."""
    ((_, enabled, *_),) = vitess.execute("show vitess_throttler status", "src:0")
    apps = vitess.execute("show vitess_throttled_apps", "src:0")
    return bool(enabled) and "vstreamer" in {app for app, *_ in apps}


def is_held_back(vitess: VitessCluster, table: str, position: str) -> bool:
    """Whether a stream beats and does not bring the change that follows the position."""

    def until(responses: Responses) -> bool:
        kinds = Counter(event.type for response in responses for event in response)
        return kinds[wire.ROW] > 0 or kinds[wire.HEARTBEAT] == HEARTBEATS

    select = f"select * from {table}"  # noqa: S608 - the test's own table
    request = Request("src", {"0": position}, {table: select}, flags={"heartbeat_interval": 1})
    recording = record(vitess.grpc_port, request, until)
    assert not recording.code, recording.details
    return not recording.events(wire.ROW)


def test_mysql_that_stays_away_ends_incomplete(vitess: VitessCluster, table: str) -> None:
    first = read_well(vitess.config("src"), table)
    update(vitess, "'new' where id = 7")
    vitess.kill_mysqld()
    try:
        broken = read(vitess.config("src", max_retries=1, timeout_seconds=10), table, state=first.state)
    finally:
        vitess.restart_mysqld()
    assert broken.exit_code != 0
    assert broken.statuses(table)[-1] == "INCOMPLETE"
    done = read_well(vitess.config("src"), table, state=first.state)
    assert ids(done) == [7]


def test_a_purged_position_is_found_before_any_stream_and_follows_the_option(
    vitess: VitessCluster, table: str
) -> None:
    first = read_well(vitess.config("src"), table)
    update(vitess, "'new' where id = 7")
    vitess.purge_binlogs()
    refused = read(vitess.config("src"), table, state=first.state)
    assert refused.statuses(table)[-1] == "INCOMPLETE"
    (message,) = refused.errors_of(table)
    assert "binlogs that follow it have been purged" in message
    assert "Re-sync data" in message
    assert ids(refused) == []
    again = read_well(vitess.config("src", **RESYNC), table, state=first.state)
    assert ids(again) == list(range(ROWS))


@pytest.mark.parametrize("kind", ["foreign", "ahead"])
def test_a_position_of_another_cluster_or_ahead_of_the_server_is_found_before_any_stream(
    vitess: VitessCluster, table: str, kind: str
) -> None:
    first = read_well(vitess.config("src"), table)
    here = executed_position(vitess)
    wrong = f"MySQL56/{uuid.uuid4()}:1-5" if kind == "foreign" else f"{here.partition(':')[0]}:1-99999999"
    state = with_position(first.state, {"0": wrong})
    refused = read(vitess.config("src"), table, state=state)
    assert refused.statuses(table)[-1] == "INCOMPLETE"
    assert "ahead of the server or of another cluster" in refused.errors_of(table)[0]
    assert ids(refused) == []
    again = read_well(vitess.config("src", **RESYNC), table, state=state)
    assert ids(again) == list(range(ROWS))


def test_a_position_that_one_shard_cannot_serve_copies_that_shard_alone(vitess: VitessCluster) -> None:
    create(vitess, "shop", "create table faults_shards (id bigint primary key)")
    insert(vitess, "shop", "-80", "faults_shards", [(1,), (2,)])
    insert(vitess, "shop", "80-", "faults_shards", [(3,), (4,)])
    first = read_well(vitess.config("shop"), "faults_shards")
    insert(vitess, "shop", "80-", "faults_shards", [(5,)])
    state = with_position(first.state, {"-80": f"MySQL56/{uuid.uuid4()}:1-5"}, "shop")
    refused = read(vitess.config("shop"), "faults_shards", state=state)
    assert refused.statuses("faults_shards")[-1] == "INCOMPLETE"
    assert "shard -80" in refused.errors_of("faults_shards")[0]
    # The other shard is read to its end, and its state is kept.
    assert ids(refused, "faults_shards") == [5]
    again = read_well(vitess.config("shop", **RESYNC), "faults_shards", state=state)
    assert sorted(ids(again, "faults_shards")) == [1, 2, 5]


def test_a_copy_of_a_key_that_the_server_cannot_resume_starts_again(
    vitess: VitessCluster, relay: Relay
) -> None:
    labels = [f"{'zam'[number % 3]}{number}" for number in range(1500)]
    kinds = {
        "enum": f"enum({','.join(repr(label) for label in labels)})",
        "float": "float",
    }
    for name, kind in kinds.items():
        table = f"faults_{name}"
        create(vitess, "src", f"create table {table} (id {kind} not null primary key, note varchar(1000))")
        keys: list[object] = list(labels) if name == "enum" else [n / 10 for n in range(len(labels))]
        insert(vitess, "src", "0", table, [(key, KILOBYTE) for key in keys])
        relay.plan(cut(700_000, slowed=0.01))
        relay.always(refuse())
        broken = read(through(relay, vitess, max_retries=0, timeout_seconds=SOON), table)
        assert broken.statuses(table)[-1] == "INCOMPLETE"
        relay.heal()
        done = read_well(through(relay, vitess), table, state=broken.state)
        assert sorted(map(str, ids_of_any(done, table))) == sorted(map(str, keys))


def ids_of_any(done: Run, table: str) -> list[object]:
    return [row["id"] for row in done.records(table)]


def test_a_sync_that_was_cut_in_the_copy_brings_the_changes_since(
    vitess: VitessCluster, table: str, relay: Relay
) -> None:
    relay.plan(cut(1_000_000, slowed=0.01))
    relay.always(refuse())
    config = through(relay, vitess, max_retries=0, timeout_seconds=SOON, include_cdc_columns=True)
    broken = read(config, table)
    copied = max(ids(broken))
    on_shard(vitess, "src", "0", "delete from faults_rows where id = 1")
    update(vitess, f"'new' where id in (2, {copied + 100})")
    insert(vitess, "src", "0", table, [(ROWS, "new")])
    relay.heal()
    rest = read_well(through(relay, vitess, include_cdc_columns=True), table, state=broken.state)
    last = {row["id"]: row for row in rest.records(table)}
    assert last[1][DELETED_AT] is not None
    assert {last[key]["note"] for key in (2, copied + 100, ROWS)} == {"new"}
    assert set(last) == {1, 2, *range(copied + 1, ROWS + 1)}
    ((_, cursor),) = cursors(rest.stream_state(table), "src").items()
    assert Position.parse(executed_position(vitess)).contains(Position.parse(cursor.position))
