"""Airbyte's fast channel: records go straight to the destination, all else to the platform."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson
from airbyte_cdk.models import AirbyteMessageSerializer, AirbyteStreamStatus

from source_planetscale.errors import InternalError
from source_planetscale.output.channel import Channel
from source_planetscale.output.stdout import line_of
from source_planetscale.output.streams import OutputStreams
from source_planetscale.records.message import Batch, FinishedBatch, RecordBatch

if TYPE_CHECKING:
    from airbyte_cdk.models import (
        AirbyteMessage,
        AirbyteStateMessage,
        AirbyteStreamStatusTraceMessage,
        ConfiguredAirbyteCatalog,
    )

    from source_planetscale.output.sockets import Sockets
    from source_planetscale.output.stdout import Stdout
    from source_planetscale.records.layout import Format


# The CDK's, whose lines are messages.
_LOGGER = logging.getLogger("airbyte")


class SocketChannel(Channel):
    """Sends records to sockets, states and COMPLETE to stdout and a socket, everything else to stdout.

    Each write has reached its socket when it returns, so whatever is sent next comes after it on all of them.
    """

    states_are_heartbeat = True
    form: Format

    def __init__(self, sockets: Sockets, stdout: Stdout, form: Format) -> None:
        """Takes the ways out and the format of what goes to the sockets."""
        self._sockets = sockets
        self._stdout = stdout
        self.form = form
        self._tied: dict[tuple[str, str | None, str], int] = {}

    def open(self, catalog: ConfiguredAirbyteCatalog) -> None:
        """Implements `Channel.open`: waits for the destination."""
        self._streams = OutputStreams(catalog, self.form)
        self._sockets.accept()
        _LOGGER.info(
            f"Records go to the destination over {len(self._sockets)} socket(s), as {self.form.name}."
        )

    def emit(self, message: AirbyteMessage) -> None:
        """Implements `Channel.emit`."""
        self._sockets.raise_if_lost()
        if isinstance(message, Batch):
            self._emit_records(message)
        elif message.record is not None:
            raise InternalError("A single record was made for the data channel, which takes batches.")
        elif message.state is not None:
            self._emit_state(message, message.state)
        elif message.trace is not None and message.trace.stream_status is not None:
            self._emit_status(message, message.trace.stream_status)
        else:
            self._stdout.write(line_of(message))

    def finish(self) -> None:
        """Implements `Channel.finish`."""
        self._sockets.raise_if_lost()

    def close(self) -> None:
        """Implements `Channel.close`: the destination ends when all sockets are closed."""
        self._sockets.close()

    def _emit_records(self, batch: Batch) -> None:
        stream = self._streams.find(batch.stream, batch.namespace)
        number = self._sockets.free() if batch.copied else self._socket_of(batch)
        if isinstance(batch, FinishedBatch):
            self._sockets.send(number, batch.data)
            batch.free()
            stream.count(batch.count, batch.partition)
            if batch.closes:
                stream.end(batch.partition)
        elif isinstance(batch, RecordBatch):
            self._sockets.send(number, batch.laid_out(stream.layout, stream.partition))
            stream.count(batch.count, stream.partition)

    def _socket_of(self, batch: Batch) -> int:
        """The one socket for the changes of a shard: nothing orders the changes of a row over several."""
        tied = self._tied
        return tied.setdefault((batch.stream, batch.namespace, batch.shard), len(tied) % len(self._sockets))

    def _emit_state(self, message: AirbyteMessage, state: AirbyteStateMessage) -> None:
        if state.stream is None:
            raise InternalError("A state of another type than STREAM was made.")
        descriptor = state.stream.stream_descriptor
        stream = self._streams.find(descriptor.name, descriptor.namespace)
        state.stream.stream_descriptor = stream.descriptor
        content = AirbyteMessageSerializer.dump(message)
        closed = stream.close_partition()
        content["state"]["id"], content["state"]["partition_id"] = closed.number, closed.partition
        # Of the records since the last state some may be in partitions that are still open.
        content["state"]["sourceStats"] = {"recordCount": float(closed.records)}
        self._emit_to_both(orjson.dumps(content) + b"\n")

    def _emit_status(self, message: AirbyteMessage, status: AirbyteStreamStatusTraceMessage) -> None:
        descriptor = status.stream_descriptor
        status.stream_descriptor = self._streams.find(descriptor.name, descriptor.namespace).descriptor
        line = line_of(message)
        # The destination takes INCOMPLETE for an error of its own, and knows how many COMPLETEs must come.
        if status.status is AirbyteStreamStatus.COMPLETE:
            self._emit_to_both(line)
        else:
            self._stdout.write(line)

    def _emit_to_both(self, line: bytes) -> None:
        # The platform has to know a state before the destination can confirm it.
        self._stdout.write(line)
        self._sockets.send(self._sockets.free(), self.form.message(line))
