"""Each fault of the embedded database does what its name says, to the streams in its scope alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest

from embedded_database import EmbeddedDatabase, Limits
from embedded_database.contract.recording import (
    Request,
    copied,
    record,
    responses_at_least,
    seen,
)
from embedded_database.faults import FaultKind
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded_database.contract.recording import Recording, Responses, Until

ROWS = 200
SMALL_PACKET = 500


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    limits = Limits(packet_bytes=SMALL_PACKET, unservable_seconds=0.2)
    with EmbeddedDatabase(users={}, limits=limits) as running:
        for keyspace in ("src", "shop"):
            running.create_table(keyspace, "create table t (id bigint primary key, v varchar(20))")
            running.fill(keyspace, "t", ROWS)
        yield running


def stream(
    database: EmbeddedDatabase,
    until: Until = copied,
    gtid: str = "",
    keyspace: str = "src",
    shards: tuple[str, ...] = ("0",),
    **flags: object,
) -> Recording:
    request = Request(keyspace, dict.fromkeys(shards, gtid), {"t": "select * from t"}, flags=flags)
    return record(database.grpc_port, request, until)


def count(responses: Responses) -> int:
    return sum(len(group) for group in responses)


def test_every_kind_of_fault_is_made_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in FaultKind if f'fault("{kind.value}"' not in tests] == []


def test_a_cut_ends_the_connection_within_the_bytes(database: EmbeddedDatabase) -> None:
    database.fault("cut", after_bytes=3000)

    cut, whole = stream(database), stream(database)

    assert cut.code == "UNAVAILABLE"
    assert sum(event.ByteSize() for group in cut.responses for event in group) <= 3000
    assert cut.lines == whole.lines[: len(cut.lines)]
    assert len(whole.rows) == ROWS


# The first two responses of a copy have two events and one.
@pytest.mark.parametrize("after_events", [0, 2, 3, 7, 100])
def test_an_error_comes_with_its_code_and_text_after_whole_responses_up_to_its_event(
    database: EmbeddedDatabase, after_events: int
) -> None:
    database.fault("error", after_events=after_events, code="RESOURCE_EXHAUSTED", message="too much")

    failed, whole = stream(database), stream(database)

    sent = len(failed.responses)
    assert (failed.code, failed.details) == ("RESOURCE_EXHAUSTED", "too much")
    assert failed.lines == whole.lines[:sent]
    assert count(failed.responses) <= after_events < count(whole.responses[: sent + 1])


def test_a_fault_fires_as_often_as_it_is_told(database: EmbeddedDatabase) -> None:
    database.fault("error", times=2)

    assert [stream(database).code for _ in range(3)] == ["UNAVAILABLE", "UNAVAILABLE", ""]


def test_a_fault_without_a_number_of_times_fires_until_it_is_cleared(database: EmbeddedDatabase) -> None:
    database.fault("error", times=0)

    before = [stream(database).code for _ in range(3)]
    database.clear_faults()

    assert before == ["UNAVAILABLE"] * 3
    assert stream(database).code == ""


@pytest.mark.parametrize("scope", [{"keyspace": "shop"}, {"shard": "-80"}, {"table": "other"}])
def test_a_fault_leaves_streams_out_of_its_scope_alone(
    database: EmbeddedDatabase, scope: dict[str, str]
) -> None:
    database.fault("error", **scope)

    assert stream(database).code == ""


@pytest.mark.parametrize("heartbeats", [False, True])
def test_a_stall_holds_events_back_with_and_without_heartbeats(
    database: EmbeddedDatabase, heartbeats: bool
) -> None:
    database.fault("stall", after_events=3, heartbeats=heartbeats)
    beats: list[int] = []

    def until(responses: Responses) -> bool:
        events = [event for group in responses for event in group]
        beats[:] = [event.type for event in events if event.type == wire.HEARTBEAT]
        if beats or (len(events) == 3 and not heartbeats):
            database.clear_faults()
        return copied(responses)

    recording = stream(database, until, heartbeat_interval=1)

    assert bool(beats) is heartbeats
    assert len(recording.rows) == ROWS


def test_a_slow_stream_keeps_to_its_rate(database: EmbeddedDatabase) -> None:
    # The second response would take minutes: it comes only because the fault is cleared.
    database.fault("slow", bytes_per_second=1)

    def until(responses: Responses) -> bool:
        if len(responses) == 1:
            database.clear_faults()
        return copied(responses)

    assert len(stream(database, until).rows) == ROWS


def test_a_purged_position_is_silence_and_then_no_tablet(database: EmbeddedDatabase) -> None:
    before = database.position("src", "0")
    database.execute("insert into t values (1000,'a')", "src")
    database.fault("purge", keyspace="src")

    recording = stream(database, responses_at_least(1), before)

    assert recording.code == "CANCELLED"
    assert "failed to find a PRIMARY tablet for VStream in src/0" in recording.details
    query = f"select gtid_subset(@@global.gtid_purged, '{before.removeprefix('MySQL56/')}')"
    assert database.execute(query, "src:0@primary") == [(0,)]
    assert stream(database, responses_at_least(1), "current").code == ""


@pytest.mark.parametrize("ahead", [True, False])
def test_a_position_that_the_shard_does_not_know_is_silence_and_then_no_tablet(
    database: EmbeddedDatabase, ahead: bool
) -> None:
    uuid = database.shard("src", "0").uuid if ahead else "00000000-0000-0000-0000-000000000001"

    assert stream(database, responses_at_least(1), f"MySQL56/{uuid}:1-9999").code == "CANCELLED"


def test_heartbeats_go_on_while_no_tablet_serves_a_position() -> None:
    with EmbeddedDatabase(users={}, limits=Limits(unservable_seconds=60)) as database:
        database.create_table("src", "create table t (id int primary key)")
        foreign = "MySQL56/00000000-0000-0000-0000-000000000001:1"

        recording = stream(database, responses_at_least(1), foreign, heartbeat_interval=1)

        assert recording.lines == ["{HEARTBEAT}"]


def test_a_shard_that_is_down_ends_its_streams_and_refuses_sql(database: EmbeddedDatabase) -> None:
    request = Request("src", {"0": "current"}, {"t": "select * from t"})

    def down() -> None:
        database.fault("down", keyspace="src", shard="0")

    running = record(database.grpc_port, request, responses_at_least(2), down)
    refused = stream(database)
    with pytest.raises(pymysql.Error, match="no healthy tablet available"):
        database.execute("select @@global.gtid_executed", "src:0@primary")
    database.clear_faults()

    assert (running.code, refused.code) == ("UNKNOWN", "UNKNOWN")
    assert "errno 2002" in refused.details
    assert stream(database).code == ""


def test_a_large_message_breaks_a_client_with_a_limit_alone(database: EmbeddedDatabase) -> None:
    database.fault("large_message", after_events=2, size=5_000_000)

    recording = stream(database)

    sizes = [event.ByteSize() for group in recording.responses for event in group]
    assert max(sizes) > 5_000_000
    assert len(recording.rows) == ROWS


def test_a_huge_transaction_begins_in_its_first_response_and_commits_in_its_last(
    database: EmbeddedDatabase,
) -> None:
    before = database.position("src", "0")
    database.fault("huge_transaction", keyspace="src", table="t", size=20_000, first=1000)

    responses = stream(database, seen(b"20999"), before).responses

    kinds = [[event.type for event in group] for group in responses]
    assert len(kinds) > 5
    assert kinds[0][:3] == [wire.BEGIN, wire.FIELD, wire.ROW]
    assert kinds[-1][-2:] == [wire.VGTID, wire.COMMIT]
    assert {kind for group in kinds[1:-1] for kind in group} == {wire.ROW}


def journals(recording: Recording) -> list[wire.Journal]:
    return [event.journal for event in recording.events(wire.JOURNAL)]


def test_a_reshard_at_a_row_ends_a_stream_that_asked_to_stop(database: EmbeddedDatabase) -> None:
    database.fault("reshard", keyspace="src", after_rows=50, shards="-80 80-")

    recording = stream(database, lambda _: False, stop_on_reshard=True)

    (journal,) = journals(recording)
    assert recording.code == "OK"
    assert len(recording.rows) == ROWS
    assert recording.lines[-1] == "{BEGIN JOURNAL V COMMIT}"
    assert [(p.keyspace, p.shard) for p in journal.participants] == [("src", "0")]
    assert [start.shard for start in journal.shard_gtids] == ["-80", "80-"]
    assert ("src/-80",) in database.execute("show vitess_shards", "src")
    assert database.execute("select count(*) from t", "src") == [(ROWS,)]


def test_new_shards_go_on_where_the_journal_says(database: EmbeddedDatabase) -> None:
    before = database.position("src", "0")
    database.reshard("src", ["-80", "80-"])
    database.execute("insert into t values (1001,'a'),(1002,'b'),(1003,'c'),(1004,'d')", "src")

    (journal,) = journals(stream(database, lambda _: False, before, stop_on_reshard=True))
    request = Request("src", {}, {"t": "select * from t"})
    for start in journal.shard_gtids:
        request.gtids[start.shard] = start.gtid

    def all_four(responses: Responses) -> bool:
        events = [event for group in responses for event in group]
        return sum(len(event.row_event.row_changes) for event in events) == 4

    rows = record(database.grpc_port, request, all_four).rows
    assert sorted(row[0] or b"" for row in rows) == [b"1001", b"1002", b"1003", b"1004"]


def test_a_stream_without_flags_moves_to_the_new_shards_by_itself(database: EmbeddedDatabase) -> None:
    before = database.position("src", "0")
    database.reshard("src", ["-80", "80-"])
    database.execute("insert into t values (1001,'a')", "src")

    recording = stream(database, seen(b"1001"), before)

    assert not journals(recording)
    shards = [entry.shard for entry in recording.events(wire.VGTID)[-1].vgtid.shard_gtids]
    assert shards == ["-80", "80-"]


def test_a_merge_gives_the_journal_and_then_an_error_to_a_stream_of_one_participant(
    database: EmbeddedDatabase,
) -> None:
    before = database.position("shop", "-80")
    database.reshard("shop", ["-"])

    recording = stream(
        database, lambda _: False, before, keyspace="shop", shards=("-80",), stop_on_reshard=True
    )

    assert len(journals(recording)) == 1
    assert recording.code == "INTERNAL"
    assert "not all journaling participants are in the stream" in recording.details


def test_a_removed_shard_is_unknown(database: EmbeddedDatabase) -> None:
    database.reshard("src", ["-80", "80-"])
    database.complete_reshard("src")

    recording = stream(database)

    assert recording.code == "FAILED_PRECONDITION"
    assert "shard provided in VGTID, 0, not found in the src keyspace" in recording.details


def test_a_fault_can_be_made_and_cleared_by_sql(database: EmbeddedDatabase) -> None:
    database.execute("set @@fault = 'error times=0 code=ABORTED message=\"by hand\"'", "src")
    failed = stream(database)
    database.execute("set @@fault = 'clear'", "src")

    assert (failed.code, failed.details) == ("ABORTED", "by hand")
    assert stream(database).code == ""


def test_an_unknown_fault_is_refused(database: EmbeddedDatabase) -> None:
    with pytest.raises(pymysql.Error, match="'earthquake' is not a valid FaultKind"):
        database.execute("set @@fault = 'earthquake'", "src")
