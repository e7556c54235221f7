"""Moves a keyspace to new shards as `Reshard SwitchTraffic` leaves it: rows copied, journals written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from embedded_database import gtid
from embedded_database.sql.dml import TableWriter
from embedded_database.storage import Shard, Transaction, physical
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedded_database.sql.session import Engine
    from embedded_database.storage import Storage


def reshard(engine: Engine, keyspace: str, names: Sequence[str]) -> None:
    """Copies all rows to new shards in one transaction of theirs, then writes each old shard's journal."""
    storage = engine.storage
    old = storage.serving(keyspace)
    new = [Shard(keyspace, name, serving=False) for name in names]
    copy = Transaction(storage)
    try:
        for shard in new:
            storage.add_shard(shard)
        for (owner, name), table in list(storage.tables.items()):
            if owner != keyspace:
                continue
            for shard in new:
                engine.tables.create_on(shard, table)
            writer = TableWriter(storage, copy, table, new)
            for shard in old:
                for row in storage.writer.execute(f"select * from {physical(shard, name)}").fetchall():  # noqa: S608 - a quoted name
                    writer.insert(row)
        # The new shards' positions come from their own log, so each must have a transaction.
        for shard in new:
            copy.entry(shard, "other", "", b"")
    except BaseException:
        copy.rollback()
        raise
    copy.commit()
    _switch(storage, keyspace, old, new)


def _switch(storage: Storage, keyspace: str, old: Sequence[Shard], new: Sequence[Shard]) -> None:
    journal = wire.Journal(
        id=time.time_ns() >> 10,
        migration_type=wire.SHARDS,
        tables=["/.*"],
        shard_gtids=[
            wire.ShardGtid(keyspace=keyspace, shard=s.name, gtid=gtid.FLAVOR + s.executed) for s in new
        ],
        participants=[wire.KeyspaceShard(keyspace=keyspace, shard=s.name) for s in old],
    )
    transaction = Transaction(storage)
    for shard in old:
        journal.local_position = gtid.FLAVOR + shard.executed
        transaction.entry(shard, "journal", "", journal.SerializeToString())
        shard.serving = False
    for shard in new:
        shard.serving = True
    transaction.commit()
