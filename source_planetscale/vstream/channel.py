"""The way to vtgate's gRPC port: channels and credentials."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING

import grpc
import grpc.experimental

from source_planetscale.endpoint import Verification
from source_planetscale.tls import explain, name_in, shown_certificate
from source_planetscale.vstream.errors import VStreamError

if TYPE_CHECKING:
    from source_planetscale.endpoint import Endpoint, Tls

# vtgate drops clients that ping more often than every 10 s.
_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 20_000


def new_channel(endpoint: Endpoint, window: int) -> grpc.Channel:
    """Makes a channel that shares its connection with no other one.

    Args:
        endpoint: vtgate's gRPC port.
        window: How many bytes may be under way.

    Raises:
        VStreamError: Whom to trust depends on what the server shows, and it showed nothing.
    """
    host, port = endpoint.address
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options: list[tuple[str, int | str]] = [
        # A row is never split, and vtgate's own limit can be raised: the server's limit decides.
        ("grpc.max_receive_message_length", -1),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.use_local_subchannel_pool", 1),
        # A fixed window: one that grows with the speed of the link fills with what a slow reader of stdout
        # has not taken yet, for each of the shards.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", window),
        # The thread that reads a shard also drives its channel: no hand-over per response.
        (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
    ]
    if endpoint.tls is None:
        return grpc.insecure_channel(target, options)
    roots, name = _trusted(endpoint, endpoint.tls)
    if name != host:
        options.append(("grpc.ssl_target_name_override", name))
    client = endpoint.tls.client
    credentials = grpc.ssl_channel_credentials(
        roots.encode() or None,
        client.key.encode() if client else None,
        client.certificate.encode() if client else None,
    )
    return grpc.secure_channel(target, credentials, options)


def call_credentials(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """The metadata that carries the login.

    PlanetScale reads the header of HTTP's basic scheme, a vtgate with static authentication the two keys.
    """
    basic = base64.b64encode(f"{endpoint.username}:{endpoint.password}".encode()).decode()
    header = (("authorization", f"Basic {basic}"),)
    pair = (("username", endpoint.username), ("password", endpoint.password))
    # gRPC refuses a whole call for the sake of a value that is no printable ASCII.
    return header + pair if all(_fits_header(value) for _, value in pair) else header


def _trusted(endpoint: Endpoint, tls: Tls) -> tuple[str, str]:
    """The authorities to trust, and the name to expect.

    gRPC cannot be told to verify less than both. So the server is looked at first, and what it shows under
    the rule that is configured is what is expected of the connections that follow.
    """
    if tls.verification is Verification.IDENTITY:
        return tls.authority, endpoint.server_name
    try:
        certificate = shown_certificate(endpoint, tls)
    except ssl.SSLError as error:
        sentence = explain(error, endpoint, "grpc_port").message
        raise VStreamError(grpc.StatusCode.UNAVAILABLE, sentence) from None
    except OSError as error:
        raise VStreamError(grpc.StatusCode.UNAVAILABLE, str(error)) from None
    name = name_in(certificate) or endpoint.server_name
    if tls.verification is Verification.NONE:
        return ssl.DER_cert_to_PEM_cert(certificate), name
    return tls.authority, name


def _fits_header(value: str) -> bool:
    return value.isascii() and value.isprintable()
