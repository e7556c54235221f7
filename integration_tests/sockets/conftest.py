"""Every read over sockets is made by one process, and by workers."""

from __future__ import annotations

import pytest

from source_planetscale.workers.crew import PROCESSES


@pytest.fixture(params=["0", "2"], ids=["one process", "workers"], autouse=True)
def _processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROCESSES, request.param)
