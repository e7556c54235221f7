"""The memory of the process."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# malloc.h of glibc.
_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """Has all threads use one heap.

    glibc gives threads heaps of their own, and each keeps what it once held: a third of the process with 16
    shards. Nothing is gained by them, since the interpreter runs one thread at a time.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
