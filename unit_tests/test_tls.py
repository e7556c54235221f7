"""TLS as both ports need it: whom it trusts, and what is told of the others."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from embedded_database.certificates import Authority, Certificates
from source_planetscale.endpoint import ClientCertificate, Endpoint, Tls, Verification
from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.tls import (
    ClientContext,
    client_context,
    explain,
    name_in,
    shown_certificate,
    try_http2,
)
from unit_tests.support.tls_server import HOST, tls_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS, THEIRS = Authority(), Authority()
CA, OTHER_CA = OURS.certificate.decode(), THEIRS.certificate.decode()
IDENTITY = Tls(authority=CA)
AUTHORITY = Tls(Verification.AUTHORITY, CA)
ANYONE = Tls(Verification.NONE)
SECONDS = 30.0
# RFC 9113, 4.1: no payload, SETTINGS, no flags, stream 0.
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


def certificates(*names: str, clients: Authority | None = None, **options: Any) -> Certificates:
    """A certificate of our authority for these names."""
    return Certificates(
        OURS.certificate, *OURS.sign(*names, **options), clients.certificate if clients else b""
    )


def client(authority: Authority = OURS, **options: Any) -> ClientCertificate:
    certificate, key = authority.sign("connector", **options)
    return ClientCertificate(certificate.decode(), key.decode())


HERE, ELSEWHERE = certificates("localhost", HOST), certificates("vtgate.example.com", "*.example.org")
EXPIRED, ASKING = certificates(HOST, expired=True), certificates(HOST, clients=OURS)


@pytest.fixture(scope="module")
def here() -> Iterator[int]:
    with tls_server(HERE, SETTINGS) as port:
        yield port


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    with tls_server(ELSEWHERE, SETTINGS) as port:
        yield port


@pytest.fixture(scope="module")
def expired() -> Iterator[int]:
    with tls_server(EXPIRED, SETTINGS) as port:
        yield port


@pytest.fixture(scope="module")
def asking() -> Iterator[int]:
    with tls_server(ASKING, SETTINGS) as port:
        yield port


def told(port: int, tls: Tls, host: str = HOST) -> SourceError | None:
    """What is told of a port whose server is tried; None if all is well."""
    endpoint = Endpoint(host, port, tls=tls)
    try:
        try_http2(endpoint, tls)
    except ssl.SSLError as error:
        refusal = explain(error, endpoint, "grpc_port")
    else:
        return None
    assert f"{host}:{port}" in refusal.message
    assert isinstance(refusal.cause, ssl.SSLError)
    return refusal


@pytest.mark.parametrize(
    "tls",
    [
        IDENTITY,
        AUTHORITY,
        ANYONE,
        replace(IDENTITY, authority=OTHER_CA + CA),
        # A certificate that is entered as its own authority.
        replace(IDENTITY, authority=HERE.certificate.decode()),
        replace(IDENTITY, client=client(THEIRS)),
    ],
)
def test_a_server_of_the_authority_for_this_host_is_trusted(here: int, tls: Tls) -> None:
    assert told(here, tls) is None
    shown = shown_certificate(Endpoint(HOST, here), tls)
    assert shown == ssl.PEM_cert_to_DER_cert(HERE.certificate.decode())


@pytest.mark.parametrize("tls", [IDENTITY, AUTHORITY])
@pytest.mark.parametrize("authority", ["", OTHER_CA], ids=["the system's", "another"])
def test_a_server_of_another_authority_is_refused(here: int, tls: Tls, authority: str) -> None:
    error = told(here, replace(tls, authority=authority))
    assert isinstance(error, ConfigError)
    assert "is not trusted (" in error.message
    assert "enter the certificate of your own authority in tls_ca_certificate" in error.message


def test_a_certificate_for_another_name_is_refused_where_identity_is_verified(elsewhere: int) -> None:
    error = told(elsewhere, IDENTITY)
    assert isinstance(error, ConfigError)
    assert "IP address mismatch" in error.message
    assert "enter that name as server_name in ssl_mode" in error.message
    error = told(elsewhere, IDENTITY, "localhost")
    assert "Hostname mismatch" in str(error)
    assert "enter that name as server_name in ssl_mode" in str(error)


@pytest.mark.parametrize(
    "tls",
    [
        AUTHORITY,
        ANYONE,
        replace(IDENTITY, server_name="vtgate.example.com"),
        replace(IDENTITY, server_name="eu.example.org"),
    ],
)
def test_a_certificate_for_another_name_is_trusted_where_the_name_does_not_count_or_is_the_one_entered(
    elsewhere: int, tls: Tls
) -> None:
    assert told(elsewhere, tls) is None


@pytest.mark.parametrize("tls", [IDENTITY, AUTHORITY])
def test_an_expired_certificate_is_refused_where_it_is_verified(expired: int, tls: Tls) -> None:
    error = told(expired, tls)
    assert isinstance(error, ConfigError)
    assert error.message.endswith("is not trusted (certificate has expired). Renew it on the server.")
    assert told(expired, ANYONE) is None


@pytest.mark.parametrize("tls", [IDENTITY, AUTHORITY, ANYONE])
def test_a_missing_client_certificate_is_told_and_ours_is_taken(asking: int, tls: Tls) -> None:
    error = told(asking, tls)
    assert isinstance(error, ConfigError)
    assert "asks for a client certificate (" in error.message
    assert error.message.endswith("Enter client_certificate and client_key in ssl_mode.")
    assert told(asking, replace(tls, client=client())) is None


@pytest.mark.parametrize("shown", [client(THEIRS), client(expired=True)], ids=["unknown", "expired"])
def test_a_client_certificate_that_is_not_accepted_is_told(asking: int, shown: ClientCertificate) -> None:
    error = told(asking, replace(IDENTITY, client=shown))
    assert isinstance(error, ConfigError)
    assert "does not accept the client certificate (" in error.message
    assert "has not expired" in error.message


@pytest.mark.parametrize("resets", [False, True])
def test_a_server_that_hangs_up_after_the_handshake_may_have_missed_a_client_certificate(
    resets: bool,
) -> None:
    with tls_server(HERE, resets=resets) as port:
        error = told(port, IDENTITY)
        assert isinstance(error, TransientError)
        assert "ended the connection within or right after the TLS handshake" in error.message
        assert "Check whether it asks for a client certificate" in error.message
        with_client = told(port, replace(IDENTITY, client=client()))
    assert "Check that client_certificate in ssl_mode is one that the server accepts." in str(with_client)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"short", b"\0\0\0\x07\0\0\0\0\0"])
def test_a_server_that_speaks_no_http2_is_told_with_the_field(answer: bytes) -> None:
    with tls_server(HERE, answer) as port, pytest.raises(ConfigError) as caught:
        told(port, IDENTITY)
    assert caught.value.message == (
        f"What answers at 127.0.0.1:{port} is no gRPC server. Check host and grpc_port."
    )


def test_a_server_that_speaks_no_tls_is_told_with_the_field() -> None:
    class Greeter(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"J\0\0\0\n8.0.40-Vitess\0")
            while self.request.recv(1 << 16):
                pass

    with socketserver.TCPServer((HOST, 0), Greeter) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        error = told(server.server_address[1], IDENTITY)
        thread.join()
    assert isinstance(error, ConfigError)
    assert "broke off the TLS handshake (" in error.message
    assert "Check grpc_port and whether the server speaks TLS there." in error.message


def test_the_name_of_the_context_counts_whatever_was_dialled(elsewhere: int) -> None:
    for name, agrees in (("vtgate.example.com", True), ("other.example.com", False)):
        context = client_context(IDENTITY, name)
        dialled = "other.example.com" if agrees else "vtgate.example.com"
        assert not context.agreed
        with socket.create_connection((HOST, elsewhere), SECONDS) as plain:
            if agrees:
                context.wrap_socket(plain, server_hostname=dialled).close()
            else:
                with pytest.raises(
                    ssl.SSLCertVerificationError, match=r"not valid for 'other\.example\.com'"
                ):
                    context.wrap_socket(plain, server_hostname=dialled)
        assert context.agreed == agrees


def test_the_key_of_a_client_is_never_plain_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[Path, bytes]] = []
    load = ClientContext.load_cert_chain

    def look(context: ClientContext, path: Path, **options: Any) -> None:
        written.append((path, path.read_bytes()))
        load(context, path, **options)

    monkeypatch.setattr(ClientContext, "load_cert_chain", look)
    ours = client()
    client_context(replace(IDENTITY, client=ours), HOST)
    ((path, content),) = written
    assert content.startswith(ours.certificate.encode())
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in content
    assert ours.key.encode() not in content
    assert not path.parent.exists()


def signed(common_name: str = "", *names: x509.GeneralName) -> bytes:
    """A certificate that holds these names, in DER form."""
    key = ec.generate_private_key(ec.SECP256R1())
    common = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(common))
        .issuer_name(x509.Name(common))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        (ssl.PEM_cert_to_DER_cert(ELSEWHERE.certificate.decode()), "vtgate.example.com"),
        (signed("common.example.com", x509.DNSName("*.example.org")), "any.example.org"),
        (ssl.PEM_cert_to_DER_cert(EXPIRED.certificate.decode()), HOST),
        (signed("common.example.com"), "common.example.com"),
        (signed(), None),
        (signed("common.example.com", x509.RFC822Name("dba@example.com")), None),
    ],
)
def test_a_name_is_found_where_a_client_would_look_for_it(certificate: bytes, name: str | None) -> None:
    assert name_in(certificate) == name
