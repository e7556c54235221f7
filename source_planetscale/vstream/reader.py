"""The protocol logic of one shard of one table: VStream responses in, rows and cursors out.

A shard is read in two phases. The copy phase sends the table in the order of its key from a snapshot; its
VGTIDs carry the last primary key. Catch-up sends the binlog from a position. A copy that is resumed begins
with a catch-up of the rows already copied. Nothing here knows sockets, clocks or the CDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from source_planetscale.shape import hazard, shape_of
from source_planetscale.vstream.binlog_file import BinlogFile
from source_planetscale.vstream.fields import columns_of
from source_planetscale.vstream.images import Images, IncompleteRow
from source_planetscale.vstream.lastpk import copy_can_resume, mismatch
from source_planetscale.vstream.position import Goal
from source_planetscale.vstream.rows import Rows
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from source_planetscale.table import Column, Table
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.position import Position
    from source_planetscale.vstream.rows import RowBlock


class ProtocolError(Exception):
    """The server sent what no Vitess sends; reading on could lose rows."""


class ShapeHazard(Exception):  # noqa: N818 - a finding about the table, handled by a policy
    """Row events were decoded with another shape than they were written with; says how they differ."""


@dataclass(frozen=True, eq=False)
class RowFields:
    """How the rows of a run are laid out; one object per description that the server sent.

    Attributes:
        columns: The columns in the order of the values.
        enum_labels_on_wire: False if ENUM and SET travel as numbers in catch-up.
    """

    columns: tuple[Column, ...]
    enum_labels_on_wire: bool


@dataclass(slots=True)
class RowRun:
    """Consecutive changes of one kind.

    Attributes:
        fields: The layout of the rows.
        rows: Images in order: as they are after the change, or as they were if deleted.
        deleted: Whether the rows were deleted.
        copied: Whether they come from the copy's snapshot and are spelled as MySQL's text protocol does.
        timestamp: When they were changed, in seconds since the epoch; 0 for copied rows.
        position: The position that holds the changes, or the last known one before it.
    """

    fields: RowFields
    rows: Rows
    deleted: bool
    copied: bool
    timestamp: int
    position: str


@dataclass(slots=True)
class _Taken:
    """What one response has brought so far."""

    runs: list[RowRun] = field(default_factory=list)
    run: RowRun | None = None
    placed: int = 0
    safe: wire.ShardGtid | None = None
    copy_completed: bool = False

    def place(self, position: str) -> None:
        """Gives the runs since the last position this one, and ends the current run."""
        for run in self.runs[self.placed :]:
            run.position = position
        self.placed = len(self.runs)
        self.run = None


class ShardReader:
    """Reads one stream of one shard of one table, from a cursor up to a stop position.

    A stream that breaks off is followed by another one, with a reader of its own that starts at `cursor`.

    Attributes:
        cursor: Where to go on; never ahead of the rows that `feed` has returned.
        done: Everything up to the stop position has been returned.
        journal: The reshard that ended this shard, or None.
        at_next_file: The rest stands in the next binlog file. It has to be read over a new stream: a tablet
            knows tables by numbers that MySQL gives anew when it restarts, and takes one for another where a
            stream goes on from one file into the next (`vstreamer.go`, vitessio/vitess issue 9976).
        rows_removed: Statements such as TRUNCATE that removed rows without row events, oldest first.
        goal: The stop position.
        track_changes: Whether each transaction is returned as runs of its own, deleted rows among them;
            otherwise runs are as long as possible and deletes are left out.
        progress: Grows with every response that brings the reading forward; heartbeats do not, nor does
            what vtgate sends again and again while it retries by itself.
    """

    def __init__(
        self,
        table: Table,
        cursor: Cursor,
        stop: Position,
        *,
        track_changes: bool = False,
        full_images: bool = True,
    ) -> None:
        """Prepares the reading.

        Args:
            table: The table as it is today.
            cursor: Where to start; its last primary key must fit the table (`lastpk.mismatch`).
            stop: The position that the shard had when the sync began.
            track_changes: See above.
            full_images: False if the server is known to log reduced row images.
        """
        self.cursor = cursor
        if cursor.position and cursor.shape is None:
            self.cursor = replace(cursor, shape=shape_of(table.columns))
        self.journal: wire.Journal | None = None
        self.at_next_file = False
        self.rows_removed: list[str] = []
        self.progress = 0
        self.goal = Goal(stop)
        self.track_changes = track_changes
        self._table = table
        self._full_images = full_images
        self._resumable = copy_can_resume(table)
        self._images = Images()
        self._copying = cursor.copying
        self._fields: RowFields | None = None
        self._vgtid: wire.ShardGtid | None = None
        self._copied_to = ""
        self._begins = 0
        self._file = BinlogFile()

    @property
    def done(self) -> bool:
        """Whether the copy is finished and the stop position is reached."""
        return not self._copying and self.goal.reached_by(self.cursor.position)

    @property
    def awaits_copy(self) -> bool:
        """Whether only the copy can bring the reading forward.

        Changes beyond the stop position go on for ever on a busy server, also while vtgate tries again and
        again to send a row that is too large.
        """
        return self._copying and (not self._position or self.goal.reached_by(self._position))

    def feed(self, response: wire.VStreamResponse, block: RowBlock | None = None) -> list[RowRun]:
        """Takes one response.

        Args:
            response: The next response of the stream that `cursor` opened.
            block: Its rows, if `block_of` gives them: the same result, sooner.

        Returns:
            The changes in it, in order. `cursor`, `done`, `journal` and `at_next_file` are brought up to
            date.

        Raises:
            ProtocolError: The response makes no sense; the cursor has not moved.
            ShapeHazard: The rows would stand under wrong columns; the cursor has not moved.
            IncompleteRow: A row lacks values; the cursor has not moved.
        """
        taken = _Taken()
        if block is None:
            self._take(response.events, taken)
        else:
            events = response.events
            self._take(events[: block.start], taken)
            if not self._take_block(block, [events[index] for index in block.begins], taken):
                self._take(events[block.start : block.stop], taken)
            self._take(events[block.stop :], taken)
        # A transaction that vtgate begins anew, as it does for ever with a row beyond its message limit,
        # sends its first rows again.
        if taken.runs and self._begins <= 1 and not self.awaits_copy:
            self.progress += 1
        self._advance(taken)
        return [run for run in taken.runs if run.rows]

    @property
    def _ended(self) -> bool:
        # What follows a journal belongs to the new shards.
        return self.at_next_file or self.journal is not None

    def _take(self, events: Iterable[wire.VEvent], taken: _Taken) -> None:
        if self._ended:
            return
        for event in events:
            kind = event.type
            if kind == _ROW:
                self._take_row(event, taken)
            elif kind in _TRANSACTION_BOUNDS and not self._file.holds(event):
                self.at_next_file = True
                return
            elif kind == wire.BEGIN:
                self._begins += 1
            elif kind == wire.VGTID:
                self._take_vgtid(event.vgtid)
                if self.track_changes:
                    taken.place(self._position)
            elif kind in _TRANSACTION_ENDS:
                taken.safe = self._vgtid
                if kind == wire.DDL:
                    self._take_ddl(event.statement)
            elif kind == wire.FIELD:
                self._take_fields(event.field_event)
                taken.run = None
            elif kind == wire.COPY_COMPLETED:
                taken.copy_completed = True
            elif kind == wire.JOURNAL and event.journal.migration_type == wire.SHARDS:
                self.journal = event.journal
                return
            elif kind in _STATEMENTS:
                self._refuse_statement(event)

    def _take_block(self, block: RowBlock, begun: list[wire.VEvent], taken: _Taken) -> bool:
        """Takes a block, in which transactions begin; False if its rows have to be taken one by one."""
        if self._fields is None or (self.track_changes and (block.has_before or begun)):
            return False
        rows = block.rows(len(self._fields.columns))
        file = replace(self._file)
        if rows is None or not all(map(file.holds, begun)):
            return False
        if not self._ended:
            self._new_run(taken, block.timestamp, deleted=False).rows = rows
            taken.run = None
            self._file = file
        return True

    def _take_row(self, event: wire.VEvent, taken: _Taken) -> None:
        run, timestamp = taken.run, event.timestamp
        if run is None or (timestamp != run.timestamp and self._splits(run, timestamp)):
            run = self._new_run(taken, timestamp, deleted=False)
        for change in event.row_event.row_changes:
            if run.copied:
                run.rows.add(change.after)
            else:
                run = self._take_change(change, taken, run)

    def _splits(self, run: RowRun, timestamp: int) -> bool:
        return self.track_changes or run.copied or timestamp == 0

    def _new_run(self, taken: _Taken, timestamp: int, *, deleted: bool) -> RowRun:
        if self._fields is None:
            raise ProtocolError("rows arrived before the description of their columns")
        rows = Rows(len(self._fields.columns))
        # Only the copy's own rows carry no time (seen on Vitess 24).
        taken.run = RowRun(self._fields, rows, deleted, timestamp == 0, timestamp, self._position)
        taken.runs.append(taken.run)
        return taken.run

    def _take_change(self, change: wire.RowChange, taken: _Taken, run: RowRun) -> RowRun:
        self._images.refuse_incomplete(change)
        before, after = change.before, change.after
        changed = bool(after.lengths)
        existed = self.track_changes and bool(before.lengths)
        if existed and not (changed and self._images.same_key(before, after)):
            run = run if run.deleted else self._new_run(taken, run.timestamp, deleted=True)
            run.rows.add(before)
        if changed:
            run = self._new_run(taken, run.timestamp, deleted=False) if run.deleted else run
            run.rows.add(after)
        return run

    def _take_fields(self, event: wire.FieldEvent) -> None:
        columns = columns_of(event.fields, self._table.columns)
        if any(column.name.startswith("@") for column in columns):
            raise ShapeHazard("the server no longer knows the columns of earlier changes")
        shape, known = shape_of(columns), self.cursor.shape or ()
        # Events from before a harmless change come with the columns that the table had then.
        difference = hazard(known, shape)
        if difference and hazard(shape, shape_of(self._table.columns)):
            raise ShapeHazard(difference)
        self._fields = RowFields(columns, event.enum_set_string_values)
        self._images = Images(
            columns, self._table.primary_key, full=self._full_images, deletes_count=self.track_changes
        )
        if shape != self.cursor.shape:
            self.cursor = replace(self.cursor, shape=shape)

    def _take_ddl(self, statement: str) -> None:
        words = statement.lower().split(None, 2)
        if not words:
            return
        # Until the next description of the columns the shape is not known.
        self.cursor = replace(self.cursor, shape=None)
        if words[0] in ("truncate", "drop"):
            self.rows_removed.append(words[0].upper())

    def _refuse_statement(self, event: wire.VEvent) -> None:
        name = rf"(?<!\w){re.escape(self._table.name)}(?!\w)"
        if not event.dml or re.search(name, event.dml, re.IGNORECASE):
            raise IncompleteRow("binlog_format is not ROW")

    @property
    def _position(self) -> str:
        return self._vgtid.gtid if self._vgtid is not None else self.cursor.position

    def _take_vgtid(self, vgtid: wire.VGtid) -> None:
        for entry in vgtid.shard_gtids:
            if entry.shard == self.cursor.shard:
                if self._brings_forward(entry):
                    self.progress += 1
                self._begins = 0
                self._vgtid = entry
                return
        raise ProtocolError("the position of the shard is missing from the stream's VGTID")

    def _brings_forward(self, entry: wire.ShardGtid) -> bool:
        if entry.table_p_ks and (self._vgtid is None or entry.table_p_ks != self._vgtid.table_p_ks):
            return True
        return entry.gtid != self._position and not self.awaits_copy

    def _advance(self, taken: _Taken) -> None:
        if taken.safe is not None:
            self._move_to(taken.safe)
        if taken.copy_completed and self._copying:
            position = self._copied_to or self.cursor.position
            if not position:
                raise ProtocolError("the copy ended without a position")
            self._copying = False
            self.cursor = replace(self.cursor, position=position, last_pk=None)

    def _move_to(self, vgtid: wire.ShardGtid) -> None:
        if not self._copying:
            self.cursor = replace(self.cursor, position=vgtid.gtid)
            return
        for entry in vgtid.table_p_ks:
            if entry.table_name == self._table.name:
                if self._resumable and mismatch(entry.lastpk, self._table) is None:
                    last_pk = entry.lastpk.SerializeToString(deterministic=True)
                    self.cursor = replace(self.cursor, position=vgtid.gtid, last_pk=last_pk)
                return
        # A position without a last key is the snapshot's, before its first or after its last row: taken as
        # a cursor it would say that the copy is finished.
        self._copied_to = vgtid.gtid


# Looked up for every event of every row.
_ROW = wire.ROW
_TRANSACTION_ENDS = frozenset({wire.COMMIT, wire.DDL, wire.OTHER})
_TRANSACTION_BOUNDS = _TRANSACTION_ENDS | {wire.BEGIN}
_STATEMENTS = frozenset({wire.INSERT, wire.REPLACE, wire.UPDATE, wire.DELETE})
