"""What the client of VStreams asks of its connections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.vstream.client import window_bytes

MIB = 1 << 20


def test_one_shard_has_a_window_for_a_far_server_and_each_of_16_a_small_one() -> None:
    assert (window_bytes(1), window_bytes(4), window_bytes(16)) == (4 * MIB, 2 * MIB, MIB // 2)


@given(st.integers(0, 1000))
def test_more_shards_never_have_wider_windows(shards: int) -> None:
    assert window_bytes(shards + 1) <= window_bytes(shards)
