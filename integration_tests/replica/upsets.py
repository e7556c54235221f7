"""Faults of the servers themselves, which the replica-equals-source proof makes while a sync runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    from embedded_database import EmbeddedDatabase
    from integration_tests.vitess.cluster import VitessCluster


@dataclass(frozen=True)
class Upset:
    """A fault of the servers themselves.

    Attributes:
        name: For the tally.
        make: Makes it, and returns once the servers serve again.
        end: Ends what is left of it after the sync: a slow server would be slower with every fault, and
            the next sync may be one without faults.
    """

    name: str
    make: Callable[[], None]
    end: Callable[[], None] = lambda: None


# Picks what happens to the servers during one sync, None for nothing.
Upsets = Callable[["random.Random"], "Upset | None"]


def no_upsets(_: random.Random) -> None:
    """Leaves the servers alone."""


def killed_servers(cluster: VitessCluster) -> Upsets:
    """Kills a server of a real Vitess in one sync of ten."""

    def choose(chance: random.Random) -> Upset | None:
        if chance.random() > 0.1:
            return None
        wait = chance.uniform(0.8, 2.0)
        return (
            Upset("killed vtgates", lambda: restart_vtgate(wait))
            if chance.random() < 0.5
            else Upset("killed MySQL servers", lambda: restart_mysqld(wait))
        )

    def restart_vtgate(wait: float) -> None:
        time.sleep(wait)
        cluster.kill_vtgate()
        cluster.start_vtgate()

    def restart_mysqld(wait: float) -> None:
        time.sleep(wait)
        cluster.kill_mysqld()
        cluster.restart_mysqld()

    return choose


def injected_faults(database: EmbeddedDatabase) -> Upsets:
    """Makes a fault of the embedded database in one sync of three."""

    def choose(chance: random.Random) -> Upset | None:
        if chance.random() > 0.3:
            return None
        kind = chance.choice(("error", "stall", "slow"))
        settings: dict[str, Any] = {
            "error": {"after_events": chance.randrange(200)},
            "stall": {"after_events": chance.randrange(200), "heartbeats": chance.random() < 0.5},
            "slow": {"bytes_per_second": 2_000_000},
        }[kind]
        return Upset(
            f"faults of kind {kind}", lambda: database.fault(kind, **settings), database.clear_faults
        )

    return choose
