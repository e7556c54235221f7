"""Rows over sockets: what a strict destination gets."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from embedded_database.database import EmbeddedDatabase
from integration_tests.support.command import configured, read, read_well, run
from integration_tests.support.socket_read import read_over_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.support.command import Json, Run

TABLE = "sent"
EMPTY = "empty"
COUNT = 1000
SOCKETS = pytest.mark.parametrize("sockets", [1, 2, 4])
FORMATS = pytest.mark.parametrize("serialization", ["JSONL", "PROTOBUF"])


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    ddl = [
        f"create table {TABLE} (id bigint primary key, note varchar(2000))",
        f"create table {EMPTY} (id bigint primary key, note varchar(2000))",
    ]
    with EmbeddedDatabase.start(tables={"src": ddl, "shop": ddl}) as database:
        rows = [(key, "x" * 1500) for key in range(COUNT)]
        database.load("src", TABLE, rows)
        database.load("shop", TABLE, rows)
        yield database


def discovered(config: Json, *tables: str) -> Json:
    """The catalog that a user gets who selects tables with all columns."""
    (message,) = run("discover", config=config).of_type("CATALOG")
    streams = {stream["name"]: stream for stream in message["catalog"]["streams"]}
    return configured(*[streams[table] for table in tables])


def ids(data: list[Json]) -> list[int]:
    return sorted(row["id"] for row in data)


def without_cursor(data: list[Json]) -> list[str]:
    """Rows in an order of their own, without what differs from one read to the next."""
    rows = [{key: row[key] for key in row if key != "_ab_cdc_cursor"} for row in data]
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def cursors_by_row(data: list[Json]) -> list[list[int]]:
    """The change cursors of each row, in the order in which they came."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for row in data:
        found[row["id"]].append(row["_ab_cdc_cursor"])
    return list(found.values())


def change(database: EmbeddedDatabase, keyspace: str) -> None:
    for number in range(20):
        where = f"id between {number * 40} and {number * 40 + 39}"
        database.execute(f"update {TABLE} set note = '{number}' where {where}", keyspace)  # noqa: S608 - the test's own
    database.execute(f"delete from {TABLE} where id < 5", keyspace)  # noqa: S608 - the test's own


@SOCKETS
@FORMATS
def test_a_copy_gives_the_destination_what_stdout_gives(
    database: EmbeddedDatabase, sockets: int, serialization: str
) -> None:
    config = database.config("shop")
    catalog = discovered(config, TABLE)
    done, destination = read_over_sockets(config, catalog, sockets=sockets, serialization=serialization)
    assert done.exit_code == 0
    assert done.statuses(TABLE) == ["STARTED", "RUNNING", "COMPLETE"]
    assert f"Records go to the destination over {sockets} socket(s), as {serialization}." in done.logs
    assert without_cursor(destination.data(TABLE)) == without_cursor(read_well(config, TABLE).records(TABLE))


@FORMATS
def test_a_copy_uses_every_socket(database: EmbeddedDatabase, serialization: str) -> None:
    config = database.config("src")
    _, destination = read_over_sockets(
        config, discovered(config, TABLE), sockets=2, serialization=serialization, chunk=1 << 12
    )
    assert all(received.records for received in destination.sockets)


@SOCKETS
@FORMATS
def test_the_changes_of_a_shard_use_one_socket_in_their_order(
    database: EmbeddedDatabase, sockets: int, serialization: str
) -> None:
    config = database.config("shop", include_cdc_columns=True)
    catalog = discovered(config, TABLE)
    first, _ = read_over_sockets(config, catalog, sockets=sockets, serialization=serialization)
    change(database, "shop")
    _, destination = read_over_sockets(
        config, catalog, state=first.state, sockets=sockets, serialization=serialization
    )
    plain = read_well(config, TABLE, state=first.state).records(TABLE)
    assert without_cursor(destination.data(TABLE)) == without_cursor(plain)
    sent = [[record["data"] for record in received.records] for received in destination.sockets]
    assert sum(bool(data) for data in sent) == min(sockets, 2)
    for data in sent:
        assert all(cursors == sorted(cursors) for cursors in cursors_by_row(data))
    rows = [{row["id"] for row in data} for data in sent]
    assert sum(map(len, rows)) == len(set().union(*rows))


def test_a_state_from_sockets_goes_on_over_stdout_and_back(database: EmbeddedDatabase) -> None:
    config = database.config("shop", include_cdc_columns=True)
    catalog = discovered(config, TABLE)
    first, _ = read_over_sockets(config, catalog)
    change(database, "shop")
    second = run("read", config=config, catalog=catalog, state=first.state)
    assert second.exit_code == 0
    assert second.records(TABLE)
    third, destination = read_over_sockets(config, catalog, state=second.state)
    assert third.exit_code == 0
    assert destination.records == []


@FORMATS
def test_a_stream_without_rows_has_a_state_and_its_end(
    database: EmbeddedDatabase, serialization: str
) -> None:
    config = database.config("shop")
    done, destination = read_over_sockets(
        config, discovered(config, EMPTY, TABLE), serialization=serialization
    )
    assert done.exit_code == 0
    assert destination.data(EMPTY) == []
    states = [state for state in destination.states if state["stream"]["stream_descriptor"]["name"] == EMPTY]
    assert [state["id"] for state in states] == list(range(1, len(states) + 1))
    assert {state["sourceStats"]["recordCount"] for state in states} == {0.0}
    assert sorted(destination.completes) == [("shop", EMPTY), ("shop", TABLE)]


