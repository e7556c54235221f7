"""An embedded local PlanetScale for tests and demos: vtgate's two doors over SQLite.

`LocalDatabase` runs it within a test, `python -m integration_tests.local` as a process of its own.
"""

from __future__ import annotations

from integration_tests.local.database import LocalDatabase
from integration_tests.local.vstream import Limits

__all__ = ["Limits", "LocalDatabase"]
