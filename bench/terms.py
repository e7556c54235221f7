"""What a measurement is given, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How much is read.

    Attributes:
        rows: Rows of the copy.
        changes: Rows of the catch-up.
        kind_rows: Rows of each kind of table.
        many_rows: Rows of the largest table, for memory.
        rounds: How often the side by side measurements are made.
        commits: Transactions of another table, for the tables that share a log.
    """

    rows: int = 1_000_000
    changes: int = 200_000
    kind_rows: int = 100_000
    many_rows: int = 10_000_000
    rounds: int = 3
    commits: int = 50_000


QUICK = Size(rows=100_000, changes=10_000, kind_rows=10_000, many_rows=200_000, rounds=1, commits=5_000)


@dataclass(frozen=True)
class Line:
    """One line of the results.

    Attributes:
        what: What was measured.
        figures: The figures.
        goal: What is wanted, or empty.
        met: Whether it holds, None without a goal.
    """

    what: str
    figures: str
    goal: str = ""
    met: bool | None = None
