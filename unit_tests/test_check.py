"""What `check` makes of what the ports say: what fails it, what is only told, and what it looks past."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from embedded_database.certificates import Authority, Certificates
from source_planetscale.check import check
from source_planetscale.config.encryption import Encryption
from source_planetscale.endpoint import TabletType, Tls
from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.mysql.readiness import EXECUTED_QUERY, TABLETS_QUERY, VARIABLES_QUERY
from unit_tests.support.events import KEYSPACE, SHARD, UUID
from unit_tests.support.fakes import CONFIG, FakeDatabase, FakeVtgate, stand_in
from unit_tests.support.tls_server import HOST, tls_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from source_planetscale.config import Config

PRIMARY, REPLICA = TabletType.PRIMARY, TabletType.REPLICA
PLAIN = replace(CONFIG, encryption=Encryption(None, None))
FROM_REPLICA = replace(PLAIN, tablet_type=REPLICA)
LOGGER = logging.getLogger("test_check")

Rows: TypeAlias = "Mapping[str, Sequence[tuple[Any, ...]]]"


@dataclass
class Answers(FakeDatabase):
    """Answers what `check` asks of servers.

    Attributes:
        rows: The rows by query.
        away: The kinds of tablets that do not answer.
    """

    rows: Rows = field(default_factory=dict)
    away: set[object] = field(default_factory=set)

    def ask(self, sql: str, _shard: object = None, tablet_type: object = None) -> Any:
        if tablet_type in self.away:
            raise TransientError("no tablet answers")
        return self.rows.get(sql)


def checked(monkeypatch: pytest.MonkeyPatch, config: Config, database: FakeDatabase) -> None:
    """Checks on fakes; the vtgate has to be left closed."""
    vtgate = FakeVtgate()
    stand_in(vtgate, database, monkeypatch.setattr)
    check(config, LOGGER)
    assert vtgate.closed


def refusal(monkeypatch: pytest.MonkeyPatch, config: Config, database: FakeDatabase) -> str:
    with pytest.raises(SourceError) as caught:
        checked(monkeypatch, config, database)
    return caught.value.message


def tablet(cell: str, kind: str, state: str = "SERVING") -> tuple[str, ...]:
    return (cell, KEYSPACE, SHARD, kind, state, "zone1-0000000100", "host", "2024-01-01T00:00:00Z")


def test_what_only_troubles_syncs_is_told_once_and_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows: Rows = {
        TABLETS_QUERY: [tablet("zone1", "PRIMARY")],
        VARIABLES_QUERY: [("binlog_expire_logs_seconds", "3600"), ("gtid_mode", "ON")],
        EXECUTED_QUERY: [(f"{UUID}:1-9",)],
    }
    checked(monkeypatch, replace(PLAIN, cells="zone2"), Answers(rows=rows))
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert f"MySQL of shard {SHARD} (primary) of keyspace shop keeps binary logs for 1.0 hours" in warnings[0]
    assert "are in cell(s) zone1, not in zone2" in warnings[1]


def test_everything_that_no_sync_survives_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows: Rows = {
        VARIABLES_QUERY: [("log_bin", "OFF"), ("binlog_expire_logs_seconds", "3600")],
        EXECUTED_QUERY: [(f"{UUID}:tag:1-9",)],
    }
    message = refusal(monkeypatch, PLAIN, Answers(rows=rows))
    assert "log_bin=OFF: the server writes no binary log" in message
    assert f"tagged GTIDs ({UUID}:tag)" in message
    assert "keeps binary logs" not in message
    assert "keeps binary logs" in caplog.text
    assert "log_bin" not in caplog.text


def test_a_replica_is_read_while_its_primary_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away: set[object] = {PRIMARY}
    checked(monkeypatch, FROM_REPLICA, Answers(away=away))


def test_a_kind_of_tablet_that_serves_nowhere_is_told_with_the_fields_that_choose_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: Rows = {TABLETS_QUERY: [tablet("zone1", "PRIMARY"), tablet("zone1", "REPLICA", "NOT_SERVING")]}
    message = refusal(monkeypatch, FROM_REPLICA, Answers(rows=rows, away={REPLICA}))
    assert message == (
        f"No replica tablet serves shard(s) {SHARD} of keyspace shop. Start one there, or choose another "
        "kind of tablet with use_replica and use_rdonly."
    )


def test_a_tablet_that_serves_and_does_not_answer_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: Rows = {TABLETS_QUERY: [tablet("zone1", "REPLICA")]}
    database = Answers(rows=rows, away={REPLICA})
    assert refusal(monkeypatch, FROM_REPLICA, database) == "no tablet answers"


def test_a_keyspace_without_tables_is_checked_as_well(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checked(monkeypatch, PLAIN, Answers(found=()))
    assert "Keyspace shop has no tables, or the user may read none of them." in caplog.text


def test_a_certificate_that_is_not_trusted_is_told_with_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(Certificates.make()) as port:
        tls = Tls(authority=Authority().certificate.decode())
        config = replace(CONFIG, host=HOST, grpc_port=port, encryption=Encryption(None, tls))
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} is not trusted"):
            checked(monkeypatch, config, Answers())


def test_a_port_that_is_not_reached_is_left_to_the_stream_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as bound:
        bound.bind((HOST, 0))
        encryption = Encryption(None, Tls())
        config = replace(CONFIG, host=HOST, grpc_port=bound.getsockname()[1], encryption=encryption)
        checked(monkeypatch, config, Answers())
