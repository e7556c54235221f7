"""Streams in turns: bursts that end with a state, states of quiet tables, and signs of life."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pytest
from airbyte_cdk.models import SyncMode, Type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_planetscale.columns import Form
from source_planetscale.records.encoded import Cells, EncodedRows
from source_planetscale.records.message import RecordBatch
from source_planetscale.state import StreamState
from source_planetscale.sync.delivery import Delivery
from source_planetscale.sync.tasks import Tasks
from source_planetscale.sync.turns import HEARTBEAT_SECONDS, Turns
from source_planetscale.table import table_key
from unit_tests.support.events import KEYSPACE, SHARD, gtid
from unit_tests.support.fakes import CONFIG, FakeVtgate, Outcome, Reading, cursors_of, stream_of
from unit_tests.support.keyspace import Destination, KeyspaceModel, ShardModel, inserts, random_log, table
from unit_tests.support.reading import after, saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from random import Random

    from airbyte_cdk.models import AirbyteMessage

    from source_planetscale.sync.context import Sync
    from source_planetscale.sync.reading import Reading as StreamReading
    from source_planetscale.table import Table

pytestmark = pytest.mark.usefixtures("_in_no_time")

Item: TypeAlias = "tuple[str, Delivery] | Callable[[], None]"

CDC = replace(CONFIG, include_cdc_columns=True)
NAMES = ("ants", "bees", "cats")
TABLES = tuple(map(table, NAMES))


@pytest.fixture
def _short_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.sync.turns._BURST_RECORDS", 2)
    monkeypatch.setattr("source_planetscale.sync.delivery._DUE_SECONDS", 0.0)
    monkeypatch.setattr("source_planetscale.sync.delivery._JOINED_BYTES", 1)
    monkeypatch.setattr("source_planetscale.sync.context._BUFFERED_BYTES", 600)


# A whole sync.


@pytest.mark.usefixtures("_short_bursts")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=True), batched=st.booleans(), changes=st.booleans())
def test_no_two_streams_have_records_between_two_states(random: Random, batched: bool, changes: bool) -> None:
    shards = {
        name: ShardModel(name, random_log(random, NAMES, keys=keys, length=random.randint(1, 12)))
        for name, keys in (("-80", range(1, 6)), ("80-", range(11, 16)))
    }
    model = KeyspaceModel(shards)
    states = {name: saved(after(random.randint(0, 1) or 1), after(1, shard="80-")) for name in NAMES}
    modes = {name: random.choice(list(SyncMode)) for name in NAMES}
    for name in random.sample(NAMES, random.randint(0, 2)):
        states[name] = {}
    reading = Reading(
        FakeVtgate(serve=model.serve, current=model.current),
        tables=TABLES,
        config=CDC if changes else CONFIG,
        shards=("-80", "80-"),
        states=states,
        modes=modes,
        batched=batched,
    )
    destination = Destination()
    for message in reading.messages():
        destination.take(message)
    assert reading.errors == {}
    assert not destination.uncovered
    assert set(destination.states) == set(NAMES)
    for name in NAMES:
        ended = StreamState.parse(destination.states[name], keyspace="shop", stream=name)
        assert {shard: c.position for shard, c in ended.cursors.items()} == model.current


@pytest.mark.usefixtures("_short_bursts")
def test_a_transaction_over_several_tables_that_is_larger_than_the_buffers_passes() -> None:
    keys = range(1, 101)
    vtgate = FakeVtgate({SHARD: [[inserts(10, ants=keys, bees=keys, cats=keys)]]})
    reading = Reading(vtgate, tables=TABLES, state=saved(after(5)))
    destination = Destination()
    for message in reading.messages():
        destination.take(message)
    assert reading.errors == {}
    assert destination.counts == dict.fromkeys(NAMES, 100)


def test_many_tables_are_read_over_one_stream_for_each_shard() -> None:
    tables = [table(f"t{number:02}") for number in range(28)]
    shards = {
        name: ShardModel(name, [[(t.name, 1, "a") for t in tables]] * 9, first=1) for name in ("-80", "80-")
    }
    model = KeyspaceModel(shards)
    vtgate = FakeVtgate(serve=model.serve, current=model.current)
    states = saved(after(1), after(1, shard="80-"))
    outcome = Reading(vtgate, tables=tables, shards=("-80", "80-"), state=states).run()
    assert outcome.errors == {}
    assert len(outcome.records) == 28 * 2 * 9
    assert sorted(cursor.shard for cursor in vtgate.opened) == ["-80", "80-"]


def test_a_thousand_streams_without_anything_new_open_none() -> None:
    tables = [table(f"t{number:04}") for number in range(1000)]
    vtgate = FakeVtgate()
    reading = Reading(vtgate, tables=tables, state=saved(after(10)))
    outcome = reading.run()
    assert outcome.errors == {}
    assert set(outcome.last_states) == {t.name for t in tables}
    assert vtgate.opened == []


# One thread alone: what is delivered, when.


class Script(Tasks):
    """Delivers what a test says, an item each time the threads are looked after."""

    def __init__(self, sync: Sync, items: Iterable[Item]) -> None:
        super().__init__(sync.deliveries, sync.interrupted)
        self._sync = sync
        self._items = iter(items)

    def add(self, readings: Iterable[StreamReading]) -> None:
        for reading in readings:
            self._sync.deliveries.begin(reading.key)

    def look_after(self) -> None:
        item = next(self._items, None)
        if callable(item):
            item()
        elif item is not None:
            stream, delivery = item
            assert self._sync.deliveries.put(table_key(KEYSPACE, stream), delivery)


@dataclass
class Clock:
    """The seconds that pass in a test, in place of the module `time`."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return int(self.now * 1e9)

    def passes(self, seconds: float) -> Callable[[], None]:
        def go() -> None:
            self.now += seconds

        return go


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for room in ("turns", "reading"):
        monkeypatch.setattr(f"source_planetscale.sync.{room}.time", clock)
    monkeypatch.setattr("source_planetscale.sync.turns._POLL_SECONDS", 0.0)
    return clock


