"""Whether a changed row keeps its key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.vstream.images import Images
from source_planetscale.vstream.lastpk import cells
from unit_tests.support.events import TABLE, row

VALUES = st.none() | st.sampled_from(["", "a", "ab", "b", "aba"])
ROWS = st.tuples(VALUES, VALUES, VALUES)
KEYS = st.lists(st.sampled_from([column.name for column in TABLE.columns]), unique=True)


@given(ROWS, ROWS, KEYS)
def test_a_key_is_the_same_where_all_of_its_columns_are(
    before: tuple[str | None, ...], after: tuple[str | None, ...], key: list[str]
) -> None:
    names = [column.name for column in TABLE.columns]
    expected = all(before[names.index(name)] == after[names.index(name)] for name in key)
    assert Images(TABLE.columns, key).same_key(row(*before), row(*after)) is expected


@pytest.mark.parametrize(("name", "same"), [("id", False), ("label", True)])
def test_bytes_that_move_from_one_column_to_the_next_are_no_same_key(name: str, same: bool) -> None:
    before, after = row("ab", "c", "d"), row("a", "c", "bd")
    assert cells(before)[1] == cells(after)[1]
    assert Images(TABLE.columns, (name,)).same_key(before, after) is same
