"""The tables that are measured, filled past vtgate so that millions of rows take seconds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_planetscale.config import Config
from source_planetscale.mysql.database import Database
from source_planetscale.shape import shape_of
from source_planetscale.state import StreamState
from source_planetscale.vstream.client import VStreamClient
from source_planetscale.vstream.cursor import Cursor

if TYPE_CHECKING:
    from integration_tests.vitess.cluster import VitessCluster

ROWS_PER_INSERT = 100_000
_POSITION_SECONDS = 30.0


@dataclass(frozen=True)
class Kind:
    """One kind of table.

    Attributes:
        name: What it is called in the tables of results.
        columns: Name -> (type, SQL expression of the row's number `n`).
    """

    name: str
    columns: dict[str, tuple[str, str]]


REFERENCE = Kind(
    "ten columns",
    {
        "sku": ("varchar(32)", "concat('SKU-', lpad(n, 6, '0'))"),
        "price": ("decimal(10,2)", "n % 100000 / 100"),
        "descr": ("varchar(200)", "repeat('lorem ipsum dolor sit amet ', 3 + n % 4)"),
        "qty": ("int", "n % 1000"),
        "active": ("tinyint(1)", "n % 2"),
        "created": ("datetime", "'2024-02-29 12:34:56' + interval n second"),
        "updated": ("timestamp", "'2024-02-29 12:34:56' + interval n % 86400 second"),
        "kind": ("enum('x','y','z')", "1 + n % 3"),
        "note": ("varchar(60)", "repeat('n', 20 + n % 31)"),
    },
)

TWENTY_WITH_TEXT = Kind(
    "20 columns, one a text of 10 KB",
    {
        **{f"i{number}": ("int", f"n * {number}") for number in range(10)},
        **{f"v{number}": ("varchar(20)", f"concat('value ', n % {number + 7})") for number in range(8)},
        "body": ("text", "repeat('lorem ipsum dolor sit amet ', 380)"),
    },
)

_JSON = "json_object('id', n, 'name', concat('name ', n), 'tags', json_array('a', 'b', n))"
_TEXT = "repeat(concat('a \"quoted\" caf\u00e9 ', n, '\\n'), 8)"

KINDS = (
    REFERENCE,
    Kind("narrow", {"qty": ("int", "n % 1000")}),
    Kind(
        "wide",
        {
            **{f"i{number}": ("int", f"n * {number}") for number in range(40)},
            **{f"v{number}": ("varchar(20)", f"concat('value ', n % {number + 7})") for number in range(40)},
        },
    ),
    Kind("JSON", {f"j{number}": ("json", _JSON) for number in range(3)}),
    Kind(
        "text with quotes and accents",
        {f"t{number}": ("text", _TEXT) for number in range(3)},
    ),
    Kind(
        "binary", {f"b{number}": ("varbinary(200)", "repeat(unhex(sha2(n, 256)), 6)") for number in range(3)}
    ),
    Kind(
        "numbers",
        {
            "d1": ("decimal(20,6)", "n / 7"),
            "d2": ("decimal(10,2)", "n / 3"),
            "f": ("float", "n / 7"),
            "g": ("double", "n / 7"),
            "b": ("bigint unsigned", "n * 1000003"),
            "y": ("year", "1970 + n % 100"),
        },
    ),
    Kind(
        "dates and times",
        {
            "d": ("date", "'2000-01-01' + interval n % 9000 day"),
            "t": ("time(3)", "sec_to_time(n % 86400)"),
            "dt": ("datetime(6)", "'2000-01-01' + interval n second + interval n microsecond"),
            "ts": ("timestamp(3)", "'2000-01-02' + interval n second"),
        },
    ),
)


def add_table(cluster: VitessCluster, keyspace: str, table: str, kind: Kind, rows: int) -> None:
    """Creates a table and puts so many rows into each of its shards."""
    columns = ", ".join(f"{name} {column_type}" for name, (column_type, _) in kind.columns.items())
    ddl = f"create table {table} (id bigint not null primary key, {columns}) charset utf8mb4"
    sharded = cluster.keyspaces[keyspace] > 1
    cluster.create_table(keyspace, ddl, "id" if sharded else None)
    for shard in cluster.shards(keyspace):
        fill(cluster, keyspace, shard, table, kind, rows)


def fill(cluster: VitessCluster, keyspace: str, shard: str, table: str, kind: Kind, rows: int) -> None:
    """Inserts so many rows straight into the MySQL database of one shard."""
    names = ", ".join(["id", *kind.columns])
    values = ", ".join(["n", *(expression for _, expression in kind.columns.values())])
    digit = "(" + " union all ".join(f"select {number} d" for number in range(10)) + ")"
    numbers = " + ".join(f"{10**place} * d{place}.d" for place in range(5))
    digits = ", ".join(f"{digit} d{place}" for place in range(5))
    with (
        closing(cluster.connect_mysqld(f"vt_{keyspace}_{shard}")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("set sql_mode = ''")
        for first in range(0, rows, ROWS_PER_INSERT):
            count = min(ROWS_PER_INSERT, rows - first)
            cursor.execute(
                f"insert into {table} ({names}) select {values} from "  # noqa: S608 - constants of this module
                f"(select {first} + 1 + {numbers} n from {digits}) numbers where n <= {first + count}"
            )


def change_rows(
    cluster: VitessCluster, keyspace: str, table: str, rows: int, rows_per_transaction: int
) -> None:
    """Updates the first rows of a table in an unsharded keyspace, so many in a transaction."""
    shard = cluster.shards(keyspace)[0]
    with (
        closing(cluster.connect_mysqld(f"vt_{keyspace}_{shard}")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("drop procedure if exists change_rows")
        change = f"update {table} set qty = qty + 1 where id >= i and id < i + step"  # noqa: S608 - as above
        cursor.execute(
            "create procedure change_rows(last int, step int) begin declare i int default 1; "
            f"while i <= last do {change}; set i = i + step; end while; end"
        )
        cursor.execute("call change_rows(%s, %s)", (rows, rows_per_transaction))


def state_of(config: dict[str, object], tables: list[str], shards: list[str]) -> list[dict[str, object]]:
    """The state of a sync that has copied the tables up to this moment."""
    parsed = Config.parse(config)
    client = VStreamClient(parsed.grpc, parsed.keyspace)
    try:
        positions = {shard: client.current_position(tables[0], shard, _POSITION_SECONDS) for shard in shards}
    finally:
        client.close()
    shapes = {
        table.name: shape_of(table.columns)
        for table in Database(parsed.mysql, parsed.keyspace).tables(set(tables))
    }
    return [
        {
            "type": "STREAM",
            "stream": {
                "stream_descriptor": {"name": table, "namespace": parsed.database},
                "stream_state": StreamState(
                    {
                        shard: Cursor(parsed.database, shard, position, shape=shapes[table])
                        for shard, position in positions.items()
                    }
                ).to_json(),
            },
        }
        for table in tables
    ]
