"""Each rule of `conformance.py` finds what breaks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.protocol import conformance
from integration_tests.support.command import Run, configured

if TYPE_CHECKING:
    from integration_tests.support.command import Json

STREAM = {"name": "t", "namespace": "n"}
CATALOG = configured("t", namespace="n")
COLUMNS = {
    "id": {"type": ["number"], "airbyte_type": "integer"},
    "day": {"type": ["null", "string"], "format": "date"},
    "at": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
}
SCHEMA = {**STREAM, "json_schema": {"type": "object", "properties": COLUMNS}}
ROW = {"id": 1, "day": "2024-02-29", "at": "2024-02-29T00:00:00+00:00"}


def status(word: str, **more: object) -> Json:
    content = {"stream_descriptor": STREAM, "status": word, **more}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.0, "stream_status": content}}


def record(**changes: Any) -> Json:
    content = {"stream": "t", "namespace": "n", "data": {**ROW, **changes}, "emitted_at": 1}
    return {"type": "RECORD", "record": content}


def state(count: float, cursor: str = "c", kind: str = "STREAM") -> Json:
    content = {"stream_descriptor": STREAM, "stream_state": {"cursor": cursor}}
    return {
        "type": "STATE",
        "state": {"type": kind, "stream": content, "sourceStats": {"recordCount": count}},
    }


STARTED, RUNNING, COMPLETE, INCOMPLETE = map(status, ("STARTED", "RUNNING", "COMPLETE", "INCOMPLETE"))
LIMITED = status("RUNNING", reasons=[{"type": "RATE_LIMITED"}])
GOOD = [STARTED, RUNNING, record(), state(1.0), COMPLETE]


def said(*messages: Json, exit_code: int = 0) -> Run:
    return Run(exit_code, [json.dumps(message) for message in messages])


def test_a_read_as_it_should_be_breaks_no_rule() -> None:
    done = said(*GOOD)
    assert conformance.order_faults(done, CATALOG) == []
    assert conformance.state_faults(done) == []
    assert conformance.unfaithful_lines(done) == []
    assert conformance.record_faults(done, [SCHEMA]) == []


def test_a_stream_that_is_rate_limited_says_that_it_goes_on() -> None:
    done = said(STARTED, RUNNING, LIMITED, state(0), RUNNING, record(), state(1, "d"), COMPLETE)
    assert conformance.order_faults(done, CATALOG) == []


@pytest.mark.parametrize(
    "done",
    [
        said(),
        said(RUNNING, record(), state(1), COMPLETE),
        said(STARTED, record(), state(1), COMPLETE),
        said(STARTED, RUNNING, RUNNING, record(), state(1), COMPLETE),
        said(STARTED, RUNNING, LIMITED, RUNNING, RUNNING, record(), state(1), COMPLETE),
        said(STARTED, LIMITED, record(), state(1), COMPLETE),
        said(STARTED, RUNNING, record(), COMPLETE),
        said(STARTED, RUNNING, record(), state(1)),
        said(*GOOD, COMPLETE),
        said(*GOOD, state(0)),
        said(STARTED, COMPLETE),
        said(*GOOD, exit_code=1),
        said(STARTED, RUNNING, state(0), INCOMPLETE),
    ],
)
def test_a_wrong_order_or_exit_code_is_found(done: Run) -> None:
    assert conformance.order_faults(done, CATALOG) != []


def test_a_stream_that_nobody_configured_is_found() -> None:
    assert conformance.order_faults(said(*GOOD), configured("t")) != []


@pytest.mark.parametrize(
    "messages",
    [
        [record(), state(2)],
        [record(), state(1), record()],
        [record(), state(1), record(), state(1)],
        [record(), state(1, kind="LEGACY")],
    ],
)
def test_a_state_that_miscounts_repeats_itself_or_is_missing_is_found(messages: list[Json]) -> None:
    assert len(conformance.state_faults(said(*messages))) == 1


@pytest.mark.parametrize(
    "message",
    [
        {**record(), "more": 1},
        {"type": "RECORD", "record": {**record()["record"], "more": 1}},
        {"type": "RECORD", "record": {**record()["record"], "data": "text"}},
        {"type": "RECORDS"},
        status("RUN"),
    ],
)
def test_a_message_that_the_model_does_not_hold_is_found(message: Json) -> None:
    assert conformance.unfaithful_lines(said(message)) == [json.dumps(message)]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "1"},
        {"id": None},
        {"id": 1.5},
        {"more": 1},
        {"day": "2024-02-31"},
        {"at": "2024-02-29T00:00:00"},
        {"at": "at noon"},
    ],
)
def test_a_record_that_does_not_fit_its_schema_is_found(changes: dict[str, Any]) -> None:
    assert len(conformance.record_faults(said(record(**changes)), [SCHEMA])) >= 1


def test_a_column_that_a_record_lacks_is_found() -> None:
    message = record()
    del message["record"]["data"]["day"]
    assert len(conformance.record_faults(said(message), [SCHEMA])) == 1


def test_the_rows_after_a_state_are_those_not_yet_delivered() -> None:
    done = said(record(id=1), state(1, "one"), record(id=2), record(id=2), state(2, "two"))
    counts = [
        (saved[0]["stream"]["stream_state"]["cursor"], after.total())
        for saved, after in (conformance.rows_after_each_state(done))
    ]
    assert counts == [("one", 2), ("two", 0)]
