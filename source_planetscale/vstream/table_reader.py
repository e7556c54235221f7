"""The rows of one table out of the stream of its shard: layouts, images, and the table's own changes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from source_planetscale.ddl import Effect, apply
from source_planetscale.shape import ShapeColumn
from source_planetscale.vstream.fields import columns_of
from source_planetscale.vstream.images import Images, IncompleteRow
from source_planetscale.vstream.lastpk import collations_differ, copy_can_resume, mismatch
from source_planetscale.vstream.layout import ShapeUnknown, layout, plain_layout
from source_planetscale.vstream.rows import Rows
from source_planetscale.vstream.selection import SelectRefused
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from source_planetscale.ddl import Altered, Statement
    from source_planetscale.shape import Shape
    from source_planetscale.table import Column, Table, WireColumn
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.selection import SelectList

RESHAPING = frozenset(
    {
        Effect.SHAPE,
        Effect.CHARSET,
        Effect.CREATED,
        Effect.DROPPED,
        Effect.CUTOVER,
        Effect.RENAMED_AWAY,
        Effect.ROWS_EXCHANGED,
        Effect.UNKNOWN,
    }
)
"""After these a table's columns have to be found out before a row is read."""


class CopyBroken(Exception):  # noqa: N818 - a finding about the stream, after which the copy starts again
    """A copy went on inside its stream where it cannot be done rightly; says why."""


class RowsExchanged(Exception):  # noqa: N818 - a finding about the table, handled by a policy
    """The table has rows that no row event told; says by which statement."""


@dataclass(frozen=True, eq=False)
class RowFields:
    """How the rows of a run are laid out; one object per description that the server sent.

    Attributes:
        columns: The columns in the order of the values.
        enum_labels_on_wire: False if ENUM and SET travel as numbers in catch-up.
    """

    columns: tuple[WireColumn, ...]
    enum_labels_on_wire: bool


@dataclass(slots=True)
class RowRun:
    """Consecutive changes of one kind in one table.

    Attributes:
        table: The table's name.
        fields: The layout of the rows.
        rows: Images in order: as they are after the change, or as they were if deleted.
        deleted: Whether the rows were deleted.
        copied: Whether they come from the copy's snapshot and are spelled as MySQL's text protocol does.
        timestamp: When they were changed, in seconds since the epoch; 0 for copied rows.
        position: The position that holds the changes, or the last known one before it.
    """

    table: str
    fields: RowFields
    rows: Rows
    deleted: bool
    copied: bool
    timestamp: int
    position: str


@dataclass(frozen=True)
class Reshaping:
    """A statement that changed a table's columns, as far as the statement alone tells.

    Attributes:
        statement: The statement.
        before: The shape before it, or None if that was not known.
        after: The shape that follows, or None if the statement does not tell.
    """

    statement: Statement
    before: Shape | None
    after: Altered | None


