"""Reads a PlanetScale or Vitess database into DuckDB through PyAirbyte.

Run it once for a copy, and again for what changed since: the state is kept beside the rows. Every change is
appended to a table; a view beside it, `TABLE_today`, has the rows as they are in the source.

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


# PyAirbyte's own merge goes by neither cursor nor delete.
TODAY = """
create or replace view "{schema}"."{name}_today" as
select * exclude (place) from (
    select *, row_number() over (partition by {key} order by _ab_cdc_cursor desc) as place
    from "{schema}"."{name}"
) where place = 1 and _ab_cdc_deleted_at is null
"""


def main() -> None:
    """Syncs every stream and shows what the tables hold."""
    options = parse_arguments()
    options.duckdb.parent.mkdir(parents=True, exist_ok=True)
    # The change columns bring deletes, and the cursor that orders the changes of a row.
    config = {**json.loads(options.config.read_text()), "include_cdc_columns": True}
    source = ab.get_source("source-planetscale", config=config, local_executable=options.connector)
    source.check()
    source.select_all_streams()
    cache = DuckDBCache(db_path=options.duckdb, schema_name=config["database"])
    result = source.read(cache=cache, write_strategy="append")
    sys.stdout.write(f"{result.processed_records} records came from {config['database']}.\n")
    for stream in source.discovered_catalog.streams:
        if stream.source_defined_primary_key and stream.name in result.streams:
            show_today(cache, stream.name, [path[0] for path in stream.source_defined_primary_key])


def show_today(cache: DuckDBCache, name: str, key: list[str]) -> None:
    """Makes the view of a table and tells how many rows it has."""
    columns = ", ".join(f'"{column}"' for column in key)
    cache.execute_sql(TODAY.format(schema=cache.schema_name, name=name, key=columns))
    (counted,) = cache.run_sql_query(
        f'select count(*) as today from "{cache.schema_name}"."{name}_today"'  # noqa: S608 - of the catalog
    )
    sys.stdout.write(f"  {name}: {counted['today']} rows in {name}_today\n")


def parse_arguments() -> argparse.Namespace:
    """Where to read from, and where to."""
    parser = argparse.ArgumentParser(description="Reads a PlanetScale or Vitess database into DuckDB.")
    config = ROOT / "integration_tests" / "acceptance" / "config.json"
    parser.add_argument("--config", type=Path, default=config, help="the connector's (%(default)s)")
    duckdb = ROOT / "build" / "pyairbyte.duckdb"
    parser.add_argument("--duckdb", type=Path, default=duckdb, help="the database file (%(default)s)")
    connector = ROOT / ".venv" / "bin" / "source-planetscale"
    parser.add_argument("--connector", type=Path, default=connector, help="the command (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
