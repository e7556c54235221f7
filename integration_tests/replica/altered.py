"""The proof that no row is read by the wrong columns: random direct DDL and changes between random syncs."""

from __future__ import annotations

import random
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from integration_tests.replica.altered_table import AlteredTable
from integration_tests.replica.replica import Difference
from integration_tests.support.command import Command, configured, read
from integration_tests.support.destination import DedupedTable

if TYPE_CHECKING:
    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

# Why a table may not be read on.
_LABELS = "that has an ENUM or SET column"
_UNTOLD = "the statements in between do not tell with which columns the rows were written"


@dataclass
class AlteredTally:
    """What the tables of proofs went through.

    Attributes:
        tables: How many there were.
        alters: How many statements altered them.
        syncs: How many syncs read them.
        refusals: How often one of them was not read on, for a good reason.
    """

    tables: int = 0
    alters: int = 0
    syncs: int = 0
    refusals: int = 0

    def __str__(self) -> str:
        """All counts in one line."""
        return ", ".join(f"{count} {name}" for name, count in vars(self).items())


class AlteredProof:
    """Random tables and their syncs, which depend on the seed alone."""

    def __init__(self, vitess: VitessCluster, seed: int, tally: AlteredTally, tables: int) -> None:
        """Makes the tables.

        Args:
            vitess: A cluster with the keyspace `src` of one shard.
            seed: What everything at random depends on.
            tally: Is counted on.
            tables: How many there are to be.
        """
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - a test's choices
        self._config = vitess.config("src", include_cdc_columns=True, max_retries=2, timeout_seconds=20)
        self._tally = tally
        names = [f"altered{number}" for number in range(tables)]
        self._tables = {
            name: AlteredTable(vitess, name, random.Random(f"{seed} {name}"))  # noqa: S311 - as above
            for name in names
        }
        self._destinations = {name: DedupedTable(["id"]) for name in names}
        self._states: dict[str, Json] = {}
        tally.tables += tables

    def run(self, steps: int) -> None:
        """Writes, alters and reads so many times, then reads to the end.

        Raises:
            Difference: A destination is not what its source says it must be.
        """
        with ExitStack() as stack:
            for table in self._tables.values():
                stack.callback(table.close)
            self._live(steps)
        self._tally.alters += sum(table.alters for table in self._tables.values())

    def _live(self, steps: int) -> None:
        for _ in range(steps):
            for table in self._tables.values():
                self._chance.choice((table.write, table.write, table.write, table.alter))()
            if self._chance.random() < 0.3:
                self._sync(cuts=True)
        self._sync()

    def _sync(self, *, cuts: bool = False) -> None:
        self._tally.syncs += 1
        followed = set(self._states)
        is_cut = cuts and self._chance.random() < 0.3
        done = self._cut(after=self._chance.randint(1, 12)) if is_cut else self._read()
        self._states |= {state["stream"]["stream_descriptor"]["name"]: state for state in done.state}
        for name, table in self._tables.items():
            self._destinations[name].load(done.record_messages(name))
            table.note_read(max((record["rev"] for record in done.records(name)), default=0))
            status = (done.statuses(name) or ["no status"])[-1]
            table.log.append(f"-- {'a cut' if is_cut else 'a'} sync: {status}")
        if not is_cut:
            refused = [name for name in self._tables if not self._is_right(name, done, followed)]
            for name in refused:
                self._begin_anew(name)
            if refused:
                self._sync()

    def _read(self) -> Run:
        return read(self._config, *self._tables, state=list(self._states.values()) or None)

    def _cut(self, after: int) -> Run:
        """Reads on, and ends the sync with SIGTERM once so many records have come, if there are as many."""
        catalog = configured(*self._tables, namespace="src")
        with Command(["read"], self._config, catalog, list(self._states.values()) or None) as command:
            records = (line for line in command.lines() if '"type":"RECORD"' in line)
            if len(list(islice(records, after))) == after:
                command.signal(signal.SIGTERM)
            return command.finish()

    def _is_right(self, name: str, done: Run, followed: set[str]) -> bool:
        """Compares a table that was read to the end; tells of one that was not, for a good reason."""
        table = self._tables[name]
        if done.statuses(name)[-1] == "COMPLETE":
            difference = table.difference(self._destinations[name].by_key)
            if difference:
                raise self._difference(table, difference)
            table.note_end()
            return True
        (message,) = done.errors_of(name)
        expected = (table.labeled and _LABELS in message) or (table.untold and _UNTOLD in message)
        if not (expected and f"table {name}, shard 0" in message and name in followed):
            raise self._difference(table, f"it could not be read: {message}")
        self._tally.refusals += 1
        return False

    def _begin_anew(self, name: str) -> None:
        # As after 'Refresh this stream and remove its records'.
        del self._states[name]
        self._destinations[name] = DedupedTable(["id"])
        self._tables[name].begin_anew()

    def _difference(self, table: AlteredTable, words: str) -> Difference:
        life = ";\n".join(table.log)
        return Difference(f"Seed {self._seed}, table {table.name}: {words}.\n{life}")
