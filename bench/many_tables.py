"""Tables that share a log: what their one pass takes, beside a client of the same stream."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.data import Kind, add_table, change_rows
from bench.measure import Cost, best, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.terms import Size
    from integration_tests.vitess.cluster import VitessCluster

_COUNTS = (1, 28, 200)
_NARROW = Kind("narrow", {"qty": ("int", "n")})


@dataclass(frozen=True)
class Many:
    """What a sync of so many tables took, without what it takes where there is nothing new.

    Attributes:
        tables: How many.
        seconds: Wall time.
        cpu: CPU seconds.
        client_cpu: Those of a client that receives the same stream and parses each response by itself.
        peak_mb: The most memory that the sync held.
        streams: How many it opened.
        nothing_new: Seconds after the imports of a sync that finds nothing new.
    """

    tables: int
    seconds: float
    cpu: float
    client_cpu: float
    peak_mb: float
    streams: int
    nothing_new: float


def many_tables(
    cluster: VitessCluster, keyspace: str, config: dict[str, object], size: Size
) -> Iterator[Many]:
    """Measures 1, 28 and 200 tables of an unsharded keyspace that has a table `elsewhere`."""
    names = [f"busy_{number}" for number in range(_COUNTS[-1])]
    for name in names:
        add_table(cluster, keyspace, name, _NARROW, 1)
    before = _states(config, names)
    change_rows(cluster, keyspace, "elsewhere", size.commits, 1)
    _touch(cluster, keyspace, names)
    after = _states(config, names, before)
    for count in _COUNTS:
        clients, costs, stills, idle = [], [], [], []
        for _ in range(size.rounds):
            clients.append(_client(config, names[:count], before))
            costs.append(_timed(config, names[:count], before))
            idle.append(_client(config, names[:count], after))
            stills.append(_timed(config, names[:count], after))
        client, cost, still = best(clients), best(costs), best(stills)
        yield Many(
            count,
            cost.own["seconds"] - still.own["seconds"],
            cost.own["cpu"] - still.own["cpu"],
            client.cpu - best(idle).cpu,
            cost.peak_mb,
            int(cost.own["open"]),
            still.own["seconds"],
        )


def _touch(cluster: VitessCluster, keyspace: str, tables: Sequence[str]) -> None:
    """Changes the only row of each table, each in its own transaction."""
    (shard,) = cluster.shards(keyspace)
    with (
        closing(cluster.connect_mysqld(f"vt_{keyspace}_{shard}")) as connection,
        connection.cursor() as cursor,
    ):
        for table in tables:
            cursor.execute(f"update {table} set qty = qty + 1")  # noqa: S608 - the bench's own tables


def _states(config: dict[str, object], tables: Sequence[str], state: object = None) -> list[object]:
    """The last state of each stream after a sync."""
    done = read(config, *tables, state=state, keep_output=True)
    messages = [json.loads(line) for line in done.output.splitlines() if '"STATE"' in line]
    states = [message["state"] for message in messages if message["type"] == "STATE"]
    return list({state["stream"]["stream_descriptor"]["name"]: state for state in states}.values())


def _timed(config: dict[str, object], tables: Sequence[str], state: object) -> Cost:
    return read(config, *tables, state=state, module=("bench.timed", "read"), keep_own=True)


def _client(config: dict[str, object], tables: Sequence[str], state: object) -> Cost:
    """A client's own seconds and CPU."""
    module = ("bench.floor", "--parse")
    found = json.loads(read(config, *tables, state=state, module=module, keep_output=True).output)
    return Cost(found["seconds"], found["cpu"], found["bytes"] / 1e6)
