"""Tables of one shard that are read together, and who reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from source_planetscale.vstream.position import Position, PositionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from source_planetscale.config import Config
    from source_planetscale.follow.core import Core
    from source_planetscale.follow.member import Member
    from source_planetscale.records.sequence import Numbers
    from source_planetscale.sync.delivery import Delivery
    from source_planetscale.workers.messages import Outlet

# A worker takes 0.2 s to start, in which so many rows are copied, or so many transactions read.
_MANY_ROWS: Final = 100_000
_MANY_TRANSACTIONS: Final = 20_000


@dataclass(frozen=True)
class ShardTask:
    """Tables of one shard that are to be read together.

    Attributes:
        core: Connections and settings.
        config: The configuration.
        members: The tables.
        outlets: Their records, by table.
        changes: What orders their changes, by table.
        records: What orders all records.
        streams: Among how many streams the memory for what is under way is divided.
    """

    core: Core
    config: Config
    members: list[Member]
    outlets: Mapping[str, Outlet]
    changes: Mapping[str, Numbers]
    records: Numbers
    streams: int = 1

    @property
    def shard(self) -> str:
        """The shard."""
        return self.members[0].cursor.shard

    @property
    def where(self) -> str:
        """The place, as errors name it."""
        first, *more = self.members
        return f"{first.where} and {len(more)} other tables of it" if more else first.where

    def is_large(self, stop: Position) -> bool:
        """Whether it probably takes longer than a worker takes to start.

        Args:
            stop: Where the reading of the shard ends.
        """
        first = self.members[0]
        if first.cursor.copying:
            return (first.table.estimated_rows or 0) >= _MANY_ROWS
        try:
            left = [stop.beyond(Position.parse(member.cursor.position)) for member in self.members]
        except PositionError:
            return False
        return max(left) >= _MANY_TRANSACTIONS


class ShardWork(Protocol):
    """The reading of a task; `deliveries` does it, the rest may be called meanwhile."""

    def deliveries(self) -> Iterator[tuple[str, Delivery]]:
        """Gives what is read, each with its table; the last delivery of a table has `ended` set."""
        ...

    @property
    def is_held_back(self) -> bool:
        """Whether Vitess throttles the stream, as far as is known."""
        ...

    def look_after(self) -> None:
        """Ends a stream that stalls, and tells of long waits."""
        ...

    def cancel(self) -> None:
        """Ends what is waited for."""
        ...