@dataclass
class TableReader:
    """Follows one table in a stream.

    Attributes:
        table: The table as it is today.
        cursor: Where it stands; its shape is that of the rows to come, None if nobody knows it.
        renames: Name -> today's name, of columns that a statement still to come renames; None for one that
            it drops though its name is there today.
        track_changes: Whether deleted rows are wanted, and each transaction in runs of its own.
        full_images: False if the server is known to log reduced row images.
        select: What the stream asks of the table; None for every column.
        list_refused: Whether it cannot be read by `select`.
        named_as_written: Whether the last description has the names that the rows were written with.
        run: The run that the next row may join; None if it starts another one.
        statements: What happened to the table without row events, oldest first.
        reshaping: The change of columns after which reading stopped, or None.
        finding: Why the table cannot be read on, or None.
    """

    table: Table
    cursor: Cursor
    renames: Mapping[str, str | None] = field(default_factory=dict)
    track_changes: bool = False
    full_images: bool = True
    select: SelectList | None = None
    list_refused: bool = False
    named_as_written: bool = False
    run: RowRun | None = None
    statements: list[Statement] = field(default_factory=list)
    reshaping: Reshaping | None = None
    finding: Exception | None = None
    _fields: RowFields | None = None
    _images: Images = field(default_factory=Images)
    _copied_fields: int = 0

    @property
    def name(self) -> str:
        """The table's bare name."""
        return self.table.name

    @property
    def width(self) -> int | None:
        """The number of values of the rows to come, or None before their description."""
        return None if self._fields is None else len(self._fields.columns)

    def take_fields(self, event: wire.FieldEvent, *, copied: bool) -> None:
        """Takes the description of the rows to come.

        Args:
            event: The event.
            copied: Whether it belongs to the copy's snapshot.

        Raises:
            CopyBroken: The copy went on by itself where it cannot.
            ShapeUnknown: Nobody can tell with which columns the rows were written.
            ShapeMismatch: It makes no sense.
            SelectRefused: It is not that of the columns that were asked for.
        """
        decoded = columns_of(event.fields, self.table.columns)
        if self.cursor.copying:
            self._refuse_broken_copy(event, copied=copied)
        if self.select is not None:
            columns = self._selected(self.select, decoded, copied=copied)
        elif copied:
            columns = plain_layout(decoded, self.table)
            self.cursor = replace(self.cursor, shape=tuple(_shape_column(column) for column in columns))
        elif self.cursor.shape is None:
            raise ShapeUnknown(
                "the statements in between do not tell with which columns the rows were written"
            )
        else:
            columns = layout(event.fields, decoded, self.cursor.shape, self.table, self.renames)
            found = tuple(_shape_column(column) for column in columns)
            if found != self.cursor.shape:
                self.cursor = replace(self.cursor, shape=found)
        names = [column.written.name for column in columns]
        self.named_as_written = names == [column.name for column in decoded]
        self._fields = RowFields(columns, event.enum_set_string_values)
        self._images = Images(
            [column.written for column in columns],
            self.table.primary_key,
            full=self.full_images,
            deletes_count=self.track_changes,
        )
        self.run = None

    def new_run(self, timestamp: int, position: str, *, deleted: bool = False) -> RowRun:
        """Starts a run.

        Raises:
            ValueError: The rows have not been described.
        """
        if self._fields is None:
            raise ValueError("rows arrived before the description of their columns")
        rows = Rows(len(self._fields.columns))
        # Only the copy's own rows carry no time (seen on Vitess 24).
        self.run = RowRun(self.name, self._fields, rows, deleted, timestamp == 0, timestamp, position)
        return self.run

    def take_changes(self, event: wire.VEvent, position: str, runs: list[RowRun]) -> None:
        """Adds the changes of a ROW event to the last run, or to new ones at the end of `runs`.

        Raises:
            IncompleteRow: A row lacks values.
            ValueError: The rows make no sense.
        """
        run, timestamp = self.run, event.timestamp
        if run is None or (timestamp != run.timestamp and self._splits(run, timestamp)):
            run = self.new_run(timestamp, position)
            runs.append(run)
        for change in event.row_event.row_changes:
            if run.copied:
                run.rows.add(change.after)
            else:
                run = self._take_change(change, run, runs)

    def take_statement(self, statement: Statement) -> bool:
        """Takes a DDL statement that may concern the table; tells whether reading has to stop behind it.

        Raises:
            RowsExchanged: The statement gave the table other rows.
        """
        effects = statement.effects_on(self.name)
        if not effects - {Effect.HARMLESS}:
            return False
        self.statements.append(statement)
        if Effect.ROWS_EXCHANGED in effects:
            raise RowsExchanged(statement.text)
        if not effects & RESHAPING:
            return False
        before = self.cursor.shape
        after = None if before is None else apply(statement, self.name, before)
        self.reshaping = Reshaping(statement, before, after)
        # A sync may be cut here, and a later statement may hide what this one tells.
        self.cursor = replace(self.cursor, shape=None if after is None else after.shape)
        return True

    def refuse_statement(self, event: wire.VEvent) -> None:
        """Refuses a change that came as a statement, if it may be one of this table.

        Raises:
            IncompleteRow: It may be.
        """
        name = rf"(?<!\w){re.escape(self.name)}(?!\w)"
        if not event.dml or re.search(name, event.dml, re.IGNORECASE):
            raise IncompleteRow("binlog_format is not ROW")

    def _selected(
        self, select: SelectList, decoded: Sequence[Column], *, copied: bool
    ) -> tuple[WireColumn, ...]:
        if not copied and self.cursor.shape != select.shape:
            raise SelectRefused
        select.refuse_others(decoded)
        self.cursor = replace(self.cursor, shape=select.shape)
        return plain_layout(decoded, self.table)

    def _refuse_broken_copy(self, event: wire.FieldEvent, *, copied: bool) -> None:
        if copied:
            self._copied_fields += 1
        if self._copied_fields > 1 and not copy_can_resume(self.table):
            # vtgate takes a copy up by itself after a lost tablet, and after its longest time for one
            # (vstream_manager.go), from a key that does not tell where to go on.
            raise CopyBroken("its tablet was lost, or its longest time on the server was over")
        last = self.cursor.last_pk
        if last is None:
            return
        last_pk = wire.QueryResult.FromString(last)
        if collations_differ(last_pk, event.fields):
            raise CopyBroken("the collation of its key has changed")
        difference = mismatch(last_pk, self.table)
        if difference:
            raise CopyBroken(difference)

    def _splits(self, run: RowRun, timestamp: int) -> bool:
        return self.track_changes or run.copied or timestamp == 0

    def _take_change(self, change: wire.RowChange, run: RowRun, runs: list[RowRun]) -> RowRun:
        self._images.refuse_incomplete(change)
        before, after = change.before, change.after
        changed = bool(after.lengths)
        existed = self.track_changes and bool(before.lengths)
        if existed and not (changed and self._images.same_key(before, after)):
            run = run if run.deleted else self._next_run(run, runs, deleted=True)
            run.rows.add(before)
        if changed:
            run = self._next_run(run, runs, deleted=False) if run.deleted else run
            run.rows.add(after)
        return run

    def _next_run(self, run: RowRun, runs: list[RowRun], *, deleted: bool) -> RowRun:
        following = self.new_run(run.timestamp, run.position, deleted=deleted)
        runs.append(following)
        return following


def _shape_column(column: WireColumn) -> ShapeColumn:
    written = column.written
    return ShapeColumn(written.name, written.column_type, written.charset)
