"""What every channel does with the messages of a read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalog

    from source_planetscale.records.layout import Format


class Channel(ABC):
    """Carries the messages of one read.

    Attributes:
        states_are_heartbeat: Whether states are the only sign of life that the platform sees.
        form: The format of records that may be laid out elsewhere; None if it has to be the channel itself.
    """

    states_are_heartbeat = False
    form: Format | None = None

    @abstractmethod
    def open(self, catalog: ConfiguredAirbyteCatalog) -> None:
        """Gets ready for the first message.

        Args:
            catalog: The configured catalog, as the platform gave it.

        Raises:
            SourceError: The channel has no other end.
        """

    @abstractmethod
    def emit(self, message: AirbyteMessage) -> None:
        """Sends a message to wherever it belongs, and waits until it is written.

        Raises:
            SourceError: The other end is lost.
        """

    @abstractmethod
    def finish(self) -> None:
        """Makes sure that everything has left.

        Raises:
            SourceError: The other end is lost.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of everything, whatever has happened."""
