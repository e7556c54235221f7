"""Several keyspaces in one source: namesakes, shards of the same names, and keyspaces that cannot be read."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from airbyte_cdk.models import (
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    Status,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.errors import ConfigError, TransientError
from source_planetscale.shape import shape_of
from source_planetscale.source import SourcePlanetscale
from source_planetscale.sync.stream import TableStream
from source_planetscale.table import Table
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.events import (
    TABLE,
    begin,
    commit,
    fields,
    gtid,
    inserted,
    journal,
    response,
    row,
    small_copy,
    transaction,
    vgtid,
)
from unit_tests.support.fakes import FakeDatabase, FakeVtgate, broken, configured, stand_in
from unit_tests.support.reading import saved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from source_planetscale.vstream.wire import vstream_pb2 as wire

pytestmark = pytest.mark.usefixtures("_in_no_time")

LOGGER = logging.getLogger("airbyte.test")
SHARD = "-80"
Key = tuple[str, str]


def orders(keyspace: str) -> Table:
    return Table(keyspace, "orders", TABLE.columns, ("id",))


def database(keyspace: str, **more: Any) -> FakeDatabase:
    return FakeDatabase(**{"found": (orders(keyspace),), "names": (SHARD,), **more})


@dataclass
class Told:
    """What a read said of each stream, by keyspace and name."""

    ids: defaultdict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))
    states: dict[Key, AirbyteStateMessage] = field(default_factory=dict)
    statuses: defaultdict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[Key, str] = field(default_factory=dict)
    ended: AirbyteTracedException | None = None

    def positions(self, keyspace: str) -> dict[str, str]:
        state = self.states[keyspace, "orders"]
        assert state.stream is not None
        saved = vars(state.stream.stream_state)["shards"]
        return {
            shard: Cursor.decode(kept["cursor"], keyspace=keyspace, shard=shard).position
            for shard, kept in saved.items()
        }


class Source:
    """A source of several keyspaces behind fakes."""

    def __init__(self, keyspaces: str = "users", **more: Any) -> None:
        self.config = {
            "host": "h",
            "database": "shop",
            "username": "u",
            "password": "p",
            "max_retries": 0,
            "keyspaces": keyspaces,
            **more,
        }
        self.vtgates: dict[str, FakeVtgate] = {}
        self.databases: dict[str, FakeDatabase] = {}

    def add(self, keyspace: str, vtgate: FakeVtgate | None = None, **more: Any) -> FakeVtgate:
        self.vtgates[keyspace] = vtgate or FakeVtgate({SHARD: [small_copy(row(1, keyspace, None))]})
        self.databases[keyspace] = database(keyspace, **more)
        return self.vtgates[keyspace]

    def tables(self) -> list[Key]:
        streams = SourcePlanetscale().streams(self.config)
        assert all(isinstance(stream, TableStream) for stream in streams)
        return [(str(stream.namespace), stream.name) for stream in streams]

    def read(self, *keyspaces: str, states: Sequence[AirbyteStateMessage] = ()) -> Told:
        catalog = ConfiguredAirbyteCatalog(streams=[configured(orders(name)) for name in keyspaces])
        told = Told()
        try:
            for message in SourcePlanetscale().read(LOGGER, self.config, catalog, list(states)):
                self._take(told, message)
        except AirbyteTracedException as error:
            told.ended = error
        return told

    @staticmethod
    def _take(told: Told, message: Any) -> None:
        if message.record is not None:
            told.ids[message.record.namespace, message.record.stream].append(message.record.data["id"])
        elif message.state is not None:
            descriptor = message.state.stream.stream_descriptor
            told.states[descriptor.namespace, descriptor.name] = message.state
        elif message.trace is not None and message.trace.stream_status is not None:
            descriptor = message.trace.stream_status.stream_descriptor
            status = message.trace.stream_status.status
            told.statuses[descriptor.namespace, descriptor.name].append(AirbyteStreamStatus(status).value)
        elif message.trace is not None and message.trace.error is not None:
            descriptor = message.trace.error.stream_descriptor
            told.errors[descriptor.namespace, descriptor.name] = message.trace.error.message


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    source = Source()
    stand_in(source.vtgates, source.databases, monkeypatch.setattr)
    yield source
    assert all(vtgate.closed for vtgate in source.vtgates.values() if vtgate.opened)


def added(last: int, shard: str, keys: Sequence[int] = ()) -> wire.VStreamResponse:
    """A transaction that inserts rows with these keys."""
    new = [inserted(row(key, "new", None)) for key in keys]
    return response(begin(), fields(), *new, vgtid(gtid(last), shard=shard), commit())


def state_of(keyspace: str, last: int) -> AirbyteStateMessage:
    cursor = Cursor(keyspace, SHARD, gtid(last), shape=shape_of(TABLE.columns))
    stream = {
        "stream_descriptor": {"name": "orders", "namespace": keyspace},
        "stream_state": saved(cursor),
    }
    return AirbyteStateMessageSerializer.load({"type": "STREAM", "stream": stream})


WHOLE = ["STARTED", "RUNNING", "COMPLETE"]
BROKEN = ["STARTED", "RUNNING", "INCOMPLETE"]
SHOP, USERS = ("shop", "orders"), ("users", "orders")


# Discovery.


def test_each_keyspace_has_streams_of_its_own(served: Source) -> None:
    served.add("shop")
    served.add("users")
    assert served.tables() == [SHOP, USERS]


def test_patterns_are_looked_up_and_what_the_user_may_not_read_is_left_out(
    served: Source, caplog: pytest.LogCaptureFixture
) -> None:
    served.config["keyspaces"] = "%"
    served.add("shop", visible=("a", "shop", "users"))
    served.add("users")
    served.add("a", failure=ConfigError("User 'u' may not read database 'a'."))
    assert served.tables() == [SHOP, USERS]
    assert "Keyspace a is left out: User 'u' may not read database 'a'." in caplog.text


def test_a_table_that_vitess_cannot_stream_is_left_out_with_its_keyspace(
    served: Source, caplog: pytest.LogCaptureFixture
) -> None:
    served.add("shop")
    served.add("users", found=(Table("users", "dual", TABLE.columns, ("id",)),))
    assert served.tables() == [SHOP]
    assert "Table dual of keyspace users is left out of the catalog" in caplog.text


@pytest.mark.parametrize("failure", [ConfigError("Gone."), TransientError("Down.")])
def test_a_keyspace_that_was_named_and_cannot_be_read_fails_discovery(
    served: Source, failure: Exception
) -> None:
    served.add("shop")
    served.add("users", failure=failure)
    with pytest.raises(AirbyteTracedException, match=str(failure)):
        served.tables()


# Reads.


def test_namesakes_are_read_apart_and_have_their_own_states_and_statuses(served: Source) -> None:
    served.add("shop", FakeVtgate({SHARD: [small_copy(row(1, "a", None))]}, current=gtid(10)))
    served.add("users", FakeVtgate({SHARD: [small_copy(row(2, "b", None), last=20)]}, current=gtid(20)))
    told = served.read("shop", "users")
    assert told.ended is None
    assert told.ids == {SHOP: [1], USERS: [2]}
    assert told.statuses == {SHOP: WHOLE, USERS: WHOLE}
    assert (told.positions("shop"), told.positions("users")) == ({SHARD: gtid(10)}, {SHARD: gtid(20)})


def test_shards_of_the_same_name_have_their_own_positions_and_passes(served: Source) -> None:
    log = [added(6, SHARD, keys=[6])]
    shop = served.add("shop", FakeVtgate({SHARD: [log]}, current=gtid(6)))
    users = served.add("users", FakeVtgate({SHARD: [[added(60, SHARD, keys=[60])]]}, current=gtid(60)))
    told = served.read("shop", "users", states=[state_of("shop", 5), state_of("users", 50)])
    assert told.ended is None
    assert told.ids == {SHOP: [6], USERS: [60]}
    assert (told.positions("shop"), told.positions("users")) == ({SHARD: gtid(6)}, {SHARD: gtid(60)})
    assert [(cursor.keyspace, cursor.position) for cursor in shop.opened[-1:]] == [("shop", gtid(5))]
    assert [(cursor.keyspace, cursor.position) for cursor in users.opened[-1:]] == [("users", gtid(50))]


def test_a_shard_is_resharded_in_its_own_keyspace_alone(
    served: Source, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    end = [transaction(6), added(7, SHARD, keys=[7])]
    end[-1].events.append(journal(gtid(7), ["-40", "40-80"]))
    served.add(
        "shop",
        FakeVtgate(
            {SHARD: [end], "-40": [[added(8, "-40", keys=[8])]], "40-80": [[added(8, "40-80")]]},
            current={SHARD: gtid(10), "-40": gtid(8), "40-80": gtid(8)},
        ),
        status=None,
    )
    served.add("users", FakeVtgate({SHARD: [[added(6, SHARD, keys=[6])]]}, current=gtid(6)), status=None)
    told = served.read("shop", "users", states=[state_of("shop", 5), state_of("users", 5)])
    assert told.errors == {}
    assert set(told.positions("shop")) == {"-40", "40-80"}
    assert told.positions("users") == {SHARD: gtid(6)}
    assert "Shard shop/-80 of orders was resharded: going on with -40, 40-80." in caplog.messages


@pytest.mark.parametrize("failure", [ConfigError("Keyspace users is gone."), TransientError("It is down.")])
def test_a_keyspace_that_cannot_be_read_stops_no_other(served: Source, failure: Exception) -> None:
    served.add("shop")
    served.add("users", failure=failure)
    told = served.read("users", "shop")
    assert told.ids == {SHOP: [1]}
    assert told.statuses == {SHOP: WHOLE, USERS: BROKEN}
    assert told.errors == {USERS: str(failure)}
    assert told.ended is not None
    assert "users.orders" in str(told.ended.message)
    assert "shop.orders" not in str(told.ended.message)


def test_an_error_of_a_shard_names_its_keyspace(served: Source) -> None:
    served.add("shop")
    served.add("users", FakeVtgate({SHARD: [[broken()]]}))
    told = served.read("shop", "users")
    assert told.statuses == {SHOP: WHOLE, USERS: BROKEN}
    assert list(told.errors) == [USERS]
    assert "table orders, shard users/-80 stopped" in told.errors[USERS]


def test_a_damaged_state_is_told_with_its_keyspace(served: Source) -> None:
    served.add("shop")
    served.add("users")
    state = state_of("users", 5)
    assert state.stream is not None
    vars(state.stream.stream_state)["shards"] = {SHARD: {"cursor": "garbage"}}
    told = served.read("shop", "users", states=[state])
    assert told.ids == {SHOP: [1]}
    assert "stream 'users.orders'" in told.errors[USERS]


def test_a_defect_in_one_of_two_namesakes_is_told_of_that_one(
    served: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.add("shop")
    served.add("users")
    log_configuration = TableStream.log_stream_sync_configuration

    def fail(stream: TableStream) -> None:
        if stream.namespace == "users":
            raise RuntimeError("a defect")
        log_configuration(stream)

    monkeypatch.setattr(TableStream, "log_stream_sync_configuration", fail)
    told = served.read("shop", "users")
    assert list(told.errors) == [USERS]
    assert told.statuses[SHOP] == WHOLE


def test_a_keyspace_that_is_not_chosen_is_told_with_the_option(served: Source) -> None:
    served.add("shop")
    told = served.read("shop", "other")
    assert told.ids == {SHOP: [1]}
    message = told.errors["other", "orders"]
    assert "this source reads keyspaces shop, users" in message
    assert "add other to keyspaces" in message


def test_without_the_option_a_namesake_of_another_keyspace_stops_no_stream(served: Source) -> None:
    served.config["keyspaces"] = ""
    served.add("shop")
    told = served.read("shop", "users")
    assert told.ids == {SHOP: [1]}
    assert "this source reads database shop" in told.errors[USERS]


def test_a_stream_that_stands_twice_in_the_catalog_is_refused(served: Source) -> None:
    served.add("shop")
    served.add("users")
    told = served.read("shop", "users", "users")
    assert told.ids == {SHOP: [1]}
    assert told.errors == {USERS: "The catalog holds several streams named users.orders. Leave one of them."}
    assert Counter(told.statuses[USERS]) == {"STARTED": 2, "RUNNING": 2, "INCOMPLETE": 2}


def test_a_table_without_a_key_is_told_with_its_keyspace(
    served: Source, caplog: pytest.LogCaptureFixture
) -> None:
    served.config["include_cdc_columns"] = True
    keyless = Table("users", "orders", TABLE.columns)
    served.add("shop")
    served.add("users", FakeVtgate({SHARD: [small_copy(row(1, "a", None), table=keyless)]}), found=(keyless,))
    served.read("shop", "users")
    assert "Table orders of keyspace users has no primary key" in caplog.text


def test_starting_positions_are_those_of_the_keyspace(served: Source) -> None:
    served.config["starting_gtids"] = json.dumps({"users": {SHARD: gtid(5)}})
    served.add("shop")
    # The log is looked at for statements before its rows are read.
    users = served.add("users", FakeVtgate({SHARD: [[added(10, SHARD, keys=[9])]] * 2}))
    told = served.read("shop", "users")
    assert told.ids == {SHOP: [1], USERS: [9]}
    assert users.opened[0].position == gtid(5)


# Check.


def checked(source: Source) -> tuple[bool, str]:
    status = SourcePlanetscale().check(LOGGER, source.config)
    return status.status is Status.SUCCEEDED, str(status.message)


def test_a_check_tries_each_keyspace(served: Source) -> None:
    asked = [served.add("shop"), served.add("users")]
    assert checked(served) == (True, "None")
    assert all(vtgate.closed for vtgate in asked)


def test_a_check_tells_of_each_keyspace_that_cannot_be_read(served: Source) -> None:
    served.config["keyspaces"] = "users, more"
    served.add("shop", FakeVtgate({}, failures=[broken()]))
    served.add("users", failure=ConfigError("Keyspace users is gone."))
    served.add("more")
    succeeded, message = checked(served)
    assert not succeeded
    assert "Keyspace users is gone." in message
    assert "shard -80 of keyspace shop" in message
    assert "more" not in message


def test_a_check_leaves_out_what_discovery_leaves_out(
    served: Source, caplog: pytest.LogCaptureFixture
) -> None:
    served.config["keyspaces"] = "%"
    served.add("shop", visible=("shop", "users"))
    served.add("users", failure=ConfigError("Denied."))
    assert checked(served) == (True, "None")
    assert "Keyspace users is left out: Denied." in caplog.text


def test_starting_positions_of_no_keyspace_are_told_once(
    served: Source, caplog: pytest.LogCaptureFixture
) -> None:
    served.config["starting_gtids"] = json.dumps({"users": {SHARD: gtid(5)}, "other": {SHARD: gtid(5)}})
    served.add("shop")
    served.add("users")
    assert checked(served) == (True, "None")
    (told,) = [text for text in caplog.messages if "starting_gtids" in text]
    assert told.startswith("starting_gtids names other, which this source does not read")
