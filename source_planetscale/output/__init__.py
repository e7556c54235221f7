"""The way out of a read: Airbyte's data channels, which carry what the layouts of `records` make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.output.data_channel import DataChannel, Medium, Serialization
from source_planetscale.output.socket_channel import SocketChannel
from source_planetscale.output.sockets import Sockets
from source_planetscale.output.stdout import StdoutChannel
from source_planetscale.records.jsonl import JsonLines
from source_planetscale.records.protobuf import Protobuf

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from source_planetscale.output.channel import Channel
    from source_planetscale.output.stdout import Stdout


def channel_of(environment: Mapping[str, str], stdout: Stdout, interrupted: threading.Event) -> Channel:
    """Makes the channel that the environment asks for; sockets take clients from here on.

    Args:
        environment: The environment variables.
        stdout: Where the platform reads.
        interrupted: Set to end the read; the channel sets it too, when its other end is lost.

    Raises:
        ConfigError: The environment asks for what is not there.
    """
    chosen = DataChannel.of(environment)
    if chosen.medium is Medium.STDIO:
        return StdoutChannel(stdout)
    form = Protobuf() if chosen.serialization is Serialization.PROTOBUF else JsonLines()
    return SocketChannel(Sockets(chosen.paths, interrupted), stdout, form)
