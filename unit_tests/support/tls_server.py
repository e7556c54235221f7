"""A TLS server in this process that says one thing to each client."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded_database.certificates import Certificates

HOST = "127.0.0.1"
# Seconds on, and zero of them: closing is a reset.
_RESET = b"\1\0\0\0\0\0\0\0"


@contextmanager
def tls_server(certificates: Certificates, answer: bytes = b"", *, resets: bool = False) -> Iterator[int]:
    """Serves on a port of 127.0.0.1.

    Args:
        certificates: What it shows, and whether it asks clients for a certificate.
        answer: What it says once it has heard something; then it ends the connection.
        resets: Whether it ends connections with a reset.
    """
    context = certificates.server_context()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # An alert would be lost with a socket that is closed while there is something to read.
            with self.request.dup() as plain:
                with suppress(OSError), context.wrap_socket(self.request, server_side=True) as secured:
                    if secured.recv(1 << 16):
                        secured.sendall(answer)
                if resets:
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return
                with suppress(OSError):
                    plain.shutdown(socket.SHUT_WR)
                    while plain.recv(1 << 16):
                        pass

    with socketserver.ThreadingTCPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
