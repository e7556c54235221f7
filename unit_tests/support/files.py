"""The files of a read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from unit_tests.support.events import KEYSPACE
from unit_tests.support.fakes import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {"host": "db.example.com", "database": KEYSPACE, "username": "user", "password": PASSWORD}
STREAM = {"name": "orders", "namespace": KEYSPACE, "json_schema": {}, "supported_sync_modes": ["incremental"]}
CATALOG = {"streams": [{"stream": STREAM, "sync_mode": "incremental", "destination_sync_mode": "append"}]}


def arguments(folder: Path) -> list[str]:
    """Writes a configuration and a catalog; gives the arguments that name them, the configuration's first."""
    named = []
    for name, content in (("config", CONFIG), ("catalog", CATALOG)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content))
        named += [f"--{name}", str(path)]
    return named
