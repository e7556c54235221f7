"""What all reads of one sync share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from source_planetscale.config import Config
    from source_planetscale.follow.positions import ShardPositions
    from source_planetscale.mysql.database import Database
    from source_planetscale.records.sequence import ChangeSequence
    from source_planetscale.vstream.client import VStreamClient


@dataclass(frozen=True)
class Sync:
    """The connections, numbers and switches of one sync.

    Attributes:
        config: The configuration.
        client: Opens streams.
        database: Describes tables.
        positions: What is known of the shards' positions.
        records: Numbers the records of the whole sync.
        logger: Where a person follows the sync.
        interrupted: Set when the process is told to stop.
        batched: Whether records leave in batches of finished lines or one by one.
        turn: Held by the thread that makes records and hands them over. The interpreter runs one thread at a
            time in any case; so only one of them holds its rows in all their forms.
    """

    config: Config
    client: VStreamClient
    database: Database
    positions: ShardPositions
    records: ChangeSequence
    logger: logging.Logger
    interrupted: threading.Event
    batched: bool
    turn: threading.Lock = field(default_factory=threading.Lock)
