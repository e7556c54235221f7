"""The command: starts the database, prints one line of JSON once it is ready, stops on SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from typing import TYPE_CHECKING

from embedded_database.database import DEFAULT_USERS, EmbeddedDatabase
from embedded_database.sample import load_shop
from embedded_database.vstream.merged import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEYSPACES = re.compile(r"\w+:\d+(,\w+:\d+)*")
_SAMPLE_CUSTOMERS = 1000


def key_ranges(count: int) -> list[str]:
    """The names of so many shards of equal size: `0` for one, `-80` and `80-` for two."""
    if count == 1:
        return ["0"]
    bounds = [f"{256 * at // count:02x}" for at in range(1, count)]
    return [f"{low}-{high}" for low, high in zip(["", *bounds], [*bounds, ""], strict=True)]


def parse_keyspaces(text: str) -> dict[str, list[str]]:
    """Reads `shop:2,src:1`: keyspaces and their numbers of shards.

    Raises:
        argparse.ArgumentTypeError: The text is of another shape.
    """
    if not _KEYSPACES.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form keyspace:shards,...")
    pairs = (item.split(":") for item in text.split(","))
    return {name: key_ranges(int(count)) for name, count in pairs}


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m embedded_database",
        description="An embedded PlanetScale for trying and testing. Make faults over its MySQL port: "
        "set @@fault = 'cut keyspace=shop after_bytes=100000'; set @@fault = 'clear'.",
    )
    parser.add_argument("--keyspaces", type=parse_keyspaces, default=parse_keyspaces("shop:2,src:1"))
    parser.add_argument("--mysql-port", type=int, default=0, help="0 is any free port")
    parser.add_argument("--grpc-port", type=int, default=0, help="0 is any free port")
    parser.add_argument("--tls", action="store_true", help="TLS on both ports, by a certificate made now")
    parser.add_argument("--no-auth", action="store_true", help="let every user in")
    parser.add_argument(
        "--sample",
        type=int,
        nargs="?",
        const=_SAMPLE_CUSTOMERS,
        default=0,
        metavar="CUSTOMERS",
        help="fill the first keyspace with a shop of so many customers, five orders each",
    )
    parser.add_argument("--packet-bytes", type=int, default=Limits().packet_bytes)
    parser.add_argument("--fault", action="append", default=[], metavar="TEXT", help="as in @@fault")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs until SIGTERM or SIGINT."""
    options = _arguments(arguments)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with EmbeddedDatabase(
        options.keyspaces,
        users={} if options.no_auth else DEFAULT_USERS,
        tls=options.tls,
        limits=Limits(packet_bytes=options.packet_bytes),
        mysql_port=options.mysql_port,
        grpc_port=options.grpc_port,
    ) as database:
        keyspace = next(iter(options.keyspaces))
        if options.sample:
            load_shop(database, keyspace, options.sample)
        for fault in options.fault:
            database.execute(f"set @@fault = '{fault}'", keyspace)
        config = database.config(keyspace)
        ready = {
            "mysql_port": database.mysql_port,
            "grpc_port": database.grpc_port,
            "keyspaces": options.keyspaces,
            "config": config,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        stopped.wait()
