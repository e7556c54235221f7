"""How the fields on encryption are understood, the ones of the first form and `ssl_mode`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import source_planetscale
from embedded_database.certificates import Authority
from source_planetscale.config import Config, normalise
from source_planetscale.endpoint import ClientCertificate, Tls, Verification
from source_planetscale.errors import ConfigError

MINIMAL = {"host": "db.example.com", "database": "shop", "username": "u", "password": "pw-1234"}
SPEC = json.loads((Path(source_planetscale.__file__).parent / "spec.json").read_text(encoding="utf-8"))
AUTHORITY, OTHER = Authority(), Authority()
CA, OTHER_CA = AUTHORITY.certificate.decode(), OTHER.certificate.decode()
SECRET = "pass-phrase-marker"


def parse(**fields: Any) -> Config:
    raw = {**MINIMAL, **fields}
    config = Config.parse(raw)
    jsonschema.validate(normalise(raw), SPEC["connectionSpecification"])
    return config


def refusal(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.parse({**MINIMAL, **fields})
    assert SECRET not in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


def client(**options: Any) -> dict[str, str]:
    certificate, key = AUTHORITY.sign("connector", **options)
    return {"client_certificate": certificate.decode(), "client_key": key.decode()}


@pytest.mark.parametrize(
    ("fields", "mysql", "grpc"),
    [
        ({}, Tls(), Tls()),
        ({"ssl_mode": None}, Tls(), Tls()),
        ({"ssl_mode": {"mode": "verify_identity"}}, Tls(), Tls()),
        ({"tls_ca_certificate": CA}, Tls(authority=CA), Tls(authority=CA)),
        ({"mysql_tls": False}, None, Tls()),
        ({"grpc_tls": False, "tls_ca_certificate": CA}, Tls(authority=CA), None),
        ({"ssl_mode": {"mode": "plaintext"}}, None, None),
        ({"ssl_mode": {"mode": "required"}, "tls_ca_certificate": CA}, *[Tls(Verification.NONE)] * 2),
        (
            {"ssl_mode": {"mode": "verify_ca", "ca_certificate": CA}, "mysql_tls": False},
            None,
            Tls(Verification.AUTHORITY, CA),
        ),
        (
            {"ssl_mode": {"mode": "verify_identity", "ca_certificate": CA}, "tls_ca_certificate": OTHER_CA},
            *[Tls(authority=CA)] * 2,
        ),
        (
            {"ssl_mode": {"mode": "verify_identity", "server_name": " vtgate "}, "tls_ca_certificate": CA},
            *[Tls(authority=CA, server_name="vtgate")] * 2,
        ),
        ({"ssl_mode": {"MODE": "plaintext", "CA_certificate": None}}, None, None),
        ({"SSL_MODE": {"mode": "required"}}, *[Tls(Verification.NONE)] * 2),
    ],
)
def test_the_fields_together_say_how_each_port_is_encrypted(
    fields: dict[str, Any], mysql: Tls | None, grpc: Tls | None
) -> None:
    config = parse(**fields)
    assert (config.mysql.tls, config.grpc.tls) == (mysql, grpc)


@pytest.mark.parametrize("mode", [{"mode": "verify_identity"}, {"mode": "verify_ca", "ca_certificate": CA}])
@pytest.mark.parametrize("passphrase", ["", SECRET])
def test_a_client_certificate_is_kept_with_its_key_in_plain(mode: dict[str, str], passphrase: str) -> None:
    fields = client(passphrase=passphrase)
    tls = parse(ssl_mode=mode | fields | {"client_key_password": passphrase}).grpc.tls
    assert tls
    assert tls.client
    assert tls.client.certificate == fields["client_certificate"]
    expected = load_pem_private_key(fields["client_key"].encode(), passphrase.encode() or None)
    assert load_pem_private_key(tls.client.key.encode(), None).public_key() == expected.public_key()
    assert "PRIVATE" not in repr(tls)


def test_a_pass_phrase_for_a_key_that_is_not_encrypted_does_no_harm() -> None:
    tls = parse(ssl_mode={"mode": "verify_identity", "client_key_password": SECRET, **client()}).mysql.tls
    assert tls
    assert isinstance(tls.client, ClientCertificate)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ({}, "ssl_mode.mode must be one of verify_identity, verify_ca, required, plaintext"),
        ({"mode": "preferred"}, "ssl_mode.mode must be one of"),
        ({"mode": 1}, "ssl_mode.mode must be a text"),
        ({"mode": "verify_ca"}, "ssl_mode.ca_certificate is missing"),
        ({"mode": "verify_ca", "ca_certificate": " "}, "ssl_mode.ca_certificate is missing"),
        ({"mode": "verify_ca", "ca_certificate": "nonsense"}, "ssl_mode.ca_certificate must hold one"),
        ({"mode": "verify_identity", "server_name": 5}, "ssl_mode.server_name must be a text"),
        ({"client_certificate": CA}, "ssl_mode.client_key is missing"),
        ({"client_key": client()["client_key"]}, "ssl_mode.client_certificate is missing"),
        (client() | {"client_certificate": SECRET}, "ssl_mode.client_certificate must hold one"),
        (client() | {"client_key": SECRET}, "ssl_mode.client_key must hold a whole private key"),
        (client() | {"client_key": CA}, "ssl_mode.client_key must hold a whole private key"),
        (client() | {"client_certificate": CA}, "ssl_mode.client_key is not the key of"),
        (client(passphrase="x"), "ssl_mode.client_key_password is missing"),
        (client(passphrase="x") | {"client_key_password": SECRET}, "is not the pass phrase of client_key"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_its_field(mode: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(ssl_mode={"mode": "verify_identity", **mode} if mode else mode)


@pytest.mark.parametrize("value", ["verify_ca", 5, [], True])
def test_an_ssl_mode_that_is_no_object_is_refused(value: Any) -> None:
    assert "ssl_mode must be an object such as" in refusal(ssl_mode=value)


@pytest.mark.parametrize("form", ["traditional", "written out"])
def test_other_spellings_of_a_key_are_read(form: str) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = AUTHORITY.sign("connector")
    if form == "traditional":
        key = load_pem_private_key(key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(SECRET.encode()),
        )
    fields = {"client_certificate": certificate.decode(), "client_key": key.decode()}
    if form == "written out":
        fields = {name: value.replace("\n", "\\n") for name, value in fields.items()}
    tls = parse(ssl_mode={"mode": "verify_identity", "client_key_password": SECRET, **fields}).mysql.tls
    assert tls
    assert tls.client
