"""A sync that workers read, beside the same one without them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from airbyte_cdk.models import FailureType

from source_planetscale.sync.shard_at_worker import ShardAtWorker
from unit_tests.support.crew import Received, worked
from unit_tests.support.events import (
    SHARD,
    TABLE,
    begin,
    commit,
    fields,
    gtid,
    inserted,
    response,
    row,
    small_copy,
    transaction,
    vgtid,
)
from unit_tests.support.fakes import (
    CONFIG,
    SILENCE,
    FakeVtgate,
    Reading,
    Script,
    broken,
    cursors_of,
    failure,
)
from unit_tests.support.reading import ONE, THREE, TWO, after, saved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airbyte_cdk.models import AirbyteMessage

pytestmark = pytest.mark.usefixtures("_in_no_time")

CDC = replace(CONFIG, include_cdc_columns=True)
SHARDS = ("-80", "80-")


def received(reading: Reading, messages: Iterator[AirbyteMessage] | None = None) -> Received:
    """What a destination gets of a reading."""
    found = list(reading.messages() if messages is None else messages)
    return Received(reading._catalog, [message for message in found if message.record or message.state])


def ids(got: Received, stream: str = TABLE.name) -> list[int]:
    return sorted(record["id"] for record in got.records.get(stream, []))


def positions(got: Received) -> dict[str, str]:
    state = got.states[-1]["stream"]["stream_state"]
    return {shard: cursor.position for shard, cursor in cursors_of(state).items()}


def copies() -> FakeVtgate:
    keys = {"-80": ONE, "80-": TWO}
    return FakeVtgate({shard: [small_copy(keys[shard])] for shard in SHARDS})


def test_a_copy_brings_the_same_rows_and_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Reading(copies(), shards=("-80",), batched=True)
    here = received(plain)
    there = received(worked(Reading(copies(), shards=("-80",)), monkeypatch))
    assert there.records == here.records
    assert positions(there) == positions(here)
    assert there.uncovered == set()


@pytest.mark.parametrize("config", [CONFIG, CDC], ids=["plain", "changes"])
def test_changes_bring_the_same_rows_and_positions(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    script: Script = [transaction(6, fields(), inserted(ONE)), transaction(7, inserted(TWO)), transaction(10)]
    reading = Reading(FakeVtgate({SHARD: [script]}), config=config, state=saved(after(5)))
    got = received(worked(reading, monkeypatch))
    assert ids(got) == [1, 2]
    assert positions(got) == {SHARD: gtid(10)}
    assert got.uncovered == set()
    if config is CDC:
        cursors = [record["_ab_cdc_cursor"] for record in got.records[TABLE.name]]
        assert cursors == sorted(set(cursors))
        assert got.states[-1]["stream"]["stream_state"]["cdc_cursor"] >= cursors[-1]


def test_each_task_is_a_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = ShardAtWorker.deliveries

    def counted(work: ShardAtWorker) -> Any:
        asked.append(work._task.shard)
        return original(work)

    monkeypatch.setattr(ShardAtWorker, "deliveries", counted)
    reading = worked(Reading(FakeVtgate({SHARD: [small_copy(ONE)]})), monkeypatch)
    assert ids(received(reading)) == [1]
    assert asked == [SHARD]


def test_an_error_ends_its_shard_alone_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = broken("auth failure", grpc.StatusCode.PERMISSION_DENIED)
    more = response(begin(), fields(), inserted(TWO), vgtid(gtid(10), shard="80-"), commit())
    vtgate = FakeVtgate({"-80": [[transaction(6, fields(), inserted(ONE)), denied]], "80-": [[more]]})
    state = saved(after(5), after(5, shard="80-"))
    reading = worked(Reading(vtgate, shards=SHARDS, state=state), monkeypatch)
    got = received(reading)
    assert ids(got) == [1, 2]
    assert positions(got) == {"-80": gtid(6), "80-": gtid(10)}
    error = reading.errors[TABLE.name]
    assert "Check username and password" in str(error)
    assert "shard -80" in str(error)
    assert got.uncovered == set()


def test_a_defect_in_a_worker_is_told_without_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError("secret row")

    reading = worked(Reading(FakeVtgate({SHARD: [[fail]]}), state=saved(after(5))), monkeypatch)
    outcome = reading.run()
    assert failure(outcome).failure_type is FailureType.system_error
    assert "secret" not in str(outcome.error)


def test_a_defect_outside_the_reading_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("no such setting")

    reading = worked(Reading(FakeVtgate({SHARD: [small_copy(ONE)]})), monkeypatch)
    monkeypatch.setattr("source_planetscale.workers.job.ShardFollower", fail)
    error = failure(reading.run())
    assert error.failure_type is FailureType.system_error
    assert "failed unexpectedly: KeyError in test_at_worker.py" in str(error)


def test_a_worker_that_leaves_a_table_out_does_not_pass_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = worked(Reading(FakeVtgate({SHARD: [small_copy(ONE)]})), monkeypatch)
    monkeypatch.setattr("source_planetscale.workers.job.ShardFollower.steps", lambda _: iter(()))
    assert "ended too soon" in str(failure(reading.run()))


def test_rows_that_no_state_covers_yet_are_covered_while_nothing_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script: Script = [transaction(6, fields(), inserted(ONE)), SILENCE]
    reading = worked(
        Reading(
            FakeVtgate({SHARD: [script]}),
            state=saved(after(5)),
            config=replace(CONFIG, checkpoint_seconds=0.05),
        ),
        monkeypatch,
    )

    def until_covered() -> Iterator[AirbyteMessage]:
        for message in reading.messages():
            yield message
            if message.state is not None and '"80-"' not in str(message):
                covered = vars(message.state.stream.stream_state)  # type: ignore[union-attr]
                if cursors_of(covered)[SHARD].position == gtid(6):
                    reading.interrupted.set()

    got = received(reading, until_covered())
    assert ids(got) == [1]
    assert got.uncovered == set()


def test_a_sync_that_is_told_to_stop_covers_what_workers_have_read(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts: dict[str, Any] = {
        shard: [[response(begin(), fields(), inserted(ONE), vgtid(gtid(6), shard=shard), commit()), SILENCE]]
        for shard in SHARDS
    }
    state = saved(*(after(5, shard=shard) for shard in SHARDS))
    reading = worked(Reading(FakeVtgate(scripts), shards=SHARDS, state=state), monkeypatch)

    def until_all_have_come() -> Iterator[AirbyteMessage]:
        records = 0
        for message in reading.messages():
            yield message
            records += message.record is not None
            if records == len(SHARDS):
                reading.interrupted.set()

    got = received(reading, until_all_have_come())
    assert positions(got) == dict.fromkeys(SHARDS, gtid(6))
    assert got.uncovered == set()
    assert "told to stop" in str(reading.errors[TABLE.name])


def test_a_consumer_that_goes_away_ends_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts: dict[str, Any] = {
        shard: [[response(begin(), fields(), inserted(ONE), vgtid(gtid(6), shard=shard), commit()), SILENCE]]
        for shard in SHARDS
    }
    state = saved(*(after(5, shard=shard) for shard in SHARDS))
    reading = worked(Reading(FakeVtgate(scripts), shards=SHARDS, state=state), monkeypatch)
    messages = reading.messages()
    next(messages)
    messages.close()
    assert reading.crew is not None
    assert reading.crew.engage() is None


def test_log_lines_of_a_worker_are_the_connectors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reading = worked(Reading(FakeVtgate({SHARD: [[broken()], small_copy(ONE)]})), monkeypatch)
    with caplog.at_level("INFO"):
        assert ids(received(reading)) == [1]
    levels = {record.levelname: record.getMessage() for record in caplog.records}
    assert "copying from the start" in caplog.text
    assert "table orders, shard -80" in levels["WARNING"]


def test_rows_that_are_larger_than_a_slot_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    large = [row(key, "x" * (3 << 20), None) for key in (1, 2, 3)]
    script: Script = [
        transaction(6, fields(), inserted(large[0])),
        transaction(7, inserted(large[1], large[2])),
        transaction(10, inserted(THREE)),
    ]
    reading = worked(Reading(FakeVtgate({SHARD: [script]}), state=saved(after(5))), monkeypatch)
    got = received(reading)
    assert [len(record["label"]) for record in got.records[TABLE.name]] == [3 << 20] * 3 + [len("three")]
    assert got.uncovered == set()
