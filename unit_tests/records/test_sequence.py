"""The order of what syncs emit, whatever happens to clocks and states between them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.records.sequence import RESERVE, ChangeSequence

NOW = 1_700_000_000_000_000


@dataclass(frozen=True)
class Run:
    """One sync.

    Attributes:
        pause: Microseconds since the last one ended.
        step: Microseconds by which the clock was set, back or forth, before it.
        state_lost: Whether it begins without a state.
        takes: How many numbers each batch took.
        cut: Whether it ended without the state of its end.
    """

    pause: int
    step: int
    state_lost: bool
    takes: tuple[int, ...]
    cut: bool


def emitted(runs: list[Run]) -> list[int]:
    """All numbers of some syncs in the order in which they left."""
    numbers: list[int] = []
    clock, state = NOW, 0
    for run in runs:
        clock += run.pause + run.step
        sequence = ChangeSequence(0 if run.state_lost else state, clock)
        state = sequence.reserved
        for count in run.takes:
            numbers += sequence.take(count)
            # No source makes a record in less than a microsecond.
            clock += count
        if not run.cut:
            state = sequence.last
    return numbers


TAKES = st.lists(st.integers(0, 50), max_size=5).map(tuple)
PAUSE = st.integers(1, 10**9)


@given(st.lists(st.builds(Run, PAUSE, st.integers(-(10**12), 10**12), st.just(False), TAKES, st.booleans())))
def test_numbers_grow_over_syncs_and_cuts_while_the_clock_steps(runs: list[Run]) -> None:
    numbers = emitted(runs)
    assert all(a < b for a, b in pairwise(numbers))


@given(st.lists(st.builds(Run, PAUSE, st.just(0), st.booleans(), TAKES, st.just(False))))
def test_numbers_grow_over_syncs_while_states_are_lost(runs: list[Run]) -> None:
    numbers = emitted(runs)
    assert all(a < b for a, b in pairwise(numbers))


@given(st.lists(st.builds(Run, PAUSE, st.just(0), st.just(False), TAKES, st.just(False)), min_size=1))
def test_syncs_that_end_well_do_not_run_ahead_of_the_clock(runs: list[Run]) -> None:
    clock = NOW + sum(run.pause + sum(run.takes) for run in runs)
    assert max(emitted(runs), default=0) <= clock


def test_what_a_cut_sync_emitted_stays_below_the_next_ones_first() -> None:
    sequence = ChangeSequence(0, NOW)
    reserved = sequence.reserved
    last = sequence.take(RESERVE)[-1]
    assert ChangeSequence(reserved, 0).take(1)[0] > last


def test_a_state_is_due_before_the_reserve_is_used_up() -> None:
    sequence = ChangeSequence(0, NOW)
    reserved = sequence.reserved
    assert not sequence.runs_low(reserved)
    sequence.take(RESERVE // 2 + 1)
    assert sequence.runs_low(reserved)
    assert sequence.last < reserved


def test_no_number_is_beyond_what_a_double_holds() -> None:
    in_a_century = NOW + 100 * 365 * 86_400 * 1_000_000
    assert ChangeSequence(0, in_a_century).reserved < 2**53


def test_threads_never_get_the_same_number() -> None:
    sequence = ChangeSequence(0, 0)
    taken: list[range] = []

    def take() -> None:
        taken.extend(sequence.take(7) for _ in range(200))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    numbers = [number for part in taken for number in part]
    assert sorted(numbers) == list(range(1, 8 * 200 * 7 + 1))


def test_nothing_taken_is_nothing_used() -> None:
    sequence = ChangeSequence(5, 3)
    assert list(sequence.take(0)) == []
    assert list(sequence.take(2)) == [6, 7]
    assert sequence.last == 7
