"""Records of a recorded stream, without a server that they wait for: over sockets, or over a pipe.

`python -m bench.shares record FILE --config ... --catalog ...` receives the copy of a table and keeps it.
`python -m bench.shares write FILE CONFIG CATALOG SHARDS FORMAT PATH ...` makes records of it as often as it
has shards and sends them to sockets, or as stdout to a named pipe, from the moment on in which it is told to
on stdin. Several of them are a prototype of processes that each own a share of the shards and a socket.
"""

from __future__ import annotations

import json
import pickle
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from bench.floor import responses
from source_planetscale.config import Config
from source_planetscale.mysql.database import Database
from source_planetscale.output.sockets import Sockets
from source_planetscale.output.stdout import Stdout, StdoutChannel
from source_planetscale.output.streams import OutputStreams
from source_planetscale.records.batches import BatchMaker
from source_planetscale.records.jsonl import JsonLines
from source_planetscale.records.protobuf import Protobuf
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import ShardReader
from source_planetscale.vstream.table_reader import TableReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from source_planetscale.output.streams import OutputStream
    from source_planetscale.records.message import RecordBatch


def _write(
    recording: Path, files: tuple[Path, Path], shards: int, serialization: str, paths: list[Path]
) -> None:
    config = Config.parse(json.loads(files[0].read_text()))
    catalog = ConfiguredAirbyteCatalogSerializer.load(json.loads(files[1].read_text()))
    stream = catalog.streams[0].stream
    (table,) = Database(config.mysql, config.keyspace).tables({stream.name})
    raws = pickle.loads(recording.read_bytes())  # noqa: S301 - of this program
    with ExitStack() as stack:
        if paths[0].is_fifo():
            send = _to_pipe(stack.enter_context(paths[0].open("wb")))
        else:
            form = Protobuf() if serialization == "PROTOBUF" else JsonLines()
            sockets = stack.enter_context(closing(Sockets(paths, threading.Event())))
            send = _to_sockets(sockets, OutputStreams(catalog, form).find(stream.name, stream.namespace))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        for _ in range(shards):
            cursor = Cursor(table.keyspace, config.shards[0])
            reader = ShardReader([TableReader(table, cursor)], Position.parse("MySQL56/"))
            batches = BatchMaker(table, config, ChangeSequence(0, 0), ChangeSequence(0, 0))
            for raw in raws:
                batch = batches.batch(reader.read(raw), cursor.shard)
                if batch:
                    send(batch)


def _to_pipe(pipe: BinaryIO) -> Callable[[RecordBatch], None]:
    return StdoutChannel(Stdout(pipe)).emit


def _to_sockets(sockets: Sockets, stream: OutputStream) -> Callable[[RecordBatch], None]:
    sockets.accept()
    return lambda batch: sockets.send(sockets.free(), batch.laid_out(stream.layout, stream.partition))


def main() -> None:
    """Records, or writes."""
    what, recording, *more = sys.argv[1:]
    if what == "record":
        Path(recording).write_bytes(pickle.dumps(list(responses(more))))
    else:
        config, catalog, shards, serialization, *paths = more
        files = (Path(config), Path(catalog))
        _write(Path(recording), files, int(shards), serialization, list(map(Path, paths)))


if __name__ == "__main__":
    main()
