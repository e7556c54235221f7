"""What tests of following a shard share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unit_tests.support.waits import leave_out_waits

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def no_waits() -> Iterator[None]:
    """Leaves out the waits between attempts."""
    with pytest.MonkeyPatch.context() as patch:
        leave_out_waits(patch)
        yield
