"""What a real Vitess sends in a form that tells too little: what comes of it, and that the page says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.schema.changed_table import ChangedTable, rows
from integration_tests.support.command import read_well
from integration_tests.support.destination import DELETED_AT, DedupedTable, without_added_columns
from integration_tests.support.tables import create, insert, on_shard
from unit_tests.packaging import project

if TYPE_CHECKING:
    from integration_tests.support.command import Json
    from integration_tests.vitess.cluster import VitessCluster

PAGE = " ".join(project.text("docs/planetscale.md").split())

MINIMAL = "set session binlog_row_image = minimal"
TO_NULL = {
    "one of several columns": "update changing set a = null where id = 1",
    "every column": "update changing set a = null, b = null where id = 1",
}


@pytest.mark.parametrize("case", TO_NULL)
def test_an_update_to_null_in_a_session_of_minimal_images_comes_as_a_delete_as_documented(
    vitess: VitessCluster, case: str
) -> None:
    table = ChangedTable(vitess, "create table changing (id int primary key, a int, b int)")
    table.change("insert into changing values (1, 2, 3)")
    table.completed()
    table.change(MINIMAL, TO_NULL[case])
    assert rows(table.completed()) == [{"id": 1, "a": None, "b": None, "deleted": True}]
    assert "an update that sets every column that it changes to null comes as a delete" in PAGE


REFUSED = {
    "to null beside a column that cannot be null": ("b int not null", "set a = null"),
    "to null and to a value": ("b int", "set a = null, b = 7"),
    "to a value": ("b int", "set a = 7"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_any_other_update_in_a_session_of_minimal_images_is_refused(vitess: VitessCluster, case: str) -> None:
    column, update = REFUSED[case]
    table = ChangedTable(vitess, f"create table changing (id int primary key, a int, {column})")
    table.change("insert into changing values (1, 2, 3)")
    table.completed()
    table.change(MINIMAL, f"update changing {update} where id = 1")
    assert "binlog_row_image is not FULL" in table.refused()


def test_a_table_without_a_vindex_comes_once_from_every_shard_as_documented(vitess: VitessCluster) -> None:
    create(vitess, "shop", "create table limits_reference (id int primary key, v varchar(9))")
    for shard in vitess.shards("shop"):
        insert(vitess, "shop", shard, "limits_reference", [(1, "one"), (2, "two"), (3, "three")])
    config = vitess.config("shop", include_cdc_columns=True)
    first = read_well(config, "limits_reference")
    for shard in vitess.shards("shop"):
        on_shard(
            vitess,
            "shop",
            shard,
            "update limits_reference set v = 'new' where id = 2",
            "delete from limits_reference where id = 3",
        )
    second = read_well(config, "limits_reference", state=first.state)
    copied, changed = (sorted(map(brief, done.records("limits_reference"))) for done in (first, second))
    assert copied == [(1, "one", False)] * 2 + [(2, "two", False)] * 2 + [(3, "three", False)] * 2
    assert changed == [(2, "new", False)] * 2 + [(3, "three", True)] * 2
    deduped = DedupedTable(["id"])
    for done in (first, second):
        deduped.load(done.record_messages("limits_reference"))
    assert deduped.rows() == [{"id": 1, "v": "one"}, {"id": 2, "v": "new"}]
    assert "(a reference table) comes once from every shard" in PAGE
    assert "**Append + Deduped** makes one of them, **Append** keeps all" in PAGE


def brief(record: Json) -> tuple[int, str, bool]:
    row = without_added_columns(record)
    return row["id"], row["v"], record[DELETED_AT] is not None
