"""Makes tables and rows for tests that read them, on either database."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from integration_tests.vitess.cluster import VitessCluster

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from embedded_database.contract.database import Database

_NAME = re.compile(r"create table (\w+|`[^`]+`)")


def create(database: Database, keyspace: str, *statements: str) -> None:
    """Creates tables, anew where they exist, on every shard.

    On Vitess the tables are not known to vtgate's planner: write to a shard, not to the keyspace, where there
    are several.
    """
    drops = [f"drop table if exists {match[1]}" for match in map(_NAME.match, statements) if match]
    if not isinstance(database, VitessCluster):
        for statement in [*drops, *statements]:
            database.execute(statement, keyspace)
        return
    for shard in database.shards(keyspace):
        on_shard(database, keyspace, shard, *drops, *statements)
    database.vtctldclient("ReloadSchemaKeyspace", "--include-primary", keyspace)


def on_shard(database: Database, keyspace: str, shard: str, *statements: str) -> None:
    """Runs statements one after the other, in one session, on a shard's primary."""
    target = f"{keyspace}:{shard}@primary"
    with closing(database.connect(target)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def insert(
    database: Database, keyspace: str, shard: str, table: str, rows: Iterable[Sequence[object]]
) -> None:
    """Inserts rows, given as whole tuples in the order of the columns, into a shard."""
    rows = list(rows)
    marks = ", ".join(["%s"] * len(rows[0]))
    target = f"{keyspace}:{shard}@primary"
    with closing(database.connect(target)) as connection, connection.cursor() as cursor:
        cursor.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608 - the tests' own tables


def executed_position(vitess: VitessCluster) -> str:
    """The position of all shards at this moment, which share one MySQL server."""
    ((gtid_set,),) = vitess.execute_on_mysqld("select @@global.gtid_executed")
    return "MySQL56/" + str(gtid_set).replace("\n", "")
