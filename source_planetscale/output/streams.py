"""The streams of a read as the destination knows them, and what it counts of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airbyte_cdk.models import StreamDescriptor

if TYPE_CHECKING:
    from airbyte_cdk.models import AirbyteStream, ConfiguredAirbyteCatalog

    from source_planetscale.records.layout import Format


class OutputStream:
    """One stream: its name, its layout, and the numbers of its partition and of its states.

    The destination gives a state back once it holds exactly the records of that state's partition, and it
    gives them back by `id`, from 1 and without gaps. So a partition is what was sent since the last state.
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

    @property
    def partition(self) -> str:
        """The partition of the records that come now."""
        return f"{self._number}-{self._states + 1}"

    def close_partition(self) -> tuple[int, str]:
        """Ends the partition with a state; gives the id of that state and the partition."""
        partition = self.partition
        self._states += 1
        return self._states, partition


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
