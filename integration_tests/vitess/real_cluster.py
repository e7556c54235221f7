"""A real Vitess of many processes: etcd, vtctld, vtgate, and a vttablet and a MySQL server per tablet.

It reshards and fails over as a production cluster does, which `VitessCluster` with its one process and
its one MySQL server does not. All of it listens on loopback and is gone when it is closed.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

from integration_tests.vitess.install import Installation, install
from integration_tests.vitess.processes import (
    ClusterError,
    Processes,
    free_ports,
    listens,
    private_directory,
    wait_until,
)
from integration_tests.vitess.server import Server
from integration_tests.vitess.tablets import Surroundings, Tablet
from integration_tests.vitess.topology import CELL
from integration_tests.vitess.vtgate import Vtgate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

SECONDS = 60.0

VTGATE_FLAGS = (
    "--service-map=grpc-vtgateservice",
    "--mysql-auth-server-impl=none",
    "--vschema-ddl-authorized-users=%",
    "--enable-system-settings",
    "--tablet-refresh-interval=1s",
    # As in production: queries wait for a failover.
    "--enable-buffer",
)

SHARDED = {"sharded": True, "vindexes": {name: {"type": name} for name in ("hash", "xxhash")}}


class RealCluster(Vtgate):
    """A running cluster; use `RealCluster.start` in a `with` statement.

    Attributes:
        etcd: The topology server.
        vtctld: The administration server.
        vtgate: The server for clients.
        directory: Where its data and logs are while it runs.
    """

    def __init__(self, installation: Installation) -> None:
        """Lays out the cluster without starting a server; `start` is the way to get one."""
        super().__init__(installation)
        self.directory = directory = private_directory()
        self._processes = Processes(
            {
                **installation.environment,
                "VTDATAROOT": str(directory),
                "EXTRA_MY_CNF": str(directory / "extra.cnf"),
            },
            directory,
        )
        ports = count(free_ports(7))
        self.mysql_port, self.grpc_port, self.http_port, self.vtctld_port = (next(ports) for _ in range(4))
        client, peer = (f"{self.host}:{next(ports)}" for _ in range(2))
        self._etcd_address = client
        self._surroundings = Surroundings(
            installation,
            self._processes,
            self.host,
            (
                "--topo-implementation=etcd2",
                f"--topo-global-server-address={client}",
                "--topo-global-root=/vitess/global",
                f"--bind-address={self.host}",
                f"--grpc-bind-address={self.host}",
            ),
        )
        self._tablet_flags: Sequence[str] = ()
        self._tablets: list[Tablet] = []
        self._uids = count(100)
        self._sharded: set[str] = set()
        self.etcd = self._server(
            "etcd",
            int(client.rpartition(":")[2]),
            f"--data-dir={directory}/etcd",
            "--unsafe-no-fsync",
            f"--listen-client-urls=http://{client}",
            f"--advertise-client-urls=http://{client}",
            f"--listen-peer-urls=http://{peer}",
            f"--initial-advertise-peer-urls=http://{peer}",
            f"--initial-cluster=default=http://{peer}",
        )
        self.vtctld = self._server(
            "vtctld",
            self.vtctld_port,
            *self._surroundings.flags,
            f"--cell={CELL}",
            "--service-map=grpc-vtctl,grpc-vtctld",
            f"--port={next(ports)}",
            f"--grpc-port={self.vtctld_port}",
        )
        self.vtgate = self._server(
            "vtgate",
            self.mysql_port,
            *self._surroundings.flags,
            *VTGATE_FLAGS,
            f"--cell={CELL}",
            f"--cells-to-watch={CELL}",
            "--tablet-types-to-wait=PRIMARY",
            f"--port={self.http_port}",
            f"--grpc-port={self.grpc_port}",
            f"--mysql-server-port={self.mysql_port}",
            f"--mysql-server-bind-address={self.host}",
        )

    def _server(self, name: str, port: int, *flags: str) -> Server:
        command = [self._installation.command(name), *flags]
        return Server(self._processes, name, command, lambda: listens(self.host, port))

    @classmethod
    def start(
        cls,
        layout: Mapping[str, Mapping[str, int]],
        *,
        mysqld_settings: Sequence[str] = (),
        tablet_flags: Sequence[str] = (),
        vtgate_flags: Sequence[str] = (),
    ) -> Self:
        """Installs Vitess where it is not yet, starts a cluster and waits until it serves.

        Args:
            layout: keyspace -> shard -> number of tablets, of which the first one becomes the primary.
            mysqld_settings: Lines for the `[mysqld]` section of all MySQL servers' settings.
            tablet_flags: Flags for every vttablet after the cluster's own.
            vtgate_flags: Flags for vtgate after the cluster's own.

        Raises:
            MissingPrerequisiteError: Vitess cannot be installed or run here.
            ClusterError: It did not come up.
        """
        cluster = cls(install())
        cluster._tablet_flags = tablet_flags
        cluster.vtgate.flags.extend(vtgate_flags)
        try:
            cluster._surroundings.write_settings(mysqld_settings)
            cluster.etcd.start()
            cluster.vtctld.start()
            cluster.vtctldclient(
                "AddCellInfo", f"--root=/vitess/{CELL}", f"--server-address={cluster._etcd_address}", CELL
            )
            for keyspace, shards in layout.items():
                cluster.add_keyspace(keyspace, shards)
            cluster.start_vtgate()
            cluster.wait_until_served(cluster._tablets)
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

    def start_vtgate(self) -> None:
        """Starts vtgate and waits until it serves every keyspace."""
        self.vtgate.start()
        self.wait_until_answering({tablet.keyspace for tablet in self._tablets}, SECONDS)

    def wait_until_served(self, tablets: Collection[Tablet]) -> None:
        """Waits until vtgate sends queries to tablets of shards that serve, primaries or not.

        vtgate learns of a tablet after its topology does, and of each one by itself.
        """
        aliases = {tablet.alias for tablet in tablets}
        wait_until(lambda: aliases <= self._served(), f"vtgate serves {sorted(aliases)}", SECONDS)

    def _served(self) -> set[str]:
        shown = self.execute("show vitess_tablets", "")
        return {alias for _, _, _, _, state, alias, *_ in shown if state == "SERVING"}

    def is_sharded(self, keyspace: str) -> bool:
        """Whether a keyspace needs vindexes."""
        return keyspace in self._sharded

    def shards(self, keyspace: str) -> list[str]:
        """The names of the shards that serve a keyspace, in key order; vtgate says so."""
        shown = (row[0].partition("/") for row in self.execute("show vitess_shards", ""))
        serving = [shard for name, _, shard in shown if name == keyspace]
        return sorted(serving, key=lambda shard: shard.partition("-")[0])

    def add_keyspace(
        self,
        keyspace: str,
        shards: Mapping[str, int],
        *,
        sharded: bool | None = None,
        durability: str = "none",
        tablet_flags: Sequence[str] = (),
    ) -> None:
        """Makes a keyspace and waits until all its tablets are served.

        Args:
            keyspace: Its name.
            shards: shard -> number of tablets.
            sharded: Whether it can have several shards; by default whether their names say so.
            durability: `none`, or `semi_sync`: nothing is committed before a replica has it.
            tablet_flags: Flags for its vttablets after those of all.
        """
        self.vtctldclient("CreateKeyspace", f"--durability-policy={durability}", keyspace)
        if any("-" in shard for shard in shards) if sharded is None else sharded:
            self._sharded.add(keyspace)
            self.vtctldclient("ApplyVSchema", f"--vschema={json.dumps(SHARDED)}", keyspace)
        self.add_shards(keyspace, shards, tablet_flags=tablet_flags)
        if self.vtgate.running:
            self.wait_until_answering([keyspace], SECONDS)
            self.wait_until_served(self.tablets(keyspace))

    @contextmanager
    def keyspace(
        self,
        keyspace: str,
        shards: Mapping[str, int],
        *,
        sharded: bool | None = None,
        durability: str = "none",
        tablet_flags: Sequence[str] = (),
    ) -> Iterator[str]:
        """A keyspace for as long as the context lasts, for a test that turns it over; as `add_keyspace`."""
        try:
            self.add_keyspace(
                keyspace, shards, sharded=sharded, durability=durability, tablet_flags=tablet_flags
            )
            yield keyspace
        finally:
            self.remove_keyspace(keyspace)

    def remove_keyspace(self, keyspace: str) -> None:
        """Removes a keyspace with its tablets."""
        for tablet in self.tablets(keyspace):
            self.remove_tablet(tablet)
        self.vtctldclient("DeleteKeyspace", "--recursive", "--force", keyspace)
        self._sharded.discard(keyspace)

    def add_shards(
        self, keyspace: str, shards: Mapping[str, int], *, tablet_flags: Sequence[str] = ()
    ) -> None:
        """Makes shards and their primaries, such as the targets of a reshard; arguments as `add_keyspace`."""
        made = {
            shard: [self._tablet(keyspace, shard, "replica", tablet_flags) for _ in range(tablets)]
            for shard, tablets in shards.items()
        }
        _at_once(Tablet.make, [tablet for tablets in made.values() for tablet in tablets])
        _at_once(self._make_primary, [tablets[0] for tablets in made.values()])

    def add_tablet(
        self, keyspace: str, shard: str, kind: str = "replica", *, tablet_flags: Sequence[str] = ()
    ) -> Tablet:
        """Makes one more tablet of a shard that serves, of a kind `replica` or `rdonly`."""
        tablet = self._tablet(keyspace, shard, kind, tablet_flags)
        tablet.make()
        executed = self.primary(keyspace, shard).position()
        wait_until(lambda: tablet.has_executed(executed), f"{tablet.alias} has caught up", SECONDS)
        self.wait_until_served([tablet])
        return tablet

    def remove_tablet(self, tablet: Tablet) -> None:
        """Kills a tablet and removes its data; the topology is not told."""
        tablet.remove()
        self._tablets.remove(tablet)

    def tablets(self, keyspace: str, shard: str | None = None) -> list[Tablet]:
        """The tablets of a keyspace or of one of its shards."""
        found = [tablet for tablet in self._tablets if tablet.keyspace == keyspace]
        return [tablet for tablet in found if shard in (None, tablet.shard)]

    def primary(self, keyspace: str, shard: str) -> Tablet:
        """The primary of a shard, as the topology knows it."""
        described = json.loads(self.vtctldclient("GetShard", f"{keyspace}/{shard}"))
        uid = described["shard"]["primary_alias"]["uid"]
        return next(tablet for tablet in self._tablets if tablet.uid == uid)

    def replicas(self, keyspace: str, shard: str) -> list[Tablet]:
        """The other tablets of a shard."""
        primary = self.primary(keyspace, shard)
        return [tablet for tablet in self.tablets(keyspace, shard) if tablet is not primary]

    def planned_reparent(self, keyspace: str, shard: str, new: Tablet | None = None) -> Tablet:
        """Makes another tablet the primary, which loses nothing; the first replica by default."""
        return self._reparent("PlannedReparentShard", new or self.replicas(keyspace, shard)[0])

    def emergency_reparent(self, keyspace: str, shard: str, new: Tablet | None = None) -> Tablet:
        """Makes another tablet the primary in place of one that is dead or not heard."""
        return self._reparent("EmergencyReparentShard", new or self.replicas(keyspace, shard)[0])

    def _tablet(self, keyspace: str, shard: str, kind: str, flags: Sequence[str]) -> Tablet:
        flags = (*self._tablet_flags, *flags)
        tablet = Tablet(self._surroundings, next(self._uids), keyspace, shard, kind, flags)
        self._tablets.append(tablet)
        return tablet

    def _make_primary(self, tablet: Tablet) -> None:
        # The shard's tablets may not have found each other yet.
        wait_until(lambda: self._reparented(tablet), f"{tablet.alias} is the primary", SECONDS)

    def _reparented(self, tablet: Tablet) -> bool:
        with suppress(ClusterError):
            return bool(self._reparent("PlannedReparentShard", tablet))
        return False

    def _reparent(self, command: str, new: Tablet) -> Tablet:
        self.vtctldclient(command, f"--new-primary={new.alias}", f"{new.keyspace}/{new.shard}")
        return new


def _at_once(action: Callable[[Tablet], None], tablets: Iterable[Tablet]) -> None:
    with ThreadPoolExecutor() as threads:
        # The list raises what an action raised.
        list(threads.map(action, tablets))
