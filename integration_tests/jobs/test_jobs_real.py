"""Jobs of several attempts on a real Vitess, whose connections are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, cut, refuse
from integration_tests.support.platform import DEDUPED, OVERWRITE, Platform
from integration_tests.support.tables import create, insert, on_shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.vitess.cluster import VitessCluster

ROWS = 6000
ALL = list(range(ROWS))
IMPATIENT = {"max_retries": 0, "timeout_seconds": 5}
# A response has at most 250,000 bytes of values, so a copy of these rows takes about 24.
KILOBYTE = "x" * 1000


@pytest.fixture
def relay(vitess: VitessCluster) -> Iterator[Relay]:
    with Relay(vitess.grpc_port) as relay:
        yield relay


@pytest.fixture(params=["jobs_keyed", "jobs_keyless"])
def table(request: pytest.FixtureRequest, vitess: VitessCluster) -> str:
    name = str(request.param)
    key = "bigint primary key" if name == "jobs_keyed" else "bigint"
    create(vitess, "src", f"create table {name} (id {key}, note varchar(1000))")
    insert(vitess, "src", "0", name, [(key, KILOBYTE) for key in ALL])
    return name


def ids(platform: Platform, table: str) -> list[int]:
    return sorted(int(row["id"]) for row in platform.rows(table))


@pytest.mark.parametrize("resumes", [True, False])
def test_a_full_refresh_that_was_cut_leaves_each_row_once(
    vitess: VitessCluster, relay: Relay, table: str, *, resumes: bool
) -> None:
    config = vitess.config("src", grpc_port=relay.port)
    platform = Platform(config, {table: OVERWRITE}, resumes_full_refreshes=resumes)
    job = platform.sync()
    relay.plan(cut(2_000_000, slowed=0.01))
    relay.always(refuse())
    broken = job.attempt(IMPATIENT)
    relay.heal()
    assert 0 < len(broken.records(table)) < ROWS
    assert job.is_tried_again
    rest = job.attempt()
    assert ids(platform, table) == ALL
    assert (len(rest.records(table)) < ROWS) == (resumes and table == "jobs_keyed")


def test_a_refresh_that_was_cut_ends_with_the_rows_of_the_source(vitess: VitessCluster, relay: Relay) -> None:
    name = "jobs_refreshed"
    create(vitess, "src", f"create table {name} (id bigint primary key, note varchar(1000))")
    insert(vitess, "src", "0", name, [(key, KILOBYTE) for key in ALL])
    config = vitess.config("src", grpc_port=relay.port, include_cdc_columns=True)
    platform = Platform(config, {name: DEDUPED})
    platform.sync().attempt()
    job = platform.refresh(name, keeps=False)
    relay.plan(cut(2_000_000, slowed=0.01))
    relay.always(refuse())
    job.attempt(IMPATIENT)
    relay.heal()
    on_shard(vitess, "src", "0", f"delete from {name} where id = 1")  # noqa: S608 - the test's own table
    insert(vitess, "src", "0", name, [(ROWS, "new")])
    job.attempt()
    assert job.succeeded
    assert ids(platform, name) == [0, *range(2, ROWS + 1)]
