"""Asking again for as long as patience lasts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from source_planetscale.errors import TransientError
from source_planetscale.follow.patience import backoff_seconds

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from source_planetscale.follow.patience import Patience

_Answer = TypeVar("_Answer")


def patiently(ask: Callable[[], _Answer], patience: Patience, closing: threading.Event) -> _Answer:
    """Asks until there is an answer: a failover, or a switch of traffic, passes within seconds.

    Args:
        ask: Asks the database.
        patience: How long to try again.
        closing: Ends the waits.

    Raises:
        SourceError: What `ask` raised: at once if it cannot pass, otherwise when patience is over.
    """
    failures, since = 0, time.monotonic()
    while True:
        try:
            return ask()
        except TransientError:
            failures += 1
            if patience.is_over(failures, time.monotonic() - since) or closing.wait(
                backoff_seconds(failures)
            ):
                raise
