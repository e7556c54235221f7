"""A tablet of a cluster: a MySQL server of its own and the vttablet in front of it."""

from __future__ import annotations

import shutil
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql

from integration_tests.vitess.mysql_data import SIZES, mysql_settings
from integration_tests.vitess.processes import Processes, accepts, free_ports, listens
from integration_tests.vitess.server import Server
from integration_tests.vitess.topology import CELL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from integration_tests.vitess.install import Installation

# Many servers on a small machine, whose data is thrown away; a killed server loses nothing.
MYSQLD_SETTINGS = {
    **SIZES,
    "performance_schema": "OFF",
    "innodb_buffer_pool_size": "24M",
    "innodb_log_buffer_size": "1M",
    "innodb_flush_log_at_trx_commit": "2",
    "sync_binlog": "0",
    "key_buffer_size": "1M",
    "table_open_cache": "400",
    "max_connections": "300",
}

# Health is told every second, so that vtgate learns at once of what the tests do.
VTTABLET_FLAGS = (
    "--service-map=grpc-queryservice,grpc-tabletmanager,grpc-updatestream",
    "--health-check-interval=1s",
    "--enable-replication-reporter",
    "--migration-check-interval=5s",
)


@dataclass(frozen=True)
class Surroundings:
    """What all tablets of a cluster share.

    Attributes:
        installation: The programs.
        processes: Where they run.
        host: The address that they listen on.
        flags: How each of Vitess's servers finds the others.
    """

    installation: Installation
    processes: Processes
    host: str
    flags: Sequence[str]

    @property
    def settings_file(self) -> Path:
        """MySQL's settings on top of Vitess's own."""
        return self.processes.directory / "extra.cnf"

    def write_settings(self, settings: Iterable[str]) -> None:
        """Writes the settings of all MySQL servers, ours and some lines more."""
        places = mysql_settings(self.installation.mysql)
        own = {"bind_address": self.host, **places, **MYSQLD_SETTINGS}
        lines = ["[mysqld]", *(f"{name}={value}" for name, value in own.items()), *settings]
        self.settings_file.write_text("\n".join(lines) + "\n")


class Tablet:
    """A tablet.

    Attributes:
        uid: Its number, unique in the cluster.
        keyspace: The keyspace that it was made for.
        shard: The shard.
        alias: Its name in Vitess.
        database: The database of its MySQL server that has the keyspace's tables.
        mysqld: Its MySQL server.
        vttablet: Its vttablet.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        uid: int,
        keyspace: str,
        shard: str,
        kind: str = "replica",
        flags: Sequence[str] = (),
    ) -> None:
        """Describes a tablet without making it.

        Args:
            surroundings: Its cluster's.
            uid: Its number.
            keyspace: Its keyspace.
            shard: Its shard.
            kind: What it is unless it is made the primary: `replica` or `rdonly`.
            flags: Flags for vttablet on top of the cluster's own.
        """
        self.uid = uid
        self.keyspace = keyspace
        self.shard = shard
        self.alias = f"{CELL}-{uid:010d}"
        self.database = f"vt_{keyspace}"
        self._surroundings = surroundings
        self._directory = surroundings.processes.directory / f"vt_{uid:010d}"
        self._socket = str(self._directory / "mysql.sock")
        http_port = free_ports(3)
        grpc_port, self._mysql_port = http_port + 1, http_port + 2
        installation, host = surroundings.installation, surroundings.host
        self.mysqld = Server(
            surroundings.processes,
            f"mysqld-{uid}",
            [str(installation.mysql / "sbin" / "mysqld"), f"--defaults-file={self._directory / 'my.cnf'}"],
            self._mysqld_answers,
        )
        self.vttablet = Server(
            surroundings.processes,
            f"vttablet-{uid}",
            [
                installation.command("vttablet"),
                *surroundings.flags,
                *VTTABLET_FLAGS,
                f"--tablet-path={self.alias}",
                f"--tablet-hostname={host}",
                f"--init-keyspace={keyspace}",
                f"--init-shard={shard}",
                f"--init-tablet-type={kind}",
                f"--port={http_port}",
                f"--grpc-port={grpc_port}",
            ],
            lambda: listens(host, grpc_port),
            flags,
        )

    def make(self) -> None:
        """Gives it the data of a new MySQL server, and starts it."""
        processes, installation = self._surroundings.processes, self._surroundings.installation
        processes.run(
            [
                installation.command("mysqlctl"),
                f"--tablet-uid={self.uid}",
                f"--mysql-port={self._mysql_port}",
                "init_config",
            ]
        )
        processes.run(["cp", "-r", f"{installation.template}/.", str(self._directory)])
        self.start()

    def start(self) -> None:
        """Starts what does not run of it."""
        self.mysqld.start()
        self.vttablet.start()

    def allow_writes(self) -> None:
        """Does what VTOrc does in production for a primary whose MySQL server is back: lets it be written."""
        self.execute("set global super_read_only = off")
        self.execute("set global read_only = off")

    def kill(self) -> None:
        """Kills both of its servers."""
        self.vttablet.kill()
        self.mysqld.kill()

    def remove(self) -> None:
        """Kills it and removes its data."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def connect(self) -> pymysql.Connection[Any]:
        """Opens an autocommitting connection to the MySQL server as its administrator, past Vitess."""
        return pymysql.connect(unix_socket=self._socket, user="vt_dba", autocommit=True)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs one statement as administrator of the MySQL server, past Vitess."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def position(self) -> str:
        """The GTID set of everything that its MySQL server has executed."""
        ((executed,),) = self.execute("select @@global.gtid_executed")
        return str(executed).replace("\n", "")

    def has_executed(self, gtid_set: str) -> bool:
        """Whether its MySQL server has executed all of a GTID set."""
        ((contained,),) = self.execute(f"select gtid_subset('{gtid_set}', @@global.gtid_executed)")
        return bool(contained)

    def purge_binlogs(self) -> None:
        """Removes its binary logs up to now: positions before this moment cannot be followed here."""
        self.execute("flush binary logs")
        self.execute(f"purge binary logs to '{self.binlogs()[-1]}'")

    def binlogs(self) -> list[str]:
        """The names of the binary log files, oldest first."""
        return [str(row[0]) for row in self.execute("show binary logs")]

    def _mysqld_answers(self) -> bool:
        # PyMySQL leaves its own socket open where nobody listens, which is a warning.
        if not accepts(self._socket):
            return False
        with suppress(pymysql.MySQLError):
            return bool(self.execute("select 1"))
        return False
