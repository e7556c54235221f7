"""Whether a saved cursor can be followed, decided before the server is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from source_planetscale.vstream.lastpk import copy_can_resume, mismatch
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor

_AHEAD = "the server has not executed all of it, so it is ahead of the server or of another cluster"


@dataclass(frozen=True)
class ServedPositions:
    """Which positions a shard can serve, and what its changes hold.

    Attributes:
        executed: What its primary has executed.
        purged: What is gone from the binlogs of a tablet that may stream.
        full_images: Whether changes come with all columns.
        elsewhere: What is gone from the binlogs of the others; vtgate passes over those that cannot stream.
    """

    executed: Position
    purged: Position
    full_images: bool = True
    elsewhere: tuple[Position, ...] = ()

    def refusal(self, position: Position) -> str | None:
        """Says why a position cannot be followed, or None if it can."""
        if not self.executed.contains(position):
            return _AHEAD
        if not any(position.contains(purged) for purged in (self.purged, *self.elsewhere)):
            return "the binlogs that follow it have been purged"
        return None


class Verdict(Enum):
    """What is to be done with a saved cursor."""

    FOLLOW = "follow"
    RESTART_COPY = "restart copy"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Judgement:
    """A verdict and, unless the cursor can be followed, the reason as a phrase without key values."""

    verdict: Verdict
    reason: str = ""


def judge(
    cursor: Cursor, table: Table, *, stop: Position | None, served: ServedPositions | None, on_primary: bool
) -> Judgement:
    """Judges a cursor before it is sent.

    Args:
        cursor: The saved cursor.
        table: The table as it is today.
        stop: The shard's position when the sync began, on the tablet that streams; None for a cursor that
            the sync itself has moved.
        served: What the shard says of its positions, or None if it cannot be asked.
        on_primary: Whether the stream comes from the primary, which is never behind.

    Returns:
        FOLLOW; RESTART_COPY for an unfinished copy that cannot go on in the middle; or REFUSE for a cursor
        whose changes are gone, which is a matter of the configured policy.
    """
    if cursor.last_pk is not None:
        if not copy_can_resume(table):
            return Judgement(Verdict.RESTART_COPY, "its key does not let a copy go on in the middle")
        if not cursor.position:
            return Judgement(Verdict.RESTART_COPY, "its state holds no position to catch up from")
        difference = mismatch(wire.QueryResult.FromString(cursor.last_pk), table)
        if difference:
            return Judgement(Verdict.REFUSE, f"its last primary key does not fit: {difference}")
    if not cursor.position:
        return Judgement(Verdict.FOLLOW)
    reason = _position_refusal(Position.parse(cursor.position), stop, served, on_primary=on_primary)
    return Judgement(Verdict.REFUSE, reason) if reason else Judgement(Verdict.FOLLOW)


def _position_refusal(
    position: Position, stop: Position | None, served: ServedPositions | None, *, on_primary: bool
) -> str | None:
    # A replica may be behind what an earlier sync read from another one: that passes.
    if on_primary and stop is not None and not stop.contains(position):
        return _AHEAD
    return served.refusal(position) if served else None
