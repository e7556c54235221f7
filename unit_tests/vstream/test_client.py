"""What the client of VStreams asks of vtgate, over which connections, and what it makes of their end."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.endpoint import Endpoint, Keyspace, TabletType
from source_planetscale.vstream.channel import new_channel
from source_planetscale.vstream.client import VStreamCall, VStreamClient, rule, window_bytes
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.events import KEYSPACE, SHARD, gtid, heartbeat, last_key, response, vgtid
from unit_tests.support.grpc_server import HOST, GrpcServer, Refusal
from unit_tests.support.reading import ONE, START, after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source_planetscale.vstream.cursor import Cursor

MIB = 1 << 20
SECONDS = 30.0
SILENCE = None
HERE = response(vgtid(gtid(7)))


@pytest.fixture
def server() -> Iterator[GrpcServer]:
    with GrpcServer() as server:
        yield server


@pytest.fixture
def client(server: GrpcServer) -> Iterator[VStreamClient]:
    made = made_for(server)
    yield made
    made.close()


def made_for(server: GrpcServer, keyspace: Keyspace | None = None) -> VStreamClient:
    endpoint = Endpoint(HOST, server.port, "user", "pscale_pw_secret", tls=None)
    return VStreamClient(endpoint, keyspace or Keyspace(KEYSPACE))


def streamed(client: VStreamClient, cursor: Cursor = START, *tables: str, lane: str = "a") -> list[bytes]:
    return list(client.open(cursor, tables or ("orders",), lane))


def failure(call: VStreamCall) -> VStreamError:
    with pytest.raises(VStreamError) as caught:
        list(call)
    return caught.value


def test_one_shard_has_a_window_for_a_far_server_and_each_of_16_a_small_one() -> None:
    assert (window_bytes(1), window_bytes(4), window_bytes(16)) == (4 * MIB, 2 * MIB, MIB // 2)


@given(st.integers(0, 1000))
def test_more_shards_never_have_wider_windows(shards: int) -> None:
    assert window_bytes(shards + 1) <= window_bytes(shards)


def test_connections_are_made_for_as_many_streams_as_share_what_may_be_under_way(
    server: GrpcServer, client: VStreamClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[int] = []

    def noted(endpoint: Endpoint, window: int) -> grpc.Channel:
        windows.append(window)
        return new_channel(endpoint, window)

    monkeypatch.setattr("source_planetscale.vstream.client.new_channel", noted)
    streamed(client, lane="a")
    client.share(16)
    streamed(client, lane="a")
    streamed(client, lane="b")
    assert windows == [window_bytes(1), window_bytes(16)]
    assert len(server.asked) == 3


def test_responses_come_as_they_were_sent(server: GrpcServer, client: VStreamClient) -> None:
    # More than gRPC's own limit for a message.
    large = response(wire.VEvent(type=wire.OTHER, statement="x" * (5 * MIB)))
    server.script = [response(heartbeat()), large]
    raw = streamed(client)
    assert [wire.VStreamResponse.FromString(part) for part in raw] == server.script


def test_a_stream_starts_at_its_cursor(server: GrpcServer, client: VStreamClient) -> None:
    for cursor in (START, after(5, ONE), after(6)):
        streamed(client, cursor)
    begun, copying, following = (asked.request.vgtid for asked in server.asked)
    assert begun == wire.VGtid(shard_gtids=[wire.ShardGtid(keyspace=KEYSPACE, shard=SHARD)])
    (place,) = copying.shard_gtids
    assert (place.gtid, len(place.table_p_ks)) == (gtid(5), 1)
    assert (place.table_p_ks[0].table_name, place.table_p_ks[0].lastpk) == ("orders", last_key(ONE))
    assert following == wire.VGtid(shard_gtids=[wire.ShardGtid(keyspace=KEYSPACE, shard=SHARD, gtid=gtid(6))])


def test_each_table_has_a_rule_that_matches_no_other_name(server: GrpcServer, client: VStreamClient) -> None:
    streamed(client, after(5), "orders", "odd`name", "/a.b")
    rules = [(rule.match, rule.filter) for rule in server.asked[0].request.filter.rules]
    assert rules == [
        ("orders", "select * from `orders`"),
        ("odd`name", "select * from `odd``name`"),
        (r"/^/a\.b$", ""),
    ]


@pytest.mark.parametrize("kind", TabletType)
def test_the_tablets_are_those_of_the_configuration(server: GrpcServer, kind: TabletType) -> None:
    client = made_for(server, Keyspace(KEYSPACE, kind, cells="zone1,zone2"))
    streamed(client)
    client.close()
    request = server.asked[0].request
    assert wire.TabletType.Name(request.tablet_type) == kind.name
    assert request.flags.cells == "zone1,zone2"
    assert request.flags.stop_on_reshard
    assert request.flags.heartbeat_interval > 0


def test_each_call_carries_the_login(server: GrpcServer, client: VStreamClient) -> None:
    streamed(client)
    server.script = [HERE]
    client.current_position("orders", SHARD, SECONDS)
    for asked in server.asked:
        assert asked.metadata["username"] == "user"
        assert asked.metadata["password"] == "pscale_pw_secret"
        assert asked.metadata["authorization"].startswith("Basic ")


def test_a_lane_keeps_its_connection_and_shares_it_with_no_other_one(
    server: GrpcServer, client: VStreamClient
) -> None:
    for lane in ("a", "b", "a"):
        streamed(client, lane=lane)
    first, second, third = (asked.peer for asked in server.asked)
    assert first == third != second


def test_a_connection_that_is_given_up_ends_its_streams_and_is_made_anew(
    server: GrpcServer, client: VStreamClient
) -> None:
    server.script = [HERE, SILENCE]
    given_up = client.open(START, ["orders"], "a")
    assert next(iter(given_up))
    assert next(iter(client.open(START, ["orders"], "b")))
    client.reconnect("a")
    client.reconnect("never used")
    assert failure(given_up).code is grpc.StatusCode.CANCELLED
    server.script = []
    assert streamed(client, lane="a") == []
    assert streamed(client, lane="b") == []
    first, second, third, fourth = (asked.peer for asked in server.asked)
    assert len({first, second, third}) == 3
    assert fourth == second


def test_a_stream_can_be_cancelled_by_another_thread(server: GrpcServer, client: VStreamClient) -> None:
    server.script = [SILENCE]
    call = client.open(START, ["orders"], "a")
    other = threading.Thread(target=call.cancel)
    other.start()
    assert failure(call).code is grpc.StatusCode.CANCELLED
    other.join()


def test_a_client_that_is_closed_ends_its_streams_and_opens_no_other(
    server: GrpcServer, client: VStreamClient
) -> None:
    server.script = [SILENCE]
    call = client.open(START, ["orders"], "a")
    client.close()
    assert failure(call).code is grpc.StatusCode.CANCELLED
    with pytest.raises(VStreamError, match="CANCELLED: the connection was closed"):
        client.open(START, ["orders"], "a")


def test_a_refusal_is_told_in_the_servers_words_and_drags_no_request_along(
    server: GrpcServer, client: VStreamClient
) -> None:
    server.script = [HERE, Refusal(grpc.StatusCode.UNKNOWN, "table orders not found")]
    call = client.open(after(5, ONE), ["orders"], "a")
    error = failure(call)
    assert (error.code, error.detail) == (grpc.StatusCode.UNKNOWN, "table orders not found")
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_server_that_is_not_there_is_a_lost_connection(server: GrpcServer) -> None:
    with server:
        client = made_for(server)
    error = failure(client.open(START, ["orders"], "a"))
    client.close()
    assert error.code is grpc.StatusCode.UNAVAILABLE
    assert error.detail


@pytest.mark.parametrize("events", [[HERE, HERE], [HERE, SILENCE]], ids=["ended", "left in the middle"])
def test_a_stream_that_is_over_leaves_no_connection_behind(server: GrpcServer, events: list[Any]) -> None:
    server.script = events

    def read_one() -> None:
        with closing(made_for(server)) as client:
            responses = iter(client.open(START, ("orders",), "a"))
            next(responses)

    # The library's own descriptors.
    read_one()
    before = sockets()
    for _ in range(5):
        read_one()
    deadline = time.monotonic() + SECONDS
    while sockets() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sockets() <= before


def sockets() -> int:
    """How many sockets this process has."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        # The descriptor of the folder itself is gone by now.
        with suppress(OSError):
            links.append(str(entry.readlink()))
    return sum(link.startswith("socket:") for link in links)


