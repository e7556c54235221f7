"""Runs the embedded database until it is told to stop."""

from __future__ import annotations

from embedded_database.cli import main

if __name__ == "__main__":
    main()
