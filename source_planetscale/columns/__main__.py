"""Writes the documentation of the types to stdout."""

from __future__ import annotations

import sys

from source_planetscale.columns.docs import types_page

sys.stdout.write(types_page())
