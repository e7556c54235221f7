"""What every layout of records answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from source_planetscale.records.encoded import EncodedRows


class Layout(ABC):
    """Lays out the records of one stream, as one format has them."""

    @abstractmethod
    def records(self, rows: EncodedRows, partition: str | None = None) -> bytes:
        """Lays out rows; many at once are much cheaper than many times one.

        Args:
            rows: The rows.
            partition: The partition that they belong to, if records tell it.

        Returns:
            A message per row, one behind the other.
        """


class Format(ABC):
    """A format of Airbyte messages.

    Attributes:
        name: What the platform calls it.
    """

    name: str

    @abstractmethod
    def layout(self, stream: str, namespace: str | None, properties: Mapping[str, Any] | None) -> Layout:
        """Compiles the layout of a stream's records.

        Args:
            stream: The name of the stream.
            namespace: Its namespace; None if it has none.
            properties: The JSON schema of each property that records may have; None for every column.
        """

    @abstractmethod
    def message(self, line: bytes) -> bytes:
        """Lays out a message that is no record.

        Args:
            line: The message as a line of JSON.
        """
