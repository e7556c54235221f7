"""TLS to a real vtgate that asks its clients for certificates, and for a password on the gRPC port."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from embedded_database.certificates import Authority
from integration_tests.support.command import configured, run
from integration_tests.vitess.cluster import VitessCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, THEIRS = Authority(), Authority()
CA = OURS.certificate.decode()
IDENTITY = {"mode": "verify_identity", "ca_certificate": CA}
AUTHORITY = {"mode": "verify_ca", "ca_certificate": CA}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the servers can read, which run as another user."""
    with tempfile.TemporaryDirectory(prefix="certificates-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def vitess(vitess: VitessCluster, folder: Path) -> Iterator[VitessCluster]:
    del vitess
    certificate, key = OURS.sign("vtgate.example.com")
    users = json.dumps([{"Username": "user", "Password": "password"}]).encode()
    files = {"ca": OURS.certificate, "cert": certificate, "key": key, "users": users}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    flags = [
        *(f"--grpc-{name}={folder / name}" for name in ("cert", "key", "ca")),
        *(f"--mysql-server-ssl-{name}={folder / name}" for name in ("cert", "key", "ca")),
        "--grpc-auth-mode=static",
        f"--grpc-auth-static-password-file={folder / 'users'}",
    ]
    shown, private = OURS.sign("test")
    credentials = grpc.ssl_channel_credentials(OURS.certificate, private, shown)
    with VitessCluster.start(
        {"src": 1}, vtcombo_flags=flags, grpc_credentials=credentials, grpc_name="vtgate.example.com"
    ) as cluster:
        cluster.execute("create table t (id int primary key)", "src")
        cluster.execute("insert into t values (1), (2)", "src")
        yield cluster


def client(authority: Authority = OURS, **options: Any) -> dict[str, str]:
    certificate, key = authority.sign("connector", **options)
    fields = {"client_certificate": certificate.decode(), "client_key": key.decode()}
    passphrase = options.get("passphrase")
    return {**fields, "client_key_password": passphrase} if passphrase else fields


def told(vitess: VitessCluster, mode: dict[str, str], **fields: Any) -> str:
    """What `check` says over the ports that are named in `fields` as they are; empty for a success."""
    config = vitess.config(
        "src", ssl_mode=mode, max_retries=0, **{"mysql_tls": True, "grpc_tls": True, **fields}
    )
    status = run("check", config=config).connection_status
    return str(status.get("message", ""))


@pytest.mark.parametrize(
    "mode",
    [
        IDENTITY | {"server_name": "vtgate.example.com"} | client(passphrase="pass phrase"),
        AUTHORITY | client(),
    ],
)
def test_a_sync_goes_over_mutual_tls(vitess: VitessCluster, mode: dict[str, str]) -> None:
    config = vitess.config("src", ssl_mode=mode, mysql_tls=True, grpc_tls=True)
    assert run("check", config=config).connection_status == {"status": "SUCCEEDED"}
    done = run("read", config=config, catalog=configured("t", namespace="src"))
    assert done.exit_code == 0
    assert [record["id"] for record in done.records("t")] == [1, 2]


@pytest.mark.parametrize("ports", [{"grpc_tls": False}, {"mysql_tls": False}], ids=["mysql", "grpc"])
@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (IDENTITY | client(), "mismatch"),
        (AUTHORITY | {"ca_certificate": THEIRS.certificate.decode()} | client(), "is not trusted"),
        (AUTHORITY, "asks for a client certificate (TLSV13_ALERT_CERTIFICATE_REQUIRED)"),
        ({"mode": "required"}, "asks for a client certificate (TLSV13_ALERT_CERTIFICATE_REQUIRED)"),
        (AUTHORITY | client(expired=True), "does not accept the client certificate"),
        (AUTHORITY | client(THEIRS), "client_certificate in ssl_mode is one"),
    ],
    ids=["other name", "other authority", "no certificate", "none, unverified", "expired", "unknown"],
)
def test_what_tls_does_not_let_in_is_told_with_its_reason(
    vitess: VitessCluster, ports: dict[str, bool], mode: dict[str, str], sentence: str
) -> None:
    message = told(vitess, mode, **ports)
    assert sentence in message
    assert message.endswith(".")


def test_a_wrong_password_is_told_over_mutual_tls(vitess: VitessCluster) -> None:
    assert "PERMISSION_DENIED" in told(vitess, AUTHORITY | client(), password="wrong")
