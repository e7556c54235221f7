"""A server under the contract of the embedded database and a real Vitess: the same SQL, the same events."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from embedded_database.contract.recording import Recording, Request, record, responses_at_least
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from embedded_database.contract.recording import Until

# The key of the row that ends a recording.
MARKER = b"999"
COPY_ENDS = ["{BEGIN V COMMIT}", "{COPY_COMPLETED 0 COPY_COMPLETED}"]


class Server(Protocol):
    """What both servers have."""

    grpc_port: int
    mysql_port: int

    def execute(self, sql: str, target: str, args: Any = ()) -> list[tuple[Any, ...]]: ...

    def create_table(self, keyspace: str, ddl: str, vindex_column: str | None = None) -> None: ...


def table(server: Server, name: str, columns: str = "id int primary key, v varchar(10)") -> str:
    """Creates a table, anew where it exists; its name."""
    server.execute(f"drop table if exists {name}", "src")
    server.create_table("src", f"create table {name} ({columns})")
    return name


def run(server: Server, *statements: str) -> None:
    """Runs statements, each in a transaction of its own."""
    for statement in statements:
        server.execute(statement, "src")


def stream(server: Server, name: str, until: Until, gtid: str = "", **options: Any) -> Recording:
    """Records the stream of one table from a position, or from its copy on."""
    return record(
        server.grpc_port, Request("src", {"0": gtid}, {name: f"select * from {name}"}, **options), until
    )


def position(server: Server, name: str) -> str:
    """The position at this moment."""
    recording = stream(server, name, responses_at_least(1), "current")
    return recording.events(wire.VGTID)[0].vgtid.shard_gtids[0].gtid
