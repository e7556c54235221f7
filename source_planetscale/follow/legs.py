"""In which order tables at different positions of one shard's log are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from source_planetscale.vstream.position import Position


@dataclass(frozen=True)
class Leg:
    """A part of a shard's log that is read over one stream.

    Attributes:
        tables: The tables that take part, all at the same position.
        goal: Where the leg ends: where the next tables board, or at the stop position.
    """

    tables: tuple[str, ...]
    goal: Position


def next_leg(positions: Mapping[str, Position], stop: Position) -> Leg | None:
    """Chooses what to read next.

    The oldest tables go first, up to the position of the next ones, which then board; so each part of the
    log is read once, whatever the number of tables, and nothing of it is left out. Positions of which none
    contains the other belong to passes of their own.

    Args:
        positions: Where each table stands.
        stop: Where the reading of the shard ends.

    Returns:
        The leg; None if all tables have reached the stop position.
    """
    behind = {table: position for table, position in positions.items() if not position.contains(stop)}
    if not behind:
        return None
    oldest = next(iter(behind.values()))
    for position in behind.values():
        if oldest.contains(position):
            oldest = position
    goal = stop
    for position in behind.values():
        if position != oldest and position.contains(oldest) and goal.contains(position):
            goal = position
    return Leg(tuple(table for table, position in behind.items() if position == oldest), goal)
