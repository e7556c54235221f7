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
        least_seconds: How long to go on trying, at least, whatever the number of attempts: a tablet takes its
            time to come back, and its errors come at once.
        copies_again: Whether a table whose saved position cannot be followed is copied again; otherwise that
            is an error.
    """

    max_retries: int = 3
    timeout_seconds: float = 300.0
    least_seconds: float = 60.0
    copies_again: bool = False

    def is_over(self, failures: int, seconds: float) -> bool:
        """Tells whether to give up.

        Args:
            failures: Attempts without progress, one after the other.
            seconds: Since the first of them began.
        """
        return failures > self.max_retries and seconds >= min(self.least_seconds, self.timeout_seconds)


def backoff_seconds(attempt: int) -> float:
    """How long to wait before the attempt after `attempt` failed ones; doubled each time, with jitter."""
    longest: float = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
