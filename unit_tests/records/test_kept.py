"""Pieces of output that are made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.records.kept import Kept

if TYPE_CHECKING:
    import pytest


class Counted(Kept):
    made = 0

    def _make(self, number: int) -> bytes:
        self.made += 1
        return b"%d" % number


def test_a_piece_is_made_once() -> None:
    kept = Counted()
    assert list(kept.of([7, 8, 7])) == [b"7", b"8", b"7"]
    assert list(kept.of([8, 7])) == [b"8", b"7"]
    assert list(kept.of([8])) == [b"8"]
    assert kept.one(7) == b"7"
    assert kept.made == 2


def test_pieces_beyond_the_bound_are_right_and_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_planetscale.records.kept._MOST", 1)
    kept = Counted()
    for made in (2, 3):
        assert list(kept.of([7, 8, 8, 7])) == [b"7", b"8", b"8", b"7"]
        assert kept.made == made
