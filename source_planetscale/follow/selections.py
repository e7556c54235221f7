"""Which tables of a shard are asked for with a select list, and whether what came by it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.endpoint import TabletType
from source_planetscale.follow import advice
from source_planetscale.shape import shape_of
from source_planetscale.vstream.lastpk import copy_can_resume
from source_planetscale.vstream.selection import SelectList, columns_to_ask_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from source_planetscale.follow.attempt import Failure
    from source_planetscale.follow.core import Core
    from source_planetscale.follow.member import Member
    from source_planetscale.follow.shapes import ShapeFinder
    from source_planetscale.vstream.reader import ShardReader
    from source_planetscale.vstream.table_reader import RowFields, RowRun

# What a new stream and the proof of its lists cost, some 50 ms, in bytes of rows.
WORTH_A_STREAM_BYTES = 4 << 20


class Selections:
    """Chooses the select lists of the streams of one shard.

    A tablet finds the columns of a list at the places that they have in the table of the moment in which it
    describes them. So a list is for a table that has the shape of the rows to come, on the primary, whose
    table is the one that can be asked for; and after each description it is made sure that the table had
    this shape all the time since before the stream was opened. Until then nothing is handed over. A list
    that the server or the proof refuses is not tried again: all columns are read from the last position on,
    and those that nobody wants are left out here.

    A copy has its list from the start. Catch-up begins with all columns, which is the quickest for a few
    changes, and has a list once it is worth a new stream.
    """

    def __init__(self, core: Core, shapes: ShapeFinder) -> None:
        """Asks nothing yet."""
        self._core = core
        self._shapes = shapes
        self._refused: set[str] = set()
        # A position since which a table has had the shape of its list.
        self._since: dict[str, str] = {}
        # Tables that have no list, though they could; what of their columns nobody wants; and its bytes.
        self._watched: dict[str, frozenset[str]] = {}
        self._unwanted: dict[RowFields, list[int]] = {}
        self._wasted: dict[str, int] = {}

    def lists(self, members: Sequence[Member], *, full_images: bool) -> dict[str, SelectList]:
        """Chooses before a stream is opened.

        Args:
            members: Its tables.
            full_images: Whether the server logs whole rows, as far as is known.

        Returns:
            The select list of each table that has one.
        """
        self._watched, self._unwanted = {}, {}
        if not full_images or self._core.client.keyspace.tablet_type is not TabletType.PRIMARY:
            return {}
        asked: dict[str, tuple[str, ...]] = {}
        for member in members:
            columns = self._columns_of(member)
            if columns is None:
                self._wasted.pop(member.name, None)
            elif member.cursor.copying or self._is_worth_it(member.name):
                asked[member.name] = columns
            else:
                self._watched[member.name] = frozenset(columns)
        return self._granted(members, asked) if asked else {}

    def observe(self, runs: Iterable[RowRun]) -> None:
        """Takes note of what came and nobody wants."""
        if not self._watched:
            return
        for run in runs:
            columns = self._watched.get(run.table)
            if columns is None:
                continue
            places = self._unwanted.get(run.fields)
            if places is None:
                places = self._unwanted[run.fields] = [
                    place
                    for place, column in enumerate(run.fields.columns)
                    if column.written.name not in columns
                ]
            rows = run.rows
            wasted = sum(
                length for place in places for length in rows.lengths[place :: rows.width] if length > 0
            )
            self._wasted[run.table] = self._wasted.get(run.table, 0) + wasted

    def is_due(self, reader: ShardReader) -> bool:
        """Whether a table is to be asked for with a list from here on, over a new stream."""
        return any(
            # The server has just shown that it knows the columns by the names that they have here.
            self._is_worth_it(name) and reader.at_rest and reader.tables[name].named_as_written
            for name in self._watched
        )

    def prove(self, reader: ShardReader) -> bool:
        """Makes sure that what was read by lists is right; if it is not, it must not be handed over."""
        for name in sorted(reader.unproven):
            table = reader.tables[name].table
            proven = self._shapes.unchanged(self._since[name], table)
            if not proven:
                reader.refuse_list(name)
                return False
            self._since[name] = proven
            reader.unproven.discard(name)
        return True

    def meet(self, reader: ShardReader, failure: Failure | None, where: str) -> bool:
        """Gives up lists that were refused; tells whether this is all that there is to a failure."""
        lists = {name for name, table in reader.tables.items() if table.select is not None}
        refused = {name for name in lists if reader.tables[name].list_refused}
        error = failure.error if failure is not None else None
        if error is not None and not error.is_about_everything:
            named = error.names(reader.tables)
            refused |= lists if named is None else lists & {named}
        if failure is not None and failure.misfit in lists:
            refused |= {failure.misfit}
        self._refused |= refused
        if refused:
            self._core.logger.info(advice.about_refused_list(where))
        return bool(refused)

    def _columns_of(self, member: Member) -> tuple[str, ...] | None:
        """What a list would ask for; None if there can be none."""
        if member.name in self._refused or member.renames:
            return None
        if member.cursor.copying and not copy_can_resume(member.table):
            # A list that is refused in the middle would have the copy begin anew.
            return None
        if member.cursor.position and member.cursor.shape != shape_of(member.table.columns):
            return None
        return columns_to_ask_for(member.table, member.wanted)

    def _is_worth_it(self, name: str) -> bool:
        return self._wasted.get(name, 0) >= WORTH_A_STREAM_BYTES

    def _granted(self, members: Sequence[Member], asked: dict[str, tuple[str, ...]]) -> dict[str, SelectList]:
        since, today = self._shapes.described_now(list(asked))
        lists = {}
        for member in members:
            if member.name not in asked:
                continue
            if today.get(member.name) == member.table:
                count, all_columns = len(asked[member.name]), len(member.table.columns)
                self._core.logger.info(f"Of {member.where}, {count} of {all_columns} columns are asked for.")
                lists[member.name] = SelectList(asked[member.name], shape_of(member.table.columns))
                self._since[member.name] = since
            else:
                self._refused.add(member.name)
        return lists
