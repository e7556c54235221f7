"""The streams of a read as the destination knows them, and what it counts of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from airbyte_cdk.models import StreamDescriptor

if TYPE_CHECKING:
    from airbyte_cdk.models import AirbyteStream, ConfiguredAirbyteCatalog

    from source_planetscale.records.layout import Format


class Closed(NamedTuple):
    """A partition that a state ends.

    Attributes:
        number: The id of the state.
        partition: The partition.
        records: How many it has.
    """

    number: int
    partition: str
    records: int


class OutputStream:
    """One stream: its name, its layout, and the numbers of its partition and of its states.

    The destination gives a state back once it holds exactly the records of that state's partition, and it
    gives them back by `id`, from 1 and without gaps. So a partition is what was sent since the last state;
    workers close partitions of their own, each of which has a state as well.
    """

    def __init__(self, number: int, stream: AirbyteStream, form: Format) -> None:
        """Compiles the layout.

        Args:
            number: The stream's number among those of the read.
            stream: The stream, as the configured catalog has it.
            form: The format of its messages.
        """
        self.descriptor = StreamDescriptor(name=stream.name, namespace=stream.namespace)
        # A schema without properties says nothing of them.
        properties = stream.json_schema.get("properties") or None
        self.layout = form.layout(stream.name, stream.namespace, properties)
        self._number = number
        self._states = 0
        self._own = 1
        self._ended: str | None = None
        self._records: Counter[str] = Counter()

    @property
    def partition(self) -> str:
        """The partition of the records that are laid out now."""
        return f"{self._number}-{self._own}"

    def count(self, records: int, partition: str) -> None:
        """Counts records that have been sent."""
        self._records[partition] += records

    def end(self, partition: str) -> None:
        """Has the next state end a partition of records that were laid out elsewhere."""
        self._ended = partition

    def close_partition(self) -> Closed:
        """Ends a partition with a state."""
        partition, self._ended = self._ended, None
        if partition is None:
            partition = self.partition
            self._own += 1
        self._states += 1
        return Closed(self._states, partition, self._records.pop(partition, 0))


class OutputStreams:
    """The streams of a configured catalog."""

    def __init__(self, catalog: ConfiguredAirbyteCatalog, form: Format) -> None:
        """Takes the catalog as the platform gave it, and the format of messages."""
        streams = [
            OutputStream(number, configured.stream, form) for number, configured in enumerate(catalog.streams)
        ]
        self._streams = {
            (stream.descriptor.name, stream.descriptor.namespace or ""): stream for stream in streams
        }

    def find(self, name: str, namespace: str | None) -> OutputStream:
        """Finds a stream by what its messages say, in which an absent namespace may have been filled in.

        Raises:
            KeyError: The catalog has no such stream.
        """
        stream = self._streams.get((name, namespace or ""))
        return self._streams[name, ""] if stream is None else stream
