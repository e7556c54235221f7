"""Tables that MoveTables moves to another keyspace, under connections on both keyspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.support.live_table import LiveTable
from integration_tests.vitess.processes import wait_until
from integration_tests.vitess.workflows import Workflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from integration_tests.vitess.real_cluster import RealCluster

OLD, NEW = "old", "new"
ONE = ("0",)
TWO = ("-80", "80-")
SECONDS = 60.0


@pytest.fixture
def live(real_cluster: RealCluster, request: pytest.FixtureRequest) -> Iterator[LiveTable]:
    """A table in the old keyspace, which has one shard unless the test says otherwise, and a new keyspace."""
    shards: Sequence[str] = getattr(request, "param", ONE)
    with (
        real_cluster.keyspace(OLD, dict.fromkeys(shards, 1)),
        real_cluster.keyspace(NEW, dict.fromkeys(ONE, 1)),
    ):
        yield LiveTable(real_cluster, OLD)


@pytest.fixture
def move(real_cluster: RealCluster, live: LiveTable) -> Workflow:
    """The table's way to the new keyspace, which follows the old one."""
    live.first_sync()
    return Workflow.move_tables(real_cluster, OLD, NEW, [live.table])


def twin_of(cluster: RealCluster, live: LiveTable) -> LiveTable:
    """A connection on the new keyspace, which has read nothing yet."""
    twin = live.fork()
    twin.keyspace, twin.state, twin.runs = NEW, None, []
    twin.config = cluster.config(NEW, include_cdc_columns=True)
    twin.deduped = type(live.deduped)(live.key)
    return twin


def wait_until_followed(cluster: RealCluster, live: LiveTable) -> None:
    """Waits until both keyspaces have the same rows."""

    def rows(keyspace: str) -> list[tuple[Any, ...]]:
        statement = f"select * from vt_{keyspace}.{live.table} order by id"  # noqa: S608 - our own
        primaries = (cluster.primary(keyspace, shard) for shard in cluster.shards(keyspace))
        return sorted(row for primary in primaries for row in primary.execute(statement))

    wait_until(lambda: rows(OLD) == rows(NEW), "both keyspaces have the same rows", SECONDS)


# --- while both keyspaces have the table ------------------------------------------------------------------


def test_a_connection_on_the_old_keyspace_goes_on_through_a_move_its_way_back_and_its_end(
    live: LiveTable, move: Workflow
) -> None:
    with live.written():
        live.sync()
        for turn in (move.switch_traffic, move.reverse_traffic, move.switch_traffic, move.reverse_traffic):
            turn()
            live.sync()
        move.cancel()
        live.sync()
    live.sync_the_rest()
    live.assert_followed()


def test_a_connection_on_either_keyspace_has_right_rows_until_the_move_is_completed(
    real_cluster: RealCluster, live: LiveTable, move: Workflow
) -> None:
    twin = twin_of(real_cluster, live)
    twin.sync()
    for turn in (move.switch_traffic, move.reverse_traffic, move.switch_traffic):
        live.write(20)
        turn()
        live.write(20)
        wait_until_followed(real_cluster, live)
        for replica in (live, twin):
            replica.sync()
            replica.assert_equal()
            replica.assert_not_copied_again()
    move.complete()
    live.keyspace = NEW
    live.write(20)
    twin.sync()
    twin.assert_equal()
    twin.assert_not_copied_again()


# --- once only the new keyspace has it --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "home"),
    [(ONE, "keyspace new"), (TWO, "another keyspace")],
    # Two keyspaces that name their tables leave vtgate no choice of one.
    ids=["told by the routing", "not told"],
    indirect=["live"],
)
def test_a_table_that_was_left_behind_is_read_to_its_end_and_told(
    real_cluster: RealCluster, live: LiveTable, move: Workflow, home: str
) -> None:
    # What two shards say of one row within a sync has no order.
    live.moves = False
    move.switch_traffic()
    live.write(20)
    wait_until_followed(real_cluster, live)
    move.complete("--keep-data")
    rows = live.deduped
    live.keyspace = NEW
    before = live.source()
    live.write(20)
    for _ in range(2):
        refused = live.try_sync()
        assert refused.exit_code != 0
        assert refused.statuses(live.table)[-1] == "INCOMPLETE"
        messages = refused.errors_of(live.table)
        assert all("MoveTables" in message and home in message for message in messages)
        assert messages
        # What was written before the move is read.
        assert rows.rows() == before


def test_a_copy_of_a_table_that_was_left_behind_is_no_success(live: LiveTable, move: Workflow) -> None:
    move.switch_traffic()
    move.complete("--keep-data")
    live.state = None
    refused = live.try_sync()
    assert refused.statuses(live.table)[-1] == "INCOMPLETE"
    assert "MoveTables" in refused.errors_of(live.table)[0]


def test_a_table_that_went_with_its_move_is_told_with_the_place_where_it_lives(
    live: LiveTable, move: Workflow
) -> None:
    move.switch_traffic()
    move.complete()
    for _ in range(2):
        refused = live.try_sync()
        assert refused.exit_code != 0
        assert refused.statuses(live.table)[-1] == "INCOMPLETE"
        (message,) = refused.errors_of(live.table)
        assert "keyspace new" in message
        assert "dropped" not in message


def test_a_table_that_went_with_its_move_and_was_made_anew_is_told(
    real_cluster: RealCluster, live: LiveTable, move: Workflow
) -> None:
    move.switch_traffic()
    move.complete()
    anew = LiveTable(real_cluster, OLD)
    done = live.try_sync()
    assert done.statuses(live.table)[-1] == "COMPLETE"
    assert any("DROP" in line for line in done.logs)
    came = {record["id"] for record in done.records(live.table)}
    assert came == {row["id"] for row in anew.source()}
