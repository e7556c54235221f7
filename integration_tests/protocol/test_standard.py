"""Airbyte's standard tests of a source, in process, with the entries of acceptance-test-config.yml.

The entries' configurations name the ports of `make local`; here they are those of the test's own database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airbyte_cdk.test.standard_tests import ConnectorTestScenario, SourceTestSuiteBase

from integration_tests.support.tables import create, on_shard
from source_planetscale import SourcePlanetscale

if TYPE_CHECKING:
    from airbyte_cdk.test.models.scenario import ScenarioCommand

    from embedded_database.contract.database import Database

TABLES = ("standard_orders", "standard_items")
KEYSPACE = "shop"


class Suite(SourceTestSuiteBase):
    # By default found by the name of the directory, which is the checkout's here.
    connector = SourcePlanetscale


SCENARIOS = Suite.get_scenarios()
COMMANDS: dict[str, ScenarioCommand] = {
    "test_check": "check",
    "test_config_matches_spec": "spec",
    "test_discover": "discover",
    "test_basic_read": "read",
    "test_fail_read_with_bad_catalog": "read",
}


def without_images(suite: type[Suite]) -> type[Suite]:
    """Leaves out what builds an image with Docker; test_packaging.py runs the image's steps without."""
    for name in dir(suite):
        if name.startswith("test_docker_"):
            setattr(suite, name, None)
    return suite


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each test with the entries of its own command; the suite would skip the others."""
    if "scenario" in metafunc.fixturenames:
        entries = [entry for entry in SCENARIOS if entry.runs(COMMANDS[metafunc.function.__name__])]
        metafunc.parametrize("scenario", entries, indirect=True, ids=[entry.id for entry in entries])


@pytest.fixture(scope="module")
def other_tables(database: Database) -> list[str]:
    """The tables of other tests in the keyspace, which may be empty."""
    create(
        database,
        KEYSPACE,
        """create table standard_orders
        (id bigint primary key, total decimal(10,2), at timestamp null, doc json)""",
        """create table standard_items
        (sku varchar(9), line int, flag bool, raw blob, primary key (sku, line))""",
    )
    on_shard(
        database,
        KEYSPACE,
        "-80",
        "insert into standard_orders values (1, 9.50, '2024-02-29 12:34:56', '{}')",
        "insert into standard_orders (id) values (2)",
        "insert into standard_items values ('a', 1, 1, x'00ff')",
    )
    on_shard(database, KEYSPACE, "80-", "insert into standard_items values ('b', 1, 0, null)")
    listed = database.execute("show tables", f"{KEYSPACE}:-80@primary")
    return [name for (name,) in listed if name not in TABLES]


@pytest.fixture
def scenario(
    request: pytest.FixtureRequest, database: Database, other_tables: list[str]
) -> ConnectorTestScenario:
    """An entry of acceptance-test-config.yml, for the running database."""
    entry: ConnectorTestScenario = request.param
    # Neither database refuses a password.
    wrong = {"database": "absent"} if entry.status == "failed" else {}
    config = {**database.config(KEYSPACE), **wrong}
    empty_streams = [{"name": name} for name in other_tables]
    return ConnectorTestScenario(
        **{**entry.model_dump(), "config_dict": config, "empty_streams": empty_streams}
    )


@without_images
class TestStandard(Suite):
    pass
