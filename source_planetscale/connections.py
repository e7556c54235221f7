"""The connections to keyspaces with which shards are read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from source_planetscale.follow.core import Core, StreamCount
from source_planetscale.follow.positions import ShardPositions
from source_planetscale.mysql.database import Database
from source_planetscale.vstream.client import VStreamClient

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from source_planetscale.config import Config


def connections(
    config: Config,
    logger: logging.Logger,
    interrupted: threading.Event,
    turn: threading.Lock | None = None,
) -> Callable[[str], Core]:
    """Gives what makes the connections to a keyspace, by its name; nothing is connected yet.

    Args:
        config: The configuration.
        logger: Where a person follows the reading.
        interrupted: Set to end waits.
        turn: What `Core.turn` is; a lock of all these keyspaces' own if None.
    """
    turn, opened = turn or threading.Lock(), StreamCount()

    def connect(name: str) -> Core:
        keyspace = config.keyspace_named(name)
        database = Database(config.mysql, keyspace)
        client = VStreamClient(config.grpc, keyspace)
        return Core(
            client,
            database,
            ShardPositions(config.patience, client, database, interrupted),
            config.patience,
            logger,
            track_changes=config.include_cdc_columns or config.include_metadata,
            turn=turn,
            opened=opened,
        )

    return connect
