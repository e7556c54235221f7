"""Receives what a read receives and throws it away: the least that any client of VStream can take.

`python -m bench.floor --config ... --catalog ... [--state ...]` writes one line of JSON: seconds, CPU
seconds, bytes and responses, without the start of Python. With `--parse` it parses each response
and looks for the position in it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from source_planetscale.config import Config
from source_planetscale.vstream.client import VStreamClient
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORT = 4096
_POSITION_SECONDS = 30.0


def responses(options: list[str]) -> Iterator[bytes]:
    """The responses of the first shard, up to the end of a table's copy or the position of this moment."""
    parser = argparse.ArgumentParser()
    for name in ("config", "catalog", "state"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--parse", action="store_true")
    files = parser.parse_args(options)
    config = Config.parse(json.loads(Path(files.config).read_text()))
    streams = json.loads(Path(files.catalog).read_text())["streams"]
    tables = [stream["stream"]["name"] for stream in streams]
    cursor, end = Cursor(config.database, config.shards[0]), ""
    client = VStreamClient(config.grpc, config.keyspace)
    if files.state:
        state = json.loads(Path(files.state).read_text())[0]["stream"]["stream_state"]
        saved = state["shards"][cursor.shard]["cursor"]
        cursor = Cursor.decode(saved, keyspace=cursor.keyspace, shard=cursor.shard)
        end = client.current_position(tables[0], cursor.shard, _POSITION_SECONDS)
    call = client.open(cursor, tables, cursor.shard)
    # From its own position a shard sends nothing until something is written.
    for raw in () if end and end == cursor.position else call:
        yield raw
        if _positioned(raw, end) if files.parse else end.encode() in raw if end else _copied(raw):
            break
    call.cancel()
    client.close()


def _positioned(raw: bytes, end: str) -> bool:
    for event in wire.VStreamResponse.FromString(raw).events:
        if event.type == wire.VGTID and event.vgtid.shard_gtids[0].gtid == end:
            return True
    return False


def _copied(raw: bytes) -> bool:
    return len(raw) < _SHORT and any(
        event.type == wire.COPY_COMPLETED for event in wire.VStreamResponse.FromString(raw).events
    )


def main() -> None:
    """Measures and writes."""
    started, cpu = time.monotonic(), time.process_time()
    sizes = [len(raw) for raw in responses(sys.argv[1:])]
    result = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - cpu,
        "bytes": sum(sizes),
        "responses": len(sizes),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
