"""A small real Vitess: vtgate, tablets and MySQL on loopback ports, gone when it is closed.

`vttestserver --mysql-only` creates one MySQL server with a database for each shard; `vtcombo` runs
vtgate and all tablets in one process in front of it. All tablets of all shards share the one server,
so a replica never lags and all shards have the same binary log and the same GTID set.
"""

from __future__ import annotations

import json
import shutil
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pymysql

from integration_tests.vitess.install import install
from integration_tests.vitess.mysql_data import mysql_settings
from integration_tests.vitess.processes import (
    ClusterError,
    Processes,
    accepts,
    alive,
    command_line,
    free_ports,
    wait_until,
)
from integration_tests.vitess.topology import shard_names, vttest_topology
from integration_tests.vitess.vtgate import Vtgate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from integration_tests.vitess.install import Installation

START_SECONDS = 120.0

# Pools for many streams and transactions at once; the defaults of vttestserver allow four.
VTCOMBO_FLAGS = (
    "--service-map=grpc-vtgateservice,grpc-vtctl,grpc-vtctld",
    "--dbddl-plugin=vttest",
    "--foreign-key-mode=allow",
    "--enable-direct-ddl",
    "--enable-system-settings",
    "--vschema-ddl-authorized-users=%",
    "--tablet-refresh-interval=1s",
    "--queryserver-config-pool-size=16",
    "--queryserver-config-stream-pool-size=64",
    "--queryserver-config-transaction-cap=32",
)


