"""An embedded PlanetScale for tests and demos: vtgate's two ports over SQLite.

`EmbeddedDatabase` runs it within a test, `python -m embedded_database` as a process of its own.
"""

from __future__ import annotations

from embedded_database.database import EmbeddedDatabase
from embedded_database.vstream.merged import Limits

__all__ = ["EmbeddedDatabase", "Limits"]
