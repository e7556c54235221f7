"""The rule of a destination, which the other tests rely on."""

from __future__ import annotations

from typing import Any

import pytest

from integration_tests.support.destination import (
    CURSOR,
    DELETED_AT,
    AmbiguousOrderError,
    DedupedTable,
    streams_without_a_state_between,
)


def record(
    number: int, value: str, cursor: int | None, *, at: int = 0, deleted: bool = False
) -> dict[str, Any]:
    data = {"id": number, "v": value, CURSOR: cursor, DELETED_AT: "2026-01-01" if deleted else None}
    return {"data": data, "emitted_at": at}


def test_the_greatest_cursor_stays_whatever_came_last() -> None:
    table = DedupedTable(["id"])
    table.load([record(1, "new", 7, at=1), record(1, "old", 3, at=2)])
    assert table.rows() == [{"id": 1, "v": "new"}]


def test_of_equal_cursors_the_latest_extraction_stays() -> None:
    table = DedupedTable(["id"])
    table.load([record(1, "new", 7, at=2), record(1, "old", 7, at=1)])
    assert table.rows() == [{"id": 1, "v": "new"}]


def test_a_key_whose_last_record_is_a_delete_is_gone_until_it_comes_back() -> None:
    table = DedupedTable(["id"])
    table.load([record(1, "old", 1), record(1, "old", 2, deleted=True)])
    assert table.rows() == []
    table.load([record(1, "again", 3)])
    assert table.rows() == [{"id": 1, "v": "again"}]


def test_a_record_without_cursor_is_older_than_any_with_one() -> None:
    table = DedupedTable(["id"])
    table.load([record(1, "new", 1, at=1), record(1, "old", None, at=2)])
    assert table.rows() == [{"id": 1, "v": "new"}]


def test_an_order_that_nothing_defines_is_an_error() -> None:
    table = DedupedTable(["id"])
    with pytest.raises(AmbiguousOrderError):
        table.load([record(1, "one", 7), record(1, "other", 7)])


def test_what_a_record_did_is_told_and_a_late_one_did_nothing() -> None:
    table = DedupedTable(["id"])
    loaded = [
        record(1, "new", 2),
        record(1, "late", 1),
        record(1, "newer", 3),
        record(1, "", 4, deleted=True),
    ]
    changes = table.load(loaded)
    assert [(change.kind, change.after["v"]) for change in changes] == [
        ("insert", "new"),
        ("update", "newer"),
        ("delete", ""),
    ]
    assert [change.before and change.before["v"] for change in changes] == [None, "new", "newer"]
    assert table.late == [(1,)]


def test_without_a_cursor_the_record_that_came_last_stays() -> None:
    table = DedupedTable(["id"], cursor=None)
    table.load([record(1, "new", 7, at=5), record(1, "last", 3, at=5)])
    assert table.rows() == [{"id": 1, "v": "last"}]


def of(stream: str, kind: str = "RECORD") -> dict[str, Any]:
    if kind == "RECORD":
        return {"type": kind, "record": {"stream": stream}}
    return {"type": kind, "state": {"stream": {"stream_descriptor": {"name": stream}}}}


def test_records_of_two_streams_need_the_first_ones_state_between_them() -> None:
    covered = [of("a"), of("a"), of("b", "STATE"), of("a", "STATE"), of("b"), of("b", "STATE"), of("a")]
    assert streams_without_a_state_between(covered) is None
    assert streams_without_a_state_between([of("a"), of("b", "STATE"), of("b")]) == ("a", "b")
