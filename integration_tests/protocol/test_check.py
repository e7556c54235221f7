"""`check` on the embedded database and on a real Vitess: every failure a sentence, and never a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.support.command import configured, run
from integration_tests.support.tables import create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from embedded_database.contract.database import Database
    from integration_tests.support.command import Run
    from integration_tests.vitess.cluster import VitessCluster

PASSWORD = "password-marker"


@pytest.fixture(scope="module")
def database(database: Database) -> Database:
    """A database that takes any password, with a table in each keyspace."""
    for keyspace in ("shop", "src"):
        create(database, keyspace, "create table check_rows (id bigint primary key)")
    return database


def check(config: object) -> Run:
    done = run("check", config=config)
    assert done.exit_code == 0
    assert done.stderr == ""
    for trace_of_code in ("Traceback", 'File "', PASSWORD):
        assert trace_of_code not in done.output
    return done


def failure(config: object) -> str:
    """The message of a failed check, which is a sentence."""
    status = check(config).connection_status
    assert status["status"] == "FAILED"
    message: str = status["message"]
    assert message.rstrip().endswith(".")
    assert " " in message
    assert not message.startswith("'")
    return message


@pytest.mark.parametrize("keyspace", ["shop", "src"])
@pytest.mark.parametrize("options", [{}, {"use_replica": True}])
def test_a_working_configuration_succeeds(database: Database, keyspace: str, options: dict[str, Any]) -> None:
    done = check({**database.config(keyspace), "password": PASSWORD, **options})
    assert done.connection_status["status"] == "SUCCEEDED"


def test_a_configuration_with_listed_shards_succeeds(database: Database) -> None:
    done = check(changed(database, shards=" -80, 80- "))
    assert done.connection_status["status"] == "SUCCEEDED"


def changed(server: Database, /, **change: object) -> dict[str, object]:
    return {**server.config("shop"), "password": PASSWORD, **change}


def test_a_wrong_host_is_named_and_no_password_blamed(database: Database) -> None:
    message = failure(changed(database, host="no-such-host.invalid"))
    assert "no-such-host.invalid" in message
    assert "password" not in message


def test_a_wrong_mysql_port_is_named(database: Database) -> None:
    config = changed(database, mysql_port=1)
    message = failure(config)
    assert f"{config['host']}:1" in message
    assert "port" in message


def test_a_wrong_grpc_port_is_named_because_check_opens_a_vstream(database: Database) -> None:
    config = changed(database, grpc_port=1)
    message = failure(config)
    assert f"{config['host']}:1" in message
    assert "gRPC" in message


def test_the_mysql_port_is_not_taken_for_the_grpc_port(database: Database) -> None:
    assert "gRPC" in failure(changed(database, grpc_port=database.mysql_port))


def test_an_unknown_database_is_named(database: Database) -> None:
    assert "nowhere" in failure(changed(database, database="nowhere"))


@pytest.mark.parametrize("name", ["", "   "])
def test_an_empty_database_does_not_pass(database: Database, name: str) -> None:
    assert "database" in failure(changed(database, database=name))


@pytest.mark.parametrize("field", ["mysql_tls", "grpc_tls"])
def test_tls_against_a_server_without_it_is_told(database: Database, field: str) -> None:
    assert "TLS" in failure(changed(database, **{field: True}))


def test_an_unknown_shard_is_named_beside_the_ones_there_are(database: Database) -> None:
    message = failure(changed(database, shards="-80, zz-"))
    assert "zz-" in message
    assert "80-" in message


@pytest.mark.parametrize("content", ["no json", "", "[]", "null", '"text"', '{"host": '])
def test_a_configuration_file_that_holds_no_object_is_told(content: str) -> None:
    assert "configuration" in failure(content).lower()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_configuration_that_powershell_wrote_is_read(
    vitess: VitessCluster, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(vitess.config("shop", password=PASSWORD)), encoding=encoding)
    done = run("check", "--config", str(path))
    assert done.connection_status["status"] == "SUCCEEDED"


def test_a_configuration_file_that_is_missing_is_told() -> None:
    done = run("check", "--config", "/nonexistent/config.json")
    assert done.exit_code == 0
    assert done.connection_status["status"] == "FAILED"
    assert "/nonexistent/config.json" in done.connection_status["message"]
    assert "Traceback" not in done.output


@pytest.mark.parametrize("field", ["host", "database"])
def test_a_missing_field_is_named(database: Database, field: str) -> None:
    config = changed(database)
    del config[field]
    assert field in failure(config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", {"marker": PASSWORD}),
        ("max_retries", PASSWORD),
        ("mysql_port", 70_000),
        ("use_replica", PASSWORD),
        ("starting_gtids", f'{{"{PASSWORD}": 1}}'),
        ("invalid_cdc_cursor_position_behavior", PASSWORD),
    ],
)
def test_a_field_of_the_wrong_type_is_named_without_its_value(
    database: Database, field: str, value: object
) -> None:
    assert field in failure(changed(database, **{field: value}))


def test_a_saved_configuration_of_the_go_connector_goes_on_working(database: Database) -> None:
    saved = {
        "options": {"do_not_treat_tiny_int_as_boolean": True, "storage": "HTTPS"},
        "shards": None,
        "starting_gtids": "",
        "use_gtid_with_table_pks": False,
        "timeout_seconds": 300,
        "max_retries": 3,
        "something_else": 1,
    }
    done = check(changed(database, **saved))
    assert done.connection_status["status"] == "SUCCEEDED"


@pytest.mark.parametrize("command", ["discover", "read"])
def test_the_password_stands_in_no_message_of_a_failed_command(database: Database, command: str) -> None:
    catalog = configured("check_rows") if command == "read" else None
    for config in (
        changed(database, mysql_port=1),
        changed(database, max_retries=PASSWORD),
        json.dumps({"password": PASSWORD})[:-1],
    ):
        done = run(command, config=config, catalog=catalog)
        assert done.exit_code != 0
        assert done.errors
        assert PASSWORD not in done.output


@pytest.fixture
def setting(vitess: VitessCluster) -> Iterator[Callable[[str, str], None]]:
    """Changes a setting of the MySQL server to the end of the test."""
    changed: dict[str, str] = {}

    def change(name: str, value: str) -> None:
        ((before,),) = vitess.execute_on_mysqld(f"select @@global.{name}")
        changed.setdefault(name, str(before))
        text = value if value.isdecimal() else f"'{value}'"
        vitess.execute_on_mysqld(f"set global {name} = {text}")

    yield change
    for name, value in changed.items():
        change(name, value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("binlog_row_image", "MINIMAL", "without the whole row"),
        ("binlog_format", "STATEMENT", "as statements"),
    ],
)
def test_a_setting_that_incremental_syncs_do_not_survive_is_a_failure(
    vitess: VitessCluster, setting: Callable[[str, str], None], name: str, value: str, sentence: str
) -> None:
    setting(name, value)
    message = failure(changed(vitess, shards="-80"))
    assert f"MySQL of shard -80 (primary) of keyspace shop has {name}={value}" in message
    assert sentence in message


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("binlog_row_image", "NOBLOB", "without the whole row"),
        ("binlog_row_value_options", "PARTIAL_JSON", "JSON come in parts"),
        ("binlog_expire_logs_seconds", "3600", "keeps binary logs for 1.0 hours"),
    ],
)
def test_a_setting_that_may_trouble_syncs_is_a_line_in_the_log(
    vitess: VitessCluster, setting: Callable[[str, str], None], name: str, value: str, sentence: str
) -> None:
    setting(name, value)
    done = check(changed(vitess))
    assert done.connection_status["status"] == "SUCCEEDED"
    assert len([line for line in done.logs if sentence in line]) == 2


def test_what_a_check_of_a_good_server_logs_is_about_its_tables_alone(vitess: VitessCluster) -> None:
    create(vitess, "shop", "create table check_keyless (a int)")
    done = check(changed(vitess))
    about_server = [line for line in done.logs if "MySQL of" in line or "cell" in line]
    assert about_server == []
    assert [line for line in done.logs if "no primary key" in line and "check_keyless" in line]


def test_filters_that_match_no_table_are_a_failure(vitess: VitessCluster) -> None:
    filters = [{"database_name": "shop", "table_name_patterns": ["chekc%"]}]
    assert "matches chekc%" in failure(changed(vitess, table_filters=filters))


def test_cells_without_the_tablets_are_told(vitess: VitessCluster) -> None:
    done = check(changed(vitess, cells="zone9"))
    assert [line for line in done.logs if "in cell(s) test, not in zone9" in line]
