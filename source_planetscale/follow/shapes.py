"""Finding out which columns a table has at a position of its shard's log.

The server tells a table's columns of today alone. What they were in between follows from the statements in the
log, as far as these say it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from source_planetscale import ddl
from source_planetscale.ddl import Effect
from source_planetscale.shape import shape_of
from source_planetscale.vstream.position import Goal, Position
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from source_planetscale.ddl import Statement
    from source_planetscale.follow.core import Call, Core
    from source_planetscale.shape import Shape
    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.table_reader import Reshaping

_RESHAPING = frozenset(
    {Effect.SHAPE, Effect.CHARSET, Effect.CREATED, Effect.DROPPED, Effect.CUTOVER, Effect.RENAMED_AWAY,
     Effect.ROWS_EXCHANGED, Effect.UNKNOWN}
)  # fmt: skip


class LookAhead:
    """Reads statements ahead of the rows of one shard; the rows are thrown away."""

    def __init__(self, core: Core, shard: str, lane: str) -> None:
        """Opens nothing yet; `lane` is the connection to use."""
        self._core = core
        self._shard = shard
        self._lane = lane
        self.call: Call | None = None

    def today(self, names: Sequence[str]) -> dict[str, Table]:
        """Describes the tables as their shard has them now.

        Raises:
            SourceError: The shard cannot be asked.
        """
        return {table.name: table for table in self._core.database.tables(names, self._shard)}

    def statements(self, cursor: Cursor, names: Sequence[str]) -> dict[str, list[Statement]]:
        """Reads the statements that change the columns of tables, from a cursor to the present.

        Args:
            cursor: Where to begin.
            names: The tables.

        Returns:
            The statements of each table in order; none for a table that has none.

        Raises:
            VStreamError: The stream broke off.
        """
        core = self._core
        position = core.client.current_position(names[0], self._shard, core.patience.timeout_seconds)
        found: dict[str, list[Statement]] = {name: [] for name in names}
        goal = Goal(Position.parse(position))
        if goal.reached_by(cursor.position):
            return found
        core.opened.add()
        call = self.call = core.client.open(cursor, names, self._lane)
        try:
            for event in _events(call):
                if event.type == wire.DDL:
                    statement = ddl.parse(event.statement)
                    for name in ddl.touches(statement, names):
                        if statement.effects_on(name) & _RESHAPING:
                            found[name].append(statement)
                elif event.type == wire.VGTID:
                    at = next((e.gtid for e in event.vgtid.shard_gtids if e.shard == self._shard), "")
                    if at and goal.reached_by(at):
                        # What belongs to this position comes in the same response or not at all.
                        position = ""
                elif event.type in _ENDS and not position:
                    return found
        finally:
            call.cancel()
            self.call = None
        return found


_ENDS = frozenset({wire.COMMIT, wire.OTHER, wire.DDL})


def _events(call: Call) -> Iterator[wire.VEvent]:
    for raw in call:
        try:
            response = wire.VStreamResponse.FromString(raw)
        except DecodeError:
            return
        yield from response.events


def settled(reshaping: Reshaping, today: Table | None) -> Shape | None:
    """Finds the shape after a statement without looking ahead.

    Args:
        reshaping: The statement, with what follows from it.
        today: The table as it is now, or None if there is none.

    Returns:
        The shape; None if the statement does not tell it.
    """
    if reshaping.after is not None:
        return reshaping.after.shape
    if today is None or reshaping.before is None:
        return None
    # A statement that leaves the character set of a column to the table's default.
    for charset in dict.fromkeys(column.charset for column in today.columns if column.charset):
        after = ddl.apply(reshaping.statement, today.name, reshaping.before, charset)
        if after is not None and after.shape == shape_of(today.columns):
            return after.shape
    return None


def renames(written: Shape, today: Table, statements: Iterable[Statement]) -> dict[str, str]:
    """Finds the names of today of columns that statements rename.

    Args:
        written: The shape before the statements.
        today: The table after them.
        statements: The statements, in order.

    Returns:
        Written name -> name of today, of renamed columns alone; empty where the statements do not tell.
    """
    shape, names = written, {column.name: column.name for column in written}
    for statement in statements:
        altered = ddl.apply(statement, today.name, shape) or _by_any_charset(statement, today, shape)
        if altered is None:
            return {}
        moved = {origin: column.name for column, origin in zip(altered.shape, altered.origins, strict=True) if origin}
        names = {old: moved[new] for old, new in names.items() if new in moved}
        shape = altered.shape
    return {old: new for old, new in names.items() if old != new}


def _by_any_charset(statement: Statement, today: Table, shape: Shape) -> ddl.Altered | None:
    # Names alone are wanted here: which character set a column got does not matter.
    return ddl.apply(statement, today.name, shape, "utf8mb4")


def may_hold_renames(written: Shape, today: Table) -> bool:
    """Whether a column that is gone may be one that has come."""
    old, new = {column.name for column in written}, {column.name for column in today.columns}
    return bool(old - new) and bool(new - old)


def unknown(cursors: Mapping[str, Cursor]) -> list[str]:
    """The tables of which the shape at their cursor is not known."""
    return [name for name, cursor in cursors.items() if cursor.shape is None and not cursor.copying]
