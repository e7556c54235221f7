"""Compares batches of lines with an object a row, in one process and from the same responses.

`python -m bench.objects --config ... --catalog ...` receives a table, then makes its
records twice: as the connector does, and in the plain way of a CDK source, a dictionary and a message for
each row that the CDK's entry point serializes. It writes one line of JSON: rows, and CPU seconds of both.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type

from bench.floor import responses
from source_planetscale.columns import json_schema
from source_planetscale.config import Config
from source_planetscale.mysql.database import Database
from source_planetscale.records.batches import BatchMaker
from source_planetscale.records.message import batch_of
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.vstream.lastpk import cells
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import ShardReader
from source_planetscale.vstream.table_reader import TableReader
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from source_planetscale.table import Column, Table

_ROUNDS = 3
_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": lambda text: text != "0",
    "string": str,
}


def _lines(raws: Sequence[bytes], table: Table, config: Config) -> int:
    cursor = Cursor(table.keyspace, config.shards[0])
    reader = ShardReader([TableReader(table, cursor)], Position.parse("MySQL56/"))
    batches = BatchMaker(table, config, ChangeSequence(0, 0), ChangeSequence(0, 0))
    count = 0
    for raw in raws:
        batch = batch_of(batches, reader.read(raw), cursor.shard)
        count += batch.text.count(b"\n") if batch else 0
    return count


def _objects(raws: Sequence[bytes], table: Table, _config: Config) -> int:
    converters = [(column.name, _converter(column)) for column in table.columns]
    count = 0
    for raw in raws:
        for event in wire.VStreamResponse.FromString(raw).events:
            for change in event.row_event.row_changes:
                data = {
                    name: None if value is None else convert(value.decode())
                    for (name, convert), value in zip(converters, cells(change.after), strict=True)
                }
                record = AirbyteRecordMessage(table.name, data, 0, namespace=table.keyspace)
                message = AirbyteMessage(type=Type.RECORD, record=record)
                AirbyteEntrypoint.airbyte_message_to_string(message)
                count += 1
    return count


def _converter(column: Column) -> Callable[[str], Any]:
    schema = json_schema(column, tinyint1_as_boolean=True)
    kind = schema.get("airbyte_type") if schema.get("airbyte_type") == "integer" else schema["type"][-1]
    return _CONVERTERS[str(kind)]


def main() -> None:
    """Measures and writes."""
    options = sys.argv[1:]
    parser = argparse.ArgumentParser()
    parser.add_argument("--config")
    files, _ = parser.parse_known_args(options)
    config = Config.parse(json.loads(Path(files.config).read_text()))
    raws = list(responses(options))
    name = json.loads(Path(options[options.index("--catalog") + 1]).read_text())["streams"][0]["stream"][
        "name"
    ]
    (table,) = Database(config.mysql, config.keyspace).tables({name})
    result: dict[str, float] = {}
    for make, key in ((_lines, "lines"), (_objects, "objects")) * _ROUNDS:
        started = time.process_time()
        result["rows"] = make(raws, table, config)
        result[key] = min(result.get(key, float("inf")), time.process_time() - started)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