class VitessCluster(Vtgate):
    """A running cluster; use `VitessCluster.start` in a `with` statement.

    Attributes:
        keyspaces: keyspace -> number of shards.
    """

    def __init__(
        self,
        installation: Installation,
        keyspaces: Mapping[str, int],
        topology: str,
        vtcombo_flags: Sequence[str],
        grpc_credentials: grpc.ChannelCredentials | None,
        grpc_name: str,
    ) -> None:
        """Lays out the cluster without starting a server; `start` is the way to get one."""
        super().__init__(installation)
        self.keyspaces = dict(keyspaces)
        self.http_port = free_ports(4)
        self.grpc_port = self.http_port + 1
        # vttestserver puts MySQL itself at its base port and two.
        self._mysqld_port = self.http_port + 2
        self.mysql_port = self.http_port + 3
        # vtcombo is vtctld as well.
        self.vtctld_port = self.grpc_port
        self._topology = topology
        self._vtcombo_flags = vtcombo_flags
        self._grpc_credentials = grpc_credentials
        self._grpc_name = grpc_name
        self._vttestserver = 0
        self._vtcombo = 0
        self._mysqld_command: list[str] = []
        self._processes = Processes(installation.environment)
        self._data = self._processes.directory

    @classmethod
    def start(
        cls,
        keyspaces: Mapping[str, int] | None = None,
        *,
        replicas: int = 1,
        rdonlys: int = 0,
        mysqld_settings: Sequence[str] = (),
        vtcombo_flags: Sequence[str] = (),
        grpc_credentials: grpc.ChannelCredentials | None = None,
        grpc_name: str = "",
    ) -> Self:
        """Installs Vitess where it is not yet, starts a cluster and waits until it serves.

        Args:
            keyspaces: keyspace -> number of shards, `{"shop": 2, "src": 1}` by default. A keyspace of
                more than one shard is sharded and has the vindex `hash`.
            replicas: Tablets of type REPLICA in each shard, beside the primary.
            rdonlys: Tablets of type RDONLY in each shard.
            mysqld_settings: Lines for the `[mysqld]` section of MySQL's settings.
            vtcombo_flags: Flags for vtcombo after the cluster's own.
            grpc_credentials: How to connect if the flags have the gRPC port speak TLS.
            grpc_name: The name in its certificate then, if it is not this host's.

        Raises:
            MissingPrerequisiteError: Vitess cannot be installed or run here.
            ClusterError: It did not come up.
        """
        keyspaces = keyspaces or {"shop": 2, "src": 1}
        topology = vttest_topology(keyspaces, replicas, rdonlys)
        cluster = cls(install(), keyspaces, topology, vtcombo_flags, grpc_credentials, grpc_name)
        try:
            cluster._write_settings(mysqld_settings)
            cluster._start_mysqld()
            cluster.start_vtgate()
        except ClusterError as error:
            log = cluster._processes.log_tail()
            cluster.stop()
            raise ClusterError(f"{error}\n{log}") from None
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the cluster."""
        self.stop()

    def stop(self) -> None:
        """Kills all servers and removes their data; safe to call twice."""
        self._processes.stop()

    def grpc_channel(self) -> grpc.Channel:
        """A new channel to vtgate's gRPC port, over TLS where the flags have it so."""
        credentials = self._grpc_credentials
        if credentials is None:
            return super().grpc_channel()
        named = [("grpc.ssl_target_name_override", self._grpc_name)] if self._grpc_name else []
        return grpc.secure_channel(f"{self.host}:{self.grpc_port}", credentials, named)

    def connect_mysqld(self, database: str | None = None) -> pymysql.Connection[Any]:
        """Opens an autocommitting connection to the MySQL server as its administrator, past Vitess.

        Args:
            database: A shard's database, such as `vt_shop_-80`.
        """
        return pymysql.connect(unix_socket=self._socket, user="vt_dba", database=database, autocommit=True)

    def execute_on_mysqld(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs one statement as administrator of the MySQL server, past Vitess."""
        with closing(self.connect_mysqld()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def shards(self, keyspace: str) -> list[str]:
        """The names of a keyspace's shards, in key order."""
        return shard_names(self.keyspaces[keyspace])

    def is_sharded(self, keyspace: str) -> bool:
        """Whether a keyspace needs vindexes."""
        return self.keyspaces[keyspace] > 1

    def purge_binlogs(self) -> None:
        """Removes all binary logs up to now: positions before this moment can no longer be followed.

        All shards of all keyspaces share them.
        """
        self.execute_on_mysqld("flush binary logs")
        self.execute_on_mysqld(f"purge binary logs to '{self.binlogs()[-1]}'")

    def binlogs(self) -> list[str]:
        """The names of the binary log files, oldest first."""
        return [str(row[0]) for row in self.execute_on_mysqld("show binary logs")]

    def start_vtgate(self) -> None:
        """Starts vtgate and the tablets, and waits until every shard is served."""
        self._vtcombo = self._processes.start(
            [
                self._installation.command("vtcombo"),
                f"--port={self.http_port}",
                f"--bind-address={self.host}",
                f"--grpc-port={self.grpc_port}",
                f"--grpc-bind-address={self.host}",
                f"--mysql-server-port={self.mysql_port}",
                f"--mysql-server-bind-address={self.host}",
                "--mysql-auth-server-impl=none",
                f"--proto-topo={self._topology}",
                f"--db-socket={self._socket}",
                f"--mycnf-socket-file={self._socket}",
                "--mycnf-server-id=1",
                "--db-app-user=vt_dba",
                "--db-dba-user=vt_dba",
                "--db-charset=utf8mb4",
                f"--vschema-persistence-dir={self._data / 'vschema'}",
                *VTCOMBO_FLAGS,
                *self._vtcombo_flags,
            ]
        )
        self.wait_until_serving()

    def kill_vtgate(self) -> None:
        """Kills vtgate and the tablets; `start_vtgate` brings them back with the same tables."""
        self._processes.kill(self._vtcombo)

    def kill_mysqld(self) -> None:
        """Kills the MySQL server of all shards without warning."""
        pid = int((self._data / "vt_0000000001" / "mysql.pid").read_text())
        self._mysqld_command = command_line(pid)
        self._processes.kill(pid)

    def restart_mysqld(self) -> None:
        """Starts the killed MySQL server on its data and waits until every shard is served."""
        self._processes.start(self._mysqld_command)
        self.wait_until_serving()

    def wait_until_serving(self) -> None:
        """Waits until vtgate answers SQL on every shard and gRPC."""
        self.wait_until_answering(self.keyspaces, START_SECONDS)

    @property
    def _socket(self) -> str:
        return str(self._data / "vt_0000000001" / "mysql.sock")

    def _write_settings(self, mysqld_settings: Sequence[str]) -> None:
        places = mysql_settings(self._installation.mysql)
        settings = [
            "[mysqld]",
            f"bind-address={self.host}",
            *(f"{name}={value}" for name, value in places.items()),
            # Vitess's settings for tests keep commits in MySQL's own memory, where a kill loses them.
            "innodb_flush_log_at_trx_commit=2",
            *mysqld_settings,
        ]
        (self._data / "extra.cnf").write_text("\n".join(settings) + "\n")
        vschemas = self._data / "vschema"
        vschemas.mkdir()
        for keyspace, count in self.keyspaces.items():
            vschema: dict[str, object] = {}
            if count > 1:
                vschema = {"sharded": True, "vindexes": {"hash": {"type": "hash"}}}
            (vschemas / f"{keyspace}.json").write_text(json.dumps(vschema))
        for path in (vschemas, *vschemas.iterdir()):
            # vtcombo writes changes of the vschema here, as the user that owns the directory.
            shutil.chown(path, self._data.owner())

    def _start_mysqld(self) -> None:
        self._vttestserver = self._processes.start(
            [
                self._installation.command("vttestserver"),
                "--mysql-only",
                f"--port={self.http_port}",
                f"--proto-topo={self._topology}",
                f"--data-dir={self._data}",
                f"--extra-my-cnf={self._data / 'extra.cnf'}",
            ]
        )
        wait_until(self._has_every_database, "MySQL has a database for every shard", START_SECONDS)

    def _has_every_database(self) -> bool:
        if not alive(self._vttestserver):
            raise ClusterError("vttestserver ended by itself.")
        if not accepts(self._socket):
            # PyMySQL leaves its own socket open where nobody listens, which is a warning.
            return False
        wanted = {f"vt_{ks}_{name}" for ks, n in self.keyspaces.items() for name in shard_names(n)}
        with suppress(pymysql.MySQLError):
            return wanted <= {row[0] for row in self.execute_on_mysqld("show databases")}
        return False

    def _answers(self, keyspace: str) -> bool:
        if not alive(self._vtcombo):
            raise ClusterError("vtcombo ended by itself.")
        return super()._answers(keyspace)
