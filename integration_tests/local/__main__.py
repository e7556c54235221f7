"""Runs the local database until it is told to stop."""

from __future__ import annotations

from integration_tests.local.cli import main

if __name__ == "__main__":
    main()
