"""Several keyspaces in one source, one sharded and one not, with tables of the same name."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database import EmbeddedDatabase
from integration_tests.support.command import configured, cursors, run
from integration_tests.support.tables import create, insert, on_shard

if TYPE_CHECKING:
    from embedded_database.contract.database import Database
    from integration_tests.support.command import Json, Run

TABLE = "namesake"
SHARDS = {"shop": ("-80", "80-"), "src": ("0",)}
CREATE = f"create table {TABLE} (id bigint primary key, note varchar(20))"
BOTH = (TABLE, "shop"), (TABLE, "src")
Stream = tuple[str, str]


@pytest.fixture
def database(database: Database) -> Database:
    """A database with the table in both keyspaces: rows 1 and 2 in shop's shards, row 1 in src."""
    for number, (keyspace, shards) in enumerate(SHARDS.items()):
        create(database, keyspace, CREATE)
        for key, shard in enumerate(shards, start=1):
            insert(database, keyspace, shard, TABLE, [(key, f"{keyspace} {number}")])
    return database


def config_of(database: Database, keyspaces: str = "src", **more: Any) -> Json:
    return {**database.config("shop"), "keyspaces": keyspaces, "include_cdc_columns": True, **more}


def catalog(*streams: Stream) -> Json:
    return {
        "streams": [
            entry for name, namespace in streams for entry in configured(name, namespace=namespace)["streams"]
        ]
    }


def rows(done: Run) -> dict[Stream, list[tuple[int, str, bool]]]:
    """Key, note and whether it is deleted of the records of each stream."""
    found: defaultdict[Stream, list[tuple[int, str, bool]]] = defaultdict(list)
    for message in done.of_type("RECORD"):
        record = message["record"]
        data = record["data"]
        found[record["stream"], record["namespace"]].append(
            (data["id"], data["note"], data["_ab_cdc_deleted_at"] is not None)
        )
    return {stream: sorted(values) for stream, values in found.items()}


def last_status(done: Run) -> dict[Stream, str]:
    traces = [message["trace"] for message in done.of_type("TRACE")]
    statuses = [trace["stream_status"] for trace in traces if trace["type"] == "STREAM_STATUS"]
    return {
        (s["stream_descriptor"]["name"], s["stream_descriptor"]["namespace"]): s["status"] for s in statuses
    }


def states(done: Run) -> dict[Stream, Json]:
    """The last state of each stream."""
    streams = [state["stream"] for state in done.state]
    return {
        (s["stream_descriptor"]["name"], s["stream_descriptor"]["namespace"]): s["stream_state"]
        for s in streams
    }


def errors(done: Run) -> dict[Stream, str]:
    told = [error for error in done.errors if error.get("stream_descriptor")]
    return {(e["stream_descriptor"]["name"], e["stream_descriptor"]["namespace"]): e["message"] for e in told}


def opened(done: Run) -> int:
    (count,) = re.findall(r"VStreams opened: ([\d,]+)", "\n".join(done.logs))
    return int(count)


@pytest.mark.parametrize("keyspaces", ["src", "%", "s%c"])
def test_discovery_lists_the_tables_of_each_keyspace_under_its_name(
    database: Database, keyspaces: str
) -> None:
    done = run("discover", config=config_of(database, keyspaces))
    (message,) = done.of_type("CATALOG")
    streams = message["catalog"]["streams"]
    assert {(s["name"], s["namespace"]) for s in streams if s["name"] == TABLE} == set(BOTH)
    assert {s["namespace"] for s in streams} == set(SHARDS)


@pytest.mark.parametrize("keyspaces", ["src", "%"])
def test_a_check_of_several_keyspaces_succeeds(database: Database, keyspaces: str) -> None:
    done = run("check", config=config_of(database, keyspaces))
    assert done.connection_status["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("keyspaces", "sentence"),
    [
        ("src, nowhere", "The database 'nowhere' does not exist"),
        ("nowhere%", "No keyspace matches nowhere%. Those there are: shop, src."),
    ],
)
@pytest.mark.parametrize("command", ["check", "discover"])
def test_a_keyspace_that_is_not_there_is_told(
    database: Database, keyspaces: str, sentence: str, command: str
) -> None:
    done = run(command, config=config_of(database, keyspaces))
    told = [done.connection_status["message"]] if command == "check" else [e["message"] for e in done.errors]
    assert [message for message in told if sentence in message]


