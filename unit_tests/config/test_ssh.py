"""How the field on the SSH tunnel is understood."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import jsonschema
import pytest

import source_planetscale
from embedded_database.certificates import Authority
from source_planetscale.config import Config, normalise
from source_planetscale.endpoint import SshServer
from source_planetscale.errors import ConfigError

MINIMAL = {"host": "db.example.com", "database": "shop", "username": "u", "password": "pw-1234"}
SPEC = json.loads((Path(source_planetscale.__file__).parent / "spec.json").read_text(encoding="utf-8"))
PAIR = asyncssh.generate_private_key("ssh-ed25519")
PUBLIC, FINGERPRINT = PAIR.export_public_key().decode().strip(), PAIR.get_fingerprint()
BY_PASSWORD = {
    "tunnel_method": "SSH_PASSWORD_AUTH",
    "tunnel_host": "bastion",
    "tunnel_user": "u",
    "tunnel_user_password": "secret-marker",
}
BY_KEY = {
    "tunnel_method": "SSH_KEY_AUTH",
    "tunnel_host": "bastion",
    "tunnel_user": "u",
    "ssh_key": PAIR.export_private_key().decode(),
}


def parse(tunnel: Any) -> SshServer | None:
    raw = {**MINIMAL, "tunnel_method": tunnel}
    config = Config.parse(raw)
    jsonschema.validate(normalise(raw), SPEC["connectionSpecification"])
    return config.ssh_server


@pytest.mark.parametrize("tunnel", [None, {"tunnel_method": "NO_TUNNEL"}, {"TUNNEL_METHOD": "NO_TUNNEL"}])
def test_without_a_method_the_ports_are_reached_directly(tunnel: Any) -> None:
    assert parse(tunnel) is None


def test_the_fields_of_each_method_arrive() -> None:
    assert parse(BY_PASSWORD) == SshServer("bastion", "u", password="secret-marker")
    by_key = SshServer("bastion", "u", 2222, key=BY_KEY["ssh_key"], host_keys=(FINGERPRINT,))
    assert parse({**BY_KEY, "tunnel_port": 2222, "tunnel_host_key": FINGERPRINT}) == by_key
    assert parse({**BY_KEY, "tunnel_user_password": "left over", "tunnel_host": " bastion "}) == SshServer(
        "bastion", "u", key=BY_KEY["ssh_key"]
    )


def test_no_secret_is_shown() -> None:
    assert "secret-marker" not in repr(parse(BY_PASSWORD))
    assert "PRIVATE" not in repr(parse(BY_KEY))


@pytest.mark.parametrize(
    "entry",
    [
        FINGERPRINT,
        PUBLIC,
        f"{PUBLIC} a comment",
        f"bastion,10.0.0.1 {PUBLIC}",
        f"# bastion:22 SSH-2.0-OpenSSH\n[bastion]:22 {PUBLIC}\n",
        f"{PUBLIC}\\n",
    ],
    ids=["fingerprint", "key", "with a comment", "known hosts", "keyscan", "pasted"],
)
def test_a_host_key_is_read_as_the_tools_print_it(entry: str) -> None:
    server = parse({**BY_PASSWORD, "tunnel_host_key": entry})
    assert server
    assert server.host_keys == (FINGERPRINT,)


def test_several_host_keys_may_be_listed() -> None:
    other = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    lines = f"{PUBLIC}\nhost {other.export_public_key().decode()}"
    server = parse({**BY_PASSWORD, "tunnel_host_key": lines})
    assert server
    assert server.host_keys == (FINGERPRINT, other.get_fingerprint())


@pytest.mark.parametrize("form", ["openssh", "pkcs1-pem", "pkcs8-pem"])
def test_a_private_key_is_read_in_every_form_that_ssh_keygen_writes(form: str) -> None:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key(form).decode()
    server = parse({**BY_KEY, "ssh_key": key.replace("\n", "\\n")})
    assert server
    assert asyncssh.import_private_key(server.key)


@pytest.mark.parametrize("form", ["pkcs8", "openssh"])
def test_an_encrypted_private_key_is_told(tmp_path: Path, form: str) -> None:
    if form == "pkcs8":
        key = Authority().sign("x", passphrase="x")[1].decode()
    else:
        path = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)], check=True)
        key = path.read_text()
    with pytest.raises(ConfigError, match="ssh_key is encrypted"):
        parse({**BY_KEY, "ssh_key": key})


@pytest.mark.parametrize(
    ("tunnel", "sentence"),
    [
        ({}, "tunnel_method.tunnel_method must be one of NO_TUNNEL, SSH_KEY_AUTH, SSH_PASSWORD_AUTH"),
        ({"tunnel_method": "SSH"}, "tunnel_method.tunnel_method must be one of"),
        ("NO_TUNNEL", "tunnel_method must be an object such as"),
        ({**BY_KEY, "tunnel_host": " "}, "tunnel_method.tunnel_host is missing"),
        ({**BY_KEY, "tunnel_user": None}, "tunnel_method.tunnel_user is missing"),
        ({**BY_KEY, "tunnel_port": 0}, "tunnel_method.tunnel_port must be a whole number from 1 to 65535"),
        ({**BY_KEY, "ssh_key": ""}, "tunnel_method.ssh_key is missing"),
        ({**BY_KEY, "ssh_key": PUBLIC}, "tunnel_method.ssh_key must hold a whole private key"),
        (
            {**BY_KEY, "ssh_key": BY_KEY["ssh_key"][:90]},
            "tunnel_method.ssh_key must hold a whole private key",
        ),
        ({**BY_PASSWORD, "tunnel_user_password": ""}, "tunnel_method.tunnel_user_password is missing"),
        ({**BY_PASSWORD, "tunnel_host_key": "MD5:aa:bb"}, "tunnel_method.tunnel_host_key must hold"),
        ({**BY_PASSWORD, "tunnel_host_key": "ssh-ed25519 %%%"}, "tunnel_method.tunnel_host_key must hold"),
        ({**BY_PASSWORD, "tunnel_host_key": "SHA256:short"}, "tunnel_method.tunnel_host_key must hold"),
    ],
)
def test_what_is_missing_or_of_another_form_is_refused_by_its_field(tunnel: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(tunnel)
    assert sentence in caught.value.message
    assert "secret-marker" not in caught.value.message
