"""Large rows, tables and transactions, on a real Vitess, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from integration_tests.support.command import configured, read, read_well
from integration_tests.support.tables import create, insert, on_shard
from integration_tests.vitess.cluster import VitessCluster

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.support.command import Json

TRANSACTION_ROWS = 1 << 18
# The interpreter with its libraries takes about 90 MB; the queue holds 4 MB, a response of the server
# about 2 MB, and their rows and record lines a few times that.
PEAK_MB = 200
COLUMNS = 500
LARGE = 5_000_000


# Runs a command and writes the peak of its memory in kB to a file. A child's figure starts at the size of the
# process that it was forked from, which a whole test run makes large.
LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_megabytes(tmp_path: Path, config: Json, table: str, state: object) -> tuple[int, int]:
    """Runs a sync that must succeed; gives its records and the peak of its resident memory in MB."""
    files = {"config": config, "catalog": configured(table, namespace="src"), "state": state}
    options = []
    for name, content in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        options += [f"--{name}", str(path)]
    peak = tmp_path / "peak"
    command = [sys.executable, "-m", "source_planetscale", "read", *options]
    launched = [sys.executable, "-c", LAUNCHER, str(peak), *command]
    with subprocess.Popen(launched, stdout=subprocess.PIPE) as process:
        assert process.stdout
        records = sum(b'"RECORD"' in line[:40] for line in process.stdout)
    assert process.returncode == 0
    return records, int(peak.read_text()) // 1024


def test_a_huge_transaction_is_read_in_bounded_memory(vitess: VitessCluster, tmp_path: Path) -> None:
    create(vitess, "src", "create table huge (id bigint primary key auto_increment, note varchar(200))")
    first = read_well(vitess.config("src"), "huge")
    # Past vtgate, which would end so long a transaction; doubled within one of the server's statements.
    doubling = " union all ".join(["select 1"] * 64)
    vitess.execute_on_mysqld(
        "insert into vt_src_0.huge (note) select repeat('x', 150) from "  # noqa: S608 - the test's own
        f"({doubling}) a, ({doubling}) b, ({doubling}) c"
    )
    records, megabytes = peak_megabytes(tmp_path, vitess.config("src"), "huge", first.state)
    assert records == TRANSACTION_ROWS
    assert megabytes < PEAK_MB


def test_a_table_of_500_columns_is_read_in_both_phases(vitess: VitessCluster) -> None:
    names = [f"column_{number}" for number in range(COLUMNS - 1)]
    columns = ", ".join(f"{name} int" for name in names)
    create(vitess, "src", f"create table wide (id bigint primary key, {columns})")
    insert(vitess, "src", "0", "wide", [(key, *range(COLUMNS - 1)) for key in range(100)])
    first = read_well(vitess.config("src"), "wide")
    insert(vitess, "src", "0", "wide", [(key, *range(COLUMNS - 1)) for key in range(100, 200)])
    second = read_well(vitess.config("src"), "wide", state=first.state)
    for done, start in ((first, 0), (second, 100)):
        wanted = [
            {"id": key, **dict(zip(names, range(COLUMNS - 1), strict=True))}
            for key in range(start, start + 100)
        ]
        assert done.records("wide") == wanted


def test_a_row_of_5_mb_is_read_in_both_phases(vitess: VitessCluster) -> None:
    create(vitess, "src", "create table tall (id bigint primary key, note longtext)")
    insert(vitess, "src", "0", "tall", [(1, "a" * LARGE)])
    first = read_well(vitess.config("src"), "tall")
    on_shard(vitess, "src", "0", "update tall set note = repeat('b', 5000000) where id = 1")
    second = read_well(vitess.config("src"), "tall", state=first.state)
    assert first.records("tall") == [{"id": 1, "note": "a" * LARGE}]
    assert second.records("tall") == [{"id": 1, "note": "b" * LARGE}]


def test_a_row_beyond_the_servers_message_limit_ends_incomplete() -> None:
    with VitessCluster.start({"src": 1}, vtcombo_flags=["--grpc-max-message-size=1000000"]) as vitess:
        create(vitess, "src", "create table tall (id bigint primary key, note longtext)")
        insert(vitess, "src", "0", "tall", [(1, "small")])
        first = read_well(vitess.config("src"), "tall")
        config = vitess.config("src", max_retries=1, timeout_seconds=5)
        insert(vitess, "src", "0", "tall", [(2, "small")])
        on_shard(vitess, "src", "0", "insert into tall values (3, repeat('x', 3000000))")
        insert(vitess, "src", "0", "tall", [(4, "small")])
        broken = read(config, "tall", state=first.state)
        assert broken.exit_code != 0
        assert broken.statuses("tall")[-1] == "INCOMPLETE"
        assert "table tall, shard 0" in broken.errors_of("tall")[0]
        assert [row["id"] for row in broken.records("tall")] == [2]
        assert read(config, "tall", state=broken.state).statuses("tall")[-1] == "INCOMPLETE"
