"""Replication positions as Vitess writes them: a flavor, a slash, and a set of transactions.

The grammar and the order of positions follow Vitess's `go/mysql/replication` package. Texts are kept and
sent as they were received; this module only reads and compares them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Intervals = tuple[tuple[int, int], ...]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_INTERVAL = re.compile(r"(\d+)(?:-(\d+))?\Z")
_TAG = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,31}\Z")


class PositionError(ValueError):
    """A text that is not a position."""


@dataclass(frozen=True)
class Position:
    """The transactions that a server has executed, as a value that can be compared.

    Attributes:
        flavor: `MySQL56`, `MariaDB` or `FilePos`.
        members: What was executed, by source: for MySQL56 the server's UUID (with `:tag` where the GTIDs
            are tagged), for MariaDB the replication domain, for FilePos the log file's name; each with
            merged, ascending, closed intervals of transaction numbers or byte offsets.
    """

    flavor: str
    members: dict[str, Intervals]

    @classmethod
    def parse(cls, text: str) -> Position:
        """Reads a position with its flavor prefix, such as `MySQL56/<uuid>:1-12,<uuid>:1-3`.

        Args:
            text: The position as vtgate sends it or as a saved cursor holds it.

        Returns:
            The position; `MySQL56/` alone is the empty set.

        Raises:
            PositionError: The flavor is unknown or the set is malformed.
        """
        flavor, slash, body = text.partition("/")
        if not slash:
            raise PositionError("a position starts with its flavor, such as MySQL56/")
        if flavor == "MySQL56":
            return cls.from_gtid_set(body)
        if flavor == "MariaDB":
            return cls(flavor, _mariadb_members(body))
        if flavor == "FilePos":
            return cls(flavor, _file_members(body))
        raise PositionError(f"unknown position flavor {flavor[:20]!r}")

    @classmethod
    def from_gtid_set(cls, text: str) -> Position:
        """Reads a MySQL GTID set without a flavor, as `@@global.gtid_executed` gives it."""
        found: dict[str, list[tuple[int, int]]] = {}
        for item in text.split(","):
            item = item.strip()
            if item:
                _collect_gtids(item, found)
        return cls("MySQL56", {source: _merged(spans) for source, spans in found.items()})

    def contains(self, other: Position) -> bool:
        """Tells whether everything in `other` is in this position too; false for different flavors."""
        if self.flavor != other.flavor:
            return False
        if self.flavor == "FilePos":
            return max(self._offsets(), default=("", 0)) >= max(other._offsets(), default=("", 0))
        for source, spans in other.members.items():
            own = self.members.get(source, ())
            if not all(any(a <= start and end <= b for a, b in own) for start, end in spans):
                return False
        return True

    def beyond(self, other: Position) -> int:
        """Counts roughly what it holds more of than another position: transactions, or bytes of a file."""
        counts = (
            _count(spans) - _count(other.members.get(source, ())) for source, spans in self.members.items()
        )
        return sum(max(count, 0) for count in counts)

    def _offsets(self) -> Iterable[tuple[str, int]]:
        return ((file, spans[-1][1]) for file, spans in self.members.items())


class Goal:
    """A position that is to be reached; tells of others, soon, whether they reach it.

    Attributes:
        ends: The last transaction of each source, where the position holds all from the first one on of each;
            empty for any other position.
    """

    def __init__(self, position: Position) -> None:
        """Takes the position to be reached."""
        self._position = position
        self.ends: dict[str, int] = {}
        if position.flavor == "MySQL56" and all(
            len(spans) == 1 and spans[0][0] == 1 for spans in position.members.values()
        ):
            self.ends = {source: spans[0][1] for source, spans in position.members.items()}

    def reached_by(self, text: str) -> bool:
        """Tells whether a position contains this one, as `Position.contains` does.

        Args:
            text: The position with its flavor prefix, as Vitess writes it.

        Raises:
            PositionError: It is no position, as far as it had to be looked at.
        """
        # One interval from the first transaction on is what nearly every source has, and needs no parsing.
        for source, end in self.ends.items():
            _, found, rest = text.partition(f"{source}:1-")
            last = rest.partition(",")[0]
            if not found or not last.isdecimal() or text.count(source) > 1:
                break
            if int(last) < end:
                return False
        else:
            if self.ends:
                return True
        return Position.parse(text).contains(self._position)


def _count(spans: Intervals) -> int:
    return sum(end - start + 1 for start, end in spans)


def _collect_gtids(item: str, found: dict[str, list[tuple[int, int]]]) -> None:
    uuid, *parts = (part.strip() for part in item.split(":"))
    if not _UUID.match(uuid) or not parts:
        raise PositionError("expected uuid:interval in a GTID set")
    source = uuid.lower()
    spans = found.setdefault(source, [])
    for part in parts:
        interval = _INTERVAL.match(part)
        if interval:
            start = int(interval[1])
            end = int(interval[2] or start)
            if start < 1:
                raise PositionError("GTID intervals start at 1")
            # Vitess drops an interval that ends before it starts.
            if end >= start:
                spans.append((start, end))
        elif _TAG.match(part):
            spans = found.setdefault(f"{source}:{part.lower()}", [])
        else:
            raise PositionError("expected uuid:interval in a GTID set")


def _merged(spans: list[tuple[int, int]]) -> Intervals:
    if len(spans) == 1:
        return (spans[0],)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _mariadb_members(body: str) -> dict[str, Intervals]:
    newest: dict[str, int] = {}
    for item in filter(None, body.split(",")):
        parts = item.strip().split("-")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            raise PositionError("expected domain-server-sequence in a MariaDB position")
        domain, _server, sequence = parts
        newest[domain] = max(int(sequence), newest.get(domain, 0))
    # A MariaDB position names the last transaction of a domain and stands for all before it.
    return {domain: ((0, sequence),) for domain, sequence in newest.items()}


def _file_members(body: str) -> dict[str, Intervals]:
    file, colon, offset = body.rpartition(":")
    if not colon or not file or not offset.isdecimal():
        raise PositionError("expected file:offset in a file position")
    return {file: ((0, int(offset)),)}
