"""The databases that the replica-equals-source proof runs on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from integration_tests.replica.proof import Upset
from integration_tests.support import tables

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from embedded_database.database import EmbeddedDatabase
    from integration_tests.vitess.cluster import VitessCluster

# Small packets: a copy of few rows has many places where it can be cut.
PACKET_BYTES = 20_000


class VitessTarget:
    """A real Vitess.

    Attributes:
        keyspace: The keyspace with two shards.
        shards: Their names.
    """

    def __init__(self, cluster: VitessCluster, *, kill_servers: bool) -> None:
        """Takes a running cluster; its servers are killed now and then if wanted."""
        self.keyspace = "shop"
        self.shards: Sequence[str] = cluster.shards(self.keyspace)
        self._cluster = cluster
        self._kill_servers = kill_servers

    def config(self) -> dict[str, Any]:
        """The connector's configuration."""
        return self._cluster.config(self.keyspace)

    def create(self, ddls: Sequence[str]) -> None:
        """Creates tables, anew where they exist."""
        tables.create(self._cluster, self.keyspace, *ddls)

    def upset(self, chance: random.Random) -> Upset | None:
        """Picks a killed server in one sync of ten."""
        if not self._kill_servers or chance.random() > 0.1:
            return None
        wait = chance.uniform(0.8, 2.0)
        return (
            Upset("killed vtgates", lambda: self._restart_vtgate(wait))
            if chance.random() < 0.5
            else Upset("killed MySQL servers", lambda: self._restart_mysqld(wait))
        )

    def _restart_vtgate(self, wait: float) -> None:
        time.sleep(wait)
        self._cluster.kill_vtgate()
        self._cluster.start_vtgate()

    def _restart_mysqld(self, wait: float) -> None:
        time.sleep(wait)
        self._cluster.kill_mysqld()
        self._cluster.restart_mysqld()


class LocalTarget:
    """The embedded database.

    Attributes:
        keyspace: The keyspace with two shards.
        shards: Their names.
    """

    def __init__(self, database: EmbeddedDatabase) -> None:
        """Takes a running database."""
        self.keyspace = "shop"
        self.shards: Sequence[str] = ("-80", "80-")
        self._database = database

    def config(self) -> dict[str, Any]:
        """The connector's configuration."""
        return self._database.config(self.keyspace)

    def create(self, ddls: Sequence[str]) -> None:
        """Creates tables, anew where they exist."""
        for ddl in ddls:
            self._database.execute(f"drop table if exists {ddl.split()[2]}", self.keyspace)
            self._database.execute(ddl, self.keyspace)

    def upset(self, chance: random.Random) -> Upset | None:
        """Picks a fault of the embedded database in one sync of three."""
        if chance.random() > 0.3:
            return None
        kind = chance.choice(("error", "stall", "slow"))
        settings: dict[str, Any] = {
            "error": {"after_events": chance.randrange(200)},
            "stall": {"after_events": chance.randrange(200), "heartbeats": chance.random() < 0.5},
            "slow": {"bytes_per_second": 2_000_000},
        }[kind]
        return Upset(
            f"faults of kind {kind}",
            lambda: self._database.fault(kind, **settings),
            self._database.clear_faults,
        )