@FORMATS
def test_states_within_a_copy_cover_exactly_their_records(
    database: EmbeddedDatabase, serialization: str
) -> None:
    database.fill("src", EMPTY, 250_000)
    config = database.config("src")
    _, destination = read_over_sockets(
        config, discovered(config, EMPTY), sockets=4, serialization=serialization
    )
    counts = [state["sourceStats"]["recordCount"] for state in destination.states]
    assert sum(counts) == 250_000
    assert sum(count > 0 for count in counts) > 2


def test_a_stream_that_cannot_be_read_is_told_to_the_platform_alone(database: EmbeddedDatabase) -> None:
    config = database.config("shop")
    catalog = discovered(config, EMPTY, TABLE)
    database.execute(f"drop table {EMPTY}", "shop")
    done, destination = read_over_sockets(config, catalog)
    assert done.exit_code == 1
    assert done.statuses(EMPTY)[-1] == "INCOMPLETE"
    assert done.errors_of(EMPTY)
    assert done.statuses(TABLE)[-1] == "COMPLETE"
    assert destination.completes == [("shop", TABLE)]
    assert ids(destination.data(TABLE)) == list(range(COUNT))


def test_a_column_that_is_not_selected_stays_at_home(database: EmbeddedDatabase) -> None:
    config = database.config("shop", include_cdc_columns=True)
    catalog = discovered(config, TABLE)
    properties = catalog["streams"][0]["stream"]["json_schema"]["properties"]
    for name in ("note", "_ab_cdc_updated_at"):
        del properties[name]
    _, destination = read_over_sockets(config, catalog)
    assert {tuple(sorted(row)) for row in destination.data(TABLE)} == {
        ("_ab_cdc_cursor", "_ab_cdc_deleted_at", "id")
    }


@pytest.mark.parametrize("namespace", [None, "", "src"])
@FORMATS
def test_streams_have_the_names_that_the_catalog_gives_them(
    database: EmbeddedDatabase, namespace: str | None, serialization: str
) -> None:
    config = database.config("src")
    catalog = discovered(config, TABLE)
    stream = catalog["streams"][0]["stream"]
    del stream["namespace"]
    if namespace is not None:
        stream["namespace"] = namespace
    done, destination = read_over_sockets(config, catalog, serialization=serialization)
    assert done.exit_code == 0
    assert len(destination.records) == COUNT
    assert destination.completes == [(namespace, TABLE)]


def outline(done: Run) -> list[Json]:
    """What a read said, without times and what differs from one read to the next."""
    kept = []
    for message in done.messages:
        if message["type"] != "LOG":
            (message.get("record") or message.get("trace") or {}).pop("emitted_at", None)
            kept.append(message)
    return kept


def test_the_usual_channel_says_the_same_whether_it_is_named_or_not(
    database: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_CHANNEL_SOCKET_PATHS", "/nowhere/at-all.sock")
    plain = run("read", config=database.config("src"), catalog=configured(TABLE, namespace="src"), warm=False)
    monkeypatch.setenv("DATA_CHANNEL_MEDIUM", "STDIO")
    monkeypatch.setenv("DATA_CHANNEL_FORMAT", "JSONL")
    named = run("read", config=database.config("src"), catalog=configured(TABLE, namespace="src"), warm=False)
    assert plain.exit_code == named.exit_code == 0
    assert len(plain.records(TABLE)) == COUNT
    assert outline(plain) == outline(named)
    assert all(set(state) == {"type", "stream", "sourceStats"} for state in plain.states(TABLE))
    assert all("partition_id" not in record for record in plain.record_messages(TABLE))


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"DATA_CHANNEL_MEDIUM": "SOCKET"}, "DATA_CHANNEL_SOCKET_PATHS"),
        ({"DATA_CHANNEL_MEDIUM": "PIGEON"}, "PIGEON"),
        ({"DATA_CHANNEL_MEDIUM": "STDIO", "DATA_CHANNEL_FORMAT": "PROTOBUF"}, "PROTOBUF"),
        (
            {"DATA_CHANNEL_MEDIUM": "SOCKET", "DATA_CHANNEL_SOCKET_PATHS": "/nowhere/1.sock"},
            "1.sock",
        ),
    ],
)
def test_a_channel_that_cannot_be_is_an_error_before_anything_is_read(
    database: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], word: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = run("read", config=database.config("src"), catalog=configured(TABLE, namespace="src"), warm=False)
    assert done.exit_code == 1
    assert word in done.errors[-1]["message"]
    assert done.of_type("RECORD") == done.of_type("STATE") == []
    assert done.all_statuses == []
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["spec", "check", "discover"])
def test_the_other_commands_touch_no_socket(
    database: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("DATA_CHANNEL_MEDIUM", "SOCKET")
    monkeypatch.setenv("DATA_CHANNEL_FORMAT", "PROTOBUF")
    monkeypatch.setenv("DATA_CHANNEL_SOCKET_PATHS", "/nowhere/1.sock")
    config = None if command == "spec" else database.config("src")
    done = run(command, config=config, warm=False)
    assert done.exit_code == 0
    assert done.errors == []


def test_records_that_no_state_has_covered_come_again(database: EmbeddedDatabase) -> None:
    config = database.config("shop", max_retries=0)
    catalog = discovered(config, TABLE)
    database.fault(
        "error", shard="80-", after_events=150, code="PERMISSION_DENIED", message="auth failure", times=0
    )
    cut, first = read_over_sockets(config, catalog)
    assert cut.exit_code == 1
    assert first.completes == []
    assert len(first.records) < COUNT
    database.clear_faults()
    rest, second = read_over_sockets(config, catalog, state=cut.state)
    assert rest.exit_code == 0
    assert set(ids(first.data(TABLE)) + ids(second.data(TABLE))) == set(range(COUNT))
    assert read(config, TABLE, state=rest.state).records(TABLE) == []
