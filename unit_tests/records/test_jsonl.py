"""Lines for a destination that reads them itself: its names, its columns, its partitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from source_planetscale.columns import Form
from source_planetscale.records.added import Added, ChangeColumns, Metadata
from source_planetscale.records.encoded import Cells, EncodedRows
from source_planetscale.records.jsonl import JsonLines

ROWS = EncodedRows(
    ("id", "name", "d"),
    [
        Cells([b"1", b"2"], Form.JSON, has_nulls=False),
        Cells([b"one", b"two"], Form.BARE, has_nulls=False),
        Cells([None, None], Form.BARE, has_nulls=True),
    ],
    {1: [1, 2]},
    [Added(2, Metadata("p", 5, range(2)), ChangeColumns("now", deleted=True, cursors=range(7, 9)))],
    2,
    1700000000123,
)


def test_a_line_tells_its_partition_and_the_stream_as_it_is_known() -> None:
    layout = JsonLines().layout("t", None, {"id": {}})
    first, _ = layout.records(ROWS, "0-1").splitlines()
    assert first == (
        b'{"type":"RECORD","record":{"stream":"t","data":{"id":1},'
        b'"emitted_at":1700000000123,"partition_id":"0-1"}}'
    )


def test_a_namespace_that_is_empty_is_one() -> None:
    layout = JsonLines().layout("t", "", {"id": {}})
    assert json.loads(layout.records(ROWS, "0-1").splitlines()[0])["record"]["namespace"] == ""


def changed(record: dict[str, Any]) -> list[dict[str, str]]:
    changes: list[dict[str, str]] = record.get("meta", {"changes": []})["changes"]
    return changes


@pytest.mark.parametrize(
    "selected",
    [
        {"name"},
        {"id", "_ab_cdc_cursor"},
        {"_ab_cdc_deleted_at"},
        {"_planetscale_metadata", "_ab_cdc_cursor"},
        {"d", "_planetscale_metadata", "_ab_cdc_updated_at", "_ab_cdc_deleted_at", "_ab_cdc_cursor"},
        {"nothing of it"},
    ],
    ids=lambda selected: "+".join(sorted(selected)),
)
def test_a_record_has_the_selected_columns_and_no_others(selected: set[str]) -> None:
    layout = JsonLines().layout("t", "ks", dict.fromkeys(selected))
    every = JsonLines().layout("t", "ks", None).records(ROWS).splitlines()
    for line, whole in zip(layout.records(ROWS).splitlines(), every, strict=True):
        record, complete = json.loads(line)["record"], json.loads(whole)["record"]
        assert record["data"] == {name: value for name, value in complete["data"].items() if name in selected}
        changes = [change for change in changed(complete) if change["field"] in selected]
        assert changed(record) == changes
