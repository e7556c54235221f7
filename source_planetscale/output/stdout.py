"""The usual channel: every message is a line of stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from airbyte_cdk.entrypoint import AirbyteEntrypoint

from source_planetscale.output.channel import Channel
from source_planetscale.records.message import RecordBatch

if TYPE_CHECKING:
    from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalog


def line_of(message: AirbyteMessage) -> bytes:
    """The line of a message, as the CDK writes it."""
    return AirbyteEntrypoint.airbyte_message_to_string(message).encode() + b"\n"


class Stdout:
    """Writes whole lines to stdout, each at once."""

    def __init__(self, out: BinaryIO) -> None:
        """Takes the buffer of stdout."""
        self._out = out

    def write(self, lines: bytes) -> None:
        """Writes lines that end with a line end."""
        self._out.write(lines)
        self._out.flush()


class StdoutChannel(Channel):
    """Sends everything to stdout."""

    def __init__(self, stdout: Stdout) -> None:
        """Takes where to write."""
        self._stdout = stdout

    def open(self, catalog: ConfiguredAirbyteCatalog) -> None:
        """Implements `Channel.open`: stdout is always there."""

    def emit(self, message: AirbyteMessage) -> None:
        """Implements `Channel.emit`; batches are written as they are, the rest as the CDK does."""
        if isinstance(message, RecordBatch):
            self._stdout.write(message.text)
        else:
            self._stdout.write(line_of(message))

    def finish(self) -> None:
        """Implements `Channel.finish`: each message was flushed."""

    def close(self) -> None:
        """Implements `Channel.close`: stdout stays open for what the process says at its end."""
