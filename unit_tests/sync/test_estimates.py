"""About how many rows a copy brings: what the platform is told, and the log."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from airbyte_cdk.models import EstimateType, TraceType

from source_planetscale.sync.progress import ProgressLog
from unit_tests.support.events import SHARD, TABLE, small_copy
from unit_tests.support.fakes import FakeVtgate, Outcome, Reading
from unit_tests.support.keyspace import KeyspaceModel, ShardModel, table
from unit_tests.support.reading import ONE, after, saved

pytestmark = pytest.mark.usefixtures("_in_no_time")

COUNTED = replace(TABLE, estimated_rows=40)


def estimates(outcome: Outcome) -> list[tuple[str, str | None, EstimateType, int | None]]:
    traces = [m.trace for m in outcome.messages if m.trace and m.trace.type is TraceType.ESTIMATE]
    found = [trace.estimate for trace in traces if trace.estimate]
    return [(each.name, each.namespace, each.type, each.row_estimate) for each in found]


def test_a_copy_begins_with_an_estimate_over_all_shards() -> None:
    model = KeyspaceModel({name: ShardModel(name, [[("ants", 1, "a")]]) for name in ("-80", "80-")})
    vtgate = FakeVtgate(serve=model.serve, current=model.current)
    ants = replace(table("ants"), estimated_rows=40)
    outcome = Reading(vtgate, table=ants, shards=("-80", "80-")).run()
    assert outcome.error is None
    assert estimates(outcome) == [("ants", "shop", EstimateType.STREAM, 80)]
    assert outcome.messages[0].trace is not None


def test_only_shards_whose_copy_begins_are_estimated() -> None:
    vtgate = FakeVtgate({SHARD: [small_copy(ONE)]})
    state = saved(after(10, shard="80-"))
    outcome = Reading(vtgate, table=COUNTED, shards=(SHARD, "80-"), state=state).run()
    assert [rows for *_, rows in estimates(outcome)] == [40]


def test_a_copy_that_goes_on_and_a_catch_up_have_no_estimate() -> None:
    goes_on = Reading(FakeVtgate({SHARD: [small_copy()]}), table=COUNTED, state=saved(after(10, ONE))).run()
    nothing_new = Reading(FakeVtgate({}), table=COUNTED, state=saved(after(10))).run()
    assert estimates(goes_on) + estimates(nothing_new) == []


@pytest.mark.parametrize("rows", [None, 0])
def test_nothing_is_estimated_where_the_server_does_not_know(rows: int | None) -> None:
    outcome = Reading(FakeVtgate({SHARD: [small_copy(ONE)]}), table=replace(TABLE, estimated_rows=rows)).run()
    assert (outcome.ids, estimates(outcome)) == ([1], [])


def test_the_log_says_how_many_rows_of_about_how_many(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = ProgressLog("orders", logging.getLogger("test"), 0.0, {"-80": 5000})
    progress.rows("-80", 1000, copying=True, now=10.0)
    progress.rows("-80", 1000, copying=True, now=40.0)
    progress.rows("80-", 1000, copying=True, now=80.0)
    progress.rows("-80", 4000, copying=False, now=120.0)
    assert caplog.messages == [
        "Table orders, shard -80, copy phase: 2,000 of about 5,000 rows in 40.0 s, 50 rows/s.",
        "Table orders, shard 80-, copy phase: 1,000 rows in 80.0 s, 12 rows/s.",
        "Table orders, shard -80, catch-up: 6,000 rows in 120.0 s, 50 rows/s.",
    ]
