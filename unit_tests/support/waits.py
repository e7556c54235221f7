"""Reads without the waits between attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def leave_out_waits(patch: pytest.MonkeyPatch) -> None:
    """Leaves out the waits between attempts."""
    for room in ("shard", "positions", "shapes"):
        patch.setattr(f"source_planetscale.follow.{room}.backoff_seconds", lambda _attempt: 0.0)
