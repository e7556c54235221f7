"""What a person reads when the MySQL port says no."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pymysql
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from source_planetscale.config import Config
from source_planetscale.config.encryption import Encryption
from source_planetscale.endpoint import TabletType, Tls
from source_planetscale.errors import ConfigError, InternalError, SourceError, TransientError
from source_planetscale.mysql.database import Database
from source_planetscale.mysql.errors import diagnose, is_refusal, is_shard_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "pw-1234"
CONFIG = Config("db.example.com", "shop", "alice", SECRET, tablet_type=TabletType.REPLICA)
DEADLINE_SECONDS = 20.0

CLIENT_PROTOCOL_41 = 0x200
CLIENT_SSL = 0x800
CLIENT_PLUGIN_AUTH = 0x80000
CLIENT_SECURE_CONNECTION = 0x8000


def connect_error(origin: Exception) -> pymysql.OperationalError:
    """Builds the error by which PyMySQL tells of a connection that could not be made."""
    error = pymysql.OperationalError(2003, f"Can't connect to MySQL server on 'db.example.com' ({origin})")
    # PyMySQL sets the attribute after it made the error, so its types do not know it.
    setattr(error, "original_exception", origin)  # noqa: B010 (see above)
    return error


@pytest.mark.parametrize(
    ("error", "sentence", "kind"),
    [
        (
            connect_error(socket.gaierror(-2, "Name or service not known")),
            "host name db.example.com is not known",
            TransientError,
        ),
        (
            connect_error(ConnectionRefusedError(111, "Connection refused")),
            "db.example.com:3306 refused the connection",
            TransientError,
        ),
        (connect_error(TimeoutError("timed out")), "did not answer in time", TransientError),
        (
            pymysql.OperationalError(2013, "Lost connection to MySQL server during query (timed out)"),
            "did not answer in time",
            TransientError,
        ),
        (
            pymysql.OperationalError(2013, "Lost connection to MySQL server during query"),
            "failed or was lost",
            TransientError,
        ),
        (pymysql.InterfaceError(0, ""), "failed or was lost", TransientError),
        (BrokenPipeError(32, "Broken pipe"), "failed or was lost", TransientError),
        (
            pymysql.OperationalError(1045, "Access denied for user 'alice' (using password: YES)"),
            "denied access to user 'alice'",
            ConfigError,
        ),
        (
            pymysql.OperationalError(1049, "VT05003: unknown database 'shop' in vschema"),
            "The database 'shop' does not exist",
            ConfigError,
        ),
        (
            pymysql.OperationalError(2026, "SSL is required but the server doesn't support it"),
            "does not offer TLS",
            ConfigError,
        ),
        (
            connect_error(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")),
            "broke off the TLS handshake",
            ConfigError,
        ),
        (
            pymysql.OperationalError(
                1105, "server does not allow insecure connections, client must use SSL/TLS"
            ),
            "Turn mysql_tls on",
            ConfigError,
        ),
        (
            pymysql.OperationalError(1105, "target: shop.-80.replica: no healthy tablet available for 'x'"),
            "No healthy replica tablet serves database 'shop' (target: shop.-80.replica",
            TransientError,
        ),
        (
            pymysql.OperationalError(1142, "SELECT command denied to user 'alice' for table 't'"),
            "User 'alice' may not read database 'shop'",
            ConfigError,
        ),
        (
            pymysql.OperationalError(1105, "vttablet: rpc error: code = PermissionDenied desc = no"),
            "User 'alice' may not read database 'shop'",
            ConfigError,
        ),
        (
            pymysql.OperationalError(1105, "rpc error: code = Unavailable desc = transport is closing"),
            "is not available",
            TransientError,
        ),
        (
            pymysql.OperationalError(1105, "VT12001: unsupported: that"),
            "answered with an error: VT12001",
            InternalError,
        ),
        (
            pymysql.InternalError("Packet sequence number wrong"),
            "not its gRPC port",
            ConfigError,
        ),
    ],
)
def test_an_error_becomes_a_sentence_and_a_kind(
    error: Exception, sentence: str, kind: type[SourceError]
) -> None:
    found = diagnose(error, CONFIG.mysql, CONFIG.keyspace)
    assert sentence in found.message
    assert type(found) is kind


@pytest.mark.parametrize("code", [1045, 1049, 1105, 1142, 1064, 2003, 2013])
def test_the_password_never_shows(code: int) -> None:
    error = pymysql.OperationalError(code, f"the server repeats {SECRET}, no healthy tablet '{SECRET}'")
    assert SECRET not in diagnose(error, CONFIG.mysql, CONFIG.keyspace).message


def test_a_short_password_does_not_tear_up_the_sentence() -> None:
    config = Config("h", "shop", "u", "a")
    error = pymysql.OperationalError(1105, "a bad day")
    assert diagnose(error, config.mysql, config.keyspace).message.endswith(
        "answered with an error: *** bad day"
    )


def test_the_statement_that_vitess_quotes_is_cut_off() -> None:
    error = pymysql.OperationalError(1105, 'Unknown error (CallerID: u): Sql: "select x", BindVars: {}')
    assert diagnose(error, CONFIG.mysql, CONFIG.keyspace).message.endswith(
        "answered with an error: Unknown error"
    )


@pytest.mark.parametrize(
    ("error", "refusal", "shard_failure"),
    [
        (pymysql.OperationalError(1193, "Unknown system variable"), True, False),
        (pymysql.OperationalError(1105, "unsupported"), True, False),
        (pymysql.OperationalError(1105, "no healthy tablet available"), False, True),
        (pymysql.OperationalError(1105, "code = Unavailable"), False, True),
        (pymysql.OperationalError(1045, "Access denied"), False, False),
        (pymysql.OperationalError(1049, "unknown database"), False, False),
        (pymysql.OperationalError(2013, "Lost connection"), False, False),
        (pymysql.InterfaceError(0, ""), False, False),
        (ConnectionResetError(104, "reset"), False, False),
    ],
)
def test_a_declined_statement_is_told_from_a_server_that_cannot(
    error: Exception, refusal: bool, shard_failure: bool
) -> None:
    assert is_refusal(error) is refusal
    assert is_shard_failure(error) is shard_failure


def certificate(directory: Path, name: str) -> tuple[Path, str]:
    """Writes a self-signed certificate with its key; returns the file and the certificate's PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "server.pem"
    path.write_bytes(pem + private)
    return path, pem.decode()


