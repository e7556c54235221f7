"""The fields that say how connections are encrypted."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from source_planetscale.endpoint import ClientCertificate, Tls, Verification

if TYPE_CHECKING:
    from source_planetscale.config.values import Values
    from source_planetscale.errors import ConfigError

FIELDS = (
    "mode",
    "ca_certificate",
    "client_certificate",
    "client_key",
    "client_key_password",
    "server_name",
)
"""The fields of `ssl_mode`, whichever its mode is."""

PLAINTEXT = "plaintext"
_MODES = ("verify_identity", "verify_ca", "required", PLAINTEXT)


@dataclass(frozen=True)
class Encryption:
    """How each port is encrypted; None where it is not."""

    mysql: Tls | None = field(default_factory=Tls)
    grpc: Tls | None = field(default_factory=Tls)


def encryption(values: Values) -> Encryption:
    """Reads `ssl_mode` and the three fields that were there before it.

    A port whose own switch is off is not encrypted, whatever `ssl_mode` says; the authority of
    `tls_ca_certificate` counts where `ssl_mode` holds none.

    Args:
        values: The configuration.

    Raises:
        ConfigError: A field is of another form, or two of them do not belong together.
    """
    authority = _authority(values, "tls_ca_certificate")
    chosen = values.inner("ssl_mode", '{"mode": "verify_identity"}')
    tls = Tls(authority=authority) if chosen is None else _tls(chosen, authority)
    mysql, grpc = values.flag("mysql_tls", True), values.flag("grpc_tls", True)
    return Encryption(tls if mysql else None, tls if grpc else None)


def _tls(values: Values, authority: str) -> Tls | None:
    mode = values.text("mode")
    if mode not in _MODES:
        raise values.refused("mode", f"must be one of {', '.join(_MODES)}")
    # Whatever a form keeps of another mode has to be of the right form all the same.
    own = _authority(values, "ca_certificate")
    client = _client(values)
    server_name = values.text("server_name").strip()
    if mode == PLAINTEXT:
        return None
    verification = Verification(mode)
    if verification is Verification.NONE:
        return Tls(verification)
    if verification is Verification.IDENTITY:
        return Tls(verification, own or authority, client, server_name)
    if not own:
        raise values.refused("ca_certificate", "is missing: enter the certificate of the authority")
    return Tls(verification, own, client)


def _authority(values: Values, name: str) -> str:
    pem = _pem(values, name)
    if not pem:
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise _no_certificate(values, name) from None
    return pem + "\n"


def _client(values: Values) -> ClientCertificate | None:
    certificate, key = _pem(values, "client_certificate"), _pem(values, "client_key")
    passphrase = values.text("client_key_password")
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing, there = ("client_key", "client_certificate") if certificate else (
            "client_certificate", "client_key"
        )  # fmt: skip
        raise values.refused(missing, f"is missing: it belongs to {there}")
    return _checked(values, certificate + "\n", key, passphrase)


def _checked(values: Values, certificate: str, key: str, passphrase: str) -> ClientCertificate:
    # Only configurations with a client certificate pay for this import.
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        public = x509.load_pem_x509_certificates(certificate.encode())[0].public_key()
    except ValueError:
        raise _no_certificate(values, "client_certificate") from None
    private = _private_key(values, key, passphrase)
    if private.public_key() != public:
        raise values.refused("client_key", "is not the key of client_certificate")
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ClientCertificate(certificate, plain.decode())


def _private_key(values: Values, key: str, passphrase: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(key.encode(), None)
    except TypeError:
        # Encrypted.
        if not passphrase:
            raise values.refused(
                "client_key_password", "is missing: client_key is encrypted, enter its pass phrase"
            ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise values.refused(
            "client_key",
            "must hold a whole private key in PEM form (-----BEGIN PRIVATE KEY----- and the like)",
        ) from None
    try:
        return load_pem_private_key(key.encode(), passphrase.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise values.refused("client_key_password", "is not the pass phrase of client_key") from None


def _pem(values: Values, name: str) -> str:
    # A form with one-line inputs keeps line ends as the two characters \n.
    return values.text(name).replace("\\n", "\n").strip()


def _no_certificate(values: Values, name: str) -> ConfigError:
    return values.refused(
        name,
        "must hold one or more whole certificates in PEM form "
        "(-----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----)",
    )
