"""The source as the CDK sees it: files, check, discover, and whole reads with several streams."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from airbyte_cdk.models import AirbyteMessage, FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_planetscale.errors import ConfigError
from source_planetscale.output.stdout import Stdout, StdoutChannel
from source_planetscale.run import Entrypoint
from source_planetscale.source import SourcePlanetscale
from source_planetscale.table import Table
from source_planetscale.vstream.cursor import Cursor
from unit_tests.support.events import KEYSPACE, SHARD, TABLE, gtid, row, small_copy
from unit_tests.support.fakes import (
    HUSH,
    PASSWORD,
    SILENCE,
    FakeDatabase,
    FakeVtgate,
    Scripts,
    broken,
    stand_in,
)
from unit_tests.support.keyspace import Destination, of_copy, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

ONE, TWO = row(1, "one", "x"), row(2, "two", None)
OTHERS = Table(KEYSPACE, "others", TABLE.columns, ("id",))
CONFIG = {
    "host": "db.example.com",
    "database": KEYSPACE,
    "username": "user",
    "password": PASSWORD,
    "max_retries": 0,
}
DENIED = grpc.StatusCode.PERMISSION_DENIED


class Command:
    """The connector's commands in this process, with files in a directory of the test."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = directory
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def file(self, name: str, content: object) -> str:
        path = self._directory / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    def serve(self, vtgate: FakeVtgate, database: FakeDatabase | None = None) -> None:
        stand_in(vtgate, database or FakeDatabase(), self._monkeypatch.setattr)

    def run(self, *args: str) -> tuple[list[dict[str, Any]], Exception | None]:
        """The messages, and the error that would end the process."""
        out = io.BytesIO()
        stdout = Stdout(out)
        entrypoint = Entrypoint(SourcePlanetscale(batched=True), stdout)
        error: Exception | None = None
        try:
            entrypoint.write(entrypoint.parse_args(list(args)), StdoutChannel(stdout))
        except Exception as failure:
            error = failure
        return [json.loads(line) for line in out.getvalue().splitlines()], error

    def read(
        self, *names: str, state: object = None, namespace: str | None = KEYSPACE
    ) -> tuple[list[dict[str, Any]], Exception | None]:
        args = [
            "--config",
            self.file("config.json", CONFIG),
            "--catalog",
            self.catalog(*names, namespace=namespace),
        ]
        if state is not None:
            args += ["--state", self.file("state.json", state)]
        return self.run("read", *args)

    def catalog(self, *names: str, namespace: str | None = KEYSPACE) -> str:
        streams = [
            {
                "stream": {
                    "name": name,
                    "namespace": namespace,
                    "json_schema": {},
                    "supported_sync_modes": ["full_refresh", "incremental"],
                },
                "sync_mode": "incremental",
                "destination_sync_mode": "append",
            }
            for name in names
        ]
        return self.file("catalog.json", {"streams": streams})


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _in_no_time: None) -> Command:
    return Command(tmp_path, monkeypatch)


def tale(messages: list[dict[str, Any]]) -> list[str]:
    """The messages of a read in a word each."""
    words = []
    for message in messages:
        trace = message.get("trace", {})
        status = trace.get("stream_status", {})
        stream = status.get("stream_descriptor", {}).get("name", "")
        words.append(f"{status['status']} {stream}" if status else trace.get("type", message["type"]))
    return words


# State files.


@pytest.mark.parametrize("content", [b"", b" \n", b"null", b"{}", b"[]"])
def test_a_state_file_of_nothing_is_a_fresh_start(command: Command, content: bytes) -> None:
    assert SourcePlanetscale.read_state(command.file("s.json", content)) == []


