"""Reshards of a keyspace that is written to all the time: followed from shard to shard, not copied again."""

# ruff: noqa: S608 - the statements are the tests' own

from __future__ import annotations

import random
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, cut
from integration_tests.support.command import RESYNC, Command, Run, configured, read, read_well
from integration_tests.support.copying import fill, is_copying, read_around
from integration_tests.support.live_table import STILL, LiveTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.support.command import Json
    from integration_tests.vitess.real_cluster import RealCluster
    from integration_tests.vitess.workflows import Workflow

ONE = ("-",)
TWO = ("-80", "80-")
THREE = ("-55", "55-aa", "aa-")

CHANGES = 300
SECONDS = 60.0


# --- 1: followed, whenever the syncs are ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "targets"),
    [(ONE, TWO), (TWO, ONE), (TWO, THREE)],
    ids=["1 to 2", "2 to 1", "2 to 3"],
    indirect=["live"],
)
def test_syncs_at_every_stage_of_a_reshard_follow_it(
    real_cluster: RealCluster, live: LiveTable, reshard: Callable[..., Workflow], targets: Sequence[str]
) -> None:
    sources = real_cluster.shards(live.keyspace)
    with live.written():
        live.first_sync()
        live.moves = len(sources) == 1
        workflow = reshard(sources, targets)
        live.sync()
        workflow.switch_traffic()
        live.moves = True
        live.sync()
        live.sync()
        workflow.complete()
        live.sync()
    live.sync_the_rest()
    live.assert_followed()


def test_a_reshard_and_its_way_back_are_followed(live: LiveTable, reshard: Callable[..., Workflow]) -> None:
    live.moves = False
    with live.written():
        live.first_sync()
        workflow = reshard(ONE, TWO)
        for turn in (workflow.switch_traffic, workflow.reverse_traffic, workflow.switch_traffic):
            turn()
            live.sync()
        workflow.complete()
        live.sync()
    live.sync_the_rest()
    live.assert_followed()


