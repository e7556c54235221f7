"""What vtgate's errors mean, and what of their text is kept."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.wire import vstream_pb2 as wire

Code = grpc.StatusCode
NO_TABLET = (
    "failed to find a PRIMARY tablet for VStream in shop/-80 within the zone1 cell(s): context has expired"
)
CAUSE = "target: shop.-80.primary: vttablet: rpc error: code = Unknown desc = the cause"


def echoing(key: str, *, position: str = "MySQL56/u:1-5", rest: str = CAUSE) -> str:
    """An error as vtgate wraps it, with the cursor that it was asked to follow."""
    row = wire.Row(lengths=[len(key.encode())], values=key.encode())
    lastpk = wire.QueryResult(fields=[wire.Field(name="id", type=wire.VARCHAR)], rows=[row])
    cursor = wire.ShardGtid(
        keyspace="shop",
        shard="-80",
        gtid=position,
        table_p_ks=[wire.TableLastPK(table_name="orders", lastpk=lastpk)],
    )
    echo = text_format.MessageToString(cursor, as_one_line=True)
    return f"error starting stream from shard GTID {echo}: {rest}"


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        (Code.UNAUTHENTICATED, "username and password must be provided"),
        (Code.PERMISSION_DENIED, 'auth failure: caller "alice" provided invalid credentials'),
        (Code.UNIMPLEMENTED, "unknown service vtgateservice.Vitess"),
        (Code.INVALID_ARGUMENT, "vgtid must have at least one value"),
        (Code.FAILED_PRECONDITION, "shard provided in VGTID, zz, not found in the src keyspace"),
        (Code.INTERNAL, 'could not decode position: parse error: unknown GTIDSet flavor ""'),
        (Code.UNKNOWN, "stream needs a position or a table to copy"),
        (Code.UNKNOWN, "failed to get shards: node doesn't exist: keyspaces/x/SrvKeyspace"),
        (Code.INTERNAL, "not all journaling participants are in the stream: journal: [], stream: []"),
        (Code.UNKNOWN, "unexpected statement type UNKNOWN in row-based replication: xa start 'x'"),
    ],
)
def test_what_trying_again_cannot_mend_is_permanent(code: grpc.StatusCode, detail: str) -> None:
    assert VStreamError(code, detail).permanent


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        (Code.UNAVAILABLE, "Socket closed"),
        (Code.UNKNOWN, "table nosuch is not present in the database"),
        (Code.UNKNOWN, "unknown table t in schema"),
        (Code.UNAVAILABLE, "failed to connect to all addresses"),
        (Code.NOT_FOUND, "tablet: cell:zone1 uid:100 is either down or nonexistent"),
        (Code.CANCELLED, NO_TABLET),
        (Code.RESOURCE_EXHAUSTED, "trying to send message larger than max"),
        (Code.ABORTED, ""),
        (Code.DEADLINE_EXCEEDED, "context ended while sending events"),
        (Code.UNKNOWN, "persistent error ... connection refused (errno 2002)"),
    ],
)
def test_what_may_pass_by_itself_is_not_permanent(code: grpc.StatusCode, detail: str) -> None:
    assert not VStreamError(code, detail).permanent


def test_a_removed_shard_is_told_from_an_unreachable_position() -> None:
    removed = VStreamError(
        Code.FAILED_PRECONDITION, "shard provided in VGTID, -80, not found in the shop keyspace"
    )
    unreachable = VStreamError(Code.CANCELLED, NO_TABLET)
    assert (removed.shard_is_unknown, removed.position_is_unreachable) == (True, False)
    assert (unreachable.shard_is_unknown, unreachable.position_is_unreachable) == (False, True)


@pytest.mark.parametrize(
    "detail",
    [
        "cannot determine table columns for t: event has [..], schema has [..]",
        "syntax error: failed to build ENUM and SET column integer to string mappings for table t",
        "enum or set column @3 does not have valid string values",
        "cannot use column names in vstream filter because the column names are unknown",
    ],
)
def test_events_that_the_server_cannot_decode_are_about_the_shape(detail: str) -> None:
    error = VStreamError(Code.UNKNOWN, detail)
    assert error.shape_is_unreadable
    assert error.permanent


@pytest.mark.parametrize(
    "detail", ["table orders is not present in the database", "unknown table orders in schema"]
)
def test_a_table_that_its_tablet_does_not_know_may_become_known(detail: str) -> None:
    error = VStreamError(Code.UNKNOWN, detail)
    assert error.table_is_unknown
    assert not error.permanent


def test_a_statement_that_vitess_cannot_parse_is_never_passed() -> None:
    error = VStreamError(Code.UNKNOWN, "unexpected statement type UNKNOWN in row-based replication: xa start")
    assert error.statement_is_unreadable
    assert error.permanent


TABLES = ("orders", "order", "items", "we$ird", "ITEMS")


@pytest.mark.parametrize(
    ("detail", "named"),
    [
        ("cannot determine table columns for orders: event has [..]", "orders"),
        ("unknown table orders in schema", "orders"),
        ("unknown table `orders` in schema", "orders"),
        ("table order is not present in the database", "order"),
        ("column b not found in table items", "items"),
        ("failed to build ENUM and SET column integer to string mappings for table we$ird", "we$ird"),
        ("columns for shop.orders", "orders"),
        ("columns for ITEMS", "ITEMS"),
        ("something about orders", None),
        ("for table orders; for table items", None),
        ("unknown table strangers in schema", None),
        ("unknown table orders_old in schema", None),
        ("", None),
    ],
)
def test_the_table_that_the_server_names_is_found(detail: str, named: str | None) -> None:
    assert VStreamError(Code.UNKNOWN, detail).names(TABLES) == named


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        (Code.UNAVAILABLE, "Socket closed"),
        (Code.PERMISSION_DENIED, "no"),
        (Code.CANCELLED, NO_TABLET),
        (Code.UNKNOWN, "shard provided in VGTID, -80, not found in the shop keyspace"),
    ],
)
def test_what_is_no_tables_fault_is_about_everything(code: grpc.StatusCode, detail: str) -> None:
    assert VStreamError(code, detail).is_about_everything


@pytest.mark.parametrize("detail", ["unknown table orders in schema", "it broke"])
def test_what_may_be_a_tables_fault_is_not_about_everything(detail: str) -> None:
    assert not VStreamError(Code.UNKNOWN, detail).is_about_everything


def test_the_cause_is_kept_without_the_echoed_cursor() -> None:
    error = VStreamError(Code.UNKNOWN, echoing("7922"))
    assert error.detail == CAUSE
    assert str(error) == f"UNKNOWN: {CAUSE}"


@pytest.mark.parametrize("rest", ["something that vtgate has never said", ""])
def test_an_echo_without_a_known_end_is_cut_with_all_that_follows(rest: str) -> None:
    assert VStreamError(Code.UNKNOWN, echoing("secret-key", rest=rest)).detail == "…"


def test_keys_in_an_unknown_wrapping_are_cut() -> None:
    assert VStreamError(Code.UNKNOWN, 'oh no: table_p_ks:{rows:{values:"7922"}}').detail == "oh no: …"


def test_a_text_without_keys_is_kept_whole() -> None:
    detail = 'error starting stream from shard GTID keyspace:"shop" shard:"-80" gtid:"current" went wrong'
    assert VStreamError(Code.UNKNOWN, detail).detail == detail


@given(
    key=st.one_of(
        st.text(min_size=1, max_size=30),
        st.tuples(
            st.sampled_from(
                ['": target: ', ": error in vstream", "}}: persistent error", '\\"', "table_p_ks"]
            ),
            st.text(max_size=10),
        ).map("".join),
    )
)
def test_no_key_value_is_ever_kept(key: str) -> None:
    marked = f"<<{key}>>"
    detail = VStreamError(Code.UNKNOWN, echoing(marked)).detail
    assert detail == CAUSE
