"""Turns what `discover` writes into the catalog that `read` takes: the named streams, or all, incremental.

source-planetscale discover --config config.json | python3 examples/configured_catalog.py > catalog.json
"""

from __future__ import annotations

import json
import sys

messages = [json.loads(line) for line in sys.stdin]
catalogs = [message["catalog"] for message in messages if message["type"] == "CATALOG"]
if not catalogs:
    sys.exit("No catalog came in: see what discover says.")
streams = [
    {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
    for stream in catalogs[-1]["streams"]
    if stream["name"] in sys.argv[1:] or not sys.argv[1:]
]
json.dump({"streams": streams}, sys.stdout, indent=2)
