"""GTID sets, as far as a server of one UUID per shard needs them."""

from __future__ import annotations

import re

FLAVOR = "MySQL56/"
_INTERVAL = re.compile(r"(\d+)(?:-(\d+))?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Intervals = dict[str, list[tuple[int, int]]]


def parse(text: str) -> Intervals:
    """Reads a GTID set without its flavor.

    Raises:
        ValueError: The text is no GTID set; the message is the one that Vitess gives.
    """
    sets: Intervals = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        uuid, separator, rest = item.partition(":")
        if not separator:
            raise ValueError(f'invalid MySQL 5.6 GTID set ("{item}"): expected uuid:interval')
        if not _UUID.fullmatch(uuid.lower()):
            raise ValueError(f'invalid MySQL 5.6 GTID set ("{item}"): invalid UUID')
        for interval in rest.split(":"):
            found = _INTERVAL.fullmatch(interval.strip())
            if not found:
                raise ValueError(f'invalid MySQL 5.6 GTID set ("{item}"): invalid interval ("{interval}")')
            sets.setdefault(uuid.lower(), []).append((int(found[1]), int(found[2] or found[1])))
    return sets


def contains(whole: str, part: str) -> bool:
    """Whether each transaction of one set is in the other."""
    have = parse(whole)
    return all(
        any(low <= start and end <= high for low, high in _merged(have.get(uuid, [])))
        for uuid, intervals in parse(part).items()
        for start, end in intervals
    )


def _merged(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def text(uuid: str, last: int) -> str:
    """The set of all transactions of a server up to the last one, without flavor."""
    if not last:
        return ""
    return f"{uuid}:1-{last}" if last > 1 else f"{uuid}:1"
