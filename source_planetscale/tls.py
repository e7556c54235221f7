"""TLS as both ports need it: contexts, what a server shows, and what a failure means."""

from __future__ import annotations

import secrets
import socket
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from source_planetscale.endpoint import Verification
from source_planetscale.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from source_planetscale.endpoint import ClientCertificate, Endpoint, Tls
    from source_planetscale.errors import SourceError

_CONNECT_TIMEOUT_SECONDS = 10.0
_HTTP2 = "h2"
# RFC 9113, 3.4: the client's preface, and an empty SETTINGS frame; every frame begins with 9 bytes.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
_FRAME_HEADER_BYTES = 9
_SETTINGS = 4

# X509_V_ERR_... of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_HOST, _OTHER_ADDRESS = 62, 64
# The alerts by which servers turn a client's certificate down, as OpenSSL names them; Go's TLS sends
# BAD_CERTIFICATE for one that is missing or of an unknown authority.
_CLIENT_REFUSED = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "UNSUPPORTED_CERTIFICATE",
    "ACCESS_DENIED",
)


class ClientContext(ssl.SSLContext):
    """A context for one connection, which expects a server by name, whatever address was dialled.

    Attributes:
        server_name: The name.
        agreed: Whether the handshake has succeeded.
    """

    server_name: str
    agreed = False

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,  # noqa: ARG002 - the one of the context counts
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Wraps as the standard library does, with the server's name of this context."""
        wrapped = super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, self.server_name, session
        )
        self.agreed = True
        return wrapped


def client_context(tls: Tls, server_name: str) -> ClientContext:
    """Makes the context for a connection to a server.

    Args:
        tls: How they are encrypted.
        server_name: The name that the server's certificate must hold.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name
    # A certificate that is entered as its own authority is trusted, as gRPC does it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if tls.verification is not Verification.IDENTITY:
        context.check_hostname = False
    if tls.verification is Verification.NONE:
        context.verify_mode = ssl.CERT_NONE
    elif tls.authority:
        context.load_verify_locations(cadata=tls.authority)
    else:
        context.load_default_certs()
    if tls.client is not None:
        _load_client(context, tls.client)
    return context


def shown_certificate(endpoint: Endpoint, tls: Tls) -> bytes:
    """Makes a connection, verifies it as configured, and gives the server's certificate in DER form.

    Raises:
        OSError: There is no connection, or what the server shows is not accepted.
    """
    with _connected(endpoint, tls) as connection:
        certificate = connection.getpeercert(binary_form=True)
    if certificate is None:
        raise ssl.SSLError("the server shows no certificate")
    return certificate


def try_http2(endpoint: Endpoint, tls: Tls) -> None:
    """Makes a connection and has the server say its first words in HTTP/2, which is what gRPC speaks.

    A server of TLS 1.3 turns a client's certificate down only after the handshake has succeeded, and gRPC
    tells no more of it than that the connection was closed.

    Raises:
        OSError: There is no connection, or one side does not accept what the other one shows.
        ConfigError: The server speaks something else.
    """
    with _connected(endpoint, tls) as connection:
        try:
            connection.sendall(_HTTP2_PREFACE)
            header = connection.recv(_FRAME_HEADER_BYTES)
        except ConnectionError:
            header = b""
    if not header:
        raise ssl.SSLEOFError("the server closed the connection")
    if len(header) < _FRAME_HEADER_BYTES or header[3] != _SETTINGS:
        raise ConfigError(f"What answers at {endpoint} is no gRPC server. Check host and grpc_port.")


def name_in(certificate: bytes) -> str | None:
    """Gives a name that a certificate, in DER form, is valid for; None if it holds none."""
    from cryptography import x509

    parsed = x509.load_der_x509_certificate(certificate)
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = parsed.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(common[0].value) if common else None
    hosts = names.get_values_for_type(x509.DNSName)
    if hosts:
        # A star stands for any one label.
        return hosts[0].replace("*", "any")
    addresses = names.get_values_for_type(x509.IPAddress)
    return str(addresses[0]) if addresses else None


def explain(error: ssl.SSLError, endpoint: Endpoint, port_field: str) -> SourceError:
    """Turns a failure of TLS into a sentence.

    Args:
        error: The failure.
        endpoint: The port.
        port_field: The name of the port's field: "mysql_port" or "grpc_port".
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(
            f"The certificate of the server at {endpoint} is not trusted ({error.verify_message}). "
            f"{_advice(error.verify_code)}",
            error,
        )
    reason = getattr(error, "reason", None) or ""
    shows_one = endpoint.tls is not None and endpoint.tls.client is not None
    if isinstance(error, ssl.SSLEOFError):
        check = "whether it asks for a client certificate: ssl_mode takes client_certificate and client_key"
        if shows_one:
            check = "that client_certificate in ssl_mode is one that the server accepts"
        return TransientError(
            f"The server at {endpoint} ended the connection within or right after the TLS handshake. "
            f"Check {check}.",
            error,
        )
    if any(alert in reason for alert in _CLIENT_REFUSED):
        if shows_one:
            return ConfigError(
                f"The server at {endpoint} does not accept the client certificate ({reason}). Check that "
                "client_certificate in ssl_mode is one of the server's own authority and has not expired.",
                error,
            )
        return ConfigError(
            f"The server at {endpoint} asks for a client certificate ({reason}). Enter client_certificate "
            "and client_key in ssl_mode.",
            error,
        )
    return ConfigError(
        f"The server at {endpoint} broke off the TLS handshake ({reason or error.strerror}). Check "
        f"{port_field} and whether the server speaks TLS there.",
        error,
    )


def _advice(code: int) -> str:
    if code in (_EXPIRED, _NOT_YET_VALID):
        return "Renew it on the server."
    if code in (_OTHER_HOST, _OTHER_ADDRESS):
        return (
            "Check the host name; if the certificate is right and only its name differs, enter that name as "
            "server_name in ssl_mode."
        )
    return (
        "Check the host name; enter the certificate of your own authority in tls_ca_certificate, or as "
        "ca_certificate in ssl_mode."
    )


def _connected(endpoint: Endpoint, tls: Tls) -> ssl.SSLSocket:
    context = client_context(tls, endpoint.server_name)
    context.set_alpn_protocols([_HTTP2])
    plain = socket.create_connection(endpoint.address, _CONNECT_TIMEOUT_SECONDS)
    try:
        return context.wrap_socket(plain)
    except BaseException:
        plain.close()
        raise


def _load_client(context: ssl.SSLContext, client: ClientCertificate) -> None:
    from cryptography.hazmat.primitives import serialization

    # OpenSSL reads it from a file alone; the key in it is encrypted, with a pass phrase that nobody else has.
    passphrase = secrets.token_hex()
    key = serialization.load_pem_private_key(client.key.encode(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "client.pem"
        path.write_bytes(client.certificate.encode() + b"\n" + key)
        context.load_cert_chain(path, password=passphrase)
