"""A destination that throws away what it reads: `python -m bench.discard SOCKET ...`, or `-` for stdin."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path

_CHUNK = 1 << 20
_POLL_SECONDS = 0.01


def _discard(descriptor: int) -> None:
    while os.read(descriptor, _CHUNK):
        pass


def main() -> None:
    """Reads everything to its end."""
    clients = []
    for path in sys.argv[1:]:
        if path == "-":
            _discard(sys.stdin.fileno())
            continue
        while not Path(path).exists():
            time.sleep(_POLL_SECONDS)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(path)
        clients.append(client)
    readers = [threading.Thread(target=_discard, args=(client.fileno(),)) for client in clients]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    for client in clients:
        client.close()


if __name__ == "__main__":
    main()