def comes(stream: str, last: int, *ids: int, ended: bool = False, size: int = 1) -> tuple[str, Delivery]:
    """What a shard delivers: rows up to a position."""
    batch = None
    if ids:
        cells = [
            Cells([b"%d" % number for number in ids], Form.JSON, has_nulls=False),
            Cells([b"x"] * len(ids), Form.BARE, has_nulls=False),
        ]
        rows = EncodedRows(("id", "label"), cells, {}, [], len(ids), 0)
        batch = RecordBatch([rows], stream=stream, namespace="shop", shard=SHARD, copied=False)
    return stream, Delivery(SHARD, after(last), batch, size, ended=ended)


def ends(*streams: str, last: int = 10) -> list[tuple[str, Delivery]]:
    return [comes(stream, last, ended=True) for stream in streams]


def played(items: Iterable[Item], tables: Sequence[Table] = TABLES) -> Iterator[AirbyteMessage]:
    """The messages of a sync of tables in which shards deliver these items one after the other."""
    reading = Reading(FakeVtgate(), tables=tables, state=saved(after(5)), batched=True)
    replication = reading.replication()
    replication.sync.tasks = Script(replication.sync, items)
    yield from Turns(replication.sync, replication.readings, reading.read_stream).messages()
    assert reading.errors == {}


def words(messages: Iterable[AirbyteMessage]) -> list[str]:
    return [f"{stream_of(m)} {'state' if m.type is Type.STATE else cast('Any', m).count}" for m in messages]


def places(messages: Iterable[AirbyteMessage]) -> list[str]:
    """The positions of states, and the streams of records."""
    found = []
    for message in messages:
        outcome = Outcome([message])
        found.append(outcome.positions[SHARD] if message.type is Type.STATE else stream_of(message))
    return found


@pytest.mark.usefixtures("clock")
def test_a_stream_has_a_state_before_another_one_has_its_turn() -> None:
    items = [comes("ants", 6, 1, 2), comes("bees", 6, 1, size=300 << 10), *ends(*NAMES)]
    said = words(played(items))
    assert said[:4] == ["ants 2", "ants state", "bees 1", "bees state"]
    assert sorted(said[4:]) == ["ants state", "bees state", "cats state"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(
        st.tuples(
            st.sampled_from(NAMES), st.integers(0, 3), st.sampled_from([1, 300 << 10]), st.floats(0, 40)
        ),
        max_size=30,
    ),
)
def test_whatever_comes_in_whatever_order_every_burst_ends_with_a_state(
    clock: Clock, items: list[tuple[str, int, int, float]]
) -> None:
    script: list[Item] = []
    expected: Counter[str] = Counter()
    for number, (stream, count, size, seconds) in enumerate(items):
        script += [comes(stream, 6 + number, *range(count), size=size), clock.passes(seconds)]
        expected[stream] += count
    destination = Destination()
    for message in played([*script, *ends(*NAMES, last=100)]):
        destination.take(message)
    assert not destination.uncovered
    assert destination.counts == expected
    assert {cursors_of(state)[SHARD].position for state in destination.states.values()} == {gtid(100)}


def test_a_stream_that_always_has_something_gives_way_after_some_seconds(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_planetscale.sync.delivery._DUE_SECONDS", 1e9)

    def script() -> Iterator[Item]:
        yield comes("ants", 6, 1)
        # The smallest possible: it waits behind whatever else there is.
        yield comes("bees", 6, 1, size=9)
        for last in range(7, 40):
            yield comes("ants", last, last)
            yield clock.passes(0.5)

    said = words(played([*script(), *ends(*NAMES, last=40)]))
    assert said.index("bees 1") < 10
    assert said[said.index("bees 1") - 1] == "ants state"


def test_the_position_of_a_table_without_changes_is_saved_now_and_then(clock: Clock) -> None:
    def quiet() -> Iterator[Item]:
        for last in range(6, 10):
            yield comes("ants", last)
            yield clock.passes(25.0)

    said = places(played([*quiet(), *ends("ants", last=40)], [TABLES[0]]))
    assert said == [gtid(8), gtid(40)]


def test_a_stream_that_has_not_moved_is_not_saved_again(clock: Clock) -> None:
    items: list[Item] = [
        *(comes("ants", 6, 1), clock.passes(61.0)),
        *(comes("ants", 6), clock.passes(300.0)),
    ]
    said = places(played([*items, *ends("ants", last=40)], [TABLES[0]]))
    assert said == ["ants", gtid(6), gtid(40)]


def test_a_sync_in_which_nothing_moves_repeats_a_state_as_a_sign_of_life(clock: Clock) -> None:
    waiting = [clock.passes(HEARTBEAT_SECONDS / 2 + 1)] * 4
    said = places(played([*waiting, *ends("ants", last=40)], [TABLES[0]]))
    assert said == [gtid(5), gtid(5), gtid(40)]


def test_rows_that_wait_for_their_state_get_one_when_nothing_follows(clock: Clock) -> None:
    items: list[Item] = [comes("ants", 6, 1), *[clock.passes(30.0)] * 8]
    said = places(played([*items, *ends("ants", last=40)], [TABLES[0]]))
    assert said == ["ants", gtid(6), gtid(40)]
