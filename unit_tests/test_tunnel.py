"""The way through an SSH server: what passes, and what is told when nothing does."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest

from embedded_database.ssh_server import HOST, PASSWORD, USER, SshServer
from source_planetscale import endpoint, tunnel
from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.tunnel import LocalEnd, Tunnel, explain
from unit_tests.support.fakes import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 30.0
LOGIN = endpoint.SshServer("bastion.example.com", USER, password=PASSWORD)
TARGET = LocalEnd("vtgate.internal", 15991)


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    """A port that sends back what it gets, and ends when its client has ended."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # Some clients go away without a word.
            with suppress(OSError):
                while data := self.request.recv(1 << 16):
                    self.request.sendall(data)

    with socketserver.ThreadingTCPServer((HOST, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def ssh() -> Iterator[SshServer]:
    with SshServer() as server:
        yield server


@contextmanager
def nobody() -> Iterator[int]:
    """A port that refuses connections."""
    with closing(socket.socket()) as bound:
        bound.bind((HOST, 0))
        yield bound.getsockname()[1]


def login(ssh: SshServer, **changes: Any) -> endpoint.SshServer:
    fields = {"port": ssh.port, "password": PASSWORD, **changes}
    return endpoint.SshServer(HOST, fields.pop("username", USER), **fields)


def connected(end: LocalEnd) -> socket.socket:
    return socket.create_connection(end.address, SECONDS)


def everything(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(1 << 16):
        data += part
    return data


def echoed(end: LocalEnd, data: bytes = b"words") -> bytes:
    """What comes back of data after which nothing more is sent."""
    with connected(end) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def refusal(server: endpoint.SshServer, port: int) -> SourceError:
    """What is told of a port that is not reached; its connection just ends."""
    with Tunnel(server) as way:
        end = way.to(HOST, port)
        with connected(end) as connection:
            assert everything(connection) == b""
        trouble = end.trouble()
    assert trouble is not None
    assert trouble.cause is not None
    assert PASSWORD not in trouble.message
    return trouble


def test_nothing_is_connected_before_it_is_needed(ssh: SshServer, echo: int) -> None:
    with Tunnel(login(ssh)) as way:
        end = way.to(HOST, echo)
        assert (end.address[0], end.trouble()) == (HOST, None)
        assert end.address[1] != echo
    assert ssh.logins == 0


def test_several_ports_and_connections_share_one_login(ssh: SshServer, echo: int) -> None:
    much = bytes(range(256)) * 8192
    with Tunnel(login(ssh)) as way:
        ends = [way.to(HOST, echo), way.to("localhost", echo)]
        with connected(ends[0]) as idle:
            assert [echoed(end, much) for end in ends] == [much, much]
            idle.sendall(b"still there")
            assert idle.recv(11) == b"still there"
        assert [end.trouble() for end in ends] == [None, None]
    assert ssh.logins == 1


def test_both_ports_of_a_configuration_go_through_one_login_to_the_end_of_the_block(
    ssh: SshServer, echo: int
) -> None:
    with nobody() as unused:
        config = replace(CONFIG, host=HOST, mysql_port=echo, grpc_port=unused, ssh_server=login(ssh))
        with config.reached() as reached:
            mysql, grpc = reached.mysql, reached.grpc
            assert (mysql.server_name, mysql.port, grpc.port) == (HOST, echo, unused)
            assert len({mysql.address, grpc.address, (HOST, echo), (HOST, unused)}) == 4
            with socket.create_connection(mysql.address, SECONDS) as connection:
                connection.sendall(b"words")
                assert connection.recv(5) == b"words"
            with socket.create_connection(grpc.address, SECONDS) as connection:
                assert everything(connection) == b""
            assert mysql.trouble() is None
            assert f"could not connect to 127.0.0.1:{unused}" in str(grpc.trouble())
    assert ssh.logins == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(mysql.address, SECONDS)


def test_a_key_lets_in_as_a_password_does(ssh: SshServer, echo: int) -> None:
    with Tunnel(login(ssh, password="", key=ssh.user_key)) as way:
        assert echoed(way.to(HOST, echo)) == b"words"


def test_a_server_that_shows_an_expected_key_is_let_in(ssh: SshServer, echo: int) -> None:
    with Tunnel(login(ssh, host_keys=("SHA256:" + "A" * 43, ssh.fingerprint))) as way:
        assert echoed(way.to(HOST, echo)) == b"words"


def test_a_server_that_shows_another_key_gets_no_login_and_is_told_with_that_key(
    ssh: SshServer, echo: int
) -> None:
    trouble = refusal(login(ssh, host_keys=("SHA256:" + "A" * 43,)), echo)
    assert isinstance(trouble, ConfigError)
    assert trouble.message == (
        f"The SSH server at 127.0.0.1:{ssh.port} is not the expected one: it shows the host key "
        f"{ssh.fingerprint}. Check tunnel_host_key."
    )
    assert ssh.logins == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"password": "wrong"},
            "denied access to user 'tunneller'. Check tunnel_user and tunnel_user_password.",
        ),
        ({"username": "somebody"}, "denied access to user 'somebody'."),
        ({"password": "", "key": "another"}, "Check tunnel_user and ssh_key."),
    ],
)
def test_a_refused_login_is_told_with_the_field(
    ssh: SshServer, echo: int, changes: dict[str, str], words: str
) -> None:
    if "key" in changes:
        other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        changes = {**changes, "key": other}
    trouble = refusal(login(ssh, **changes), echo)
    assert isinstance(trouble, ConfigError)
    assert words in trouble.message
    assert ssh.logins == 0


