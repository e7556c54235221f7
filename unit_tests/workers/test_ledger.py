"""Which partition rows belong to, and which cursor may be saved meanwhile."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.follow.checkpoint import ROWS_BETWEEN_CHECKPOINTS, CheckpointPolicy
from source_planetscale.vstream.cursor import Cursor
from source_planetscale.workers.ledger import Entry, Ledger

SECONDS = 10.0
START = 1000.0


def cursor(number: int) -> Cursor:
    return Cursor("shop", "-80", str(number))


def ledger(prefix: str = "w1.0") -> Ledger:
    return Ledger(cursor(0), prefix, CheckpointPolicy(SECONDS, START))


class Model:
    """A ledger, what was entered, and what it told: each step is checked against what must hold.

    Attributes:
        open: The rows of each partition that has not been closed.
        closed: The rows of each that has, in the order of their ends.
    """

    def __init__(self, prefix: str = "w1.0") -> None:
        self.ledger = ledger(prefix)
        self.now = START
        self.open: Counter[str] = Counter()
        self.closed: dict[str, int] = {}
        # The partition of rows, their number, and the last cursor that may be saved without them.
        self._entered: list[tuple[str, int, int]] = []
        self._newest = 0

    def enter(self, rows: int, moves: int, *, final: bool = False) -> Entry:
        """Enters rows as a job does: they are laid out first, with the partition of that moment."""
        partition = self.ledger.partition
        assert partition not in self.closed
        self._newest += moves
        if rows:
            self.open[partition] += rows
            # Rows of a transaction that goes on come with the cursor from before it.
            self._entered.append((partition, rows, self._newest - moves))
        entry = self.ledger.enter(cursor(self._newest), rows, self.now, final=final)
        if rows:
            assert entry.partition == partition
        self._take(entry)
        return entry

    def look(self) -> Entry | None:
        """Closes the partition if that is due."""
        before = self.ledger.partition
        entry = self.ledger.close_if_due(self.now)
        if entry is None:
            assert self.ledger.partition == before
        else:
            assert entry.closes
            self._take(entry)
        return entry

    def _take(self, entry: Entry) -> None:
        if entry.closes:
            assert entry.partition not in self.closed
            assert entry.partition != self.ledger.partition
            self.closed[entry.partition] = self.open.pop(entry.partition)
        assert (entry.partition == "") == (not self.open and not entry.closes)
        saved = int(entry.cursor.position)
        assert saved <= self._newest
        lasts = [last for partition, _, last in self._entered if partition in self.open]
        assert saved == min(lasts, default=self._newest)

    @property
    def entered(self) -> int:
        """The number of rows."""
        return sum(rows for _, rows, _ in self._entered)


few = st.integers(0, 5)
many = st.sampled_from([ROWS_BETWEEN_CHECKPOINTS // 2, ROWS_BETWEEN_CHECKPOINTS])
seconds = st.sampled_from([0.0, 1.0, SECONDS - 1, SECONDS])
enter = st.tuples(st.just("enter"), few | many, st.integers(0, 1), seconds)
final = st.tuples(st.just("final"), few | many, st.integers(0, 1), seconds)
look = st.tuples(st.just("look"), st.just(0), st.just(0), seconds)
series = st.lists(enter | enter | look | final, max_size=30)


def played(steps: list[tuple[str, int, int, float]], prefix: str = "w1.0") -> Model:
    model = Model(prefix)
    for kind, rows, moves, passing in steps:
        model.now += passing
        if kind == "look":
            model.look()
        else:
            model.enter(rows, moves, final=kind == "final")
            assert kind != "final" or not model.open
    return model


@given(series)
def test_each_row_is_in_one_partition_which_is_never_used_after_its_end(
    steps: list[tuple[str, int, int, float]],
) -> None:
    model = played(steps)
    assert sum(model.closed.values()) + sum(model.open.values()) == model.entered
    assert len(model.open) <= 1
    assert all(model.closed.values())


@given(series, few | many, st.integers(0, 1))
def test_a_final_entry_leaves_nothing_open(
    steps: list[tuple[str, int, int, float]], rows: int, moves: int
) -> None:
    model = played(steps)
    entry = model.enter(rows, moves, final=True)
    assert entry.closes == bool(entry.partition)
    assert sum(model.closed.values()) == model.entered
    model.now += SECONDS
    assert model.look() is None


@given(series)
def test_partitions_are_numbered_in_the_order_of_their_ends(
    steps: list[tuple[str, int, int, float]],
) -> None:
    closed = list(played(steps).closed)
    assert closed == [f"w1.0-{number}" for number in range(1, len(closed) + 1)]


@given(series, series, st.lists(st.text("w0123456789.-", max_size=6), min_size=2, max_size=2, unique=True))
def test_partitions_of_two_ledgers_never_meet(
    one: list[tuple[str, int, int, float]], other: list[tuple[str, int, int, float]], prefixes: list[str]
) -> None:
    models = [played(steps, prefix) for steps, prefix in zip((one, other), prefixes, strict=True)]
    first, second = ({*model.closed, *model.open, model.ledger.partition} for model in models)
    assert first.isdisjoint(second)


def test_a_partition_that_is_due_ends_with_the_rows_that_come_or_without_any() -> None:
    model = Model()
    assert model.enter(2, 1) == Entry(cursor(0), "w1.0-1")
    model.now += SECONDS - 1
    assert model.look() is None
    model.now += 1
    assert model.look() == Entry(cursor(1), "w1.0-1", closes=True)
    assert model.look() is None
    assert model.enter(2, 1) == Entry(cursor(1), "w1.0-2")
    assert model.enter(ROWS_BETWEEN_CHECKPOINTS, 1) == Entry(cursor(3), "w1.0-2", closes=True)


def test_the_cursor_moves_at_once_where_no_row_is_open() -> None:
    model = Model()
    assert model.enter(0, 1) == Entry(cursor(1))
    assert model.enter(0, 1, final=True) == Entry(cursor(2))
    assert model.closed == {}


def test_a_partition_with_rows_of_a_cursor_that_stands_stays_open() -> None:
    model = Model()
    model.enter(ROWS_BETWEEN_CHECKPOINTS, 0)
    model.now += SECONDS
    assert model.look() is None
    assert model.enter(0, 1) == Entry(cursor(1), "w1.0-1", closes=True)
