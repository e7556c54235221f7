"""Runs one replica-equals-source proof: several syncs in a row, with faults, from one seed."""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from embedded_database.relay import LinkFault, Relay, cut, delay, refuse, stall
from integration_tests.replica.designs import random_design
from integration_tests.replica.replica import Difference, Replica, Source, Tally, Writer
from integration_tests.replica.upsets import no_upsets
from integration_tests.support.command import Command, configured
from integration_tests.support.tables import create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from embedded_database.contract.database import Database
    from integration_tests.replica.designs import TableDesign
    from integration_tests.replica.upsets import Upset, Upsets
    from integration_tests.support.command import Run

# A sync of these small tables that takes longer hangs.
SYNC_SECONDS = 150.0
# Small packets: a copy of few rows has many places where it can be cut.
PACKET_BYTES = 20_000
_CALM_SYNCS = 3
_KEYSPACE = "shop"


@dataclass
class Proof:
    """One proof.

    Attributes:
        database: The database, whose keyspace `shop` gets the tables.
        seed: Decides everything but the timing.
        tally: Where to count.
        syncs: How many syncs meet faults.
        tables: How many tables.
        upsets: What happens to the servers during syncs.
        log: Where to tell what is going on.
    """

    database: Database
    seed: int
    tally: Tally
    syncs: int = 5
    tables: int = 4
    upsets: Upsets = no_upsets
    log: Callable[[str], None] = print
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seeds the chance."""
        self._chance = random.Random(self.seed)  # noqa: S311 - a test's choices

    def run(self) -> None:
        """Runs the proof.

        Raises:
            Difference: The replica differs from the source; the text has the seed.
        """
        chance = self._chance
        cdc = chance.random() < 0.5
        designs = [random_design(f"proof_{index}", chance) for index in range(self.tables)]
        described = (
            f"seed {self.seed}, change columns {'on' if cdc else 'off'}, {', '.join(map(str, designs))}"
        )
        self.log(described)
        try:
            self._run(designs, cdc=cdc)
        except Exception as error:
            raise Difference(f"{error}\nReplay it: {described}") from error

    def _run(self, designs: Sequence[TableDesign], *, cdc: bool) -> None:
        create(self.database, _KEYSPACE, *(design.ddl for design in designs))
        source = Source(self.database.config(_KEYSPACE), self.database.shards(_KEYSPACE), designs)
        for design in designs:
            Writer(source, self._chance).fill(design, self._chance.choice((0, 10, 300, 2000)))
        replica = Replica(source, cdc=cdc, tally=self.tally)
        with Relay(self.database.grpc_port) as relay:
            for _ in range(self.syncs):
                self._sync(source, replica, relay, cdc=cdc, calm=False)
            for _ in range(_CALM_SYNCS):
                run = self._sync(source, replica, relay, cdc=cdc, calm=True)
                if run.exit_code == 0:
                    break
            else:
                raise Difference(f"no sync without faults succeeded: {run.output[-3000:]}")
        replica.check_equal()
        self.tally.counts["proofs"] += 1

    def _sync(self, source: Source, replica: Replica, relay: Relay, *, cdc: bool, calm: bool) -> Run:
        chance = self._chance
        tables = source.tables
        if not calm:
            # The others fall behind, so that streams stand at different positions of one log.
            tables = chance.sample(tables, chance.randint(1, len(tables)))
            if chance.random() < 0.1:
                self.tally.counts["cleared streams"] += 1
                replica.clear(tables[0])
        replica.before_sync(tables)
        config = {
            **self.database.config(_KEYSPACE),
            "grpc_port": relay.port,
            "include_cdc_columns": cdc,
            "timeout_seconds": 60 if calm else 4,
            "max_retries": chance.choice((0, 1, 3)),
            "checkpoint_target_interval_seconds": 1,
        }
        relay.heal()
        relay.met.clear()
        if not calm:
            relay.plan(*_link_faults(chance))
        writer = Writer(source, chance) if not calm and chance.random() < 0.7 else None
        upset = self.upsets(chance) if not calm else None
        catalog = configured(*(table.name for table in tables), namespace=source.keyspace)
        started = time.monotonic()
        with _alongside(writer, upset, self.tally):
            run = _run_until(
                Command(["read"], config, catalog, replica.state or None, warm=True),
                _End.chosen(chance) if not calm else None,
            )
        self.log(
            f"  {time.monotonic() - started:.1f} s, exit {run.exit_code}, {len(relay.met)} connections hit"
        )
        for fault in relay.met:
            self.tally.counts[f"{fault.kind.value} connections"] += 1
        replica.after_sync(run, keep_uncovered=chance.random() < 0.5)
        return run


@dataclass(frozen=True)
class _End:
    """How the platform ends a sync early: by a signal after some records."""

    number: signal.Signals
    records: int

    @classmethod
    def chosen(cls, chance: random.Random) -> _End | None:
        """Picks one, or None to let the sync end by itself."""
        if chance.random() < 0.75:
            return None
        number = chance.choice((signal.SIGTERM, signal.SIGINT, signal.SIGKILL))
        return cls(number, chance.choice((1, 50, 500)))


def _run_until(command: Command, end: _End | None) -> Run:
    killed = False

    def kill() -> None:
        nonlocal killed
        killed = True
        command.signal(signal.SIGKILL)

    with command:
        watchdog = threading.Timer(SYNC_SECONDS, kill)
        watchdog.start()
        try:
            if end is not None:
                with suppress(AssertionError):
                    for _ in range(end.records):
                        command.next_message("RECORD")
                    command.signal(end.number)
            run = command.finish()
        finally:
            watchdog.cancel()
    if killed:
        raise Difference(f"a sync hung: {run.output[-3000:]}")
    return run.without_cut_line()


def _link_faults(chance: random.Random) -> list[LinkFault]:
    return [_link_fault(chance) for _ in range(chance.choice((0, 1, 2, 4, 8)))]


def _link_fault(chance: random.Random) -> LinkFault:
    kind = chance.random()
    after_bytes = int(10 ** chance.uniform(1.5, 6.3))
    if kind < 0.7:
        return cut(after_bytes)
    if kind < 0.8:
        return stall(after_bytes)
    return delay(0.002) if kind < 0.9 else refuse()


@contextmanager
def _alongside(writer: Writer | None, upset: Upset | None, tally: Tally) -> Iterator[None]:
    """Writes and upsets the servers while a sync runs."""
    upsetting = threading.Thread(target=upset.make, daemon=True) if upset else None
    if writer:
        writer.start()
    if upsetting:
        upsetting.start()
    try:
        yield
    finally:
        if upset and upsetting:
            upsetting.join()
            upset.end()
        if writer:
            writer.stop()
            tally.counts["transactions during syncs"] += writer.transactions
    if upset:
        tally.counts[upset.name] += 1
