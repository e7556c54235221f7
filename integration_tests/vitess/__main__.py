"""Command line: `python -m integration_tests.vitess install` or `up`."""

from __future__ import annotations

import argparse
import signal
import sys
import textwrap

from integration_tests.vitess.cluster import VitessCluster
from integration_tests.vitess.install import install
from integration_tests.vitess.prerequisites import MissingPrerequisiteError, progress
from integration_tests.vitess.processes import ClusterError

SAMPLE_ROWS = 1000


def main() -> int:
    """Runs one command and returns its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = parse_arguments()
    try:
        if arguments.command == "install":
            progress(f"installed in {install().root}")
        else:
            run_until_interrupted(arguments.keyspaces, sample=arguments.sample)
    except (MissingPrerequisiteError, ClusterError) as error:
        progress(str(error))
        return 1
    except KeyboardInterrupt:
        progress("stopped")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.vitess", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="only install Vitess and MySQL into the cache")
    up = commands.add_parser("up", help="run a cluster until Ctrl-C")
    up.add_argument(
        "--keyspaces",
        type=parse_keyspaces,
        default="shop:2,src:1",
        help="keyspace:shards, separated by commas (%(default)s)",
    )
    up.add_argument(
        "--sample", action="store_true", help="create a table `customer` with rows in each keyspace"
    )
    return parser.parse_args()


def parse_keyspaces(text: str) -> dict[str, int]:
    """Parses `shop:2,src:1`."""
    pairs = (part.split(":", 1) for part in text.split(","))
    return {keyspace: int(shards) for keyspace, shards in pairs}


def run_until_interrupted(keyspaces: dict[str, int], *, sample: bool) -> None:
    """Keeps a cluster in the foreground."""
    with VitessCluster.start(keyspaces) as cluster:
        if sample:
            for keyspace in keyspaces:
                create_sample(cluster, keyspace)
        print(how_to_connect(cluster), flush=True)
        signal.pause()


def create_sample(cluster: VitessCluster, keyspace: str) -> None:
    """Creates a table with some rows."""
    cluster.create_table(
        keyspace,
        "create table customer (id bigint primary key, email varchar(120), balance decimal(12,2),"
        " created datetime) charset utf8mb4",
        "id" if cluster.keyspaces[keyspace] > 1 else None,
    )
    cluster.execute_many(
        "insert into customer (id, email, balance, created) values (%s, %s, %s, now())",
        keyspace,
        [(key, f"customer{key}@example.com", key / 4) for key in range(1, SAMPLE_ROWS + 1)],
    )


def how_to_connect(cluster: VitessCluster) -> str:
    """The text that tells a person where the cluster is."""
    keyspaces = ", ".join(f"{name} ({' '.join(cluster.shards(name))})" for name in cluster.keyspaces)
    return textwrap.dedent(f"""\
        Vitess is up; Ctrl-C stops it and removes its data.
          keyspaces    {keyspaces}
          MySQL        mysql -h {cluster.host} -P {cluster.mysql_port} -u user
          gRPC         {cluster.host}:{cluster.grpc_port}, plaintext
          status page  http://{cluster.host}:{cluster.http_port}/debug/status""")


if __name__ == "__main__":
    sys.exit(main())
