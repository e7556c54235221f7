"""What replicas tell of themselves, whichever of them answers."""

from __future__ import annotations

from typing import Any

import pytest

from source_planetscale.endpoint import Keyspace, TabletType
from source_planetscale.mysql.replicas import lags, purged_sets
from unit_tests.support.fakes import FakeDatabase

KEYSPACE = Keyspace("shop", TabletType.REPLICA)


class Drawn:
    """Answers as vtgate with replicas of one shard, each in its turn."""

    def __init__(self, *cells: str, purged: list[str] | None = None) -> None:
        self.tablets: Any = [(cell, "shop", "0", "REPLICA", "SERVING", "alias") for cell in cells]
        self.purged = purged or []
        self.draws = 0

    def __call__(self, sql: str) -> Any:
        if "vitess_tablets" in sql:
            return self.tablets
        if not self.purged:
            return "declined"
        self.draws += 1
        number = self.draws // 3 % len(self.purged)
        return [(f"server {number}", self.purged[number])]


def test_each_replica_is_asked_however_often_one_of_them_answers() -> None:
    drawn = Drawn("a", "a", purged=["u:1-5", "u:1-9,\nv:1"])
    assert purged_sets(FakeDatabase(answers=drawn), KEYSPACE, "0") == ["u:1-5", "u:1-9,v:1"]
    assert drawn.draws == 3


def test_a_replica_that_does_not_answer_may_have_purged_nothing() -> None:
    assert purged_sets(FakeDatabase(answers=Drawn("a", "a", purged=["u:1-5"])), KEYSPACE, "0") == [
        "u:1-5",
        "",
    ]


def test_replicas_of_other_cells_are_not_waited_for() -> None:
    assert purged_sets(FakeDatabase(answers=Drawn("a", "b", purged=["u:1-5"])), KEYSPACE, "0") == ["u:1-5"]


@pytest.mark.parametrize("purged", [["u:1-5"], []])
def test_where_tablets_are_not_listed_one_answer_has_to_do(purged: list[str]) -> None:
    drawn = Drawn(purged=purged)
    drawn.tablets = "declined"
    assert purged_sets(FakeDatabase(answers=drawn), KEYSPACE, "0") == (purged or [""])


def test_the_lags_are_those_of_the_tablets_that_are_read() -> None:
    rows = [
        ("shop", "0", "REPLICA", "a-1", "host", "source", "{}", "45"),
        ("shop", "0", "REPLICA", "a-2", "host", "source", "{}", "NULL"),
        ("shop", "0", "RDONLY", "a-3", "host", "source", "{}", "1"),
        ("shop", "1", "REPLICA", "a-4", "host", "source", "{}", "2"),
        ("other", "0", "REPLICA", "a-5", "host", "source", "{}", "3"),
    ]
    assert lags(FakeDatabase(answers=lambda _: rows), KEYSPACE, "0") == [45, None]
    assert lags(FakeDatabase(), KEYSPACE, "0") == []
