"""A table that is read, then changed, then read on, on a real Vitess."""

from __future__ import annotations

import signal
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from integration_tests.support.command import Command, configured, read, run
from integration_tests.support.destination import DELETED_AT, without_added_columns
from integration_tests.support.tables import create

if TYPE_CHECKING:
    from collections.abc import Iterable

    from integration_tests.support.command import Json, Run
    from integration_tests.vitess.cluster import VitessCluster

TABLE = "changing"

_COPY = "_vt_vrp_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_"
_HELD = "_vt_hld_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_"


class ChangedTable:
    """The table `changing` of the keyspace `src`, read with the change columns.

    Attributes:
        state: The states of the last sync; empty before the first one.
    """

    def __init__(self, vitess: VitessCluster, *statements: str) -> None:
        """Makes the table, and others if there are more statements of that kind, and runs the rest."""
        self.vitess = vitess
        self.state: list[Json] = []
        tables = [text for text in statements if text.startswith("create table")]
        create(vitess, "src", *tables)
        self.change(*(text for text in statements if text not in tables))

    @property
    def config(self) -> Json:
        """The configuration of the syncs."""
        return self.vitess.config("src", include_cdc_columns=True, max_retries=2, timeout_seconds=20)

    def change(self, *statements: str) -> None:
        """Runs statements on the MySQL server itself, in one session of the table's database."""
        with closing(self.vitess.connect_mysqld("vt_src_0")) as session, session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def discovered(self) -> Json:
        """The table's stream as the catalog of today has it."""
        (catalog,) = run("discover", config=self.config).of_type("CATALOG")
        stream: Json
        (stream,) = (found for found in catalog["catalog"]["streams"] if found["name"] == TABLE)
        return stream

    def sync(self, stream: str | Json = TABLE, **config: str) -> Run:
        """Reads on, however it ends.

        Args:
            stream: The stream to configure; any columns if it is a name.
            config: Options.
        """
        done = read({**self.config, **config}, stream, state=self.state or None)
        self.state = done.state or self.state
        return done

    def cut(self, after: int) -> Run:
        """Reads on, and ends the sync with SIGTERM once so many records have come, if there are as many."""
        catalog = configured(TABLE, namespace="src")
        with Command(["read"], self.config, catalog, self.state or None) as command:
            records = (line for line in command.lines() if '"type":"RECORD"' in line)
            if len(list(islice(records, after))) == after:
                command.signal(signal.SIGTERM)
            done = command.finish()
        self.state = done.state or self.state
        return done

    def completed(self, stream: str | Json = TABLE, **config: str) -> Run:
        """Reads on and asserts COMPLETE."""
        done = self.sync(stream, **config)
        assert [error["message"] for error in done.errors] == []
        assert (done.exit_code, done.statuses(TABLE)[-1]) == (0, "COMPLETE")
        return done

    def refused(self) -> str:
        """Reads on, asserts INCOMPLETE without any record, and gives the sentence."""
        done = self.sync()
        assert done.exit_code != 0
        assert done.statuses(TABLE)[-1] == "INCOMPLETE"
        assert done.records(TABLE) == []
        (message,) = done.errors_of(TABLE)
        return message


def rows(done: Run, table: str = TABLE) -> list[Json]:
    """The records of a table in order, without the added columns; `deleted` marks those of deletes."""
    return [
        {**without_added_columns(record), **({} if record[DELETED_AT] is None else {"deleted": True})}
        for record in done.records(table)
    ]


def migrated(alter: str, columns: Iterable[str]) -> list[str]:
    """What one Online DDL migration of the table leaves in the log, as MySQL statements.

    Its copy of the table gets the changes as row events of its own, and takes the table's name in one step.

    Args:
        alter: What ALTER TABLE is to do.
        columns: The columns that both have, whose values are copied.
    """
    names = ", ".join(columns)
    return [
        f"create table {_COPY} like {TABLE}",
        f"alter table {_COPY} {alter}",
        f"insert into {_COPY} ({names}) select {names} from {TABLE}",  # noqa: S608 - the tests' own names
        f"rename table {TABLE} to {_HELD}, {_COPY} to {TABLE}, {_HELD} to {_COPY}",
        f"drop table {_COPY}",
    ]
