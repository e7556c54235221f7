"""When a state is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.follow.checkpoint import ROWS_BETWEEN_CHECKPOINTS, CheckpointPolicy


def test_time_makes_a_state_due_once_a_cursor_has_moved() -> None:
    policy = CheckpointPolicy(60, now=100)
    policy.observe(1, moved=False)
    assert not policy.due(1000)
    policy.observe(1, moved=True)
    assert not policy.due(159.9)
    assert policy.due(160)


def test_rows_make_a_state_due_before_its_time() -> None:
    policy = CheckpointPolicy(60, now=0)
    policy.observe(ROWS_BETWEEN_CHECKPOINTS - 1, moved=True)
    assert not policy.due(1)
    policy.observe(1, moved=False)
    assert policy.due(1)


def test_rows_without_a_cursor_that_moved_make_none_due() -> None:
    policy = CheckpointPolicy(60, now=0)
    policy.observe(10 * ROWS_BETWEEN_CHECKPOINTS, moved=False)
    assert not policy.due(10_000)


def test_a_state_that_was_emitted_starts_the_count_again() -> None:
    policy = CheckpointPolicy(60, now=0)
    policy.observe(ROWS_BETWEEN_CHECKPOINTS, moved=True)
    policy.done(30)
    assert not policy.due(1000)
    policy.observe(1, moved=True)
    assert not policy.due(89.9)
    assert policy.due(90)


@given(st.lists(st.tuples(st.integers(0, 50_000), st.floats(0, 30), st.booleans())))
def test_what_a_cut_sync_repeats_is_bounded_while_cursors_move(
    batches: list[tuple[int, float, bool]],
) -> None:
    policy, now, rows, since = CheckpointPolicy(60, 0), 0.0, 0, 0.0
    for count, seconds, moved in batches:
        now += seconds
        rows += count
        policy.observe(count, moved=moved)
        if policy.due(now):
            policy.done(now)
            rows, since = 0, now
        elif moved:
            assert rows < ROWS_BETWEEN_CHECKPOINTS
            assert now - since < 60
