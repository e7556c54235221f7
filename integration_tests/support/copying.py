"""Has things happen in the middle of what the connector reads from a real cluster."""

from __future__ import annotations

import signal
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from embedded_database.relay import Relay, hold
from integration_tests.support.command import Command, configured
from integration_tests.vitess.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from integration_tests.support.command import Run
    from integration_tests.vitess.real_cluster import RealCluster
    from integration_tests.vitess.tablets import Tablet

SECONDS = 60.0
LONGEST_SECONDS = 180.0


def read_around(
    cluster: RealCluster,
    config: Mapping[str, object],
    table: str,
    meanwhile: Callable[[], object],
    *,
    state: object = None,
    after_bytes: int = 300_000,
    seconds: float = LONGEST_SECONDS,
) -> Run:
    """Reads a table, and has something happen while the connector receives nothing in the middle of it.

    What the server sends meanwhile fills buffers: a copy of less than some megabytes is over for it.

    Args:
        cluster: Where.
        config: The connector's configuration.
        table: The table.
        meanwhile: What happens.
        state: The state to go on from.
        after_bytes: How much the connector has received before.
        seconds: A sync that goes on for so long after that hangs.

    Raises:
        AssertionError: It hangs.
    """
    with Relay(cluster.grpc_port) as proxy:
        proxy.plan(hold(after_bytes))
        config = {**config, "grpc_port": proxy.port}
        catalog = configured(table, namespace=str(config["database"]))
        with Command(["read"], config, catalog, state, warm=True) as command:
            wait_until(lambda: bool(proxy.met), f"{table} is being read", SECONDS)
            meanwhile()
            proxy.resume()
            return finish_within(command, seconds)


def finish_within(command: Command, seconds: float = LONGEST_SECONDS) -> Run:
    """Waits for the end of a command, which is killed if it hangs.

    Raises:
        AssertionError: It hangs.
    """
    watchdog = threading.Timer(seconds, command.signal, [signal.SIGKILL])
    watchdog.start()
    try:
        done = command.finish()
    finally:
        watchdog.cancel()
    assert done.exit_code != -signal.SIGKILL, f"the sync goes on after {seconds:g} s: {done.logs[-5:]}"
    return done


def is_copying(tablet: Tablet, table: str) -> bool:
    """Whether a tablet's MySQL server reads a table for a copy."""
    return bool(
        tablet.execute(
            "select 1 from information_schema.processlist where user = 'vt_filtered'"  # noqa: S608 - our own
            f" and info like 'select %from {table} %'"
        )
    )


def fill(tablet: Tablet, table: str, rows: int, values: str) -> None:
    """Inserts many rows at once, on the MySQL server of a shard's primary.

    Args:
        tablet: The primary.
        table: The table.
        rows: How many.
        values: Expressions for all columns, of the row's number `n` from 1 on.
    """
    with closing(tablet.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"set cte_max_recursion_depth = {rows}")
        cursor.execute(
            f"insert into {tablet.database}.{table}"  # noqa: S608 - our own
            " with recursive numbers (n) as"
            f" (select 1 union all select n + 1 from numbers where n < {rows})"
            f" select {values} from numbers"
        )
