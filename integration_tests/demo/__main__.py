"""Runs the demo."""

from __future__ import annotations

import sys

from integration_tests.demo.story import main

if __name__ == "__main__":
    sys.exit(main())
