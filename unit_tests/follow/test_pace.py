"""What the log says of a catch-up: how fast it is and how far behind."""

from __future__ import annotations

from source_planetscale.follow.pace import Pace

WHERE = "tables ants, bees, shard -80"


def test_the_speed_is_that_since_the_report_before_and_the_distance_that_of_the_newest_change() -> None:
    pace = Pace(100.0, 50, wall_clock=lambda: 10_000.0)
    assert pace.report_due > 100.0
    first = pace.report(WHERE, 30_050, newest=7_000, now=130.0)
    assert first == "Catching up tables ants, bees, shard -80: 1,000 transactions/s, 3,000 s behind."
    assert pace.report_due > 130.0
    assert ": 10 transactions/s, 0 s behind" in pace.report(WHERE, 30_150, newest=10_000, now=140.0)


def test_a_distance_that_is_not_known_or_makes_no_sense_is_not_told() -> None:
    pace = Pace(0.0, wall_clock=lambda: 10_000.0)
    assert pace.report(WHERE, 0, newest=0, now=30.0).endswith(": 0 transactions/s.")
    assert "0 s behind" in pace.report(WHERE, 0, newest=10_005, now=60.0)
