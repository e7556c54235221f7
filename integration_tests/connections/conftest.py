"""What tests of the ways to a database share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from integration_tests.connections.sshd import Sshd
from integration_tests.vitess.prerequisites import MissingPrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    """OpenSSH's server; without it a test is not run, or fails where `REQUIRE_VITESS` is 1."""
    try:
        server = Sshd()
    except MissingPrerequisiteError as error:
        if os.environ.get("REQUIRE_VITESS") == "1":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    with server:
        yield server
