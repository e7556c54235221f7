"""The embedded database as one object: start it, use it from a test, make faults, stop it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql

from embedded_database.certificates import Certificates
from embedded_database.columns.generated import generated_rows
from embedded_database.columns.values import keep
from embedded_database.faults import Fault, FaultKind, Faults
from embedded_database.reshard import reshard
from embedded_database.sql.dml import TableWriter
from embedded_database.sql.server import MysqlPort
from embedded_database.sql.session import Engine
from embedded_database.storage import Shard, Storage, Transaction
from embedded_database.vstream.server import VStreamServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from embedded_database.vstream.merged import Limits


DEFAULT_KEYSPACES: Mapping[str, Sequence[str]] = {"shop": ["-80", "80-"], "src": ["0"]}
HOST = "127.0.0.1"
DEFAULT_USERS: Mapping[str, str] = {"local": "local-password"}


class EmbeddedDatabase:
    """A small PlanetScale of one process; a context manager that stops it at the end.

    Attributes:
        mysql_port: The port of the MySQL protocol on 127.0.0.1.
        grpc_port: The port of VStream on 127.0.0.1.
        certificates: What a client has to trust, None without TLS.
        major: The major version of Vitess as which it behaves.
    """

    major = 24

    def __init__(
        self,
        keyspaces: Mapping[str, Sequence[str]] = DEFAULT_KEYSPACES,
        *,
        users: Mapping[str, str] = DEFAULT_USERS,
        tls: bool | Certificates = False,
        limits: Limits | None = None,
        mysql_port: int = 0,
        grpc_port: int = 0,
    ) -> None:
        """Starts the database.

        Args:
            keyspaces: Keyspace -> names of its shards.
            users: User name -> password on both ports; empty lets everyone in.
            tls: Whether both ports speak TLS alone, and with which certificates if not with some of its own.
            limits: Sizes and times that differ from vtgate's defaults.
            mysql_port: A port to listen on; 0 is any free one.
            grpc_port: As `mysql_port`.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="embedded-database-"))
        self._storage = Storage(self._folder)
        for keyspace, shards in keyspaces.items():
            for name in shards:
                self._storage.add_shard(Shard(keyspace, name))
        self._users = dict(users)
        self._faults = Faults()
        self._engine = Engine(self._storage, self._control)
        self.certificates = Certificates.make() if tls is True else tls or None
        self._mysql = MysqlPort(self._engine, self._users, port=mysql_port, certificates=self.certificates)
        self._vstream = VStreamServer(
            self._storage,
            self._faults,
            self._users,
            port=grpc_port,
            certificates=self.certificates,
            limits=limits,
            reshard=self.reshard,
        )
        self.mysql_port = self._mysql.port
        self.grpc_port = self._vstream.port

    @classmethod
    def start(
        cls,
        keyspaces: Mapping[str, Sequence[str]] = DEFAULT_KEYSPACES,
        tables: Mapping[str, Iterable[str]] | None = None,
        **options: Any,
    ) -> EmbeddedDatabase:
        """Starts a database and runs statements in it.

        Args:
            keyspaces: As for the constructor.
            tables: Keyspace -> statements to run there first.
            **options: As for the constructor.
        """
        database = cls(keyspaces, **options)
        for keyspace, statements in (tables or {}).items():
            for statement in statements:
                database.execute(statement, keyspace)
        return database

    def __enter__(self) -> EmbeddedDatabase:
        """Stops the database at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the database."""
        self.stop()

    def stop(self) -> None:
        """Ends both servers, their threads and the files."""
        self._vstream.stop()
        self._mysql.stop()
        self._storage.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def connect(self, target: str) -> pymysql.Connection[Any]:
        """Opens an autocommitting connection to `keyspace` or `keyspace:shard`, either with `@type`."""
        config = self.config(target)
        return pymysql.connect(
            host=HOST,
            port=self.mysql_port,
            user=config["username"],
            # PyMySQL would take a text for Latin-1.
            password=config["password"].encode(),
            database=target,
            autocommit=True,
            ssl=self.certificates.client_context() if self.certificates else None,
        )

    def execute(self, sql: str, target: str, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Runs one statement over the MySQL protocol; its rows."""
        with closing(self.connect(target)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            return list(cursor.fetchall())

    def create_table(self, keyspace: str, ddl: str, vindex_column: str | None = None) -> None:
        """Creates a table whose rows go to shards by a column, the key's first one by default."""
        self._engine.tables.create(ddl, keyspace, vindex_column or "")

    def load(self, keyspace: str, table: str, rows: Iterable[Sequence[object]]) -> None:
        """Adds rows of all columns in table order, as one transaction, without the way through SQL."""
        known = self._engine.tables.get(keyspace, table)
        transaction = Transaction(self._storage)
        try:
            writer = TableWriter(self._storage, transaction, known, self._storage.serving(keyspace))
            for row in rows:
                writer.insert([keep(column, value) for column, value in zip(known.columns, row, strict=True)])
        except BaseException:
            transaction.rollback()
            raise
        transaction.commit()

    def fill(self, keyspace: str, table: str, count: int, first: int = 1) -> None:
        """Adds rows made up by type, whose integer keys count from `first`, as one transaction."""
        known = self._engine.tables.get(keyspace, table)
        self.load(keyspace, table, generated_rows(known, count, first))

    def position(self, keyspace: str, shard: str) -> str:
        """A shard's position with its flavor."""
        return f"MySQL56/{self.shard(keyspace, shard).executed}"

    def shards(self, keyspace: str) -> list[str]:
        """The names of the shards that serve a keyspace, in key order."""
        return [shard.name for shard in self._storage.serving(keyspace)]

    def shard(self, keyspace: str, name: str) -> Shard:
        """A shard by name.

        Raises:
            KeyError: There is none.
        """
        shard = self._storage.shard(keyspace, name)
        if shard is None:
            raise KeyError(f"{keyspace}/{name}")
        return shard

    def config(self, database: str, **overrides: Any) -> dict[str, Any]:
        """The connector's configuration for a keyspace."""
        user, password = next(iter(self._users.items()), ("local", "local-password"))
        config: dict[str, Any] = {
            "host": HOST,
            "database": database,
            "username": user,
            "password": password,
            "mysql_port": self.mysql_port,
            "grpc_port": self.grpc_port,
            "mysql_tls": self.certificates is not None,
            "grpc_tls": self.certificates is not None,
        }
        if self.certificates:
            config["tls_ca_certificate"] = self.certificates.authority.decode()
        return {**config, **overrides}

    def reshard(self, keyspace: str, shards: Sequence[str]) -> None:
        """Moves a keyspace's rows to new shards and writes the journals; the old shards stay readable."""
        reshard(self._engine, keyspace, shards)

    def complete_reshard(self, keyspace: str) -> None:
        """Removes the shards that no longer serve, as `Reshard complete` does."""
        self._storage.shards[keyspace] = self._storage.serving(keyspace)

    def purge(self, keyspace: str, shard: str = "") -> None:
        """Forgets the log of a shard, or of all of a keyspace's shards."""
        for known in self._storage.serving(keyspace):
            if shard in ("", known.name):
                self._storage.purge(known, known.last)

    def fault(self, kind: str, **settings: Any) -> None:
        """Makes a fault: the settings are the attributes of `Fault`."""
        self._make(Fault(FaultKind(kind), **settings))

    def _control(self, text: str) -> None:
        if text.strip() in ("", "clear"):
            self.clear_faults()
        else:
            self._make(Fault.parse(text))

    def _make(self, fault: Fault) -> None:
        if fault.kind is FaultKind.PURGE:
            self.purge(fault.keyspace, fault.shard)
        elif fault.kind is FaultKind.DOWN:
            self.shard(fault.keyspace, fault.shard).down = True
        elif fault.kind is FaultKind.HUGE_TRANSACTION:
            self.fill(fault.keyspace, fault.table, fault.size, fault.first)
        else:
            self._faults.add(fault)

    def clear_faults(self) -> None:
        """Forgets waiting faults and brings shards back."""
        self._faults.clear()
        for shards in self._storage.shards.values():
            for shard in shards:
                shard.down = False
