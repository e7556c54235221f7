"""Whether a warehouse's deduplicated table equals the source: DuckDB by way of PyAirbyte, on real Vitess."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from integration_tests.vitess.cluster import VitessCluster

PROJECT = Path(__file__).parents[2]
PYAIRBYTE = PROJECT / ".venv-pyairbyte" / "bin" / "python"
SECONDS = 300.0


class DuckDB:
    """A DuckDB file that PyAirbyte fills from the command, with the state in it."""

    def __init__(self, directory: Path, config: dict[str, object], keys: dict[str, list[str]]) -> None:
        executable = directory / "source-planetscale"
        command = shlex.join([sys.executable, "-m", "source_planetscale"])
        executable.write_text(f'#!/bin/sh\nexec env PYTHONPATH={shlex.quote(str(PROJECT))} {command} "$@"\n')
        executable.chmod(0o755)
        self.directory = directory
        self.job = directory / "job.json"
        content = {
            "executable": str(executable),
            "config": config,
            "database": str(directory / "warehouse.duckdb"),
            "keys": keys,
        }
        self.job.write_text(json.dumps(content))

    def read(self) -> dict[str, dict[str, Any]]:
        """Reads from the last state; gives per stream the deduplicated `rows` and the number of `ties`."""
        done = subprocess.run(
            [PYAIRBYTE, Path(__file__).with_name("duckdb_read.py"), self.job],
            cwd=self.directory,
            env={**os.environ, "AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "HOME": str(self.directory)},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        answer: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return answer


@pytest.fixture(scope="session")
def pyairbyte() -> None:
    """PyAirbyte in its own environment; without it the tests that need it are skipped, loudly."""
    if not PYAIRBYTE.is_file():
        pytest.skip(f"PyAirbyte is not installed in {PYAIRBYTE.parents[1].name}: run `make pyairbyte`")


def source_rows(vitess: VitessCluster, keyspace: str, table: str, key: list[str]) -> list[dict[str, Any]]:
    columns = [row[0] for row in vitess.execute(f"show columns from {table}", f"{keyspace}:-80")]
    statement = f"select * from {table} order by {', '.join(key)}"  # noqa: S608 - the test's own names
    return [dict(zip(columns, row, strict=True)) for row in vitess.execute(statement, keyspace)]


KEYS = {"wh_items": ["id"], "wh_pairs": ["a", "b"]}
FIRST = [
    "insert into wh_items values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4), (5, 'e', null)",
    "insert into wh_pairs values (1, 'x', 1), (1, 'y', 2), (2, 'x', 3)",
]
SECOND = [
    "insert into wh_items values (6, 'f', 6)",
    "begin",
    "update wh_items set n = 10 where id = 1",
    "update wh_items set n = 11 where id = 1",
    "insert into wh_items values (7, 'g', 7)",
    "update wh_items set n = 77 where id = 7",
    "delete from wh_items where id = 2",
    "insert into wh_items values (2, 'again', 22)",
    "insert into wh_items values (8, 'h', 8)",
    "delete from wh_items where id = 8",
    "commit",
    "delete from wh_items where id = 3",
    "update wh_pairs set b = 'z' where a = 1 and b = 'y'",
    "update wh_pairs set v = 33 where a = 2",
    "delete from wh_pairs where a = 1 and b = 'x'",
]
THIRD = [
    "insert into wh_items values (3, 'back', 33)",
    "delete from wh_items where id in (1, 7)",
    "update wh_items set label = 'changed', n = 44 where id = 4",
    "insert into wh_items values (5, 'e', 5) on duplicate key update n = 55",
]


@pytest.mark.usefixtures("pyairbyte")
def test_duckdb_equals_the_source_after_each_of_three_reads(vitess: VitessCluster, tmp_path: Path) -> None:
    for table in KEYS:
        vitess.execute(f"drop table if exists {table}", "shop")
    items = "create table wh_items (id int primary key, label varchar(20), n int)"
    vitess.create_table("shop", items, "id")
    pairs = "create table wh_pairs (a int, b varchar(9), v int, primary key (a, b))"
    vitess.create_table("shop", pairs, "a")
    duckdb = DuckDB(tmp_path, vitess.config("shop", include_cdc_columns=True), KEYS)
    ties = 0
    for statements in (FIRST, SECOND, THIRD):
        with closing(vitess.connect("shop")) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        warehouse = duckdb.read()
        for table, key in KEYS.items():
            assert warehouse[table]["rows"] == source_rows(vitess, "shop", table, key)
        ties += warehouse["wh_items"]["ties"]
    # Only the cursor tells these apart: changes of one row, extracted in the same millisecond.
    assert ties > 0
