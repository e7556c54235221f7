"""What a connection's owner does in the platform, and retries: refresh, clear, new columns, failed jobs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from embedded_database.database import EmbeddedDatabase
from embedded_database.vstream.merged import Limits
from integration_tests.support.platform import APPEND, DEDUPED, INCREMENTAL, OVERWRITE, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.support.command import Json, Run

ROWS = 100
ALL = list(range(ROWS))
IMPATIENT = {"max_retries": 0, "timeout_seconds": 2}
TABLES = ("ants", "bees")
KEEPS = pytest.mark.parametrize("keeps", [True, False])


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    """Two tables of 100 rows, each in about ten responses; one whose copy cannot go on in the middle."""
    statements = [f"create table {name} (id bigint primary key, note varchar(500))" for name in TABLES]
    statements.append("create table labels (id enum('a','b','c') primary key, note varchar(500))")
    limits = Limits(packet_bytes=5000)
    with EmbeddedDatabase.start(tables={"src": statements}, limits=limits) as database:
        for name in TABLES:
            database.load("src", name, [(key, "x" * 400) for key in ALL])
        yield database


def connection(database: EmbeddedDatabase, *tables: str) -> Platform:
    """A connection that has synced its tables once, deduplicated."""
    platform = Platform(database.config("src", include_cdc_columns=True), dict.fromkeys(tables, DEDUPED))
    platform.sync().attempt()
    return platform


def source(database: EmbeddedDatabase, table: str) -> list[Json]:
    rows = database.execute(f"select id, note from {table} order by id", "src")  # noqa: S608 - the test's own
    return [{"id": key, "note": note} for key, note in rows]


def change(database: EmbeddedDatabase, table: str) -> None:
    """An insert, an update and a delete."""
    database.execute(f"insert into {table} values (1000, 'new')", "src")  # noqa: S608 - the test's own
    database.execute(f"update {table} set note = 'changed' where id = 1", "src")  # noqa: S608
    database.execute(f"delete from {table} where id = 2", "src")  # noqa: S608


def break_off(database: EmbeddedDatabase, table: str) -> partial[None]:
    """Has a table arrive slowly; the call that is given ends it for good."""
    database.fault("slow", table=table, bytes_per_second=10_000, times=0)
    return partial(database.fault, "error", table=table, times=0)


def kinds(done: Run) -> list[str]:
    return [error["failure_type"] for error in done.errors]


# Refreshes and clears.


@KEEPS
def test_a_refresh_copies_the_stream_again_and_leaves_the_rows_of_the_source(
    database: EmbeddedDatabase, *, keeps: bool
) -> None:
    platform = connection(database, *TABLES)
    change(database, "ants")
    change(database, "bees")
    done = platform.refresh("ants", keeps=keeps).attempt()
    assert len(done.records("ants")) == ROWS
    assert len(done.records("bees")) == 3
    assert platform.rows("bees") == source(database, "bees")
    # What was deleted since the last sync is not in the copy: only without the old records is it gone.
    gone = [{"id": 2, "note": "x" * 400}] if keeps else []
    assert [row for row in platform.rows("ants") if row["id"] != 2] == source(database, "ants")
    assert [row for row in platform.rows("ants") if row["id"] == 2] == gone


@KEEPS
def test_a_refresh_that_broke_off_goes_on_with_the_next_attempt(
    database: EmbeddedDatabase, *, keeps: bool
) -> None:
    platform = connection(database, "ants")
    job = platform.refresh("ants", keeps=keeps)
    broken = job.attempt(IMPATIENT, once_read="ants", happens=break_off(database, "ants"))
    database.clear_faults()
    assert job.is_tried_again
    change(database, "ants")
    rest = job.attempt()
    assert 0 < len(broken.records("ants")) < ROWS
    assert len(broken.records("ants")) + len(rest.records("ants")) < ROWS + 10
    assert platform.rows("ants") == source(database, "ants")


def test_a_cleared_stream_is_copied_again_and_the_others_go_on(database: EmbeddedDatabase) -> None:
    platform = connection(database, *TABLES)
    platform.clear("ants")
    assert platform.rows("ants") == []
    change(database, "ants")
    change(database, "bees")
    done = platform.sync().attempt()
    assert (len(done.records("ants")), len(done.records("bees"))) == (ROWS, 3)
    for table in TABLES:
        assert platform.rows(table) == source(database, table)


def test_a_cleared_connection_is_copied_again(database: EmbeddedDatabase) -> None:
    platform = connection(database, *TABLES)
    change(database, "ants")
    platform.clear()
    platform.sync().attempt()
    for table in TABLES:
        assert platform.rows(table) == source(database, table)


# New columns.


def test_a_new_column_comes_with_the_changes_since_the_schema_was_refreshed(
    database: EmbeddedDatabase,
) -> None:
    platform = connection(database, "ants")
    database.execute("alter table ants add column size int default 7", "src")
    database.execute("update ants set note = 'changed' where id = 1", "src")
    done = platform.take_schema(backfill=False).attempt()
    assert [row["id"] for row in done.records("ants")] == [1]
    rows = {row["id"]: row for row in platform.rows("ants")}
    assert rows[1]["size"] == 7
    assert "size" not in rows[2]


def test_a_backfill_brings_a_new_column_to_every_row(database: EmbeddedDatabase) -> None:
    platform = connection(database, *TABLES)
    database.execute("alter table ants add column size int default 7", "src")
    done = platform.take_schema(backfill=True).attempt()
    assert len(done.records("ants")) == ROWS
    assert done.records("bees") == []
    assert {row["size"] for row in platform.rows("ants")} == {7}
    assert len(platform.rows("ants")) == ROWS


def test_a_column_that_is_gone_is_left_out_and_told(database: EmbeddedDatabase) -> None:
    platform = connection(database, "ants")
    database.execute("alter table ants drop column note", "src")
    database.execute("insert into ants values (1000)", "src")
    done = platform.sync().attempt()
    assert [row["id"] for row in done.records("ants")] == [1000]
    assert any("no longer has the column(s) note" in line for line in done.logs)


# Retries.


def test_a_first_copy_that_broke_off_goes_on_and_takes_the_changes_with_it(
    database: EmbeddedDatabase,
) -> None:
    platform = Platform(database.config("src", include_cdc_columns=True), {"ants": DEDUPED})
    job = platform.sync()
    job.attempt(IMPATIENT, once_read="ants", happens=break_off(database, "ants"))
    database.clear_faults()
    change(database, "ants")
    job.attempt()
    assert platform.rows("ants") == source(database, "ants")


def test_a_first_copy_that_cannot_go_on_starts_again_says_so_and_is_right_deduplicated(
    database: EmbeddedDatabase,
) -> None:
    labels = ",".join(f"'l{key}'" for key in ALL)
    database.execute(f"create table long_labels (id enum({labels}) primary key, note varchar(500))", "src")
    database.load("src", "long_labels", [(f"l{key}", "x" * 400) for key in ALL])
    platform = Platform(database.config("src", include_cdc_columns=True), {"long_labels": DEDUPED})
    job = platform.sync()
    # It breaks off once and starts again within the attempt.
    database.fault("slow", table="long_labels", bytes_per_second=10_000)
    fault = partial(database.fault, "error", table="long_labels")
    done = job.attempt(once_read="long_labels", happens=fault)
    assert job.succeeded
    assert len(done.records("long_labels")) > ROWS
    assert any("starts again" in line for line in done.logs)
    rows = platform.rows("long_labels")
    assert sorted(row["id"] for row in rows) == sorted(f"l{key}" for key in ALL)


@pytest.mark.parametrize("dropped", TABLES)
def test_a_job_is_tried_again_while_any_of_its_failures_may_pass(
    database: EmbeddedDatabase, dropped: str
) -> None:
    platform = connection(database, *TABLES)
    (other,) = set(TABLES) - {dropped}
    change(database, other)
    database.execute(f"drop table {dropped}", "src")
    database.fault("error", table=other, times=0)
    job = platform.sync()
    broken = job.attempt(IMPATIENT)
    assert sorted(kinds(broken)) == ["config_error", "config_error", "transient_error"]
    assert kinds(broken)[0] == "transient_error"
    assert job.is_tried_again
    database.clear_faults()
    rest = job.attempt()
    # What is left has to be mended by a person.
    assert not job.is_tried_again
    assert rest.statuses(other)[-1] == "COMPLETE"
    assert platform.rows(other) == source(database, other)


def test_a_job_with_a_broken_table_still_brings_the_others_and_their_states(
    database: EmbeddedDatabase,
) -> None:
    platform = connection(database, *TABLES)
    change(database, "bees")
    database.execute("drop table ants", "src")
    job = platform.sync()
    job.attempt()
    assert not job.succeeded
    assert platform.rows("bees") == source(database, "bees")
    assert platform.sync().attempt().records("bees") == []


@pytest.mark.parametrize("mode", [OVERWRITE, APPEND, INCREMENTAL, DEDUPED])
def test_every_stream_is_told_of_as_it_is_configured(
    database: EmbeddedDatabase, mode: tuple[str, str]
) -> None:
    config = database.config("src", include_cdc_columns=True)
    platform = Platform(config, {"ants": mode, "labels": mode}, namespaces=False)
    # `attempt` asserts that nothing is said of a stream that the catalog does not hold.
    done = platform.sync().attempt()
    assert all("namespace" not in record for record in done.record_messages("ants"))
    change(database, "ants")
    done = platform.sync().attempt()
    assert len(done.records("ants")) == (3 if mode[0] == "incremental" else ROWS)
