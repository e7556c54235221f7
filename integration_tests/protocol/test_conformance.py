"""Airbyte's rules for what a source writes, on the command's stdout, for both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.contract.type_cases import CONTRACT, LENIENT
from integration_tests.protocol import conformance
from integration_tests.support.command import configured, read, read_well, run
from integration_tests.support.tables import create, on_shard

if TYPE_CHECKING:
    from embedded_database.contract.database import Database
    from integration_tests.support.command import Json, Run

KEYSPACE = "shop"
COLUMNS = ", ".join(f"c{number} {case.definition}" for number, case in enumerate(CONTRACT))
VALUES = ", ".join(case.literal for case in CONTRACT)
NEEDED = {"id": "2"} | {
    f"c{number}": case.literal for number, case in enumerate(CONTRACT) if "not null" in case.definition
}
TABLES = {
    "conform_types": f"create table conform_types (id int primary key, {COLUMNS})",
    "conform_pairs": """create table conform_pairs
        (sku varchar(20), line int, flag tinyint(1), primary key (sku, line))""",
    "conform_keyless": "create table conform_keyless (a int, b varchar(10))",
    "conform_empty": "create table conform_empty (id bigint primary key)",
}
ROWS = {
    "-80": [
        f"insert {LENIENT} into conform_types values (1, {VALUES})",  # noqa: S608 - the cases' literals
        f"insert into conform_types ({', '.join(NEEDED)}) values ({', '.join(NEEDED.values())})",  # noqa: S608 - the cases' literals
        "insert into conform_keyless values (1, 'twin'), (1, 'twin'), (null, null)",
    ],
    "80-": [
        f"insert {LENIENT} into conform_types values (3, {VALUES})",  # noqa: S608 - the cases' literals
        "insert into conform_pairs values ('b', 1, 1), ('a', 2, 0), ('a', 10, null)",
        "insert into conform_keyless values (1, 'twin')",
    ],
}
CHANGES = [
    f"insert {LENIENT} into conform_types values (4, {VALUES})",  # noqa: S608 - the cases' literals
    "update conform_pairs set flag = 0 where sku = 'b'",
    "delete from conform_pairs where sku = 'a' and line = 2",
]
COUNT = 3 + 3 + 4


@pytest.fixture(scope="module", autouse=True)
def tables(database: Database) -> None:
    create(database, KEYSPACE, *TABLES.values())
    for shard, statements in ROWS.items():
        on_shard(database, KEYSPACE, shard, *statements)


def discover(config: dict[str, Any]) -> list[Json]:
    (message,) = run("discover", config=config).of_type("CATALOG")
    return [stream for stream in message["catalog"]["streams"] if stream["name"] in TABLES]


@pytest.fixture(scope="module")
def config(database: Database) -> dict[str, Any]:
    return dict(database.config(KEYSPACE))


@pytest.fixture(scope="module")
def streams(config: dict[str, Any]) -> list[Json]:
    return discover(config)


@pytest.fixture(scope="module")
def runs(config: dict[str, Any], streams: list[Json]) -> dict[str, Run]:
    """Reads without a change between them; the second has the first one's state."""
    first = read_well(config, *streams)
    return {
        "full refresh": read_well(config, *streams, sync_mode="full_refresh"),
        "another full refresh": read_well(config, *streams, sync_mode="full_refresh"),
        "first": first,
        "second": read_well(config, *streams, state=first.state),
    }


@pytest.fixture(scope="module")
def changed(config: dict[str, Any], streams: list[Json], runs: dict[str, Run], database: Database) -> Run:
    """The third incremental read, after changes, with every optional column."""
    # Reads of the tables as they were come first.
    before = runs["second"]
    on_shard(database, KEYSPACE, "80-", *CHANGES)
    options = {"include_cdc_columns": True, "include_metadata": True}
    return read_well({**config, **options}, *streams, state=before.state)


@pytest.fixture(scope="module")
def failed(config: dict[str, Any], streams: list[Json]) -> Run:
    """A read of the streams and of one that the database does not have."""
    return read(config, "conform_absent", *streams)


@pytest.fixture(scope="module")
def all_runs(runs: dict[str, Run], changed: Run, failed: Run) -> list[Run]:
    return [*runs.values(), changed, failed]


def test_statuses_records_and_states_come_in_order_for_every_stream(
    runs: dict[str, Run], changed: Run, failed: Run, streams: list[Json]
) -> None:
    catalog = configured(*streams)
    for done in (*runs.values(), changed):
        assert conformance.order_faults(done, catalog) == []
    with_absent = configured("conform_absent", namespace=KEYSPACE)["streams"] + catalog["streams"]
    assert conformance.order_faults(failed, {"streams": with_absent}) == []


def test_every_state_counts_the_records_that_it_covers_and_every_record_is_covered(
    all_runs: list[Run],
) -> None:
    for done in all_runs:
        assert conformance.state_faults(done) == []


def test_every_line_is_held_in_full_by_the_protocols_own_model(
    all_runs: list[Run], config: dict[str, Any]
) -> None:
    others = [
        run("spec"),
        run("check", config=config),
        run("check", config={**config, "grpc_port": 1}),
        run("discover", config=config),
        run("discover", config={**config, "database": "absent"}),
    ]
    for done in (*all_runs, *others):
        assert done.lines
        assert conformance.unfaithful_lines(done) == []


def test_full_refreshes_and_the_first_incremental_read_deliver_the_same_rows(runs: dict[str, Run]) -> None:
    first = conformance.rows(runs["first"])
    assert first.total() == COUNT
    assert conformance.rows(runs["full refresh"]) == conformance.rows(runs["another full refresh"]) == first


def test_a_second_incremental_read_delivers_nothing_that_the_first_one_has_delivered(
    runs: dict[str, Run], changed: Run
) -> None:
    assert conformance.rows(runs["second"]).total() == 0
    assert {stream: len(changed.records(stream)) for stream in TABLES} == {
        "conform_types": 1,
        "conform_pairs": 2,
        "conform_keyless": 0,
        "conform_empty": 0,
    }


@pytest.mark.usefixtures("runs")
def test_a_read_from_any_state_delivers_exactly_the_rows_after_it(
    config: dict[str, Any], streams: list[Json]
) -> None:
    for stream in streams:
        first = read_well(config, stream)
        for state, rows in conformance.rows_after_each_state(first):
            found = conformance.rows(read_well(config, stream, state=state))
            if stream.get("source_defined_primary_key"):
                assert found == rows
            else:
                # Without a key the copy of a shard that had not ended begins anew.
                assert rows <= found <= conformance.rows(first)


@pytest.mark.usefixtures("changed")
def test_a_read_from_the_state_of_one_shard_delivers_exactly_the_rows_of_the_others(
    config: dict[str, Any], streams: list[Json]
) -> None:
    one = read_well({**config, "shards": "-80"}, *streams)
    others = read_well(config, *streams, state=one.state)
    found = conformance.rows(one), conformance.rows(others)
    assert all(found)
    assert found[0] + found[1] == conformance.rows(read_well(config, *streams))


def test_every_record_fits_its_streams_schema(runs: dict[str, Run], streams: list[Json]) -> None:
    for done in runs.values():
        assert conformance.record_faults(done, streams) == []


def test_every_record_with_the_optional_columns_fits_its_streams_schema(
    changed: Run, config: dict[str, Any]
) -> None:
    streams = discover({**config, "include_cdc_columns": True, "include_metadata": True})
    assert conformance.record_faults(changed, streams) == []
