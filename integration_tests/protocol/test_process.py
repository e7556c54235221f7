"""The command as a process: signals, pipes, files that are no input, and secrets."""

from __future__ import annotations

import base64
import json
import random
import signal
import string
import subprocess
import sys
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest

from embedded_database.database import EmbeddedDatabase
from integration_tests.support.command import SECONDS, Command, configured, read, read_well, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from integration_tests.support.command import Run

TABLE = "rows_to_read"
COUNT = 2000
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])


@pytest.fixture(scope="module")
def filled() -> Iterator[EmbeddedDatabase]:
    tables = {"src": [f"create table {TABLE} (id bigint primary key, note varchar(2000))"]}
    with EmbeddedDatabase.start(tables=tables) as database:
        database.load("src", TABLE, [(key, "x" * 1500) for key in range(COUNT)])
        yield database


@pytest.fixture
def database(filled: EmbeddedDatabase) -> Iterator[EmbeddedDatabase]:
    yield filled
    filled.clear_faults()


def reading(database: EmbeddedDatabase, **overrides: object) -> Command:
    return Command(["read"], database.config("src", **overrides), configured(TABLE, namespace="src"))


def ids(done: Run) -> list[int]:
    return [row["id"] for row in done.records(TABLE)]


@SIGNALS
def test_a_signal_in_a_copy_ends_it_with_a_state_that_covers_every_record(
    database: EmbeddedDatabase, number: signal.Signals
) -> None:
    # The rest of the copy never comes: without the signal the command would wait for it.
    database.fault("stall", table=TABLE, after_events=900)
    with reading(database) as command:
        command.next_message("RECORD")
        command.signal(number)
        cut = command.finish()
    assert cut.exit_code == 128 + number
    assert cut.statuses(TABLE)[-1] == "INCOMPLETE"
    assert cut.stderr == ""
    database.clear_faults()
    rest = read_well(database.config("src"), TABLE, state=cut.state)
    assert ids(cut) + ids(rest) == list(range(COUNT))
    assert 0 < len(ids(cut)) < COUNT


@SIGNALS
def test_a_signal_while_the_server_is_silent_from_the_start_ends_the_command(
    database: EmbeddedDatabase, number: signal.Signals
) -> None:
    database.fault("stall", times=0)
    with reading(database) as command:
        while "STARTED" not in json.dumps(command.next_message("TRACE")):
            pass
        command.signal(number)
        done = command.finish()
    assert done.exit_code == 128 + number
    assert done.statuses(TABLE)[-1:] != ["COMPLETE"]


@SIGNALS
def test_a_second_signal_ends_a_command_whose_output_nobody_reads(
    database: EmbeddedDatabase, number: signal.Signals
) -> None:
    with reading(database) as command:
        # 3 MB of records against a pipe that takes 64 KB.
        command.next_message("RECORD")
        command.signal(number)
        command.signal(number)
        done = command.finish()
    assert done.exit_code == 128 + number
    assert done.stderr == ""


@SIGNALS
@pytest.mark.parametrize("command", ["check", "discover"])
def test_a_signal_ends_the_other_commands_without_a_success(
    database: EmbeddedDatabase, command: str, number: signal.Signals
) -> None:
    database.fault("stall", times=0)
    with Command([command], database.config("src", grpc_port=_silent_port(database))) as running:
        running.signal(number)
        done = running.finish()
    assert done.exit_code != 0
    assert done.of_type("CONNECTION_STATUS") == []


def _silent_port(database: EmbeddedDatabase) -> int:
    return database.grpc_port


