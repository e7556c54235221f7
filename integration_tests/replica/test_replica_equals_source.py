"""Whatever happens during the syncs, a destination that applies their records equals the source.

Each proof prints its seed; PROOF_SEED=N runs that one alone.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from embedded_database import EmbeddedDatabase, Limits
from integration_tests.replica.proof import PACKET_BYTES, Proof
from integration_tests.replica.replica import Tally
from integration_tests.replica.upsets import injected_faults

if TYPE_CHECKING:
    from integration_tests.vitess.cluster import VitessCluster

PROOF_SEED = "PROOF_SEED"
# One of them with change columns, one without.
SEEDS = [1, 2]


def seeds() -> list[int]:
    chosen = os.environ.get(PROOF_SEED)
    return [int(chosen)] if chosen else [*SEEDS, random.randrange(10**9)]  # noqa: S311 - a test's choices


@pytest.mark.parametrize("index", range(len(SEEDS) + 1))
def test_a_replica_equals_a_real_vitess_through_cut_and_killed_syncs(
    vitess: VitessCluster, index: int
) -> None:
    for seed in seeds()[index : index + 1]:
        Proof(vitess, seed, Tally(), syncs=4, tables=3).run()


@pytest.mark.parametrize("index", range(len(SEEDS)))
def test_a_replica_equals_the_embedded_database_through_injected_faults(index: int) -> None:
    with EmbeddedDatabase(limits=Limits(packet_bytes=PACKET_BYTES)) as database:
        for seed in seeds()[index : index + 1]:
            upsets = injected_faults(database)
            Proof(database, seed, Tally(), syncs=4, tables=3, upsets=upsets).run()
