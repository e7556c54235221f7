"""A database under the contract, the embedded one or a real Vitess: the same SQL, the same events."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from embedded_database.contract.recording import Recording, Request, record, responses_at_least
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymysql

    from embedded_database.contract.recording import Until

# The key of the row that ends a recording.
MARKER = b"999"
COPY_ENDS = ["{BEGIN V COMMIT}", "{COPY_COMPLETED 0 COPY_COMPLETED}"]


class Database(Protocol):
    """What both databases have; the fixture `database` gives one after the other.

    Attributes:
        mysql_port: The port of vtgate's MySQL protocol on 127.0.0.1.
        grpc_port: The port of its gRPC.
        major: The major version of Vitess that it is, or behaves as.
    """

    mysql_port: int
    grpc_port: int
    major: int

    def config(self, database: str) -> dict[str, Any]:
        """A configuration of the connector for a keyspace."""
        ...

    def shards(self, keyspace: str) -> list[str]:
        """The names of a keyspace's shards, in key order."""
        ...

    def connect(self, target: str) -> pymysql.Connection[Any]:
        """Opens an autocommitting connection to `keyspace` or `keyspace:shard`, either with `@type`."""
        ...

    def execute(self, sql: str, target: str, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Runs one statement; its rows."""
        ...

    def create_table(self, keyspace: str, ddl: str, vindex_column: str | None = None) -> None:
        """Creates a table that the whole keyspace knows."""
        ...


def table(database: Database, name: str, columns: str = "id int primary key, v varchar(10)") -> str:
    """Creates a table, anew where it exists; its name."""
    database.execute(f"drop table if exists {name}", "src")
    database.create_table("src", f"create table {name} ({columns})")
    return name


def run(database: Database, *statements: str) -> None:
    """Runs statements, each in a transaction of its own."""
    for statement in statements:
        database.execute(statement, "src")


def stream(database: Database, name: str, until: Until, gtid: str = "", **options: Any) -> Recording:
    """Records the stream of one table from a position, or from its copy on."""
    return record(
        database.grpc_port, Request("src", {"0": gtid}, {name: f"select * from {name}"}, **options), until
    )


def position(database: Database, name: str) -> str:
    """The position at this moment."""
    recording = stream(database, name, responses_at_least(1), "current")
    return recording.events(wire.VGTID)[0].vgtid.shard_gtids[0].gtid
