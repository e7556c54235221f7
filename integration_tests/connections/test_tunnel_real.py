"""Both ports of a real Vitess through a real SSH server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.relay import Relay, cut
from integration_tests.support.command import configured, run
from integration_tests.support.tables import create

if TYPE_CHECKING:
    from integration_tests.connections.sshd import Sshd
    from integration_tests.vitess.cluster import VitessCluster

ROWS = 2000


@pytest.fixture(scope="module", autouse=True)
def table(vitess: VitessCluster) -> None:
    create(vitess, "src", "create table tunnel_rows (id bigint primary key, text varchar(2000))")
    rows = [(number, "x" * 1000) for number in range(ROWS)]
    vitess.execute_many("insert into tunnel_rows values (%s, %s)", "src", rows)


def test_a_sync_goes_through_the_tunnel(vitess: VitessCluster, sshd: Sshd) -> None:
    config = vitess.config("src", tunnel_method=sshd.fields())
    assert run("check", config=config).connection_status == {"status": "SUCCEEDED"}
    done = run("read", config=config, catalog=configured("tunnel_rows", namespace="src"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert {record["id"] for record in done.records("tunnel_rows")} == set(range(ROWS))
    vitess.execute("insert into tunnel_rows values (%s, 'new')", "src", (ROWS,))
    again = run("read", config=config, catalog=configured("tunnel_rows", namespace="src"), state=done.state)
    assert [record["id"] for record in again.records("tunnel_rows")] == [ROWS]
    vitess.execute("delete from tunnel_rows where id = %s", "src", (ROWS,))


def test_a_tunnel_that_breaks_in_the_copy_is_taken_up_again(vitess: VitessCluster, sshd: Sshd) -> None:
    with Relay(sshd.port) as relay:
        relay.plan(cut(1_000_000))
        config = vitess.config("src", tunnel_method=sshd.fields(tunnel_port=relay.port))
        done = run("read", config=config, catalog=configured("tunnel_rows", namespace="src"))
        assert relay.met
    assert done.exit_code == 0
    assert done.statuses("tunnel_rows")[-1] == "COMPLETE"
    ids = [record["id"] for record in done.records("tunnel_rows")]
    assert set(ids) == set(range(ROWS))


def test_a_tunnel_that_stays_away_is_incomplete_and_the_next_sync_goes_on(
    vitess: VitessCluster, sshd: Sshd
) -> None:
    catalog = configured("tunnel_rows", namespace="src")
    with Relay(sshd.port) as relay:
        relay.plan(cut(1_000_000))
        relay.always(cut(0))
        config = vitess.config("src", max_retries=1, tunnel_method=sshd.fields(tunnel_port=relay.port))
        done = run("read", config=config, catalog=catalog)
    assert done.exit_code != 0
    assert done.statuses("tunnel_rows")[-1] == "INCOMPLETE"
    (error,) = done.errors_of("tunnel_rows")
    assert "SSH server at 127.0.0.1" in error
    again = run("read", config={**config, "tunnel_method": sshd.fields()}, catalog=catalog, state=done.state)
    assert again.exit_code == 0
    ids = [record["id"] for run_ in (done, again) for record in run_.records("tunnel_rows")]
    assert set(ids) == set(range(ROWS))