def test_a_reader_that_goes_away_ends_the_command_quietly(database: EmbeddedDatabase, tmp_path: Path) -> None:
    files = {
        "config": database.config("src"),
        "catalog": configured(TABLE, namespace="src"),
    }
    options = []
    for name, content in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        options += [f"--{name}", str(path)]
    with subprocess.Popen(
        [sys.executable, "-m", "source_planetscale", "read", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        while b'"RECORD"' not in process.stdout.readline():
            pass
        process.stdout.close()
        errors = process.stderr.read()
        code = process.wait(SECONDS)
    assert code != 0
    assert errors == b""


NO_INPUT = ["", "{", "not JSON", "5", '"text"', "[]", "\ufeff{", '{"streams": 5}']


# An empty file or list is a state: that of the first sync.
FILES = [
    (name, content)
    for name in ("config", "catalog", "state")
    for content in NO_INPUT
    if name != "state" or content not in ("", "[]")
]


@pytest.mark.parametrize(("name", "content"), FILES)
def test_a_file_that_is_no_input_is_one_clear_sentence_and_reads_nothing(
    database: EmbeddedDatabase, name: str, content: str
) -> None:
    files: dict[str, Any] = {
        "config": database.config("src"),
        "catalog": configured(TABLE, namespace="src"),
        "state": None,
        name: content,
    }
    done = run("read", **files)
    assert done.exit_code != 0
    assert done.of_type("RECORD") == done.of_type("STATE") == []
    assert done.stderr == ""
    assert done.errors
    message = done.errors[-1]["message"]
    assert name in message.lower()
    assert "Traceback" not in message
    assert "Something went wrong" not in message


@pytest.mark.parametrize("command", ["check", "discover", "read"])
def test_a_file_that_does_not_exist_is_an_error_without_a_success(command: str) -> None:
    done = run(command, "--config", "/nonexistent/config.json", catalog=configured(TABLE))
    assert done.exit_code != 0
    assert done.of_type("RECORD") == []


def test_a_configuration_of_another_source_is_refused_by_field() -> None:
    other = {"start_date": "2020-01-01", "api_key": "secret-of-another"}
    done = run("read", config=other, catalog=configured(TABLE))
    assert done.exit_code != 0
    assert "host" in done.errors[-1]["message"]
    assert "secret-of-another" not in done.output


def made_up_password(seed: int) -> str:
    chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
    return "pscale_pw_" + "".join(chance.choices(string.ascii_letters + string.digits + "%&+ '\"\\é", k=24))


def spellings(secret: str, user: str) -> set[str]:
    """How a secret may stand in a text."""
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        repr(secret)[1:-1],
        urllib.parse.quote(secret),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"{user}:{secret}".encode()).decode(),
    }


WRONGS: dict[str, dict[str, object]] = {
    "nothing": {},
    "password": {"username": "another"},
    "host": {"host": "nowhere.invalid"},
    "mysql port": {"mysql_port": 1},
    "grpc port": {"grpc_port": 1},
    "swapped ports": {"grpc_port": None},
    "database": {"database": "nosuch"},
    "shard": {"shards": "zz"},
    "mysql tls": {"mysql_tls": True},
    "grpc tls": {"grpc_tls": True},
    "certificate": {"grpc_tls": True, "tls_ca_certificate": "not PEM"},
    "type": {"timeout_seconds": "long"},
    "policy": {"invalid_cdc_cursor_position_behavior": "Whatever"},
}


@pytest.mark.parametrize("wrong", WRONGS)
@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_no_output_ever_holds_the_password(wrong: str, *, debug: bool) -> None:
    secret = made_up_password(len(wrong))
    tables = {"src": [f"create table {TABLE} (id bigint primary key)"]}
    with EmbeddedDatabase.start(tables=tables, users={"local": secret}) as database:
        database.fill("src", TABLE, 10)
        database.fault("error", after_events=5, code="UNKNOWN", message="something broke")
        config = {**database.config("src", max_retries=1, timeout_seconds=3), **WRONGS[wrong]}
        if wrong == "swapped ports":
            config["grpc_port"], config["mysql_port"] = database.mysql_port, database.grpc_port
        flags = ["--debug"] if debug else []
        outputs = [
            run("check", *flags, config=config).output,
            run("discover", *flags, config=config).output,
            run("read", *flags, config=config, catalog=configured(TABLE, namespace="src")).output,
        ]
    for spelling in spellings(secret, "local"):
        assert all(spelling not in output for output in outputs)


def test_a_configuration_that_is_cut_off_does_not_show_its_password(database: EmbeddedDatabase) -> None:
    secret = made_up_password(99)
    text = json.dumps({**database.config("src"), "password": secret})[:-1]
    for command in (["check"], ["discover"], ["read"]):
        done = run(*command, config=text, catalog=configured(TABLE) if command == ["read"] else None)
        assert "is not JSON" in done.output
        assert all(spelling not in done.output for spelling in spellings(secret, "local"))


def test_a_password_of_any_letters_opens_both_doors() -> None:
    tables = {"src": [f"create table {TABLE} (id bigint primary key)"]}
    with EmbeddedDatabase.start(tables=tables, users={"local": "pé% 密码"}) as database:
        assert run("check", config=database.config("src")).connection_status == {"status": "SUCCEEDED"}


def test_the_signal_tests_read_what_a_whole_sync_reads(database: EmbeddedDatabase) -> None:
    assert ids(read(database.config("src"), TABLE)) == list(range(COUNT))
