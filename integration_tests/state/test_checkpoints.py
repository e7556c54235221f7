"""States in the middle of a read, cut reads and how they go on, on a real Vitess."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.relay import Relay, hold, refuse, stall
from embedded_database.relay import cut as cut_after
from integration_tests.support.command import Command, Run, configured, cursors, read, read_well
from integration_tests.support.tables import create, executed_position, insert, on_shard
from integration_tests.vitess.processes import wait_until
from source_planetscale.follow.checkpoint import ROWS_BETWEEN_CHECKPOINTS
from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from integration_tests.support.command import Json
    from integration_tests.vitess.cluster import VitessCluster
    from source_planetscale.vstream.cursor import Cursor

BIG = 250_000
# Rows of a table that leaves vtgate in several messages, each longer than a pipe holds.
LARGE = 4000
FILLER = "x" * 500
# More of the narrow rows than one message of the copy holds.
ONE_MESSAGE = 50_000
SIGNALS = pytest.mark.parametrize(("number", "unbuffered"), [(signal.SIGTERM, "1"), (signal.SIGINT, "")])


@pytest.fixture(scope="module", autouse=True)
def tables(vitess: VitessCluster) -> None:
    create(
        vitess,
        "src",
        "create table point_big (id bigint primary key, n int)",
        "create table point_large (id bigint primary key, filler varchar(600))",
        "create table point_keyless (a int, filler varchar(600))",
    )
    create(vitess, "shop", "create table point_shards (id bigint primary key, filler varchar(600))")
    digits = "select 0 d union all " + " union all ".join(f"select {digit}" for digit in range(1, 10))
    numbers = "a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d"
    sources = ", ".join(f"({digits}) {name}" for name in "abcefg")
    vitess.execute_on_mysqld(
        f"insert into vt_src_0.point_big select {numbers} id, 0 from {sources} having id < {BIG}"  # noqa: S608 - numbers
    )
    insert(vitess, "src", "0", "point_large", [(key, FILLER) for key in range(LARGE)])
    insert(vitess, "src", "0", "point_keyless", [(1, FILLER)] * LARGE)
    insert(vitess, "shop", "-80", "point_shards", [(1, "a"), (2, "b")])
    insert(vitess, "shop", "80-", "point_shards", [(key, FILLER) for key in range(100, 100 + LARGE)])


@pytest.fixture(scope="module")
def big(vitess: VitessCluster) -> Run:
    return read_well(vitess.config("src"), "point_big")


def last_key(cursor: Cursor) -> int:
    """The last copied key in a cursor in the middle of a copy."""
    assert cursor.last_pk is not None
    (row,) = wire.QueryResult.FromString(cursor.last_pk).rows
    (value,) = cells(row)
    return int(value or b"")


def as_input(state: Json) -> list[Json]:
    return [{key: value for key, value in state.items() if key != "sourceStats"}]


def cut(vitess: VitessCluster, stream: str, number: signal.Signals, unbuffered: str) -> Run:
    """Reads a table until its first record and then sends a signal.

    The command waits then within the write of a batch, for a reader of its full pipe; with Python's stdout
    unbuffered, as in container images, the signal interrupts that write itself.
    """
    catalog = configured(stream, namespace="src")
    environment = {"PYTHONUNBUFFERED": unbuffered}
    with Command(["read"], vitess.config("src"), catalog, environment=environment) as command:
        command.next_message("RECORD")
        command.signal(number)
        return command.finish()


def test_a_big_copy_is_checkpointed_in_between_by_rows(big: Run) -> None:
    counts = [state["sourceStats"]["recordCount"] for state in big.states("point_big")]
    assert len(counts) > BIG // (ROWS_BETWEEN_CHECKPOINTS + ONE_MESSAGE)
    assert all(count < ROWS_BETWEEN_CHECKPOINTS + ONE_MESSAGE for count in counts)
    assert sum(counts) == BIG


def test_a_checkpoint_is_never_ahead_of_the_rows_it_covers(big: Run) -> None:
    emitted = -1
    checked = 0
    for message in big.messages:
        if message["type"] == "RECORD":
            emitted = message["record"]["data"]["id"]
        if message["type"] == "STATE":
            cursor = cursors(message["state"]["stream"]["stream_state"], "src")["0"]
            assert (last_key(cursor) if cursor.copying else BIG - 1) <= emitted
            checked += cursor.copying
    assert checked > 0


def test_a_copy_is_checkpointed_in_between_by_time(vitess: VitessCluster) -> None:
    config = vitess.config("src", checkpoint_target_interval_seconds=1)
    with Command(["read"], config, configured("point_large", namespace="src")) as command:
        command.next_message("RECORD")
        # The command waits for its reader meanwhile.
        held = time.monotonic()
        wait_until(lambda: time.monotonic() - held > 1.5, "the interval has passed", 60.0)
        done = command.finish()
    assert done.exit_code == 0
    first, *_, last = done.states("point_large")
    assert cursors(first["stream"]["stream_state"], "src")["0"].copying
    assert not cursors(last["stream"]["stream_state"], "src")["0"].copying
    assert sum(state["sourceStats"]["recordCount"] for state in done.states("point_large")) == LARGE


def test_a_checkpoint_in_the_middle_resumes_after_its_last_key_with_the_changes_since(
    vitess: VitessCluster, big: Run
) -> None:
    state = big.states("point_big")[0]
    key = last_key(cursors(state["stream"]["stream_state"], "src")["0"])
    on_shard(
        vitess,
        "src",
        "0",
        "update point_big set n = 1 where id = 5",
        "insert into point_big values (-1, 1)",
        "update point_big set n = 1 order by id desc limit 1",
    )
    done = read_well(vitess.config("src"), "point_big", state=as_input(state))
    rows = {row["id"]: row["n"] for row in done.records("point_big")}
    assert {row_id for row_id in rows if row_id <= key} == {-1, 5}
    assert {row_id for row_id in rows if row_id > key} == set(range(key + 1, BIG))
    assert (rows[-1], rows[5], rows[BIG - 1]) == (1, 1, 1)


@SIGNALS
def test_a_signal_in_a_copy_leaves_a_state_an_incomplete_stream_and_a_failing_exit_code(
    vitess: VitessCluster, number: signal.Signals, unbuffered: str
) -> None:
    done = cut(vitess, "point_large", number, unbuffered)
    assert done.exit_code == 128 + number
    assert done.outline("point_large") == ["STARTED", "RUNNING", "RECORD", "STATE", "INCOMPLETE"]
    assert 0 < len(done.records("point_large")) < LARGE


@SIGNALS
def test_an_interrupted_copy_goes_on_after_its_last_key_although_nothing_was_written_since(
    vitess: VitessCluster, number: signal.Signals, unbuffered: str
) -> None:
    first = cut(vitess, "point_large", number, unbuffered)
    cursor = cursors(first.stream_state("point_large"), "src")["0"]
    key = last_key(cursor)
    assert cursor.position
    assert [row["id"] for row in first.records("point_large")] == list(range(key + 1))
    second = read_well(vitess.config("src"), "point_large", state=first.state)
    assert [row["id"] for row in second.records("point_large")] == list(range(key + 1, LARGE))


def test_a_cut_copy_of_a_table_without_a_key_starts_again_and_loses_no_identical_row(
    vitess: VitessCluster,
) -> None:
    first = cut(vitess, "point_keyless", signal.SIGTERM, "")
    assert 0 < len(first.records("point_keyless")) < LARGE
    second = read_well(vitess.config("src"), "point_keyless", state=first.state)
    assert len(second.records("point_keyless")) == LARGE


def test_a_crash_in_the_second_shard_keeps_the_first_one(vitess: VitessCluster) -> None:
    config = vitess.config("shop")
    with Relay(vitess.grpc_port) as relay:
        # More than the small shard has, and not all of the large one.
        relay.always(hold(LARGE * len(FILLER) // 4))
        behind = {**config, "grpc_port": relay.port}
        with Command(["read"], behind, configured("point_shards", namespace="shop")) as command:
            command.next_message("STATE")
            command.signal(signal.SIGKILL)
            first = command.finish()
    done = Run(first.exit_code, first.lines[: last_state_line(first) + 1])
    saved = cursors(done.stream_state("point_shards"), "shop")
    assert not saved["-80"].copying
    assert saved["80-"].copying
    read_keys = {row["id"] for row in done.records("point_shards")}
    assert {1, 2} <= read_keys
    second = read_well(config, "point_shards", state=done.state)
    keys = [row["id"] for row in second.records("point_shards")]
    assert not {1, 2} & set(keys)
    assert read_keys | set(keys) == {1, 2, *range(100, 100 + LARGE)}


def last_state_line(done: Run) -> int:
    """The line of the last state; what a killed command left after it may be cut anywhere."""
    return max(number for number, line in enumerate(done.lines) if line.startswith('{"type":"STATE"'))


@pytest.mark.parametrize("failing", ["-80", "80-"])
def test_a_failing_shard_stops_no_other_and_keeps_its_own_state(vitess: VitessCluster, failing: str) -> None:
    create(vitess, "shop", "create table point_failing (id bigint primary key)")
    config = vitess.config("shop")
    copied = read_well(config, "point_failing")
    state = copied.stream_state("point_failing")
    healthy = {"-80": "80-", "80-": "-80"}[failing]
    for shard, key in {"-80": 1, "80-": 2}.items():
        insert(vitess, "shop", shard, "point_failing", [(key,)])
    ahead = ahead_of(cursors(state, "shop")[failing], executed_position(vitess))
    broken = {**state, "shards": {**state["shards"], failing: {"cursor": ahead}}}
    done = read(config, "point_failing", state=with_stream_state(copied.state, broken))
    assert done.exit_code != 0
    assert done.records("point_failing") == [{"id": {"-80": 1, "80-": 2}[healthy]}]
    assert done.outline("point_failing")[-2:] == ["STATE", "INCOMPLETE"]
    (message,) = done.errors_of("point_failing")
    assert f"shard {failing}" in message
    after = done.stream_state("point_failing")["shards"]
    assert after[failing]["cursor"] == ahead
    assert after[healthy] != state["shards"][healthy]
    # The repaired state reads the failed shard's remainder only.
    repaired = {**done.stream_state("point_failing")}
    repaired["shards"] = {**after, failing: state["shards"][failing]}
    again = read_well(config, "point_failing", state=with_stream_state(copied.state, repaired))
    assert again.records("point_failing") == [{"id": {"-80": 1, "80-": 2}[failing]}]


def ahead_of(cursor: Cursor, executed: str) -> str:
    """The cursor, saved with a position that the server has not reached."""
    server = executed.removeprefix("MySQL56/").split(":")[0].split(",")[0]
    return type(cursor)(cursor.keyspace, cursor.shard, f"MySQL56/{server}:1-99999999").encode()


def with_stream_state(states: list[Json], stream_state: Json) -> list[Json]:
    (state,) = states
    return as_input({**state, "stream": {**state["stream"], "stream_state": stream_state}})


def test_progress_before_an_error_is_saved_before_the_error_is_told_and_not_read_again(
    vitess: VitessCluster,
) -> None:
    # Each message of the copy has about 280 kB; gRPC may drop those that came just before the cut.
    with Relay(vitess.grpc_port) as relay:
        relay.plan(cut_after(1_500_000))
        relay.always(refuse())
        config = vitess.config("src", grpc_port=relay.port, max_retries=0, timeout_seconds=2)
        first = read(config, "point_large")
    assert first.exit_code != 0
    assert first.outline("point_large")[-2:] == ["STATE", "INCOMPLETE"]
    cursor = cursors(first.stream_state("point_large"), "src")["0"]
    key = last_key(cursor) if cursor.last_pk is not None else -1
    assert [row["id"] for row in first.records("point_large")] == list(range(key + 1))
    second = read_well(vitess.config("src"), "point_large", state=first.state)
    assert [row["id"] for row in second.records("point_large")] == list(range(key + 1, LARGE))


def test_a_server_that_falls_silent_ends_the_stream_with_its_progress_saved(vitess: VitessCluster) -> None:
    with Relay(vitess.grpc_port) as relay:
        relay.always(stall(0))
        config = vitess.config("src", grpc_port=relay.port, max_retries=0, timeout_seconds=2)
        relay.plan(stall(400_000))
        first = read(config, "point_large")
        relay.plan(stall(400_000))
        second = read(config, "point_large", state=first.state)
    for done in (first, second):
        assert done.exit_code != 0
        assert done.outline("point_large")[-2:] == ["STATE", "INCOMPLETE"]
    assert "nothing came for 2 seconds" in first.errors_of("point_large")[0]
    key = last_key(cursors(first.stream_state("point_large"), "src")["0"])
    assert second.records("point_large")[0] == {"id": key + 1, "filler": FILLER}


@pytest.mark.parametrize("reply_bytes", [200, 600, 1000, 1500, 3000, 100_000])
def test_a_connection_cut_before_the_first_key_never_leaves_a_finished_cursor(
    vitess: VitessCluster, reply_bytes: int
) -> None:
    with Relay(vitess.grpc_port) as relay:
        relay.always(cut_after(reply_bytes))
        config: dict[str, Any] = vitess.config("src", grpc_port=relay.port, max_retries=1, timeout_seconds=2)
        first = read(config, "point_large")
    assert first.exit_code != 0
    assert all(
        cursors(state["stream"]["stream_state"], "src")["0"].copying for state in first.states("point_large")
    )
    second = read_well(vitess.config("src"), "point_large", state=first.state)
    keys = [row["id"] for done in (first, second) for row in done.records("point_large")]
    assert set(keys) == set(range(LARGE))
