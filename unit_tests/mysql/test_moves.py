"""Where a table lives now, out of what vtgate answers."""

from __future__ import annotations

from typing import Any

import pytest

from source_planetscale.mysql.moves import home_of, moved_away
from unit_tests.support.fakes import FakeDatabase

REFUSED = "disallowed due to rule: enforce denied tables"
TABLES = [f"t{number}" for number in range(250)]


class Served:
    """Answers as a shard of the keyspace `old` whose tables are partly denied."""

    def __init__(self, denied: set[str], home: str | None = "new", followed: str | None = "") -> None:
        self.denied = denied
        self.home = home
        self.followed = followed
        self.asked: list[str] = []

    def __call__(self, sql: str) -> Any:
        self.asked.append(sql)
        if "vexplain" in sql:
            return (
                "ambiguous" if self.home is None else [('{"Keyspace": {\n\t"Name": "' + self.home + '"}}',)]
            )
        if "vreplication" in sql:
            return "declined" if self.followed is None else [(f'rules:{{match:"{self.followed}"}}'.encode(),)]
        return REFUSED if any(f"`{table}`" in sql for table in self.denied) else [(1,)]


def moved(served: Served) -> dict[str, str | None]:
    return moved_away(FakeDatabase(answers=served), "old", "0", TABLES, seconds=0)


def test_no_table_is_moved_where_all_are_served_and_few_questions_tell_so() -> None:
    served = Served(set())
    assert moved(served) == {}
    assert len(served.asked) < 10


def test_tables_that_are_served_no_more_live_where_the_routing_says() -> None:
    assert moved(Served({"t3", "t200", "t201"})) == dict.fromkeys(["t3", "t200", "t201"], "new")


def test_a_table_that_a_move_still_brings_up_to_date_is_not_moved_for_good() -> None:
    assert moved(Served({"t3", "t4"}, followed="t3")) == {"t4": "new"}


def test_nothing_is_claimed_where_nobody_tells_of_moves() -> None:
    assert moved(Served({"t3"}, followed=None)) == {}


@pytest.mark.parametrize("home", [None, "old"])
def test_a_home_that_the_routing_does_not_tell_is_unknown(home: str | None) -> None:
    assert moved(Served({"t3"}, home)) == {"t3": None}


def test_a_switch_that_ends_while_it_is_looked_at_is_no_move(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served({"t3"}, home="old")
    monkeypatch.setattr("time.sleep", lambda _: served.denied.clear())
    assert moved_away(FakeDatabase(answers=served), "old", "0", TABLES) == {}


def test_the_home_of_a_table_that_nobody_knows_is_unknown() -> None:
    assert home_of(FakeDatabase(answers=Served(set(), home=None)), "t3") is None
