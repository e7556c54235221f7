"""The errors of a sync's streams: in which order they are told, and their summary."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airbyte_cdk.models import FailureType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airbyte_cdk.models import AirbyteMessage


class HeldBack:
    """Holds errors that a person has to mend back until those that may pass have been told.

    The platform tries a job again unless the earliest error is one of configuration, so one dropped table
    would keep it from going on with a table whose connection was lost.
    """

    def __init__(self) -> None:
        """Holds nothing yet."""
        self._held: list[AirbyteMessage] = []

    def pass_on(self, messages: Iterable[AirbyteMessage]) -> Iterator[AirbyteMessage]:
        """Gives the messages but for those that are held back."""
        for message in messages:
            error = message.trace.error if message.trace else None
            if error is not None and error.failure_type is FailureType.config_error:
                self._held.append(message)
            else:
                yield message

    def release(self) -> Iterator[AirbyteMessage]:
        """Gives what was held back, with the time of this moment."""
        for message in self._held:
            if message.trace is not None:
                message.trace.emitted_at = time.time() * 1000
            yield message
        self._held.clear()
