"""Both ports through an SSH server: how one gets in, and what happens when it goes away."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest

from embedded_database.certificates import Authority, Certificates
from embedded_database.database import EmbeddedDatabase
from embedded_database.relay import Relay, cut, stall
from embedded_database.ssh_server import PASSWORD, SshServer
from integration_tests.support.command import configured, run
from source_planetscale import tunnel
from source_planetscale.check import check
from source_planetscale.config import Config
from source_planetscale.errors import ConfigError, SourceError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 2000
BARE = {"host": "db.example.com", "database": "shop", "username": "u", "password": "p"}

LOGGER = logging.getLogger("airbyte")


@pytest.fixture(scope="module")
def database() -> Iterator[EmbeddedDatabase]:
    with EmbeddedDatabase({"src": ["0"]}) as database:
        database.create_table("src", "create table t (id int primary key, text varchar(2000))")
        database.load("src", "t", ((number, "x" * 1000) for number in range(ROWS)))
        yield database


@pytest.fixture
def ssh() -> Iterator[SshServer]:
    with SshServer() as server:
        yield server


def raw(database: EmbeddedDatabase, tunnel: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return database.config("src", tunnel_method=tunnel, max_retries=0, timeout_seconds=20, **fields)


def refusal(database: EmbeddedDatabase, tunnel: dict[str, Any], **fields: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        check(Config.parse(raw(database, tunnel, **fields)), LOGGER)
    assert PASSWORD not in caught.value.message
    return caught.value


@pytest.mark.parametrize("method", ["SSH_PASSWORD_AUTH", "SSH_KEY_AUTH"])
def test_check_and_read_go_through_one_connection_each(
    database: EmbeddedDatabase, ssh: SshServer, method: str
) -> None:
    check(Config.parse(raw(database, ssh.fields(method))), LOGGER)
    assert ssh.logins == 1
    done = run("read", config=raw(database, ssh.fields(method)), catalog=configured("t", namespace="src"))
    assert len(done.records("t")) == ROWS
    assert (done.exit_code, done.stderr) == (0, "")
    assert ssh.logins == 2
    assert PASSWORD not in done.output


def test_discovery_goes_through_the_tunnel(database: EmbeddedDatabase, ssh: SshServer) -> None:
    done = run("discover", config=raw(database, ssh.fields()))
    assert [stream["name"] for stream in done.of_type("CATALOG")[0]["catalog"]["streams"]] == ["t"]
    assert ssh.logins == 1


def test_no_tunnel_is_none(database: EmbeddedDatabase, ssh: SshServer) -> None:
    check(Config.parse(raw(database, {"tunnel_method": "NO_TUNNEL"})), LOGGER)
    assert ssh.logins == 0


def test_the_certificate_is_the_servers_not_the_tunnels(ssh: SshServer) -> None:
    authority = Authority()
    certificates = Certificates(authority.certificate, *authority.sign("vtgate.internal"))
    with EmbeddedDatabase({"src": ["0"]}, tls=certificates) as secured:
        tls = {"ssl_mode": {"mode": "verify_identity", "server_name": "vtgate.internal"}}
        check(Config.parse(raw(secured, ssh.fields(), **tls)), LOGGER)
        tls["ssl_mode"]["server_name"] = "localhost"
        assert "mismatch" in refusal(secured, ssh.fields(), **tls).message


@pytest.mark.parametrize("key", ["host_key", "fingerprint"])
def test_a_server_that_shows_the_expected_key_is_let_in(
    database: EmbeddedDatabase, ssh: SshServer, key: str
) -> None:
    tunnel = ssh.fields(tunnel_host_key=getattr(ssh, key))
    check(Config.parse(raw(database, tunnel)), LOGGER)


def test_a_server_that_shows_another_key_is_told_with_that_key(
    database: EmbeddedDatabase, ssh: SshServer
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    error = refusal(database, ssh.fields(tunnel_host_key=other))
    assert isinstance(error, ConfigError)
    assert f"it shows the host key {ssh.fingerprint}" in error.message
    assert ssh.logins == 0


@pytest.mark.parametrize(
    ("changes", "sentence", "kind"),
    [
        ({"tunnel_user_password": "wrong"}, "denied access to user 'tunneller'", ConfigError),
        ({"tunnel_user": "somebody"}, "denied access to user 'somebody'", ConfigError),
        ({"tunnel_host": "no-such-host.invalid"}, "not known (DNS). Check tunnel_host", TransientError),
        ({"tunnel_port": 1}, "refused the connection. Check tunnel_host and tunnel_port", TransientError),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_with_the_field(
    database: EmbeddedDatabase,
    ssh: SshServer,
    changes: dict[str, Any],
    sentence: str,
    kind: type[SourceError],
) -> None:
    error = refusal(database, ssh.fields(**changes))
    assert sentence in error.message
    assert isinstance(error, kind)


def test_an_unknown_key_is_told_with_its_field(database: EmbeddedDatabase, ssh: SshServer) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    error = refusal(database, ssh.fields("SSH_KEY_AUTH", ssh_key=key))
    assert "Check tunnel_user and ssh_key" in error.message


def test_a_port_that_is_no_ssh_server_is_told(database: EmbeddedDatabase, ssh: SshServer) -> None:
    error = refusal(database, ssh.fields(tunnel_port=database.mysql_port))
    assert "Check tunnel_host and tunnel_port" in error.message


def test_a_server_that_forwards_nothing_is_told(database: EmbeddedDatabase, ssh: SshServer) -> None:
    ssh.forwards = False
    error = refusal(database, ssh.fields())
    assert "Allow TCP forwarding" in error.message
    assert isinstance(error, ConfigError)


@pytest.mark.parametrize("port", ["mysql_port", "grpc_port"])
def test_a_port_that_the_server_cannot_reach_is_told(
    database: EmbeddedDatabase, ssh: SshServer, port: str
) -> None:
    error = refusal(database, ssh.fields(), **{port: 1})
    assert "could not connect to 127.0.0.1:1" in error.message
    assert isinstance(error, TransientError)


def test_a_tunnel_that_breaks_in_the_middle_of_a_copy_is_a_lost_connection(
    database: EmbeddedDatabase, ssh: SshServer
) -> None:
    config = {**raw(database, ssh.fields()), "max_retries": 5}
    with Relay(ssh.port) as relay:
        config["tunnel_method"]["tunnel_port"] = relay.port
        # Discovery and the position take some kilobytes, the table 2 MB.
        relay.plan(cut(1_000_000))
        done = run("read", config=config, catalog=configured("t", namespace="src"))
    assert done.exit_code == 0
    assert done.statuses("t")[-1] == "COMPLETE"
    assert {record["id"] for record in done.records("t")} == set(range(ROWS))
    assert len(done.records("t")) == ROWS
    assert ssh.logins == 2


def test_an_ssh_server_that_falls_silent_is_given_up_and_asked_anew(
    ssh: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_KEEPALIVE_SECONDS", 0.2)
    with endless() as port, Relay(ssh.port) as relay:
        relay.plan(stall(100_000))
        server = Config.parse(BARE | {"tunnel_method": ssh.fields(tunnel_port=relay.port)}).ssh_server
        assert server
        with tunnel.Tunnel(server) as way:
            end = way.to("127.0.0.1", port)
            assert 0 < len(received(end.address, most=1_000_000)) < 100_000
            assert len(received(end.address, most=1_000_000)) >= 1_000_000
    assert ssh.logins == 2


def received(address: tuple[str, int], most: int) -> bytes:
    """What comes until the connection ends, or until it is enough."""
    data = b""
    with socket.create_connection(address) as connection:
        connection.settimeout(30)
        while len(data) < most and (chunk := connection.recv(100_000)):
            data += chunk
    return data


@contextmanager
def endless() -> Iterator[int]:
    """A server that sends without an end to everyone."""

    class Talker(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while True:
                    self.request.sendall(bytes(10_000))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