def test_an_error_that_is_no_answer_is_an_unknown_one() -> None:
    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            yield b"first"
            raise grpc.RpcError

        def cancel(self) -> None:
            """It has ended."""

    error = failure(VStreamCall(cast("Any", Broken())))
    assert (error.code, error.detail) == (grpc.StatusCode.UNKNOWN, "")


def test_the_current_position_is_the_first_one_of_the_shard(
    server: GrpcServer, client: VStreamClient
) -> None:
    server.script = [
        response(heartbeat()),
        response(vgtid("current"), vgtid(""), vgtid(gtid(99), shard="80-")),
        HERE,
        response(vgtid(gtid(8))),
        SILENCE,
    ]
    assert client.current_position("orders", SHARD, SECONDS) == gtid(7)
    (asked,) = server.asked
    assert asked.request.vgtid == wire.VGtid(
        shard_gtids=[wire.ShardGtid(keyspace=KEYSPACE, shard=SHARD, gtid="current")]
    )
    assert [rule.match for rule in asked.request.filter.rules] == ["orders"]


def test_a_stream_that_ends_without_a_position_is_an_error(server: GrpcServer, client: VStreamClient) -> None:
    server.script = [response(heartbeat())]
    with pytest.raises(VStreamError, match="ABORTED: the stream ended without a position"):
        client.current_position("orders", SHARD, SECONDS)


def test_a_position_is_not_waited_for_without_an_end(server: GrpcServer, client: VStreamClient) -> None:
    server.script = [SILENCE]
    with pytest.raises(VStreamError) as caught:
        client.current_position("orders", SHARD, 0.05)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_rule_asks_for_all_columns_or_for_some_of_them_by_quoted_names() -> None:
    assert rule("t`s").filter == "select * from `t``s`"
    assert rule("orders", ("id", "a`b")).filter == "select `id`, `a``b` from `orders`"


def test_a_name_that_looks_like_a_pattern_is_matched_as_it_is() -> None:
    assert (rule("/a.b").match, rule("/a.b").filter) == (r"/^/a\.b$", "")
