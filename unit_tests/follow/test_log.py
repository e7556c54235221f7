"""What a person who follows the log hears of the reading of a shard."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from source_planetscale.follow.advice import about_wait, several, shortened
from source_planetscale.follow.member import Member
from source_planetscale.follow.shard import ShardFollower
from unit_tests.support.events import SHARD, TABLE, begin, commit, gtid, response, small_copy, vgtid
from unit_tests.support.fakes import FakeDatabase, FakeVtgate, Reading
from unit_tests.support.reading import ONE, START, after

if TYPE_CHECKING:
    from unit_tests.support.fakes import Script

NAMES = ("ants", "bees", "cats", "dogs", "eels", "foxes")
TABLES = [replace(TABLE, name=name) for name in NAMES]


@pytest.fixture(autouse=True)
def _told_at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("source_planetscale.follow.pace._SECONDS_BETWEEN_REPORTS", 0.0)
    caplog.set_level(logging.INFO)


def follow(script: Script, *members: Member) -> None:
    database = FakeDatabase(found=TABLES)
    core = Reading(FakeVtgate({SHARD: [script]}), database=database).core()
    for step in ShardFollower(core, members, threading.Event()).steps():
        assert step.error is None


def test_a_pass_names_its_tables_and_where_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    script = [response(begin(), vgtid(gtid(10)), commit())]
    follow(script, *(Member(table, after(5)) for table in TABLES))
    assert caplog.messages[0] == (
        f"Reading tables {', '.join(NAMES)}, shard -80: catching up from the saved position {gtid(5)}. "
        "6 tables share one stream."
    )


def test_a_catch_up_says_how_fast_it_is_and_how_far_behind(caplog: pytest.LogCaptureFixture) -> None:
    script = [response(begin(), vgtid(gtid(number)), commit()) for number in range(6, 11)]
    follow(script, Member(TABLES[0], after(5)))
    assert any(
        line.startswith("Catching up table ants, shard -80: ") and "transactions/s" in line
        for line in caplog.messages
    )


def test_a_copy_tells_of_its_rows_instead(caplog: pytest.LogCaptureFixture) -> None:
    follow(small_copy(ONE, table=TABLES[0]), Member(TABLES[0], START))
    assert caplog.messages[0] == "Reading table ants, shard -80: copying from the start."
    assert not any("transactions/s" in line for line in caplog.messages)


def test_names_and_positions_are_cut_where_they_would_fill_the_log() -> None:
    assert several(["ants"], SHARD) == "table ants, shard -80"
    assert several(NAMES, SHARD) == "tables ants, bees, cats, dogs, eels and 1 more, shard -80"
    assert several(["t"] * 1000, SHARD, all_names=True).endswith(" and 900 more, shard -80")
    assert shortened(gtid(5)) == gtid(5)
    assert len(shortened(gtid(5) * 10)) < 210


def test_a_wait_says_whether_the_server_throttles() -> None:
    assert "Vitess throttles VStream" in about_wait("table ants, shard -80", 40, 300, throttled=True)
    assert "may throttle VStream" in about_wait("table ants, shard -80", 40, 300, throttled=False)
