"""What each fault of a relay does to the bytes that pass it."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, cut, delay, hold, refuse, stall

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 10.0
# More than passes in one piece.
REPLY = bytes(range(256)) * 4096


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A relay before a server that answers each byte with `REPLY`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_serve, args=(listener,), daemon=True)
        server.start()
        with Relay(listener.getsockname()[1]) as relay:
            yield relay
        listener.shutdown(socket.SHUT_RDWR)
        server.join(SECONDS)
        assert not server.is_alive()


def _serve(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                while client.recv(1):
                    client.sendall(REPLY)


def ask(relay: Relay) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", relay.port), timeout=SECONDS)
    client.sendall(b"?")
    return client


def received(client: socket.socket, size: int = len(REPLY)) -> bytes:
    """So many bytes, fewer where the connection ends."""
    got = b""
    with suppress(ConnectionError):
        while len(got) < size and (data := client.recv(size - len(got))):
            got += data
    return got


def ends(client: socket.socket) -> bool:
    return received(client, 1) == b""


def test_without_a_fault_everything_passes(relay: Relay) -> None:
    with closing(ask(relay)) as client:
        assert received(client) == REPLY
    assert relay.met == []


@pytest.mark.parametrize("after", [0, 1, 100_000])
def test_a_cut_connection_ends_after_its_bytes_and_the_next_one_is_whole(relay: Relay, after: int) -> None:
    relay.plan(cut(after))
    with closing(ask(relay)) as client:
        assert received(client) == REPLY[:after]
        assert ends(client)
    with closing(ask(relay)) as client:
        assert received(client) == REPLY
    assert relay.met == [cut(after)]


def test_a_refused_connection_gives_nothing(relay: Relay) -> None:
    relay.always(refuse())
    for _ in range(2):
        with closing(socket.create_connection(("127.0.0.1", relay.port), timeout=SECONDS)) as client:
            assert ends(client)
    assert relay.met == [refuse(), refuse()]


def test_a_stalled_connection_stays_open_until_the_relay_is_healed(relay: Relay) -> None:
    relay.plan(stall(1000))
    with closing(ask(relay)) as client:
        assert received(client, 1000) == REPLY[:1000]
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        relay.heal()
        client.settimeout(SECONDS)
        assert ends(client)


def test_a_held_connection_goes_on_when_it_is_told_to(relay: Relay) -> None:
    relay.plan(hold(0))
    with closing(ask(relay)) as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        relay.resume()
        client.settimeout(SECONDS)
        assert received(client) == REPLY
    assert relay.met == [hold(0)]


def test_a_delayed_connection_is_whole(relay: Relay) -> None:
    relay.plan(delay(0.0001))
    with closing(ask(relay)) as client:
        assert received(client) == REPLY
    assert relay.met == [delay(0.0001)]


def test_closing_the_relay_ends_what_hangs_or_is_held(relay: Relay) -> None:
    relay.plan(stall(0), hold(0))
    with closing(ask(relay)) as hanging, closing(ask(relay)) as held:
        relay.close()
        assert ends(hanging)
        assert ends(held)
