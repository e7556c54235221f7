"""Reads streams into DuckDB with PyAirbyte and deduplicates them with Airbyte's rule, in SQL.

Run by the Python of PyAirbyte's own environment: `python duckdb_read.py JOB`, where JOB is a JSON file with
`executable`, `config`, `database` and `keys` (stream -> columns of its key). Writes `database`'s
deduplicated rows, and how many records share key and extraction time, as JSON to stdout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import airbyte as ab
from airbyte.caches import DuckDBCache
from airbyte.strategies import WriteStrategy

# What Airbyte's destinations do for 'Append + Deduped'.
DEDUPED = """
    select * exclude (place) from (
        select *, row_number() over (
            partition by {key} order by _ab_cdc_cursor desc nulls last, _airbyte_extracted_at desc
        ) as place
        from raw.{table}
    )
    where place = 1 and _ab_cdc_deleted_at is null
    order by {key}
"""
TIES = """
    select count(*) from (
        select 1 from raw.{table} group by {key}, _airbyte_extracted_at having count(*) > 1
    )
"""


def main(job: dict[str, Any]) -> None:
    source = ab.get_source(
        "source-planetscale",
        config=job["config"],
        local_executable=Path(job["executable"]),
        install_if_missing=False,
        streams=list(job["keys"]),
    )
    cache = DuckDBCache(db_path=job["database"], schema_name="raw")
    # PyAirbyte's own merge knows neither cursors nor deletes, and keeps namesakes of one batch.
    source.read(cache=cache, write_strategy=WriteStrategy.APPEND, skip_validation=True)
    print(json.dumps({table: deduplicated(cache, table, key) for table, key in job["keys"].items()}))


def deduplicated(cache: Any, table: str, key: list[str]) -> dict[str, Any]:
    names = {"table": table, "key": ", ".join(key)}
    rows = cache.run_sql_query(DEDUPED.format(**names))
    ((ties,),) = (tuple(row.values()) for row in cache.run_sql_query(TIES.format(**names)))
    return {"rows": [plain(dict(row)) for row in rows], "ties": ties}


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith(("_airbyte", "_ab_cdc"))}


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
