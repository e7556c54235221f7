"""What tests of following a shard share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def no_waits() -> Iterator[None]:
    """Leaves out the waits between attempts."""
    with pytest.MonkeyPatch.context() as patch:
        for room in ("shard", "positions", "shapes"):
            patch.setattr(f"source_planetscale.follow.{room}.backoff_seconds", lambda _attempt: 0.0)
        yield