def test_namesakes_are_copied_and_followed_apart(database: Database) -> None:
    config, both = config_of(database), catalog(*BOTH)
    first = run("read", config=config, catalog=both)
    assert first.exit_code == 0
    assert rows(first) == {
        BOTH[0]: [(1, "shop 0", False), (2, "shop 0", False)],
        BOTH[1]: [(1, "src 1", False)],
    }
    for (_, keyspace), state in states(first).items():
        assert set(cursors(state, keyspace)) == set(SHARDS[keyspace])

    on_shard(database, "shop", "-80", "update namesake set note = 'new' where id = 1")
    on_shard(database, "src", "0", "delete from namesake where id = 1")
    second = run("read", config=config, catalog=both, state=first.state)
    assert second.exit_code == 0
    assert rows(second) == {BOTH[0]: [(1, "new", False)], BOTH[1]: [(1, "src 1", True)]}
    assert last_status(second) == dict.fromkeys(BOTH, "COMPLETE")

    # One of them goes on alone, as before the option was there.
    on_shard(database, "src", "0", "insert into namesake values (2, 'later')")
    own = [s for s in second.state if s["stream"]["stream_descriptor"]["namespace"] == "src"]
    config = {**database.config("src"), "include_cdc_columns": True}
    alone = run("read", config=config, catalog=catalog(BOTH[1]), state=own)
    assert rows(alone) == {BOTH[1]: [(2, "later", False)]}


def test_a_keyspace_that_is_gone_is_incomplete_while_the_others_are_read_and_saved(
    database: Database,
) -> None:
    gone = (TABLE, "gone")
    config, streams = config_of(database, "gone, src"), catalog(BOTH[0], gone, BOTH[1])
    done = run("read", config=config, catalog=streams)
    assert done.exit_code != 0
    assert last_status(done) == {gone: "INCOMPLETE", BOTH[0]: "COMPLETE", BOTH[1]: "COMPLETE"}
    assert set(states(done)) == set(BOTH)
    assert "The database 'gone' does not exist" in errors(done)[gone]
    assert set(errors(done)) == {gone}


def test_each_log_of_each_keyspace_is_read_once_for_all_its_tables() -> None:
    tables = [f"t{number}" for number in range(5)]
    shards = ["-80", "80-"]
    keyspaces = ("one", "two")
    statements = [f"create table {name} (id bigint primary key, note varchar(20))" for name in tables]
    with EmbeddedDatabase.start(
        dict.fromkeys(keyspaces, shards), dict.fromkeys(keyspaces, statements)
    ) as database:
        config = database.config("one", keyspaces="%", include_cdc_columns=True)
        both = catalog(*((name, keyspace) for keyspace in keyspaces for name in tables))
        for keyspace in keyspaces:
            for name in tables:
                database.load(keyspace, name, [(key, keyspace) for key in range(20)])
        first = run("read", config=config, catalog=both)
        for keyspace in keyspaces:
            for name in tables:
                database.execute(f"update {name} set note = 'new {keyspace}'", keyspace)  # noqa: S608 - the test's own
        second = run("read", config=config, catalog=both, state=first.state)
    assert opened(second) == len(keyspaces) * len(shards)
    assert rows(second) == {
        (name, keyspace): [(key, f"new {keyspace}", False) for key in range(20)]
        for keyspace in keyspaces
        for name in tables
    }


def test_shards_are_chosen_by_keyspace() -> None:
    with EmbeddedDatabase.start(
        {"shop": ["-80", "80-"], "src": ["-80", "80-"]}, {"shop": [CREATE], "src": [CREATE]}
    ) as database:
        for keyspace in SHARDS:
            database.load(keyspace, TABLE, [(key, keyspace) for key in range(20)])
        config = config_of(database, shards="-80, src/80-")
        done = run("read", config=config, catalog=catalog(*BOTH))
    assert done.exit_code == 0
    chosen = {keyspace: set(cursors(state, keyspace)) for (_, keyspace), state in states(done).items()}
    assert chosen == {"shop": {"-80"}, "src": {"80-"}}
