"""The key ranges that shards stand for: Vitess names a shard by its range, such as `-80` or `80-c0`."""

from __future__ import annotations

from typing import NamedTuple

# Keyspace ids are compared as bytes; this is longer than any bound that is in use.
_BOUND_DIGITS = 16
_WHOLE = 16**_BOUND_DIGITS


class KeyRange(NamedTuple):
    """A range of keyspace ids, as numbers of 8 bytes.

    Attributes:
        start: The first id.
        end: The first id beyond it.
    """

    start: int
    end: int

    @classmethod
    def of(cls, shard: str) -> KeyRange:
        """The range of a shard; a name that is no range, such as `0`, stands for everything."""
        start, dash, end = shard.partition("-")
        try:
            return cls(_bound(start, 0), _bound(end, _WHOLE)) if dash else cls(0, _WHOLE)
        except ValueError:
            return cls(0, _WHOLE)

    def overlaps(self, other: KeyRange) -> bool:
        """Whether any id lies in both."""
        return self.start < other.end and other.start < self.end


def cover(ranges: list[KeyRange], wanted: KeyRange) -> bool:
    """Whether every id of a range lies in one of others."""
    reached = wanted.start
    for start, end in sorted(ranges):
        if start > reached:
            break
        reached = max(reached, end)
    return reached >= wanted.end


def _bound(digits: str, empty: int) -> int:
    return int(digits.ljust(_BOUND_DIGITS, "0")[:_BOUND_DIGITS], 16) if digits else empty
