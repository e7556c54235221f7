"""The command `source-planetscale`: the CDK's entry point, with a read whose messages leave by a channel."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

# gRPC's own lines on stderr say what the connector says better, and are no JSON.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import message_utils
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.airbyte_errors import traced_errors
from source_planetscale.heap import share_one_heap
from source_planetscale.output import channel_of
from source_planetscale.output.stdout import Stdout, StdoutChannel
from source_planetscale.records.message import Batch
from source_planetscale.source import SourcePlanetscale
from source_planetscale.workers.crew import crew_of

if TYPE_CHECKING:
    import argparse
    from collections import defaultdict
    from collections.abc import Iterable, Mapping, Sequence

    from airbyte_cdk.models import AirbyteMessage, ConnectorSpecification
    from airbyte_cdk.sources.connector_state_manager import HashableStreamDescriptor

    from source_planetscale.output.channel import Channel

_BROKEN_PIPE_EXIT = 128 + signal.SIGPIPE


class Entrypoint(AirbyteEntrypoint):
    """The CDK's commands; what a read says leaves by its channel, batches of records among it."""

    def __init__(self, source: SourcePlanetscale, stdout: Stdout) -> None:
        """Takes the source and where the messages go that are not those of a read."""
        super().__init__(source)
        self._source = source
        self._stdout = stdout
        self._channel: Channel = StdoutChannel(stdout)

    def write(self, parsed_args: argparse.Namespace, channel: Channel) -> None:
        """Runs a command and writes its messages, one line each; those of a read go over the channel."""
        self._channel = channel
        for message in self.run(parsed_args):
            self._stdout.write(message.encode() + b"\n")

    def read(
        self, source_spec: ConnectorSpecification, config: Mapping[str, Any], catalog: Any, state: list[Any]
    ) -> Iterable[AirbyteMessage]:
        """Reads as the CDK does; gives no message, because the channel takes each."""
        self._channel.open(catalog)
        self._source.heartbeat = self._channel.states_are_heartbeat
        self._source.crew = crew_of(os.environ, self._channel.form)
        for message in super().read(source_spec, config, catalog, state):
            self._channel.emit(message)
        self._channel.finish()
        return ()

    @staticmethod
    def handle_record_counts(
        message: AirbyteMessage, stream_message_count: defaultdict[HashableStreamDescriptor, float]
    ) -> AirbyteMessage:
        """Counts a batch as what it holds, anything else as the CDK does."""
        if isinstance(message, Batch):
            stream_message_count[message_utils.get_stream_descriptor(message)] += message.count
            return message
        return AirbyteEntrypoint.handle_record_counts(message, stream_message_count)


def run(args: Sequence[str] | None = None) -> None:
    """Runs the command line; ends the process with its exit code.

    Args:
        args: The arguments after the program's name; those of the process if None.
    """
    share_one_heap()
    _buffer_stdout()
    # A log line that finds no reader is no error of its own: the next message ends the process.
    logging.raiseExceptions = False
    interrupted = threading.Event()
    source = SourcePlanetscale(batched=True, interrupted=interrupted)
    stdout = Stdout(sys.stdout.buffer)
    entrypoint = Entrypoint(source, stdout)
    parsed = entrypoint.parse_args(list(sys.argv[1:] if args is None else args))
    signals = _Signals(interrupted, graceful=parsed.command == "read")
    try:
        with traced_errors(), closing(_channel(parsed.command, stdout, interrupted)) as channel:
            entrypoint.write(parsed, channel)
    except BrokenPipeError:
        _silence_stdout()
        sys.exit(_BROKEN_PIPE_EXIT)
    except AirbyteTracedException as error:
        if signals.received:
            sys.exit(128 + signals.received)
        if parsed.command != "check" or error.failure_type is not FailureType.config_error:
            raise
        _write_failed_check(entrypoint, error)


def _channel(command: str, stdout: Stdout, interrupted: threading.Event) -> Channel:
    """The platform's variables are there for every command, but mean the read alone."""
    return channel_of(os.environ if command == "read" else {}, stdout, interrupted)


class _Signals:
    """Turns SIGTERM and SIGINT into an orderly end; the second one ends the process at once."""

    def __init__(self, interrupted: threading.Event, *, graceful: bool) -> None:
        self.received = 0
        self._interrupted = interrupted
        for number in (signal.SIGTERM, signal.SIGINT):
            # PyAirbyte takes an end by the signal itself, and no exit code, for the one it asked for.
            signal.signal(number, self._handle if graceful else signal.SIG_DFL)

    def _handle(self, number: int, _frame: object) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
        self._interrupted.set()


def _buffer_stdout() -> None:
    # With PYTHONUNBUFFERED, which images set, stdout is the raw file: a write that a signal interrupts ends
    # in the middle of a line without an error, and log lines of other threads can stand within a batch.
    if isinstance(sys.stdout.buffer, io.RawIOBase):
        out = open(sys.stdout.fileno(), "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the process ends; a descriptor, no path
        # The CDK's logger writes to the latter.
        sys.stdout = sys.__stdout__ = out  # type: ignore[misc]  # declared final


def _write_failed_check(entrypoint: Entrypoint, error: AirbyteTracedException) -> None:
    status = error.as_connection_status_message()
    if status is not None:
        sys.stdout.buffer.write(entrypoint.airbyte_message_to_string(status).encode() + b"\n")
        sys.stdout.buffer.flush()


def _silence_stdout() -> None:
    # What is still buffered has no reader; without this the interpreter complains at its exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
