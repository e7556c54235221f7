"""A table on real Vitess, and what a destination has of it after some syncs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from integration_tests.support.command import read_well
from integration_tests.support.destination import DELETED_AT, DedupedTable, without_added_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from integration_tests.support.command import Run
    from integration_tests.vitess.vtgate import Vtgate


class FollowedTable:
    """A table that syncs follow; every sync asserts that the cursor of each key grows."""

    def __init__(self, vitess: Vtgate, keyspace: str, ddl: str, vindex: str | None = None) -> None:
        self.vitess = vitess
        self.keyspace = keyspace
        self.table = ddl.split()[2]
        vitess.execute(f"drop table if exists `{self.table}`", keyspace)
        vitess.create_table(keyspace, ddl, vindex, "xxhash")
        self.config = vitess.config(keyspace, include_cdc_columns=True)
        described = vitess.execute(
            f"show columns from `{self.table}`", f"{keyspace}:{vitess.shards(keyspace)[0]}"
        )
        self.columns = [row[0] for row in described]
        self.key = [row[0] for row in described if row[3] == "PRI"]
        self.deduped = DedupedTable(self.key or self.columns)
        self.state: object = None

    def sql(self, *statements: str) -> None:
        """Runs statements in one session, each in a transaction of its own unless they begin one."""
        with closing(self.vitess.connect(self.keyspace)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(self._named(statement))

    def insert(self, rows: Iterable[Sequence[object]]) -> None:
        """Inserts whole rows."""
        marks = ", ".join(["%s"] * len(self.columns))
        statement = self._named(f"insert into {{t}} values ({marks})")  # noqa: S608 - only placeholders
        self.vitess.execute_many(statement, self.keyspace, rows)

    def sync(self, **config: object) -> Run:
        """Reads from the last state and loads what came."""
        done = read_well({**self.config, **config}, self.table, state=self.state)
        self.load(done)
        return done

    def load(self, done: Run) -> None:
        """Loads what a run wrote, and goes on from its state."""
        self.deduped.load(done.record_messages(self.table))
        assert not self.key or self.deduped.late == []
        self.state = done.state or self.state

    def source(self) -> list[dict[str, Any]]:
        """The rows of the table in the order of its key."""
        with closing(self.vitess.connect(self.keyspace)) as connection, connection.cursor() as cursor:
            # Vitess refuses long results in its default workload.
            cursor.execute("set workload = 'olap'")
            cursor.execute(self._named("select * from {t}"))
            rows = [dict(zip(self.columns, row, strict=True)) for row in cursor.fetchall()]
        return sorted(rows, key=lambda row: [row[name] for name in self.key])

    def _named(self, statement: str) -> str:
        return statement.replace("{t}", f"`{self.table}`")

    def assert_equal(self) -> None:
        assert self.deduped.rows() == self.source()


def sync_together(tables: Iterable[FollowedTable]) -> Run:
    """Reads several tables of one keyspace in one sync."""
    first, *others = tables
    done = read_well(first.config, *(table.table for table in (first, *others)), state=first.state)
    for table in (first, *others):
        table.load(done)
    return done


def changes(done: Run, table: str) -> list[tuple[str, dict[str, Any]]]:
    """The records of a table as ("delete" or "upsert", row)."""
    return [
        ("delete" if data[DELETED_AT] else "upsert", without_added_columns(data))
        for data in done.records(table)
    ]