def test_a_server_that_forwards_nothing_is_told(ssh: SshServer, echo: int) -> None:
    ssh.forwards = False
    trouble = refusal(login(ssh), echo)
    assert isinstance(trouble, ConfigError)
    assert f"does not allow user 'tunneller' to reach 127.0.0.1:{echo} through it" in trouble.message
    assert "Allow TCP forwarding" in trouble.message


def test_a_port_that_the_server_cannot_reach_may_be_reached_later(ssh: SshServer) -> None:
    with nobody() as port:
        trouble = refusal(login(ssh), port)
    assert isinstance(trouble, TransientError)
    assert f"could not connect to 127.0.0.1:{port} (" in trouble.message


def test_a_port_of_which_the_server_hears_nothing_is_given_up(
    ssh: SshServer, echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tunnel(login(ssh)) as way:
        end = way.to(HOST, echo)
        assert echoed(end) == b"words"
        ssh.answers = False
        monkeypatch.setattr(tunnel, "_CONNECT_TIMEOUT_SECONDS", 0.05)
        assert echoed(end, b"") == b""
        trouble = end.trouble()
    assert isinstance(trouble, TransientError)
    assert f"could not connect to 127.0.0.1:{echo} (no answer in time)" in trouble.message


def test_no_server_at_all_is_told(ssh: SshServer, echo: int) -> None:
    with nobody() as port:
        trouble = refusal(login(ssh, port=port), echo)
    assert isinstance(trouble, TransientError)
    assert trouble.message == (
        f"The SSH server at 127.0.0.1:{port} refused the connection. Check tunnel_host and tunnel_port."
    )


def test_a_server_that_says_nothing_is_given_up(
    ssh: SshServer, echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_CONNECT_TIMEOUT_SECONDS", 0.05)
    with socket.create_server((HOST, 0)) as silent:
        trouble = refusal(login(ssh, port=silent.getsockname()[1]), echo)
    assert isinstance(trouble, TransientError)
    assert "did not answer in time. Check tunnel_host, tunnel_port and the firewalls" in trouble.message


def test_a_port_that_is_no_ssh_server_is_told(ssh: SshServer, echo: int) -> None:
    trouble = refusal(login(ssh, port=echo), echo)
    assert isinstance(trouble, TransientError)
    assert f"The connection to the SSH server at 127.0.0.1:{echo} failed or was lost (" in trouble.message
    assert "Check tunnel_host and tunnel_port" in trouble.message


def test_a_tunnel_that_breaks_ends_its_connections_and_the_next_one_logs_in_anew(
    ssh: SshServer, echo: int
) -> None:
    with Tunnel(login(ssh)) as way:
        end = way.to(HOST, echo)
        with connected(end) as connection:
            connection.sendall(b"before")
            assert connection.recv(6) == b"before"
            ssh.cut()
            assert everything(connection) == b""
        assert echoed(end, b"after") == b"after"
    assert ssh.logins == 2


def test_a_tunnel_that_comes_back_leaves_no_trouble(ssh: SshServer, echo: int) -> None:
    with Tunnel(login(ssh)) as way:
        end = way.to(HOST, echo)
        ssh.stop()
        assert echoed(end, b"") == b""
        assert "refused the connection" in str(end.trouble())
        ssh.start()
        assert echoed(end) == b"words"
        assert end.trouble() is None


def test_a_client_that_goes_away_without_a_word_harms_no_other(ssh: SshServer, echo: int) -> None:
    with Tunnel(login(ssh)) as way:
        end = way.to(HOST, echo)
        with connected(end) as rude:
            rude.sendall(b"words")
            assert rude.recv(5) == b"words"
            # Closing it now is a reset, where nothing is said any more.
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert echoed(end) == b"words"
    assert ssh.logins == 1


def test_closing_ends_all_connections_once_and_for_all(ssh: SshServer, echo: int) -> None:
    way = Tunnel(login(ssh))
    end = way.to(HOST, echo)
    with connected(end) as connection:
        connection.sendall(b"words")
        assert connection.recv(5) == b"words"
        way.close()
        assert everything(connection) == b""
    with pytest.raises(ConnectionRefusedError):
        connected(end)
    way.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "ssh tunnel"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            "The host name bastion.example.com of the SSH server is not known (DNS). Check tunnel_host.",
        ),
        (TimeoutError(), "The SSH server at bastion.example.com:22 did not answer in time."),
        (asyncio.TimeoutError(), "The SSH server at bastion.example.com:22 did not answer in time."),
        (OSError(101, "Network is unreachable"), "failed or was lost ([Errno 101] Network is unreachable)."),
        (asyncssh.ConnectionLost("Connection lost"), "failed or was lost (Connection lost)."),
        (
            asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused"),
            "could not connect to vtgate.internal:15991 (Connection refused). Check host, mysql_port",
        ),
    ],
)
def test_what_may_pass_is_told_as_that_with_its_cause(error: Exception, words: str) -> None:
    trouble = explain(error, LOGIN, TARGET)
    assert isinstance(trouble, TransientError)
    assert words in trouble.message
    assert trouble.cause is error
