"""The databases that tests run on: the embedded one and a real Vitess, as fixtures."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, TypeVar

import pytest

from embedded_database.database import EmbeddedDatabase
from integration_tests.vitess.cluster import VitessCluster
from integration_tests.vitess.prerequisites import MissingPrerequisiteError
from integration_tests.vitess.real_cluster import RealCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _pytest.capture import CaptureManager

    from embedded_database.contract.database import Database

# Set to 1 where a machine without Vitess is a failure.
REQUIRE_VITESS = "REQUIRE_VITESS"

_Cluster = TypeVar("_Cluster", VitessCluster, RealCluster)

REAL_FIXTURES = {"vitess", "real_cluster"}

MISSING = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers, and has commands that tests start hear SIGINT.

    A shell starts what runs in the background with this signal ignored, which is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "vitess: needs a real Vitess, which the tests install and run")
    config.addinivalue_line("markers", "image_tests: Airbyte's standard tests that need Docker")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that needs a real Vitess, so that `-m "not vitess"` leaves it out."""
    for item in items:
        if REAL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("vitess")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says why no test ran on a real Vitess, where none did."""
    missing = config.stash.get(MISSING, None)
    if missing:
        terminalreporter.write_line(f"NOT RUN: every test on a real Vitess. {missing}", red=True, bold=True)


@pytest.fixture(scope="session")
def vitess(pytestconfig: pytest.Config) -> Iterator[VitessCluster]:
    """A real Vitess with the keyspaces `shop` (shards -80 and 80-) and `src` (shard 0), in one process."""
    with started(pytestconfig, lambda: VitessCluster.start({"shop": 2, "src": 1})) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def real_cluster(pytestconfig: pytest.Config) -> Iterator[RealCluster]:
    """A real Vitess of many processes without a keyspace: each module or test adds its own.

    Small packets: a copy of few rows has many places where it can be cut.
    """
    flags = ("--vstream-packet-size=3000", "--vstream-dynamic-packet-size=false")
    with started(pytestconfig, lambda: RealCluster.start({}, tablet_flags=flags)) as cluster:
        yield cluster


def started(pytestconfig: pytest.Config, start: Callable[[], _Cluster]) -> _Cluster:
    """Starts a real Vitess; where there can be none, the test is skipped or fails."""
    capture: CaptureManager | None = pytestconfig.pluginmanager.getplugin("capturemanager")
    if capture is None:
        raise AssertionError("pytest always has a capture manager")
    try:
        # The first installation takes minutes; its progress is shown.
        with capture.global_and_fixture_disabled():
            return start()
    except MissingPrerequisiteError as error:
        if os.environ.get(REQUIRE_VITESS) == "1":
            pytest.fail(str(error), pytrace=False)
        pytestconfig.stash[MISSING] = str(error)
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["embedded", pytest.param("vitess", marks=pytest.mark.vitess)])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The embedded database, then a real Vitess: the same keyspaces, and both let everyone in."""
    if request.param == "vitess":
        yield request.getfixturevalue("vitess")
        return
    with EmbeddedDatabase(users={}) as embedded:
        yield embedded
