"""What goes into the reading of a shard, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_planetscale.errors import SourceError
    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.table_reader import RowRun
    from source_planetscale.vstream.wire import vstream_pb2 as wire


@dataclass
class Member:
    """A table that takes part in the reading of a shard.

    Attributes:
        table: The table as it is today.
        cursor: Where it stands.
        copy_starts_again: Whether a copy that cannot go on in the middle may start again after rows of it
            have been handed over.
        renames: Name -> today's name, of columns that are renamed by a statement still to come; None for one
            that it drops though its name is there today.
        alone: Whether no other keyspace is read, which may have a table and a shard of the same names.
        wanted: The names of the columns that records are to have; None for all.
        copied_again: Whether it is being copied anew, as configured; that is done once.
        handed_over: Whether rows of its copy have been handed over.
    """

    table: Table
    cursor: Cursor
    copy_starts_again: bool = True
    renames: dict[str, str | None] = field(default_factory=dict)
    alone: bool = True
    wanted: frozenset[str] | None = None
    copied_again: bool = False
    handed_over: bool = False

    @property
    def name(self) -> str:
        """The table's bare name."""
        return self.table.name

    @property
    def where(self) -> str:
        """The place, as errors name it."""
        shard = self.cursor.shard
        return f"table {self.name}, shard {shard if self.alone else f'{self.cursor.keyspace}/{shard}'}"


@dataclass(frozen=True, slots=True)
class Step:
    """What the reading of a shard brought one table.

    Attributes:
        table: The table's name.
        cursor: Where it stands once the rows are handed over.
        runs: Its rows, in order.
        size: Bytes of the responses that brought them, roughly.
        ended: There is nothing more of this table.
        error: Why it ended before the stop position, or None.
        journal: The reshard at which it ended, or None.
        anew: The table had been copied, and its copy begins again because its log cannot be followed.
    """

    table: str
    cursor: Cursor
    runs: list[RowRun] = field(default_factory=list)
    size: int = 0
    ended: bool = False
    error: SourceError | None = None
    journal: wire.Journal | None = None
    anew: bool = False
