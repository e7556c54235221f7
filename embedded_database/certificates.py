"""A certificate authority of one's own and a certificate for this host, made at start."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFETIME = timedelta(days=2)
_CLOCKS_DIFFER = timedelta(hours=1)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Signs certificates.

    Attributes:
        certificate: Its own certificate in PEM form, for others to trust.
    """

    def __init__(self) -> None:
        """Makes an authority whose key nobody else has."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Embedded database authority")
        public = self._key.public_key()
        signed = (
            _builder(self._name, self._name, public, public)
            .not_valid_before(_now() - _CLOCKS_DIFFER)
            .not_valid_after(_now() + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = signed.public_bytes(serialization.Encoding.PEM)

    def sign(self, *names: str, expired: bool = False, passphrase: str = "") -> tuple[bytes, bytes]:
        """Makes a key and signs a certificate for it.

        Args:
            names: Host names and addresses that the certificate is for; the first is its common name.
            expired: Whether it has been valid for a time that is over.
            passphrase: What encrypts the key; empty leaves it as it is.

        Returns:
            The certificate and the key in PEM form.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        end = _now() - _CLOCKS_DIFFER if expired else _now() + _LIFETIME
        signed = (
            _builder(_name(names[0]), self._name, key.public_key(), self._key.public_key())
            .not_valid_before(end - 2 * _LIFETIME)
            .not_valid_after(end)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secrecy: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            secrecy = serialization.BestAvailableEncryption(passphrase.encode())
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, secrecy)
        return signed.public_bytes(pem), private


@dataclass(frozen=True)
class Certificates:
    """PEM texts.

    Attributes:
        authority: The authority's certificate, for clients to trust.
        certificate: The server's certificate.
        key: The certificate's private key.
        client_authority: The authority of the clients, each of which has to show a certificate; empty lets
            clients without one in.
    """

    authority: bytes
    certificate: bytes
    key: bytes
    client_authority: bytes = b""

    @classmethod
    def make(cls) -> Certificates:
        """Makes an authority, whose key is forgotten at once, and a certificate for this host."""
        authority = Authority()
        return cls(authority.certificate, *authority.sign("localhost", "127.0.0.1"))

    def server_context(self) -> ssl.SSLContext:
        """The context of a TLS server with the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "certificate.pem"
            path.write_bytes(self.certificate + self.key)
            context.load_cert_chain(path)
        if self.client_authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.client_authority.decode())
        return context

    def client_context(self) -> ssl.SSLContext:
        """The context of a client that trusts the authority."""
        return ssl.create_default_context(cadata=self.authority.decode())


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # Clients that check strictly, as Python's do from 3.13 on, ask for both.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(issuer_id, critical=False)
    )
