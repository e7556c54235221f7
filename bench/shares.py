"""A prototype of processes that each own a share of the shards and a socket, fed from a recorded stream.

`python -m bench.shares record FILE --config ... --catalog ...` receives the copy of a table and keeps it.
`python -m bench.shares write FILE CONFIG CATALOG SHARDS SOCKET ...` makes records of it as often as it has
shards and sends them to sockets, from the moment on in which it is told to on stdin.
"""

from __future__ import annotations

import json
import pickle
import sys
import threading
from pathlib import Path

from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from bench.floor import responses
from source_planetscale.config import Config
from source_planetscale.mysql.database import Database
from source_planetscale.output.sockets import Sockets
from source_planetscale.output.streams import OutputStreams
from source_planetscale.records.batches import BatchMaker
from source_planetscale.records.protobuf import Protobuf
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import ShardReader
from source_planetscale.vstream.table_reader import TableReader


def _write(recording: Path, files: tuple[Path, Path], shards: int, paths: list[Path]) -> None:
    config = Config.parse(json.loads(files[0].read_text()))
    catalog = ConfiguredAirbyteCatalogSerializer.load(json.loads(files[1].read_text()))
    stream = catalog.streams[0].stream
    (table,) = Database(config.mysql, config.keyspace).tables({stream.name})
    raws = pickle.loads(recording.read_bytes())  # noqa: S301 - of this program
    layout = OutputStreams(catalog, Protobuf()).find(stream.name, stream.namespace)
    sockets = Sockets(paths, threading.Event())
    sockets.accept()
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
                sockets.send(sockets.free(), batch.laid_out(layout.layout, layout.partition))
    sockets.close()


def main() -> None:
    """Records, or writes."""
    what, recording, *more = sys.argv[1:]
    if what == "record":
        Path(recording).write_bytes(pickle.dumps(list(responses(more))))
    else:
        config, catalog, shards, *paths = more
        _write(Path(recording), (Path(config), Path(catalog)), int(shards), list(map(Path, paths)))


if __name__ == "__main__":
    main()
