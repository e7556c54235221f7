"""The way to the gRPC port: whom a channel trusts, and how it says who it is."""

from __future__ import annotations

import base64
import socket
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from embedded_database.certificates import Authority, Certificates
from source_planetscale.endpoint import ClientCertificate, Endpoint, Keyspace, Tls, Verification
from source_planetscale.tls import shown_certificate
from source_planetscale.vstream.channel import call_credentials, new_channel
from source_planetscale.vstream.client import VStreamClient
from source_planetscale.vstream.errors import VStreamError
from unit_tests.support.events import KEYSPACE, SHARD, gtid, response, vgtid
from unit_tests.support.grpc_server import HOST, GrpcServer

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, THEIRS = Authority(), Authority()
CA, OTHER_CA = OURS.certificate.decode(), THEIRS.certificate.decode()
IDENTITY = Tls(authority=CA)
AUTHORITY = Tls(Verification.AUTHORITY, CA)
ANYONE = Tls(Verification.NONE)
SECONDS = 30.0
ELSEWHERE = Certificates(OURS.certificate, *OURS.sign("vtgate.example.com"))
ASKING = Certificates(OURS.certificate, *OURS.sign(HOST), OURS.certificate)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """A server with a certificate for another name."""
    with GrpcServer(ELSEWHERE) as server:
        server.script = [response(vgtid(gtid(7)))]
        yield server.port


@pytest.fixture(scope="module")
def asking() -> Iterator[int]:
    """A server that asks for a client certificate."""
    with GrpcServer(ASKING) as server:
        server.script = [response(vgtid(gtid(7)))]
        yield server.port


def position(port: int, tls: Tls) -> str:
    """What the server at a port answers."""
    with closing(VStreamClient(Endpoint(HOST, port, tls=tls), Keyspace(KEYSPACE))) as client:
        return client.current_position("orders", SHARD, SECONDS)


@pytest.mark.parametrize("tls", [replace(IDENTITY, server_name="vtgate.example.com"), AUTHORITY, ANYONE])
def test_a_certificate_for_another_name_is_trusted_where_the_name_does_not_count_or_is_the_one_entered(
    elsewhere: int, tls: Tls
) -> None:
    assert position(elsewhere, tls) == gtid(7)


def test_a_certificate_for_another_name_is_refused_where_identity_is_verified(elsewhere: int) -> None:
    with pytest.raises(VStreamError) as caught:
        position(elsewhere, IDENTITY)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_of_another_authority_is_refused_with_the_reason(elsewhere: int) -> None:
    with pytest.raises(VStreamError) as caught:
        position(elsewhere, replace(AUTHORITY, authority=OTHER_CA))
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert f"The certificate of the server at 127.0.0.1:{elsewhere} is not trusted (" in caught.value.detail


def test_a_channel_trusts_the_one_that_it_has_looked_at_and_no_other(elsewhere: int) -> None:
    """Without verification it is bound to the first certificate that it sees."""
    endpoint = Endpoint(HOST, elsewhere, tls=ANYONE)
    other = Certificates(THEIRS.certificate, *THEIRS.sign("vtgate.example.com"))
    with GrpcServer(other) as imposter, pytest.MonkeyPatch.context() as patch:
        shown = shown_certificate(endpoint, ANYONE)
        patch.setattr("source_planetscale.vstream.channel.shown_certificate", lambda *_: shown)
        with pytest.raises(VStreamError) as caught:
            position(imposter.port, ANYONE)
        assert imposter.asked == []
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("tls", [IDENTITY, AUTHORITY, ANYONE])
def test_a_server_that_asks_for_a_client_certificate_gets_ours(asking: int, tls: Tls) -> None:
    certificate, key = OURS.sign("connector")
    client = ClientCertificate(certificate.decode(), key.decode())
    assert position(asking, replace(tls, client=client)) == gtid(7)


@pytest.mark.parametrize("tls", [None, IDENTITY, AUTHORITY, ANYONE])
def test_a_server_that_is_not_there_is_a_lost_connection(tls: Tls | None) -> None:
    with closing(socket.socket()) as bound:
        bound.bind((HOST, 0))
        client = VStreamClient(Endpoint(HOST, bound.getsockname()[1], tls=tls), Keyspace(KEYSPACE))
        with closing(client), pytest.raises(VStreamError) as caught:
            client.current_position("orders", SHARD, SECONDS)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert "refused" in caught.value.detail


@pytest.mark.parametrize(
    ("host", "target"), [("::1", "[::1]:15991"), ("vtgate.example.com", "vtgate.example.com:15991")]
)
def test_an_address_is_written_as_grpc_reads_it(
    host: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets: list[str] = []

    def noted(target: str, _options: Any) -> None:
        targets.append(target)

    monkeypatch.setattr(grpc, "insecure_channel", noted)
    new_channel(Endpoint(host, 15991, tls=None), 1 << 20)
    assert targets == [target]


def test_the_login_is_told_as_planetscale_and_as_vtgate_read_it() -> None:
    metadata = call_credentials(Endpoint("db", 443, "user", "pass:word"))
    basic = base64.b64encode(b"user:pass:word").decode()
    assert metadata == (
        ("authorization", f"Basic {basic}"),
        ("username", "user"),
        ("password", "pass:word"),
    )


@pytest.mark.parametrize(("user", "password"), [("user", "pässword"), ("us\ner", "password")])
def test_a_login_that_fits_no_header_is_told_in_base64_alone(user: str, password: str) -> None:
    ((key, value),) = call_credentials(Endpoint("db", 443, user, password))
    assert key == "authorization"
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == f"{user}:{password}"
