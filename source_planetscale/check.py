"""Whether a configuration works: both ports are tried as a sync would use them."""

from __future__ import annotations

import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from source_planetscale.follow.positions import ShardPositions
from source_planetscale.mysql.database import Database
from source_planetscale.mysql.shards import selected_shards
from source_planetscale.tls import explain, try_http2
from source_planetscale.vstream.client import VStreamClient

if TYPE_CHECKING:
    from source_planetscale.config import Config
    from source_planetscale.endpoint import Endpoint

# A person waits for the answer.
_SECONDS = 20.0


def check(config: Config) -> None:
    """Logs in over MySQL, reads the schema, and opens a VStream on the first shard.

    Args:
        config: The configuration.

    Raises:
        SourceError: The first thing that does not work, and what to do about it.
    """
    with config.reached() as reached:
        _check(reached)


def _check(config: Config) -> None:
    database = Database(config.mysql, config.keyspace)
    database.ping()
    shards = selected_shards(config.keyspace, database.shards())
    tables = database.tables()
    _try_grpc(config.grpc)
    client = VStreamClient(config.grpc, config.keyspace)
    try:
        quick = replace(config.patience, max_retries=0, timeout_seconds=min(config.timeout_seconds, _SECONDS))
        # The table only stands in the request's filter: a keyspace without tables can be checked as well.
        table = tables[0].name if tables else "none"
        ShardPositions(quick, client, database, threading.Event()).stop(shards[0], table)
    finally:
        client.close()


def _try_grpc(endpoint: Endpoint) -> None:
    # gRPC tells of a failed handshake in words of its library's, and of some failures nothing.
    if endpoint.tls is None:
        return
    try:
        try_http2(endpoint, endpoint.tls)
    except ssl.SSLError as error:
        raise explain(error, endpoint, "grpc_port") from None
    except OSError:
        # The stream itself says it as well as this could.
        return