def test_several_switches_between_two_syncs_are_followed(
    live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    live.moves = False
    with live.written():
        live.first_sync()
        workflow = reshard(ONE, TWO)
        for turn in (workflow.switch_traffic, workflow.reverse_traffic, workflow.switch_traffic):
            turn()
            live.write(20)
        live.sync()
        workflow.complete()
        live.sync()
    live.sync_the_rest()
    live.assert_followed()


def test_a_way_back_before_any_sync_leaves_the_old_shard_as_it_was(
    live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    live.moves = False
    with live.written():
        live.first_sync()
        workflow = reshard(ONE, TWO)
        workflow.switch_traffic()
        live.write(20)
        workflow.reverse_traffic()
        live.sync()
        live.sync()
    live.sync_the_rest()
    live.assert_followed()


def test_reshards_one_after_the_other_are_followed(live: LiveTable, reshard: Callable[..., Workflow]) -> None:
    live.moves = False
    shards: Sequence[str] = ONE
    with live.written():
        live.first_sync()
        for targets in (TWO, THREE, ONE):
            workflow = reshard(shards, targets)
            workflow.switch_traffic()
            live.sync()
            workflow.complete()
            workflow.remove_old_tablets()
            shards = targets
    live.sync_the_rest()
    live.assert_followed()


def test_a_sync_during_which_traffic_is_switched_is_complete(
    real_cluster: RealCluster, live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    with live.written():
        live.first_sync()
        workflow = reshard(ONE, TWO)
        live.write(CHANGES)
        done = read_around(
            real_cluster,
            live.config,
            live.table,
            workflow.switch_traffic,
            state=live.state,
            after_bytes=10_000,
        )
        assert done.statuses(live.table)[-1] == "COMPLETE"
        live.load(done)
        live.sync()
    live.sync_the_rest()
    live.assert_followed()


def test_syncs_one_after_the_other_follow_switches_at_any_moment(
    live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    live.moves = False
    over = threading.Event()
    failed: list[BaseException] = []

    def sync_until_over() -> None:
        try:
            while not over.is_set():
                done = live.try_sync()
                assert [error["message"] for error in done.errors] == []
        except BaseException as error:
            failed.append(error)

    live.first_sync()
    syncs = threading.Thread(target=sync_until_over, daemon=True)
    with live.written():
        syncs.start()
        workflow = reshard(ONE, TWO)
        for turn in (workflow.switch_traffic, workflow.reverse_traffic, workflow.switch_traffic):
            turn()
            begun = len(live.runs)
            # The one that ran during the switch, and one after it.
            while len(live.runs) < begun + 2 and not failed:
                over.wait(0.1)
        workflow.complete()
        over.set()
        syncs.join(SECONDS)
    assert failed == []
    live.sync_the_rest()
    live.assert_followed()


# --- 2: completed before it was read --------------------------------------------------------------------


def test_a_reshard_that_was_completed_before_any_sync_is_told_and_follows_the_option(
    live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    # A new copy does not tell which rows have gone.
    live.deletes = False
    live.first_sync()
    workflow = reshard(ONE, TWO)
    live.write(20)
    workflow.switch_traffic()
    workflow.complete()
    live.write(20)
    for _ in range(2):
        refused = live.try_sync()
        assert refused.exit_code != 0
        assert refused.statuses(live.table)[-1] == "INCOMPLETE"
        assert refused.records(live.table) == []
        (message,) = refused.errors_of(live.table)
        assert "SwitchTraffic" in message
        assert "complete" in message
        assert "Re-sync data" in message
    live.sync(**RESYNC)
    live.sync_the_rest()
    live.assert_equal()


# --- 3: in the middle of a first copy -------------------------------------------------------------------


@pytest.mark.parametrize("live", [TWO], ids=["2 shards"], indirect=True)
def test_a_reshard_between_two_parts_of_a_first_copy_copies_only_what_was_not_finished(
    real_cluster: RealCluster, live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    rows = real_cluster.execute(f"select id from live where id < {STILL}", f"{live.keyspace}:-80")
    finished = {number for (number,) in rows}
    live.sync(shards="-80")
    with Relay(real_cluster.grpc_port) as proxy:
        # Enough for what has changed in the first shard, not for a copy of the second one.
        proxy.always(cut(15_000, slowed=0.05))
        broken = live.try_sync(grpc_port=proxy.port, max_retries=0)
    assert broken.statuses(live.table)[-1] == "INCOMPLETE"
    # Rows that go after they were copied, and before they are again, are told by nobody.
    live.deletes = live.moves = False
    with live.written():
        workflow = reshard(["80-"], ["80-c0", "c0-"])
        workflow.switch_traffic()
        live.sync()
        live.deletes = True
        workflow.complete()
        live.sync()
    live.sync_the_rest()
    live.assert_equal()
    live.assert_not_copied_again(finished)


def test_a_switch_in_the_middle_of_a_running_first_copy_loses_nothing(
    real_cluster: RealCluster, live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    live.deletes = live.moves = False
    (tablet,) = real_cluster.tablets(live.keyspace)
    # More than the buffers between server and connector hold.
    fill(tablet, live.table, 10_000, "1000000 + n, n % 60, 0, repeat('x', 600)")
    workflow = reshard(ONE, TWO)
    workflow.wait_until_caught_up()

    def switch() -> None:
        assert is_copying(tablet, live.table)
        workflow.switch_traffic()

    with live.written():
        done = read_around(real_cluster, live.config, live.table, switch)
        live.load(done)
        assert done.statuses(live.table)[-1] == "COMPLETE"
        live.sync()
    live.sync_the_rest()
    live.assert_equal()


# --- 4: the saved state in the middle of it -------------------------------------------------------------


def test_every_state_on_the_way_leads_to_the_same_rows(
    live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    live.moves = False
    live.first_sync()
    workflow = reshard(ONE, TWO)
    live.write(CHANGES)
    workflow.switch_traffic()
    live.write(CHANGES)
    begin = live.fork()
    live.sync()
    live.assert_equal()
    (run,) = live.runs[len(begin.runs) :]
    prefixes = up_to_each_state(run)
    assert len(prefixes) >= 3
    for prefix in prefixes:
        replica = begin.fork()
        replica.load(prefix)
        replica.sync()
        replica.assert_equal()
        replica.assert_not_copied_again()


def up_to_each_state(run: Run) -> list[Run]:
    """The parts of a run that a platform keeps if it ends after any of its states."""
    ends = [index for index, message in enumerate(run.messages, 1) if message["type"] == "STATE"]
    return [Run(-signal.SIGKILL, run.lines[:end]) for end in ends]


def test_a_sync_that_is_killed_anywhere_on_the_way_goes_on_rightly(
    live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - a test's choices
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - a test's choices
    live.moves = False
    live.first_sync()
    workflow = reshard(ONE, TWO)
    with live.written():
        for turn in (workflow.switch_traffic, workflow.reverse_traffic, workflow.switch_traffic):
            turn()
            for _ in range(3):
                live.load(killed_read(live, chance.randrange(200)))
        live.sync()
        workflow.complete()
    live.sync_the_rest()
    live.assert_equal()
    live.assert_not_copied_again()


def killed_read(live: LiveTable, records: int) -> Run:
    """Reads the table from its state on, and is killed after so many records."""
    catalog = configured(live.table, namespace=live.keyspace)
    with Command(["read"], live.config, catalog, live.state, warm=True) as command:
        with suppress(AssertionError):
            for _ in range(records):
                command.next_message("RECORD")
        command.signal(signal.SIGKILL)
        return command.finish().without_cut_line()


def test_a_state_of_the_go_connector_is_followed_to_the_new_shards(
    live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    live.first_sync()
    live.state = [without_our_keys(message) for message in live.runs[-1].state]
    workflow = reshard(ONE, TWO)
    live.write(20)
    workflow.switch_traffic()
    live.write(20)
    live.sync()
    workflow.complete()
    live.write(20)
    live.sync_the_rest()
    live.assert_followed()


def without_our_keys(message: Json) -> Json:
    """A state with nothing but what the Go connector knows."""
    shards = message["stream"]["stream_state"]["shards"]
    theirs = {"shards": {name: {"cursor": saved["cursor"]} for name, saved in shards.items()}}
    return {**message, "stream": {**message["stream"], "stream_state": theirs}}


def test_a_state_whose_shards_have_gone_is_told_for_each_of_its_streams_alone(
    real_cluster: RealCluster, live: LiveTable, reshard: Callable[..., Workflow]
) -> None:
    live.first_sync()
    workflow = reshard(ONE, TWO)
    workflow.switch_traffic()
    workflow.complete()
    # A table is made on every shard, and vtgate may have yet to meet a new one's primary.
    real_cluster.wait_until_answering({live.keyspace}, SECONDS)
    late = LiveTable(real_cluster, live.keyspace, "late")
    done = read(live.config, live.table, late.table, state=live.state)
    assert done.statuses(live.table)[-1] == "INCOMPLETE"
    assert done.statuses(late.table)[-1] == "COMPLETE"
    late.load(done)
    late.assert_equal()
    read_well(live.config, late.table, state=late.state)
