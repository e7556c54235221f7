"""The demo's database: the embedded one in a process of its own, and what happens in its shop."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
KEYSPACE = "shop"
# What is compared in the end; the other columns are written differently in JSON than in SQL.
COMPARED = {
    "customers": ("id", "name", "email", "city", "vip"),
    "orders": ("id", "customer_id", "status", "total", "note"),
}


@dataclass(frozen=True)
class Shop:
    """A running database.

    Attributes:
        config: The connector's configuration for it.
        shards: The names of its shards.
    """

    config: Mapping[str, Any]
    shards: Sequence[str]

    def query(self, sql: str, target: str = KEYSPACE) -> list[tuple[Any, ...]]:
        """Runs one statement against a keyspace or shard and returns its rows."""
        with closing(self._connect(target)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def change(self, statements: Sequence[str]) -> int:
        """Runs statements as one transaction; returns how many rows they changed."""
        with closing(self._connect(KEYSPACE)) as connection, connection.cursor() as cursor:
            connection.begin()
            changed: int = sum(cursor.execute(statement) for statement in statements)
            connection.commit()
            return changed

    def rows(self, table: str, shard: str) -> int:
        """The number of a table's rows in a shard."""
        ((count,),) = self.query(f"select count(*) from {table}", f"{KEYSPACE}:{shard}@primary")  # noqa: S608 - a table of the sample
        return int(count)

    def texts(self, table: str) -> Iterator[list[str | None]]:
        """The compared columns of all rows as MySQL writes them."""
        rows = self.query(f"select {', '.join(COMPARED[table])} from {table}")  # noqa: S608 - a table of the sample
        return ([None if value is None else str(value) for value in row] for row in rows)

    def _connect(self, target: str) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host=self.config["host"],
            port=self.config["mysql_port"],
            user=self.config["username"],
            password=self.config["password"],
            database=target,
        )


@contextmanager
def running_shop(customers: int) -> Iterator[Shop]:
    """Runs the embedded database with its sample: so many customers, five orders each.

    Raises:
        RuntimeError: It did not start.
    """
    command = [sys.executable, "-m", "embedded_database", "--sample", str(customers)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            if not ready:
                raise RuntimeError("The embedded database did not start.")
            told = json.loads(ready)
            yield Shop(told["config"], told["keyspaces"][KEYSPACE])
        finally:
            process.terminate()


EVENTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Two customers sign up, one of them orders",
        (
            """insert into customers values
            (900001, 'Hedy Lamarr', 'hedy@example.com', 'Wien', 1, '{"visits": 1}', '2026-03-01 09:00:00')""",
            """insert into customers values
            (900002, 'Zoë Ångström', null, 'Luleå', 0, null, '2026-03-01 09:00:01.000001')""",
            "insert into orders values (900001, 900001, 'new', 129.90, null, '2026-03-01 09:05:00')",
        ),
    ),
    ("An order is shipped", ("update orders set status = 'shipped' where id = 17",)),
    (
        "One row changes twice within a transaction",
        (
            "update customers set city = 'Porto' where id = 42",
            "update customers set city = 'Lagos' where id = 42",
        ),
    ),
    ("A price is corrected", ("update orders set total = 19.99 where id = 23",)),
    ("An account is closed", ("delete from orders where id = 71", "delete from customers where id = 7")),
)
"""What is told of each event, and its statements."""
