"""When a server was started, out of what it answers."""

from __future__ import annotations

from typing import Any

import pytest

from source_planetscale.mysql.uptime import started_at
from unit_tests.support.fakes import FakeDatabase


@pytest.mark.parametrize(
    ("answer", "expected"),
    [([("1795694244.0",)], 1795694244), ([(1795694244,)], 1795694244), ([(None,)], None), ([], None)],
)
def test_the_start_is_a_second_of_the_servers_clock(answer: Any, expected: int | None) -> None:
    assert started_at(FakeDatabase(answers=lambda _: answer), "0") == expected


def test_a_server_that_declines_leaves_it_unknown() -> None:
    assert started_at(FakeDatabase(answers=lambda _: "declined"), "0") is None
