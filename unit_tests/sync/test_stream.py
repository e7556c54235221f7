"""A table as a stream: states in and out, checkpoints, both forms of records."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pytest
from airbyte_cdk.models import SyncMode, Type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_planetscale.records.message import RecordBatch
from source_planetscale.state import StreamState
from unit_tests.support.events import (
    KEYLESS,
    KEYSPACE,
    SHARD,
    TABLE,
    change,
    fields,
    gtid,
    inserted,
    last_key,
    row,
    rows,
    small_copy,
    transaction,
)
from unit_tests.support.fakes import (
    CONFIG,
    DEADLINE,
    FakeVtgate,
    Outcome,
    Reading,
    Script,
    Scripts,
    broken,
)
from unit_tests.support.model import LOGS, Log, Server
from unit_tests.support.reading import ONE, TWO, after, saved

if TYPE_CHECKING:
    from random import Random

    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor

pytestmark = pytest.mark.usefixtures("_in_no_time")

CDC = replace(CONFIG, include_cdc_columns=True)
FULL = SyncMode.full_refresh


@pytest.fixture
def _checkpoint_after_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.follow.checkpoint.ROWS_BETWEEN_CHECKPOINTS", 1)


# States.


def test_the_state_names_every_shard_from_the_first_one_on() -> None:
    vtgate = FakeVtgate({"-80": [[]], "80-": [[]]}, current=gtid(5))
    outcome = Reading(vtgate, shards=("-80", "80-"), state=saved(after(5), after(5, shard="80-"))).run()
    assert [set(state["shards"]) for state in outcome.states] == [{"-80", "80-"}] * 2


def test_a_shard_that_is_missing_from_the_state_is_copied() -> None:
    vtgate = FakeVtgate({"-80": [small_copy(ONE)]})
    outcome = Reading(vtgate, shards=("-80", "80-"), state=saved(after(10, shard="80-"))).run()
    assert (outcome.ids, outcome.positions) == ([1], {"-80": gtid(10), "80-": gtid(10)})


def test_a_shard_that_is_not_read_any_more_keeps_its_cursor() -> None:
    config = replace(CONFIG, shards=("80-",))
    state = saved(after(5), after(10, shard="80-"))
    reading = Reading(FakeVtgate({}), shards=("-80", "80-"), config=config, state=state)
    outcome = reading.run()
    assert (outcome.positions, outcome.error) == ({"-80": gtid(5), "80-": gtid(10)}, None)


def test_a_table_without_rows_has_a_state_too() -> None:
    outcome = Reading(FakeVtgate({SHARD: [small_copy()]})).run()
    assert (outcome.ids, outcome.positions) == ([], {SHARD: gtid(10)})


def test_a_sync_without_anything_new_gives_its_state_back() -> None:
    state = saved(after(10))
    assert Reading(FakeVtgate({}), state=state).run().states == [state]


def test_the_state_of_the_go_connector_is_gone_on_from() -> None:
    state = {"shards": {SHARD: {"cursor": after(5).encode()}}}
    vtgate = FakeVtgate({SHARD: lambda _cursor: [transaction(10, fields(), inserted(ONE))]})
    outcome = Reading(vtgate, state=state).run()
    assert (outcome.ids, outcome.error) == ([1], None)
    assert {cursor.position for cursor in vtgate.opened} == {gtid(5)}


def test_starting_positions_spare_the_copy() -> None:
    config = replace(CONFIG, starting_gtids={KEYSPACE: {SHARD: gtid(5)}})
    vtgate = FakeVtgate({SHARD: lambda _cursor: [transaction(10, fields(), inserted(ONE))]})
    assert Reading(vtgate, config=config).run().ids == [1]
    assert vtgate.opened[0].position == gtid(5)


def test_a_saved_position_comes_before_a_starting_one() -> None:
    config = replace(CONFIG, starting_gtids={KEYSPACE: {SHARD: gtid(5)}})
    assert Reading(FakeVtgate({}), config=config, state=saved(after(10))).run().error is None


def test_a_full_refresh_copies_whatever_was_saved() -> None:
    outcome = Reading(FakeVtgate({SHARD: [small_copy(ONE)]}), state=saved(after(10)), mode=FULL).run()
    assert outcome.ids == [1]
    assert "full_refresh" not in outcome.states[-1]


def test_a_full_refresh_that_was_cut_goes_on() -> None:
    cut: Script = [*small_copy(ONE)[:3], *[broken()] * 3]
    vtgate = FakeVtgate({SHARD: lambda _cursor: cut})
    first = Reading(vtgate, mode=FULL, config=replace(CONFIG, max_retries=0)).run()
    assert first.states[-1]["full_refresh"] is True
    going_on = FakeVtgate({SHARD: [small_copy()]})
    second = Reading(going_on, mode=FULL, state=first.states[-1]).run()
    assert going_on.opened[0].last_pk == last_key(ONE).SerializeToString(deterministic=True)
    assert "full_refresh" not in second.states[-1]


def test_a_column_that_is_gone_is_told_and_the_rest_is_read(caplog: pytest.LogCaptureFixture) -> None:
    reading = Reading(FakeVtgate({SHARD: [small_copy(ONE)]}))
    reading.properties = {"id": {}, "label": {}, "note": {}, "gone": {}, "_ab_cdc_cursor": {}}
    with caplog.at_level("WARNING"):
        outcome = reading.run()
    assert (outcome.ids, outcome.error) == ([1], None)
    assert "no longer has the column(s) gone that this connection selects" in caplog.text


# The change cursor.


def test_change_cursors_grow_from_sync_to_sync() -> None:
    first = Reading(
        FakeVtgate({SHARD: [[transaction(10, fields(), inserted(ONE, TWO))]]}),
        state=saved(after(5)),
        config=CDC,
    ).run()
    second = Reading(
        FakeVtgate({SHARD: [[transaction(20, fields(), rows(change(ONE)))]]}, current=gtid(20)),
        state=first.states[-1],
        config=CDC,
    ).run()
    cursors = [record["_ab_cdc_cursor"] for record in first.records + second.records]
    assert cursors == sorted(set(cursors))
    assert second.records[0]["_ab_cdc_deleted_at"] is not None


def test_numbers_are_reserved_before_the_first_record() -> None:
    outcome = Reading(
        FakeVtgate({SHARD: [[transaction(10, fields(), inserted(ONE))]]}), state=saved(after(5)), config=CDC
    ).run()
    assert outcome.messages[0].type is Type.STATE
    assert outcome.states[0]["cdc_cursor"] > outcome.records[0]["_ab_cdc_cursor"]


def test_a_sync_that_ended_well_keeps_no_reserve() -> None:
    outcome = Reading(
        FakeVtgate({SHARD: [[transaction(10, fields(), inserted(ONE))]]}), state=saved(after(5)), config=CDC
    ).run()
    assert outcome.states[-1]["cdc_cursor"] == outcome.records[-1]["_ab_cdc_cursor"]


# Batches and messages.


def test_batches_and_plain_messages_say_the_same() -> None:
    def script() -> Scripts:
        return {SHARD: [[*small_copy(ONE, TWO, last=9), transaction(10, inserted(row(3, 'é"\n', "")))]]}

    plain = Reading(FakeVtgate(script())).run()
    batched = Reading(FakeVtgate(script()), batched=True).run()
    batches = [message for message in batched.messages if isinstance(message, RecordBatch)]
    lines = b"".join(batch.text for batch in batches).splitlines()
    assert [json.loads(line)["record"]["data"] for line in lines] == plain.records
    assert sum(batch.count for batch in batches) == len(plain.records) == 3
    assert plain.states[-1] == batched.states[-1]


# Checkpoints.


def copied_in_two_steps(table: Table) -> Outcome:
    """Reads a copy whose end comes when its rows have been emitted."""
    rows_are_out = threading.Event()

    def wait() -> None:
        assert rows_are_out.wait(DEADLINE)

    *most, end = small_copy(ONE, table=table)
    return Reading(FakeVtgate({SHARD: [[*most, wait, end]]}), table=table).run(rows_are_out.set)


@pytest.mark.usefixtures("_checkpoint_after_every_batch")
def test_states_come_in_the_middle_of_a_copy() -> None:
    outcome = copied_in_two_steps(TABLE)
    kinds = [message.type for message in outcome.messages]
    assert kinds == [Type.RECORD, Type.STATE, Type.STATE]
    middle = StreamState.parse(outcome.states[0], keyspace=KEYSPACE, stream="orders").cursors[SHARD]
    assert middle.last_pk == last_key(ONE).SerializeToString(deterministic=True)


@pytest.mark.usefixtures("_checkpoint_after_every_batch")
def test_no_state_claims_a_copy_without_a_key_before_its_end() -> None:
    outcome = copied_in_two_steps(KEYLESS)
    *middle, last = (
        StreamState.parse(state, keyspace=KEYSPACE, stream="orders").cursors[SHARD]
        for state in outcome.states
    )
    assert middle
    assert all(cursor.position == "" and cursor.last_pk is None for cursor in middle)
    assert last.position == gtid(10)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=LOGS, random=st.randoms(use_true_random=True), batched=st.booleans())
@pytest.mark.usefixtures("_checkpoint_after_every_batch")
def test_any_state_and_the_records_before_it_lose_no_change(log: Log, random: Random, batched: bool) -> None:
    server = Server(log, random)

    def stream(cursor: Cursor) -> Script:
        responses = server.stream(cursor)
        cut = random.randint(0, len(responses)) if random.random() < 0.5 else len(responses)
        return [*responses[:cut], broken()]

    destination: dict[int, tuple[int, str | None]] = {}
    state: dict[str, Any] = {}
    for attempt in range(100):
        vtgate = FakeVtgate({SHARD: stream}, current=gtid(len(log)))
        reading = Reading(vtgate, config=replace(CDC, max_retries=50), state=state, batched=batched)
        taken = random.randint(0, 12) if attempt < 5 else None
        with closing(reading.messages()) as messages:
            for message in islice(messages, taken):
                if message.state:
                    state = vars(cast("Any", message.state).stream.stream_state)
                elif message.record:
                    _apply(destination, message)
        if taken is None:
            break
    content = server.content(len(log))
    present = {key: value for key, (_, value) in destination.items() if value is not None}
    assert {key: present.get(key) for key in content} == content


def _apply(destination: dict[int, tuple[int, str | None]], message: Any) -> None:
    """Does what a destination does that keeps the record with the highest cursor of each key."""
    for plain in message.messages() if isinstance(message, RecordBatch) else [message]:
        record = cast("Any", plain.record).data
        newest, _ = destination.get(record["id"], (0, None))
        assert record["_ab_cdc_cursor"] > newest
        deleted = record["_ab_cdc_deleted_at"] is not None
        destination[record["id"]] = (record["_ab_cdc_cursor"], None if deleted else record["label"])
