"""Fixtures that several modules of tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unit_tests.support.fakes import reader_threads
from unit_tests.support.waits import leave_out_waits

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reads that wait for nothing and leave no thread behind."""
    leave_out_waits(monkeypatch)
    monkeypatch.setattr("source_planetscale.sync.turns._POLL_SECONDS", 0.01)
    monkeypatch.setattr("source_planetscale.sync.tasks._SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr("source_planetscale.sync.tasks._SECONDS_TO_GATHER", 0.0)
    yield
    assert reader_threads() == []
