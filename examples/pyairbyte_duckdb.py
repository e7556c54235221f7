"""Reads a PlanetScale or Vitess database into DuckDB through PyAirbyte.

Run it once for a copy, and again for what changed since: the state is kept beside the rows.

    make pyairbyte
    make local                                                    (in another terminal)
    .venv-pyairbyte/bin/python examples/pyairbyte_duckdb.py

Without arguments it reads the embedded database of `make local` into `build/pyairbyte.duckdb`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

# PyAirbyte would look the connector up in Airbyte's registry, although it is installed here.
os.environ.setdefault("AIRBYTE_OFFLINE_MODE", "1")

import airbyte as ab
from airbyte.caches import DuckDBCache

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Syncs every stream and shows what the tables hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--config",
        type=Path,
        default=ROOT / "integration_tests" / "acceptance" / "config.json",
        help="the connector's configuration (%(default)s)",
    )
    parser.add_argument(
        "--duckdb", type=Path, default=ROOT / "build" / "pyairbyte.duckdb", help="(%(default)s)"
    )
    parser.add_argument(
        "--connector",
        type=Path,
        default=ROOT / ".venv" / "bin" / "source-planetscale",
        help="the installed command (%(default)s)",
    )
    options = parser.parse_args()
    options.duckdb.parent.mkdir(parents=True, exist_ok=True)

    # The change columns tell deletes, and give the order in which changes are merged.
    config = {**json.loads(options.config.read_text()), "include_cdc_columns": True}
    source = ab.get_source("source-planetscale", config=config, local_executable=options.connector)
    source.check()
    source.select_all_streams()
    cache = DuckDBCache(db_path=options.duckdb, schema_name=config["database"])
    result = source.read(cache=cache, write_strategy="merge")
    sys.stdout.write(f"{result.processed_records} records came from {config['database']}.\n")
    for name in sorted(result.streams):
        (counts,) = cache.run_sql_query(
            "select count(*) as copied, count(_ab_cdc_deleted_at) as deleted"  # noqa: S608 - catalog names
            f' from "{config["database"]}"."{name}"'
        )
        told = f"{counts['copied']} rows, {counts['deleted']} of them deleted in the source"
        sys.stdout.write(f"  {name}: {told}\n")


if __name__ == "__main__":
    main()
