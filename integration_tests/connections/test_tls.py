"""TLS on each port: what each mode lets in, and what `check` says of what it does not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.certificates import Authority, Certificates
from embedded_database.database import EmbeddedDatabase
from integration_tests.support.command import configured, run
from source_planetscale.check import check
from source_planetscale.config import Config
from source_planetscale.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, THEIRS = Authority(), Authority()
CA, OTHER_CA = OURS.certificate.decode(), THEIRS.certificate.decode()
PASSPHRASE = "pass-phrase-marker"
PORTS = ["mysql", "grpc"]
Fields = dict[str, Any]

LOGGER = logging.getLogger("airbyte")


@pytest.fixture(scope="module")
def plain() -> Iterator[EmbeddedDatabase]:
    with with_table(EmbeddedDatabase({"src": ["0"]})) as database:
        yield database


def with_table(database: EmbeddedDatabase) -> EmbeddedDatabase:
    database.create_table("src", "create table t (id int primary key)")
    database.load("src", "t", [(1,), (2,)])
    return database


def serving(*names: str, clients: Authority | None = None, **options: Any) -> EmbeddedDatabase:
    """A database with a certificate of our authority for these names."""
    certificates = Certificates(
        OURS.certificate, *OURS.sign(*names, **options), clients.certificate if clients else b""
    )
    return with_table(EmbeddedDatabase({"src": ["0"]}, tls=certificates))


@pytest.fixture(scope="module")
def here() -> Iterator[EmbeddedDatabase]:
    with serving("localhost", "127.0.0.1") as database:
        yield database


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[EmbeddedDatabase]:
    with serving("vtgate.example.com", "*.example.org") as database:
        yield database


@pytest.fixture(scope="module")
def expired() -> Iterator[EmbeddedDatabase]:
    with serving("127.0.0.1", expired=True) as database:
        yield database


@pytest.fixture(scope="module")
def asking() -> Iterator[EmbeddedDatabase]:
    with serving("127.0.0.1", clients=OURS) as database:
        yield database


def client(authority: Authority = OURS, **options: Any) -> dict[str, str]:
    """The fields of a client certificate."""
    certificate, key = authority.sign("connector", **options)
    fields = {"client_certificate": certificate.decode(), "client_key": key.decode()}
    return {**fields, "client_key_password": PASSPHRASE} if options.get("passphrase") else fields


def told(port: str, plain: EmbeddedDatabase, database: EmbeddedDatabase, fields: dict[str, Any]) -> str:
    """What `check` says where one port is that of `database`, and the other one is plaintext.

    It is empty if all is well.
    """
    raw = {**database.config("src"), "max_retries": 0, "tls_ca_certificate": "", **fields}
    other = "grpc" if port == "mysql" else "mysql"
    raw |= {f"{other}_port": getattr(plain, f"{other}_port"), f"{other}_tls": False}
    try:
        check(Config.parse(raw), LOGGER)
    except SourceError as error:
        message = error.message
    else:
        return ""
    assert PASSPHRASE not in message
    assert f"127.0.0.1:{raw[port + '_port']}" in message
    return message


IDENTITY = {"mode": "verify_identity", "ca_certificate": CA}
AUTHORITY = {"mode": "verify_ca", "ca_certificate": CA}
REQUIRED = {"mode": "required"}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "fields",
    [
        {"tls_ca_certificate": CA},
        {"ssl_mode": IDENTITY},
        {"ssl_mode": {"mode": "verify_identity"}, "tls_ca_certificate": CA},
        {"ssl_mode": {"mode": "verify_identity", "ca_certificate": OTHER_CA + CA}},
        {"ssl_mode": AUTHORITY},
        {"ssl_mode": REQUIRED},
        {"ssl_mode": IDENTITY, "host": "localhost"},
        {"ssl_mode": IDENTITY | client(THEIRS)},
    ],
)
def test_a_server_of_the_authority_for_this_host_is_trusted_in_every_mode(
    port: str, plain: EmbeddedDatabase, here: EmbeddedDatabase, fields: dict[str, Any]
) -> None:
    assert told(port, plain, here, fields) == ""


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tls_ca_certificate": OTHER_CA},
        {"ssl_mode": {"mode": "verify_identity"}},
        {"ssl_mode": {"mode": "verify_identity", "ca_certificate": OTHER_CA}},
        {"ssl_mode": {"mode": "verify_ca", "ca_certificate": OTHER_CA}},
    ],
)
def test_a_server_of_another_authority_is_refused(
    port: str, plain: EmbeddedDatabase, here: EmbeddedDatabase, fields: dict[str, Any]
) -> None:
    message = told(port, plain, here, fields)
    assert "is not trusted (" in message
    assert "enter the certificate of your own authority" in message


@pytest.mark.parametrize("port", PORTS)
def test_a_certificate_for_another_name_is_refused_where_identity_is_verified(
    port: str, plain: EmbeddedDatabase, elsewhere: EmbeddedDatabase
) -> None:
    message = told(port, plain, elsewhere, {"ssl_mode": IDENTITY})
    assert "mismatch" in message
    assert "server_name in ssl_mode" in message


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "mode",
    [
        AUTHORITY,
        REQUIRED,
        IDENTITY | {"server_name": "vtgate.example.com"},
        IDENTITY | {"server_name": "eu.example.org"},
    ],
)
def test_a_certificate_for_another_name_is_trusted_where_the_name_does_not_count_or_is_the_one_entered(
    port: str, plain: EmbeddedDatabase, elsewhere: EmbeddedDatabase, mode: dict[str, str]
) -> None:
    assert told(port, plain, elsewhere, {"ssl_mode": mode}) == ""


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("mode", [IDENTITY, AUTHORITY])
def test_an_expired_certificate_is_refused_where_it_is_verified(
    port: str, plain: EmbeddedDatabase, expired: EmbeddedDatabase, mode: dict[str, str]
) -> None:
    message = told(port, plain, expired, {"ssl_mode": mode})
    assert "certificate has expired" in message
    assert "Renew it on the server" in message


def test_an_expired_certificate_that_is_not_verified_is_taken_on_the_mysql_port_alone(
    plain: EmbeddedDatabase, expired: EmbeddedDatabase
) -> None:
    assert told("mysql", plain, expired, {"ssl_mode": REQUIRED}) == ""
    assert "certificate has expired" in told("grpc", plain, expired, {"ssl_mode": REQUIRED})


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("mode", [IDENTITY, AUTHORITY])
@pytest.mark.parametrize("options", [{}, {"passphrase": PASSPHRASE}])
def test_a_server_that_asks_for_a_client_certificate_takes_ours(
    port: str,
    plain: EmbeddedDatabase,
    asking: EmbeddedDatabase,
    mode: dict[str, str],
    options: dict[str, Any],
) -> None:
    assert told(port, plain, asking, {"ssl_mode": mode | client(**options)}) == ""


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("mode", [IDENTITY, AUTHORITY, REQUIRED])
def test_a_missing_client_certificate_is_told(
    port: str, plain: EmbeddedDatabase, asking: EmbeddedDatabase, mode: dict[str, str]
) -> None:
    message = told(port, plain, asking, {"ssl_mode": mode})
    assert "asks for a client certificate" in message
    assert "client_certificate and client_key" in message


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("fields", [client(THEIRS), client(expired=True)], ids=["unknown", "expired"])
def test_a_client_certificate_that_is_not_accepted_is_told(
    port: str, plain: EmbeddedDatabase, asking: EmbeddedDatabase, fields: dict[str, str]
) -> None:
    message = told(port, plain, asking, {"ssl_mode": IDENTITY | fields})
    assert "Check that client_certificate in ssl_mode is one" in message


def test_plaintext_to_a_port_with_tls_is_told(plain: EmbeddedDatabase, here: EmbeddedDatabase) -> None:
    message = told("grpc", plain, here, {"grpc_tls": False})
    assert "Check host, gRPC port and the TLS setting" in message


@pytest.mark.parametrize(
    "fields", [{"ssl_mode": {"mode": "plaintext"}}, {"mysql_tls": False, "grpc_tls": False}]
)
def test_plaintext_is_spoken_where_it_is_chosen(plain: EmbeddedDatabase, fields: dict[str, Any]) -> None:
    raw = {**plain.config("src"), "mysql_tls": True, "grpc_tls": True, **fields}
    check(Config.parse(raw), LOGGER)


@pytest.mark.parametrize("mode", [IDENTITY, AUTHORITY])
def test_a_sync_goes_over_mutual_tls(asking: EmbeddedDatabase, mode: dict[str, str]) -> None:
    config = asking.config("src", tls_ca_certificate="", ssl_mode=mode | client(passphrase=PASSPHRASE))
    done = run("read", config=config, catalog=configured("t", namespace="src"))
    assert done.exit_code == 0
    assert [record["id"] for record in done.records("t")] == [1, 2]
    assert PASSPHRASE not in done.output