def greeting(capabilities: int) -> bytes:
    """The packet by which a MySQL server opens the conversation (MySQL's Protocol::HandshakeV10)."""
    flags = capabilities | CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH
    body = b"\x0a8.4.6-Vitess\0" + struct.pack("<I", 1) + b"12345678\0"
    body += struct.pack("<H", flags & 0xFFFF) + b"\x2d\x02\x00" + struct.pack("<H", flags >> 16)
    body += b"\x15" + bytes(10) + b"123456789012\0" + b"mysql_native_password\0"
    return struct.pack("<I", len(body))[:3] + b"\0" + body


def denial(sequence: int) -> bytes:
    body = b"\xff" + struct.pack("<H", 1045) + b"#28000" + b"Access denied for user 'alice'"
    return struct.pack("<I", len(body))[:3] + bytes([sequence]) + body


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serves one connection with `answer` on a free port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(DEADLINE_SECONDS)

        def serve() -> None:
            connection, _ = server.accept()
            connection.settimeout(DEADLINE_SECONDS)
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()


def refusal(port: int, host: str = "localhost", ca: str = "") -> str:
    config = Config(host, "shop", "alice", SECRET, mysql_port=port, encryption=Encryption(Tls(authority=ca)))
    with pytest.raises(SourceError) as caught:
        Database(config.mysql, config.keyspace).ping()
    assert SECRET not in caught.value.message
    return caught.value.message


def test_no_login_is_sent_to_a_server_without_tls() -> None:
    received: list[bytes] = []

    def plain(connection: socket.socket) -> None:
        connection.sendall(greeting(0))
        received.append(connection.recv(1000))

    with listening(plain) as port:
        assert "does not offer TLS" in refusal(port)
    assert received == [b""]


def tls_server(path: Path) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    def answer(connection: socket.socket) -> None:
        connection.sendall(greeting(CLIENT_SSL))
        # The client's request for TLS: a header of 4 bytes and 32 of flags.
        connection.recv(36)
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1000)
                secured.sendall(denial(3))
        except ssl.SSLError:
            # The client turned the certificate down.
            return

    return answer


def test_a_certificate_of_an_unknown_authority_is_not_trusted(tmp_path: Path) -> None:
    path, _ = certificate(tmp_path, "localhost")
    with listening(tls_server(path)) as port:
        message = refusal(port)
    assert "is not trusted (self-signed certificate)" in message
    assert "tls_ca_certificate" in message


def test_a_certificate_of_the_configured_authority_is_trusted(tmp_path: Path) -> None:
    path, pem = certificate(tmp_path, "localhost")
    with listening(tls_server(path)) as port:
        assert "denied access to user 'alice'" in refusal(port, ca=pem)


def test_a_certificate_for_another_host_is_not_trusted(tmp_path: Path) -> None:
    path, pem = certificate(tmp_path, "elsewhere.example")
    with listening(tls_server(path)) as port:
        assert "is not trusted (Hostname mismatch" in refusal(port, ca=pem)


@pytest.mark.parametrize("noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x12\x04\0\0\0\0\0\0\x03", b""])
def test_a_port_that_is_not_mysql_is_told_as_such(noise: bytes) -> None:
    with listening(lambda connection: connection.sendall(noise)) as port:
        assert "Check that" in (message := refusal(port))
    assert "mysql_port" in message


def test_a_port_where_nobody_listens_is_told_as_such() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    assert "refused the connection" in refusal(port, host="127.0.0.1")
