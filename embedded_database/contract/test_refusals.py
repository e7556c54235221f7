"""The contract of both databases: the codes and texts with which a stream is refused or ends."""

# ruff: noqa: S608 - names and statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_database.contract.database import COPY_ENDS, run, stream, table
from embedded_database.contract.recording import Request, copied, record, responses_at_least

if TYPE_CHECKING:
    from embedded_database.contract.database import Database
    from source_planetscale.vstream.wire import vstream_pb2 as wire


def test_a_rule_without_a_filter_copies_a_table_and_then_fails(database: Database) -> None:
    name = table(database, "c_unfiltered")
    request = Request("src", {"0": ""}, {name: ""})

    def insert_once_copied(responses: list[list[wire.VEvent]]) -> bool:
        if copied(responses):
            run(database, f"insert into {name} values (1,'a')")
        return False

    recording = record(database.grpc_port, request, insert_once_copied)

    assert recording.lines == ["{BEGIN FIELD c_unfiltered}", "{V}", *COPY_ENDS]
    assert recording.code == "UNKNOWN"
    assert "Query was empty" in recording.details


def test_an_unknown_table_is_refused_in_a_copy_alone(database: Database) -> None:
    refused = stream(database, "c_nowhere", copied)
    current = stream(database, "c_nowhere", responses_at_least(1), "current")

    assert refused.code == "UNKNOWN"
    assert "table c_nowhere is not present in the database" in refused.details
    assert current.code == ""


@pytest.mark.parametrize(
    ("keyspace", "shard", "gtid", "code", "text"),
    [
        ("src", "zz", "", "FAILED_PRECONDITION", "VGTID, zz, not found in the src keyspace"),
        ("nowhere", "0", "", "UNKNOWN", "node doesn't exist: keyspaces/nowhere/shards"),
        ("nowhere", "", "", "UNKNOWN", "node doesn't exist: keyspaces/nowhere/SrvKeyspace"),
        ("src", "0", "garbage", "INTERNAL", 'decode position: parse error: unknown GTIDSet flavor ""'),
        ("src", "0", "CURRENT", "INTERNAL", "unknown GTIDSet flavor"),
        (
            "src", "0", "MySQL56/garbage", "INTERNAL",
            'invalid MySQL 5.6 GTID set ("garbage"): expected uuid:interval',
        ),
        ("src", "", "MySQL56/x:1", "INVALID_ARGUMENT", "the Gtid value must be 'current' or empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_streamed_is_refused_with_vtgates_code_and_text(
    database: Database, keyspace: str, shard: str, gtid: str, code: str, text: str
) -> None:
    name = table(database, "c_refused")
    request = Request(keyspace, {shard: gtid}, {name: ""})

    recording = record(database.grpc_port, request, responses_at_least(1))

    assert recording.code == code
    assert text in recording.details


def test_an_empty_position_is_refused_or_brings_nothing_before_vitess_23(database: Database) -> None:
    request = Request("src", {"0": "MySQL56/"}, {table(database, "c_refused"): ""})

    recording = record(database.grpc_port, request, responses_at_least(1))

    if database.major >= 23:
        assert recording.code == "UNKNOWN"
        assert "stream needs a position or a table to copy" in recording.details
    else:
        assert (recording.code, recording.lines) == ("", [])
