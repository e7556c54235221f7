"""The field that says through which SSH server the ports are reached."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import re
from typing import TYPE_CHECKING

from source_planetscale.endpoint import SshServer

if TYPE_CHECKING:
    from source_planetscale.config.values import Values

FIELDS = (
    "tunnel_method",
    "tunnel_host",
    "tunnel_port",
    "tunnel_user",
    "ssh_key",
    "tunnel_user_password",
    "tunnel_host_key",
)
"""The fields of `tunnel_method`, whichever its method is: those of Airbyte's databases, and the host key."""

NONE, KEY, PASSWORD = "NO_TUNNEL", "SSH_KEY_AUTH", "SSH_PASSWORD_AUTH"

# As `ssh-keygen -l` shows them: 32 bytes in base64 without padding.
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_KEY_TYPE = re.compile(r"(ssh|ecdsa|sk)-[\w@.-]+")


def ssh_server(values: Values) -> SshServer | None:
    """Reads `tunnel_method`.

    Args:
        values: The configuration.

    Returns:
        The SSH server, or None if the ports are reached directly.

    Raises:
        ConfigError: A field is missing or of another form.
    """
    chosen = values.inner("tunnel_method", f'{{"tunnel_method": "{NONE}"}}')
    if chosen is None:
        return None
    method = chosen.text("tunnel_method")
    if method == NONE:
        return None
    if method not in (KEY, PASSWORD):
        raise chosen.refused("tunnel_method", f"must be one of {NONE}, {KEY}, {PASSWORD}")
    server = SshServer(
        host=chosen.needed("tunnel_host"),
        port=chosen.port("tunnel_port", 22),
        username=chosen.needed("tunnel_user"),
        key=_private_key(chosen) if method == KEY else "",
        password=chosen.text("tunnel_user_password") if method == PASSWORD else "",
        host_keys=_host_keys(chosen),
    )
    if method == PASSWORD and not server.password:
        raise chosen.refused("tunnel_user_password", "is missing: enter it")
    return server


def _private_key(values: Values) -> str:
    # Only configurations with a key pay for this import.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    # A form with one-line inputs keeps line ends as the two characters \n.
    key = values.needed("ssh_key").replace("\\n", "\n").strip() + "\n"
    load = load_ssh_private_key if "OPENSSH" in key.partition("\n")[0] else load_pem_private_key
    try:
        load(key.encode(), None)
    except TypeError:
        raise values.refused("ssh_key", "is encrypted: enter a key without a pass phrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise values.refused(
            "ssh_key",
            "must hold a whole private key as ssh-keygen writes it (-----BEGIN OPENSSH PRIVATE KEY----- or "
            "-----BEGIN RSA PRIVATE KEY-----), not the public one",
        ) from None
    return key


def _host_keys(values: Values) -> tuple[str, ...]:
    lines = values.text("tunnel_host_key").replace("\\n", "\n").splitlines()
    # ssh-keyscan writes comments in between.
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return tuple(_fingerprint(values, entry) for entry in entries)


def _fingerprint(values: Values, entry: str) -> str:
    if _FINGERPRINT.fullmatch(entry):
        return entry
    # `TYPE KEY COMMENT`, as in a file of a public key, or the same with the host before it.
    words = entry.split()
    for kind, key in itertools.pairwise(words):
        if _KEY_TYPE.fullmatch(kind):
            try:
                digest = hashlib.sha256(base64.b64decode(key, validate=True)).digest()
            except binascii.Error:
                break
            return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    raise values.refused(
        "tunnel_host_key",
        "must hold fingerprints such as SHA256:..., or public keys such as ssh-ed25519 AAAA..., one a line",
    )
