"""How long to try again, and what to do with a position that cannot be followed."""

from __future__ import annotations

import random
from dataclasses import dataclass

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0


@dataclass(frozen=True)
class Patience:
    """What the configuration says of failures.

    Attributes:
        max_retries: Attempts without progress that follow a failed one.
        timeout_seconds: How long a shard may go without progress.
        copies_again: Whether a table whose saved position cannot be followed is copied again; otherwise that
            is an error.
    """

    max_retries: int = 3
    timeout_seconds: float = 300.0
    copies_again: bool = False


def backoff_seconds(attempt: int) -> float:
    """How long to wait before the attempt after `attempt` failed ones; doubled each time, with jitter."""
    longest: float = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
