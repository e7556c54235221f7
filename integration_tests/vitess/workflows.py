"""Vitess's workflows that move tables: Reshard between shards, MoveTables between keyspaces."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from integration_tests.vitess.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

    from integration_tests.vitess.real_cluster import RealCluster

SECONDS = 60.0


class Workflow:
    """A workflow that was created.

    Attributes:
        kind: `Reshard` or `MoveTables`.
        name: Its name, unique in its keyspace.
        keyspace: The keyspace that it writes to.
        sources: keyspace -> shards that it reads.
        targets: The shards that it writes to.
    """

    def __init__(
        self,
        cluster: RealCluster,
        kind: str,
        name: str,
        keyspace: str,
        sources: tuple[str, Sequence[str]],
        targets: Sequence[str],
    ) -> None:
        """Describes a workflow without creating it; `reshard` and `move_tables` are the ways to get one."""
        self.kind = kind
        self.name = name
        self.keyspace = keyspace
        self.sources = sources
        self.targets = targets
        self._cluster = cluster

    @classmethod
    def reshard(
        cls,
        cluster: RealCluster,
        keyspace: str,
        sources: Sequence[str],
        targets: Mapping[str, int],
        name: str = "split",
    ) -> Self:
        """Makes the new shards where they do not exist, and begins to copy the old ones to them.

        Args:
            cluster: Where.
            keyspace: The keyspace, which has to be sharded.
            sources: The old shards.
            targets: The new shards -> their number of tablets.
            name: The workflow's name.
        """
        missing = {
            shard: tablets for shard, tablets in targets.items() if not cluster.tablets(keyspace, shard)
        }
        cluster.add_shards(keyspace, missing)
        workflow = cls(cluster, "Reshard", name, keyspace, (keyspace, sources), list(targets))
        workflow._call(
            "create", f"--source-shards={','.join(sources)}", f"--target-shards={','.join(targets)}"
        )
        workflow.wait_until_running()
        return workflow

    @classmethod
    def move_tables(
        cls, cluster: RealCluster, source: str, target: str, tables: Sequence[str], name: str = "move"
    ) -> Self:
        """Begins to copy tables from one keyspace to another."""
        sources, targets = cluster.shards(source), cluster.shards(target)
        workflow = cls(cluster, "MoveTables", name, target, (source, sources), targets)
        workflow._call("create", f"--source-keyspace={source}", f"--tables={','.join(tables)}")
        workflow.wait_until_running()
        return workflow

    def wait_until_running(self) -> None:
        """Waits until all rows are copied and changes are followed."""
        wait_until(self._is_running, f"{self.name} is running", SECONDS)

    def wait_until_caught_up(self) -> None:
        """Waits until the targets have everything that the sources have now."""
        keyspace, shards = self.sources
        for shard in shards:
            executed = self._cluster.primary(keyspace, shard).position()
            has_applied = partial(self._has_applied, shard, executed)
            wait_until(has_applied, f"{self.name} has caught up", SECONDS)

    def switch_traffic(self, *flags: str) -> None:
        """Lets the targets serve, with the sources following them."""
        self._call("switchtraffic", *flags)

    def reverse_traffic(self, *flags: str) -> None:
        """Lets the sources serve again, with the targets following them."""
        self._call("reversetraffic", *flags)

    def complete(self, *flags: str) -> None:
        """Ends it after a switch: the old shards or tables go; a move can `--keep-data`."""
        self._call("complete", *flags)

    def remove_old_tablets(self) -> None:
        """Removes the tablets of a completed reshard's old shards, whose names may be wanted again."""
        keyspace, shards = self.sources
        for shard in shards:
            for tablet in self._cluster.tablets(keyspace, shard):
                self._cluster.remove_tablet(tablet)

    def cancel(self, *flags: str) -> None:
        """Ends it before a switch: what was copied goes."""
        self._call("cancel", *flags)

    def _call(self, action: str, *flags: str) -> None:
        self._cluster.vtctldclient(
            self.kind, f"--workflow={self.name}", f"--target-keyspace={self.keyspace}", action, *flags
        )

    def _is_running(self) -> bool:
        # A stream without a position has yet to find out that there is something to copy.
        running = self._ask_targets("state = 'Running' and pos != ''")
        return bool(running) and all(running)

    def _has_applied(self, source_shard: str, gtid_set: str) -> bool:
        """Whether the streams from a shard have come as far as a GTID set."""
        reads = f'keyspace:"{self.sources[0]}" shard:"{source_shard}" '
        return all(
            self._ask_targets(
                f"source not like '{reads}%' or gtid_subset('{gtid_set}', substring_index(pos, '/', -1))"
            )
        )

    def _ask_targets(self, condition: str) -> list[int]:
        """The truth of a condition for every stream."""
        question = f"select {condition} from _vt.vreplication where workflow = '{self.name}'"  # noqa: S608 - our own
        primaries = [self._cluster.primary(self.keyspace, shard) for shard in self.targets]
        return [truth for primary in primaries for (truth,) in primary.execute(question)]