def test_no_state_file_is_a_fresh_start(tmp_path: Path) -> None:
    assert SourcePlanetscale.read_state(None) == []
    assert SourcePlanetscale.read_state(str(tmp_path / "missing.json")) == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[" * 100_000, b"not json"])
@pytest.mark.parametrize(
    "reader", [SourcePlanetscale.read_state, SourcePlanetscale.read_config, SourcePlanetscale.read_catalog]
)
def test_a_file_that_is_no_json_is_refused_by_name(
    command: Command, content: bytes, reader: Callable[[str], object]
) -> None:
    path = command.file("damaged.json", content)
    with pytest.raises(AirbyteTracedException, match=r"damaged\.json is not JSON"):
        reader(path)


@pytest.mark.parametrize("reader", [SourcePlanetscale.read_config, SourcePlanetscale.read_catalog])
def test_a_file_that_is_missing_is_refused_by_name(tmp_path: Path, reader: Callable[[str], object]) -> None:
    with pytest.raises(AirbyteTracedException, match=r"missing\.json cannot be read: No such file"):
        reader(str(tmp_path / "missing.json"))


def test_a_file_of_another_kind_is_refused(command: Command) -> None:
    with pytest.raises(AirbyteTracedException, match="holds no JSON object"):
        SourcePlanetscale.read_config(command.file("config.json", []))
    with pytest.raises(AirbyteTracedException, match="is no configured catalog"):
        SourcePlanetscale.read_catalog(command.file("catalog.json", {"streams": 5}))


# Check and discover.


def test_a_check_that_works_succeeds(command: Command) -> None:
    command.serve(FakeVtgate({}))
    messages, error = command.run("check", "--config", command.file("c.json", CONFIG))
    assert (messages[-1]["connectionStatus"]["status"], error) == ("SUCCEEDED", None)


@pytest.mark.parametrize(
    ("vtgate", "database", "named"),
    [
        (FakeVtgate({}), FakeDatabase(failure=ConfigError("Access denied.")), "Access denied."),
        (FakeVtgate({}, failures=[broken("no", DENIED)] * 9), FakeDatabase(), "Check username and password"),
        (FakeVtgate({}, failures=[broken()] * 9), FakeDatabase(), "Check host, gRPC port"),
    ],
)
def test_a_failed_check_is_a_status_and_no_failure_of_the_command(
    command: Command, vtgate: FakeVtgate, database: FakeDatabase, named: str
) -> None:
    command.serve(vtgate, database)
    messages, error = command.run("check", "--config", command.file("c.json", CONFIG))
    status = messages[-1]["connectionStatus"]
    assert (status["status"], error) == ("FAILED", None)
    assert named in status["message"]


def test_discover_lists_the_tables(command: Command) -> None:
    command.serve(FakeVtgate({}), FakeDatabase(found=(TABLE, OTHERS)))
    messages, _ = command.run("discover", "--config", command.file("c.json", CONFIG))
    streams = messages[-1]["catalog"]["streams"]
    assert [(s["name"], s["namespace"]) for s in streams] == [("orders", KEYSPACE), ("others", KEYSPACE)]


def test_discover_leaves_out_a_table_that_vitess_cannot_stream_and_says_so(
    command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    quoted = Table(KEYSPACE, "a`b", TABLE.columns, ("id",))
    command.serve(FakeVtgate({}), FakeDatabase(found=(TABLE, quoted)))
    messages, _ = command.run("discover", "--config", command.file("c.json", CONFIG))
    assert [stream["name"] for stream in messages[-1]["catalog"]["streams"]] == ["orders"]
    assert "Table a`b is left out of the catalog: it has a back-quote" in capfd.readouterr().out


# Reads.


def test_a_read_tells_its_states_and_statuses_in_order(command: Command) -> None:
    command.serve(FakeVtgate({SHARD: [small_copy(ONE, TWO)]}))
    messages, error = command.read("orders")
    assert error is None
    assert tale(messages) == [
        *("STARTED orders", "RUNNING orders", "RECORD", "RECORD", "STATE", "COMPLETE orders"),
    ]
    assert messages[4]["state"]["sourceStats"]["recordCount"] == 2


def by_stream(words: list[str]) -> dict[str, list[str]]:
    """The statuses of a tale by stream."""
    found: dict[str, list[str]] = {}
    for word in words:
        status, _, stream = word.partition(" ")
        if stream:
            found.setdefault(stream, []).append(status)
    return found


def test_a_stream_that_fails_leaves_the_others_complete(command: Command) -> None:
    copy = of_copy("others", small_copy(ONE))
    command.serve(
        FakeVtgate({f"{SHARD} orders": [[broken("no", DENIED)]], f"{SHARD} others": [copy]}),
        FakeDatabase(found=(TABLE, OTHERS)),
    )
    messages, error = command.read("orders", "others")
    said = tale(messages)
    assert by_stream(said) == {
        "orders": ["STARTED", "RUNNING", "INCOMPLETE"],
        "others": ["STARTED", "RUNNING", "COMPLETE"],
    }
    assert sorted(word for word in said if " " not in word) == ["ERROR", "RECORD", "STATE", "STATE"]
    assert isinstance(error, AirbyteTracedException)
    assert "orders" in str(error.message)
    assert "others" not in str(error.message)


def test_many_streams_each_have_their_statuses_and_counts(command: Command) -> None:
    names = [f"t{number}" for number in range(20)]
    copies: Scripts = {
        f"{SHARD} {name}": [of_copy(name, small_copy(*(row(key, "x", None) for key in range(number))))]
        for number, name in enumerate(names)
    }
    found = tuple(map(table, names))
    command.serve(FakeVtgate(copies), FakeDatabase(found=found))
    messages, error = command.read(*names)
    assert error is None
    assert by_stream(tale(messages)) == {name: ["STARTED", "RUNNING", "COMPLETE"] for name in names}
    counts: Counter[str] = Counter()
    for state in (message["state"] for message in messages if message["type"] == "STATE"):
        counts[state["stream"]["stream_descriptor"]["name"]] += state["sourceStats"]["recordCount"]
    assert counts == {name: number for number, name in enumerate(names)}


def test_an_error_that_may_pass_is_told_before_those_to_be_mended(command: Command) -> None:
    scripts: Scripts = {f"{SHARD} orders": [[broken("no", DENIED)]], f"{SHARD} others": [[broken()]]}
    command.serve(FakeVtgate(scripts), FakeDatabase(found=(TABLE, OTHERS)))
    messages, error = command.read("gone", "orders", "others")
    told = [message["trace"] for message in messages if message.get("trace", {}).get("error")]
    assert [
        (trace["error"]["stream_descriptor"]["name"], trace["error"]["failure_type"]) for trace in told
    ] == [("others", "transient_error"), ("gone", "config_error"), ("orders", "config_error")]
    times = [trace["emitted_at"] for trace in told]
    assert times == sorted(times)
    assert error is not None


def test_the_source_as_a_library_gives_plain_records(command: Command) -> None:
    copies: Scripts = {
        f"{SHARD} orders": [small_copy(ONE, TWO)],
        f"{SHARD} others": [of_copy("others", small_copy(ONE))],
    }
    command.serve(FakeVtgate(copies), FakeDatabase(found=(TABLE, OTHERS)))
    source = SourcePlanetscale()
    catalog = SourcePlanetscale.read_catalog(command.catalog("orders", "others"))
    destination = Destination()
    for message in source.read(logging.getLogger("test"), CONFIG, catalog, []):
        assert type(message) is AirbyteMessage
        destination.take(message)
    assert destination.content == {("orders", 1): "one", ("orders", 2): "two", ("others", 1): "one"}
    assert set(destination.states) == {"orders", "others"}


def test_several_streams_that_are_told_to_stop_each_save_what_was_read(command: Command) -> None:
    interrupted = threading.Event()
    copies: Scripts = {
        f"{SHARD} orders": [[*small_copy(ONE, last=1), interrupted.set, SILENCE]],
        f"{SHARD} others": [[HUSH]],
    }
    command.serve(FakeVtgate(copies), FakeDatabase(found=(TABLE, OTHERS)))
    source = SourcePlanetscale(interrupted=interrupted)
    catalog = SourcePlanetscale.read_catalog(command.catalog("orders", "others"))
    messages: list[AirbyteMessage] = []
    with pytest.raises(AirbyteTracedException):
        messages.extend(source.read(logging.getLogger("test"), CONFIG, catalog, []))
    destination = Destination()
    for message in messages:
        destination.take(message)
    told = [message.trace.error for message in messages if message.trace and message.trace.error]
    assert set(destination.states) == {"orders", "others"}
    assert not destination.uncovered
    assert [error.failure_type for error in told] == [FailureType.transient_error] * 2
    assert all("told to stop" in str(error.message) for error in told)


@pytest.mark.parametrize("namespace", [KEYSPACE, "", None])
def test_an_empty_namespace_means_the_database_and_leaves_as_it_is_configured(
    command: Command, namespace: str | None
) -> None:
    command.serve(FakeVtgate({}))
    saved = {"shards": {SHARD: {"cursor": Cursor(KEYSPACE, SHARD, gtid(10)).encode()}}}
    descriptor = {"name": "orders", "namespace": namespace}
    state = [{"type": "STREAM", "stream": {"stream_descriptor": descriptor, "stream_state": saved}}]
    messages, error = command.read("orders", state=state, namespace=namespace)
    assert error is None
    (emitted,) = (message["state"] for message in messages if message["type"] == "STATE")
    told = {"name": "orders"} if namespace is None else descriptor
    assert emitted["stream"]["stream_descriptor"] == told
    statuses = [message["trace"]["stream_status"] for message in messages if message["type"] == "TRACE"]
    assert [status["stream_descriptor"] for status in statuses] == [told] * 3


def test_the_go_connectors_state_file_is_gone_on_from(command: Command) -> None:
    command.serve(FakeVtgate({}))
    cursor = Cursor(KEYSPACE, SHARD, gtid(10)).encode()
    state = {"streams": {f"{KEYSPACE}:orders": {"shards": {SHARD: {"cursor": cursor}}}}}
    messages, error = command.read("orders", state=state)
    assert (error, "RECORD" in tale(messages)) == (None, False)


def test_a_damaged_state_ends_its_stream_before_anything_is_read(command: Command) -> None:
    vtgate = FakeVtgate({})
    command.serve(vtgate)
    state = {"streams": {f"{KEYSPACE}:orders": {"shards": {SHARD: {"cursor": "garbage"}}}}}
    messages, error = command.read("orders", state=state)
    assert tale(messages) == ["STARTED orders", "RUNNING orders", "INCOMPLETE orders", "ERROR"]
    assert f"shard '{SHARD}' of stream 'orders'" in messages[-1]["trace"]["error"]["message"]
    assert error is not None
    assert vtgate.opened == []


def test_a_table_that_is_gone_is_an_error_of_its_stream(command: Command) -> None:
    command.serve(FakeVtgate({SHARD: [small_copy(ONE)]}))
    messages, error = command.read("gone", "orders")
    assert by_stream(tale(messages)) == {
        "gone": ["STARTED", "RUNNING", "INCOMPLETE"],
        "orders": ["STARTED", "RUNNING", "COMPLETE"],
    }
    assert tale(messages)[-1] == "ERROR"
    assert error is not None


def test_a_table_that_vitess_cannot_stream_is_refused_before_any_stream(command: Command) -> None:
    vtgate = FakeVtgate({})
    command.serve(vtgate, FakeDatabase(found=(Table(KEYSPACE, "a`b", TABLE.columns, ("id",)),)))
    messages, error = command.read("a`b")
    traces = [message["trace"] for message in messages if message["type"] == "TRACE"]
    told = next(trace["error"] for trace in traces if trace["type"] == "ERROR")
    assert told["failure_type"] == "config_error"
    assert "it has a back-quote in its name" in told["message"]
    assert (vtgate.opened, error is None) == ([], False)


def test_no_command_sends_a_request_over_http(command: Command, requests_mock: Mocker) -> None:
    """Neither the connector nor the framework below it tells anybody but the configured host."""
    command.serve(FakeVtgate({SHARD: [small_copy(ONE)]}))
    config = command.file("config.json", CONFIG)
    for arguments in (["spec"], ["check", "--config", config], ["discover", "--config", config]):
        assert command.run(*arguments)[1] is None
    assert command.read("orders")[1] is None
    assert requests_mock.request_history == []


def test_no_log_line_of_a_read_shows_a_key_value(command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    command.serve(FakeVtgate({SHARD: [small_copy(row(778899, "one", "x"))]}))
    messages, _ = command.read("orders")
    command.serve(FakeVtgate({}))
    command.read("orders", state=[message["state"] for message in messages if message["type"] == "STATE"])
    logged = capfd.readouterr()
    assert "778899" not in logged.out + logged.err


# Secrets.


SECRETS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=8, max_size=16
)
# An unanswered call is explained without the server's words.
CODES = sorted(set(grpc.StatusCode) - {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}, key=str)


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS, code=st.sampled_from(CODES))
def test_no_output_shows_the_password_whatever_the_server_says(
    command: Command, capfd: pytest.CaptureFixture[str], secret: str, code: grpc.StatusCode
) -> None:
    said = broken(f"you said {secret} and that is wrong", code)
    config = command.file("secret.json", {**CONFIG, "password": secret})
    command.serve(FakeVtgate({}, failures=[said] * 9), FakeDatabase())
    checked, _ = command.run("check", "--config", config)
    command.serve(FakeVtgate({SHARD: [[said]]}), FakeDatabase())
    read, _ = command.run("read", "--config", config, "--catalog", command.catalog("orders"))
    logged = capfd.readouterr()
    texts = [*_texts(checked), *_texts(read), *_texts([json.loads(line) for line in logged.out.splitlines()])]
    assert any("****" in text for text in texts)
    assert not any(secret in text for text in texts)
    assert secret not in logged.err


def _texts(content: object) -> list[str]:
    """All texts in some JSON."""
    if isinstance(content, str):
        return [content]
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [text for part in parts for text in _texts(part)]
