"""Tables that change while a sync reads them, on a real Vitess: right values or a clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, delay
from integration_tests.schema.changed_table import TABLE, ChangedTable
from integration_tests.support.command import Command, configured
from integration_tests.support.tables import insert

if TYPE_CHECKING:
    from integration_tests.support.command import Run
    from integration_tests.vitess.cluster import VitessCluster

DURING = {
    "a column added at the end": "alter table changing add z int",
    "a column added in the middle": "alter table changing add mid int after id",
    "a column dropped": "alter table changing drop b",
    "columns swapped": "alter table changing modify b int after id",
    "a table truncated": "truncate table changing",
    "a table dropped": "drop table changing",
    "a table renamed": "rename table changing to changed",
}
PAIR = "create table changing (id bigint primary key, a int, b int)"


def slowly(table: ChangedTable, meanwhile: str) -> Run:
    """A sync during which a statement runs once its first record is out."""
    with Relay(table.vitess.grpc_port) as relay:
        relay.always(delay(0.02))
        config = {**table.config, "grpc_port": relay.port}
        with Command(["read"], config, configured(TABLE, namespace="src"), table.state) as command:
            command.next_message("RECORD")
            table.change(meanwhile)
            return command.finish()


def assert_right_values(done: Run) -> None:
    """Every row has the values of its own columns, whatever else happened."""
    for row in done.records(TABLE):
        assert row.get("a", row["id"] + 1) in (row["id"] + 1, None)
        assert row.get("b", row["id"] + 2) in (row["id"] + 2, None)
    if done.statuses(TABLE)[-1] == "INCOMPLETE":
        assert done.exit_code != 0
        assert "changing" in done.errors_of(TABLE)[0]


@pytest.mark.parametrize("case", DURING)
def test_a_table_that_changes_during_its_copy_has_right_values_or_a_clear_error(
    vitess: VitessCluster, case: str
) -> None:
    table = ChangedTable(vitess, PAIR, "drop table if exists changed")
    many = [(key * 10, key * 10 + 1, key * 10 + 2) for key in range(40_000)]
    insert(vitess, "src", "0", TABLE, many)
    done = slowly(table, DURING[case])
    assert_right_values(done)
    if done.statuses(TABLE)[-1] == "COMPLETE" and "table" not in case:
        assert {row["id"] for row in done.records(TABLE)} == {key for key, *_ in many}


@pytest.mark.parametrize("case", DURING)
def test_a_table_that_changes_during_catch_up_has_right_values_or_a_clear_error(
    vitess: VitessCluster, case: str
) -> None:
    table = ChangedTable(vitess, PAIR, "drop table if exists changed")
    table.completed()
    for start in range(0, 20_000, 2000):
        many = [(key * 10, key * 10 + 1, key * 10 + 2) for key in range(start, start + 2000)]
        insert(vitess, "src", "0", TABLE, many)
    done = slowly(table, DURING[case])
    assert_right_values(done)
    if done.statuses(TABLE)[-1] == "COMPLETE":
        assert {row["id"] for row in done.records(TABLE)} == {key * 10 for key in range(20_000)}
