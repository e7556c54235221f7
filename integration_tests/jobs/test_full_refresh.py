"""Full refreshes over several attempts of a job: no row is lost, and none stands twice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from embedded_database.database import EmbeddedDatabase
from embedded_database.vstream.merged import Limits
from integration_tests.support.command import configured, read_well, run
from integration_tests.support.platform import APPEND, OVERWRITE, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.support.command import Run
    from integration_tests.support.platform import Job

ROWS = 300
ALL = list(range(ROWS))
IMPATIENT = {"max_retries": 0, "timeout_seconds": 2}
# The copy of the first one can go on in the middle, that of the second one cannot.
KEYS = {"keyed": "bigint primary key", "keyless": "bigint"}
EACH_KEY = pytest.mark.parametrize("table", KEYS)
RESUMES = pytest.mark.parametrize("resumes", [True, False])


@pytest.fixture
def database() -> Iterator[EmbeddedDatabase]:
    """Tables of 300 rows, each in about 25 responses; `small` has one row."""
    statements = [f"create table {name} (id {key}, note varchar(500))" for name, key in KEYS.items()]
    statements.append("create table small (id bigint primary key)")
    limits = Limits(packet_bytes=5000)
    with EmbeddedDatabase.start(tables={"src": statements}, limits=limits) as database:
        for name in KEYS:
            database.load("src", name, [(key, "x" * 400) for key in ALL])
        database.load("src", "small", [(1,)])
        yield database


def ids(platform: Platform, table: str) -> list[int]:
    return sorted(int(row["id"]) for row in platform.rows(table))


def attempt_that_breaks_off(job: Job, database: EmbeddedDatabase, table: str) -> None:
    """Makes an attempt in which a table cannot be read on after its first rows."""
    database.fault("slow", table=table, bytes_per_second=20_000, times=0)
    break_off = partial(database.fault, "error", table=table, times=0)
    broken = job.attempt(IMPATIENT, once_read=table, happens=break_off)
    database.clear_faults()
    assert broken.statuses(table)[-1] == "INCOMPLETE"
    assert 0 < len(broken.records(table)) < ROWS
    assert job.is_tried_again


@RESUMES
@EACH_KEY
def test_a_copy_that_broke_off_leaves_each_row_once_after_the_next_attempt(
    database: EmbeddedDatabase, table: str, *, resumes: bool
) -> None:
    platform = Platform(database.config("src"), {table: OVERWRITE}, resumes_full_refreshes=resumes)
    job = platform.sync()
    attempt_that_breaks_off(job, database, table)
    assert ids(platform, table) == []
    rest = job.attempt()
    assert ids(platform, table) == ALL
    goes_on = resumes and table == "keyed"
    assert (len(rest.records(table)) < ROWS) == goes_on


@EACH_KEY
def test_an_appended_copy_that_can_go_on_does_so(database: EmbeddedDatabase, table: str) -> None:
    platform = Platform(database.config("src"), {table: APPEND})
    job = platform.sync()
    attempt_that_breaks_off(job, database, table)
    before = ids(platform, table)
    job.attempt()
    # Where it cannot, the next attempt is of another generation, and the rows of both are there.
    assert ids(platform, table) == (ALL if table == "keyed" else sorted(ALL + before))


@RESUMES
@pytest.mark.parametrize("mode", [OVERWRITE, APPEND])
@EACH_KEY
def test_a_stream_that_was_complete_is_not_doubled_by_an_attempt_for_another_one(
    database: EmbeddedDatabase, table: str, mode: tuple[str, str], *, resumes: bool
) -> None:
    platform = Platform(database.config("src"), {table: mode, "small": mode}, resumes_full_refreshes=resumes)
    job = platform.sync()
    database.fault("error", table="small", times=0)
    broken = job.attempt(IMPATIENT)
    assert [broken.statuses(name)[-1] for name in (table, "small")] == ["COMPLETE", "INCOMPLETE"]
    database.clear_faults()
    rest = job.attempt()
    assert job.succeeded
    kept = resumes and table == "keyed"
    assert rest.statuses(table) == ["STARTED", "RUNNING", "COMPLETE"]
    assert (rest.records(table) == []) == kept
    twice = mode == APPEND and not kept
    assert ids(platform, table) == (sorted(ALL + ALL) if twice else ALL)
    assert ids(platform, "small") == [1]


@RESUMES
def test_the_next_job_reads_everything_again(database: EmbeddedDatabase, *, resumes: bool) -> None:
    platform = Platform(database.config("src"), {"keyed": OVERWRITE}, resumes_full_refreshes=resumes)
    platform.sync().attempt()
    database.execute("delete from keyed where id >= 10", "src")
    platform.sync().attempt()
    assert ids(platform, "keyed") == list(range(10))


def test_rows_of_before_are_shown_until_the_refresh_has_succeeded(database: EmbeddedDatabase) -> None:
    platform = Platform(database.config("src"), {"keyed": OVERWRITE})
    platform.sync().attempt()
    database.execute("update keyed set note = concat('y', note)", "src")
    job = platform.sync()
    attempt_that_breaks_off(job, database, "keyed")
    assert {row["note"][0] for row in platform.rows("keyed")} == {"x"}
    job.attempt()
    assert {row["note"][0] for row in platform.rows("keyed")} == {"y"}


def test_without_a_platform_each_full_refresh_copies_everything(database: EmbeddedDatabase) -> None:
    first = read_well(database.config("src"), "keyed", sync_mode="full_refresh")
    again = read_well(database.config("src"), "keyed", state=first.state, sync_mode="full_refresh")
    assert (len(first.records("keyed")), len(again.records("keyed"))) == (ROWS, ROWS)


def test_a_number_of_the_job_stands_in_for_the_generation(database: EmbeddedDatabase) -> None:
    def read_in_job(number: int, state: object = None) -> Run:
        catalog = configured("keyed", namespace="src", sync_mode="full_refresh")
        catalog["streams"][0]["sync_id"] = number
        return run("read", config=database.config("src"), catalog=catalog, state=state)

    first = read_in_job(1)
    assert len(read_in_job(1, first.state).records("keyed")) == 0
    assert len(read_in_job(2, first.state).records("keyed")) == ROWS
