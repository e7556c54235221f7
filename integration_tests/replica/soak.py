"""Proves for minutes or hours that a replica equals its source (`make soak`).

`--proof faults` meets random faults, `--proof altered` random statements that alter the tables.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from embedded_database import EmbeddedDatabase, Limits
from integration_tests.replica.altered import AlteredProof, AlteredTally
from integration_tests.replica.proof import PACKET_BYTES, Proof
from integration_tests.replica.replica import Difference, Tally
from integration_tests.replica.upsets import injected_faults, killed_servers
from integration_tests.vitess.cluster import VitessCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embedded_database.contract.database import Database
    from integration_tests.replica.upsets import Upsets


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.replica.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="the first seed; the clock's by default")
    parser.add_argument("--proof", choices=("faults", "altered"), default="faults")
    parser.add_argument("--database", choices=("vitess", "embedded"), default="vitess")
    parser.add_argument("--syncs", type=int, default=6, help="syncs with faults in each proof of faults")
    parser.add_argument("--steps", type=int, default=15, help="steps of each proof of altered tables")
    parser.add_argument("--tables", type=int, default=5, help="tables in each proof")
    return parser.parse_args(arguments)


def _proofs(options: argparse.Namespace, stack: ExitStack) -> tuple[Callable[[int], None], object]:
    """What proves one seed, and what it counts in."""
    if options.proof == "altered":
        if options.database != "vitess":
            raise SystemExit("Tables are altered on a real Vitess only: leave --database out.")
        cluster = stack.enter_context(VitessCluster.start({"src": 1}))
        altered = AlteredTally()
        return lambda seed: AlteredProof(cluster, seed, altered, options.tables).run(options.steps), altered
    database, upsets = _database(options.database, stack)
    tally = Tally()
    return (
        lambda seed: Proof(
            database, seed, tally, syncs=options.syncs, tables=options.tables, upsets=upsets
        ).run(),
        tally,
    )


def _database(name: str, stack: ExitStack) -> tuple[Database, Upsets]:
    if name == "embedded":
        embedded = stack.enter_context(EmbeddedDatabase(limits=Limits(packet_bytes=PACKET_BYTES)))
        return embedded, injected_faults(embedded)
    flags = (f"--vstream-packet-size={PACKET_BYTES}", "--vstream-dynamic-packet-size=false")
    cluster = stack.enter_context(VitessCluster.start({"shop": 2}, vtcombo_flags=flags))
    return cluster, killed_servers(cluster)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs proofs and goes on after a difference.

    Returns:
        The exit code: 0 if there was no difference.
    """
    options = _arguments(arguments)
    seed = options.seed if options.seed is not None else int(time.time())
    deadline = time.monotonic() + options.minutes * 60
    differences = 0
    with ExitStack() as stack:
        prove, tally = _proofs(options, stack)
        while time.monotonic() < deadline:
            try:
                prove(seed)
            except Difference as difference:
                differences += 1
                print(f"DIFFERENCE: {difference}", flush=True)
            print(f"So far {differences} differences; {tally}", flush=True)
            seed += 1
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
