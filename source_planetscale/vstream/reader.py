"""The protocol logic of one shard: VStream responses in, rows and cursors out.

A stream either copies one table or follows the binlog for any number of them. The copy phase sends the table
in the order of its key from a snapshot; its VGTIDs carry the last primary key. Catch-up sends the binlog from
a position. A copy that is resumed begins with a catch-up of the rows already copied. Nothing here knows
sockets, clocks or the CDK.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from source_planetscale import ddl
from source_planetscale.vstream.binlog_file import BinlogFile, start_is_unknown
from source_planetscale.vstream.images import IncompleteRow
from source_planetscale.vstream.lastpk import copy_can_resume, mismatch
from source_planetscale.vstream.layout import ShapeMismatch, ShapeUnknown
from source_planetscale.vstream.passed import passed_by
from source_planetscale.vstream.position import Goal
from source_planetscale.vstream.rows import block_of
from source_planetscale.vstream.selection import SelectRefused
from source_planetscale.vstream.table_reader import CopyBroken, RowRun, RowsExchanged
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from source_planetscale.vstream.position import Position
    from source_planetscale.vstream.rows import RowBlock
    from source_planetscale.vstream.table_reader import TableReader

FINDINGS = (CopyBroken, IncompleteRow, RowsExchanged, ShapeUnknown)
"""What makes one table unreadable and leaves the others alone."""


class ProtocolError(Exception):
    """The server sent what no Vitess sends; reading on could lose rows.

    Attributes:
        table: The only table that it is about, or None.
    """

    def __init__(self, words: str, table: str | None = None) -> None:
        """Takes what was sent, in words without data."""
        self.table = table
        super().__init__(words)


@dataclass(slots=True)
class _Taken:
    """What one response has brought so far."""

    runs: list[RowRun] = field(default_factory=list)
    placed: int = 0
    safe: wire.ShardGtid | None = None
    copy_completed: bool = False


class ShardReader:
    """Reads one stream of one shard from a position up to a goal.

    A stream that breaks off is followed by another one, with a reader of its own that starts at `position`.

    Attributes:
        tables: The tables that it follows; their cursors are brought up to date by `settle`.
        position: Everything up to here has been returned; empty before a copy has begun.
        done: Everything up to the goal has been returned.
        journal: The reshard that ended this shard, or None.
        at_next_file: The rest stands in the next binlog file. It has to be read over a new stream: a tablet
            knows tables by numbers that MySQL gives anew when it restarts, and takes one for another where a
            stream goes on from one file into the next (`vstreamer.go`, vitessio/vitess issue 9976).
        reshaped: A table's columns have changed: what follows has to be read over a new stream, once it is
            known how.
        widens: What came of a table is not what its select list asks for: the rest has to be read over a new
            stream, with every column.
        unproven: Tables that have been described by their select lists. What was read of them is right if
            they had the lists' shapes all the time, which has to be found out before it is handed over.
        goal: Where the reading ends.
        newest: When the newest change was made that was seen, in seconds since the epoch; 0 before any.
        transactions: The number of transactions that were seen, of other tables as well.
        progress: Grows with every response that brings the reading forward; heartbeats do not, nor does
            what vtgate sends again and again while it retries by itself.
    """

    def __init__(
        self,
        tables: Sequence[TableReader],
        stop: Position,
        started: Callable[[], int | None] = start_is_unknown,
    ) -> None:
        """Prepares the reading.

        Args:
            tables: The tables, all at the same position; a single one if it is still being copied. Its last
                primary key must fit it (`lastpk.mismatch`).
            stop: Where to end; the position that the shard had when the sync began.
            started: Tells when MySQL was started, where the stream itself does not; see `BinlogFile`.
        """
        cursor = tables[0].cursor
        self.tables = {table.name: table for table in tables}
        self.position = cursor.position
        self.journal: wire.Journal | None = None
        self.at_next_file = False
        self.reshaped = False
        self.widens = False
        self.unproven: set[str] = set()
        self.goal = Goal(stop)
        self.newest = 0
        self.transactions = 0
        self.progress = 0
        self._shard = cursor.shard
        # Names come with the keyspace from a server that does not know the flag to leave it out.
        self._by_wire_name = {f"{cursor.keyspace}.{name}": t for name, t in self.tables.items()} | self.tables
        self._copy = tables[0] if cursor.copying else None
        self._track = tables[0].track_changes
        self._resumable = self._copy is not None and copy_can_resume(self._copy.table)
        self._vgtid: wire.ShardGtid | None = None
        self._copied_to = ""
        self._begins = 0
        self._file = BinlogFile(started)
        self._sources = self.position.count(_SOURCE_SEPARATOR)

    @property
    def has_new_source(self) -> bool:
        """Whether another server has written to the log than those of the first position."""
        return bool(self._sources) and self._here.count(_SOURCE_SEPARATOR) > self._sources

    @property
    def copying(self) -> bool:
        """Whether the copy has not ended."""
        return self._copy is not None

    @property
    def done(self) -> bool:
        """Whether the copy is finished and the goal is reached."""
        return self._copy is None and self.goal.reached_by(self.position)

    @property
    def awaits_copy(self) -> bool:
        """Whether only the copy can bring the reading forward.

        Changes beyond the stop position go on for ever on a busy server, also while vtgate tries again and
        again to send a row that is too large.
        """
        return self._copy is not None and (not self._here or self.goal.reached_by(self._here))

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be taken from this stream."""
        # What follows a journal belongs to the new shards.
        return self._is_cut or self.done

    @property
    def at_rest(self) -> bool:
        """Whether the position is behind everything that was read."""
        return not self._begins and self._here == self.position

    @property
    def readable(self) -> bool:
        """Whether there is a table left that can be read on."""
        return any(table.finding is None for table in self.tables.values())

    def read(self, raw: bytes) -> list[RowRun]:
        """Takes one response, or several one behind the other.

        Args:
            raw: The next response of the stream, serialized.

        Returns:
            The changes in it, in order for each table; none of a table that has a finding.

        Raises:
            ProtocolError: The response makes no sense; nothing of it has been taken.
        """
        taken = _Taken()
        try:
            if not self._take_passed(raw, taken):
                self._take_response(wire.VStreamResponse.FromString(raw), raw, taken)
        except (DecodeError, ValueError) as error:
            # The text of a decoder's error holds nothing of what it read.
            raise ProtocolError(f"the server sent what makes no sense: {error}") from None
        # A transaction that vtgate begins anew, as it does for ever with a row beyond its message limit,
        # sends its first rows again.
        if taken.runs and self._begins <= 1 and not self.awaits_copy:
            self.progress += 1
        self._advance(taken)
        for run in taken.runs:
            self.tables[run.table].run = None
        return [run for run in taken.runs if run.rows]

    def settle(self, names: Iterable[str] | None = None) -> None:
        """Brings cursors of tables that can be read to the position.

        Args:
            names: The tables; all if None.
        """
        if self._copy is None:
            for name in self.tables if names is None else names:
                table = self.tables[name]
                if table.finding is None and table.cursor.position != self.position:
                    table.cursor = replace(table.cursor, position=self.position)

    def refuse_list(self, name: str) -> None:
        """Ends the reading because a table cannot be read by its select list."""
        self.tables[name].list_refused = True
        self.widens = True

    def _take_passed(self, raw: bytes, taken: _Taken) -> bool:
        """Takes transactions of other tables; False if there is, or may be, anything else."""
        if self.copying or self.ended:
            return False
        passed = passed_by(raw, self._shard)
        if passed is None or not self._file.holds_all(passed.numbers, passed.gtid, passed.begun):
            return False
        if passed.entry.gtid != self._here:
            self.progress += 1
        self._begins = 0
        self._vgtid = taken.safe = passed.entry
        self.transactions += passed.count
        self.newest = passed.newest or self.newest
        return True

    def _take_response(self, response: wire.VStreamResponse, raw: bytes, taken: _Taken) -> None:
        events = response.events
        block = block_of(response, raw, one_by_one=self._track, named=len(self.tables) > 1)
        if block is None:
            self._take(events, taken)
            return
        self._take(events[: block.start], taken)
        if not self._take_block(block, events, taken):
            self._take(events[block.start : block.stop], taken)
        self._take(events[block.stop :], taken)

    def _take(self, events: Iterable[wire.VEvent], taken: _Taken) -> None:
        if self._is_cut:
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
                if self._track:
                    self._place(taken)
            elif kind in _TRANSACTION_ENDS:
                taken.safe = self._vgtid
                self.transactions += 1
                if event.timestamp:
                    self.newest = event.timestamp
                if kind == wire.DDL and self._take_statement(event.statement):
                    self.reshaped = True
                    return
            elif kind == wire.FIELD:
                self._take_fields(event)
                if self.widens:
                    return
            elif kind == wire.COPY_COMPLETED:
                taken.copy_completed = True
            elif kind == wire.JOURNAL and event.journal.migration_type == wire.SHARDS:
                self.journal = event.journal
                return
            elif kind in _STATEMENTS:
                self._refuse_statement(event)

    def _table(self, name: str) -> TableReader:
        try:
            return self._by_wire_name[name]
        except KeyError:
            raise ValueError("rows of a table that was not asked for") from None

    def _take_block(self, block: RowBlock, events: Sequence[wire.VEvent], taken: _Taken) -> bool:
        """Takes a block, in which transactions begin; False if its rows have to be taken one by one."""
        begun = [events[index] for index in block.begins]
        table = self._table(events[block.start].row_event.table_name)
        if table.width is None or (self._track and (block.has_before or begun)):
            return False
        rows = block.rows(table.width)
        file = replace(self._file)
        if rows is None or not all(map(file.holds, begun)):
            return False
        if not self._is_cut:
            self.transactions += len(begun)
            self._file = file
            if table.finding is None:
                run = table.new_run(block.timestamp, self._here)
                run.rows = rows
                taken.runs.append(run)
                table.run = None
        return True

    def _take_row(self, event: wire.VEvent, taken: _Taken) -> None:
        table = self._table(event.row_event.table_name)
        if table.finding is not None:
            return
        before = len(taken.runs)
        try:
            table.take_changes(event, self._here, taken.runs)
        except FINDINGS as finding:
            table.finding = finding
            self._drop(table, taken, before)

    def _take_fields(self, event: wire.VEvent) -> None:
        table = self._table(event.field_event.table_name)
        if table.finding is not None:
            return
        copied = self._copy is not None and event.timestamp == 0
        if copied:
            # vtgate may take up a copy by itself, and catches up first.
            self._file.seconds = None
        try:
            table.take_fields(event.field_event, copied=copied)
            if table.select is not None:
                self.unproven.add(table.name)
        except SelectRefused:
            self.refuse_list(table.name)
        except FINDINGS as finding:
            table.finding = finding
        except ShapeMismatch as error:
            raise ProtocolError(f"the server sent what makes no sense: {error}", table.name) from None

    def _take_statement(self, text: str) -> bool:
        statement = ddl.parse(text)
        reshaped = False
        for name in ddl.touches(statement, self.tables):
            table = self.tables[name]
            if table.finding is not None:
                continue
            try:
                reshaped = table.take_statement(statement) or reshaped
            except FINDINGS as finding:
                table.finding = finding
        return reshaped

    def _refuse_statement(self, event: wire.VEvent) -> None:
        for table in self.tables.values():
            try:
                table.refuse_statement(event)
            except IncompleteRow as finding:
                table.finding = table.finding or finding

    @staticmethod
    def _drop(table: TableReader, taken: _Taken, before: int) -> None:
        # Rows of the event in which the finding was made are not to leave.
        del taken.runs[before:]
        table.run = None

    def _place(self, taken: _Taken) -> None:
        """Gives the runs since the last position this one, and ends them."""
        for run in taken.runs[taken.placed :]:
            run.position = self._here
            self.tables[run.table].run = None
        taken.placed = len(taken.runs)

    @property
    def _is_cut(self) -> bool:
        return self.at_next_file or self.reshaped or self.widens or self.journal is not None

    @property
    def _here(self) -> str:
        return self._vgtid.gtid if self._vgtid is not None else self.position

    def _take_vgtid(self, vgtid: wire.VGtid) -> None:
        for entry in vgtid.shard_gtids:
            if entry.shard == self._shard:
                if self._brings_forward(entry):
                    self.progress += 1
                self._begins = 0
                self._vgtid = entry
                return
        raise ValueError("the position of the shard is missing from a VGTID")

    def _brings_forward(self, entry: wire.ShardGtid) -> bool:
        if entry.table_p_ks and (self._vgtid is None or entry.table_p_ks != self._vgtid.table_p_ks):
            return True
        return entry.gtid != self._here and not self.awaits_copy

    def _advance(self, taken: _Taken) -> None:
        if taken.safe is not None:
            self._move_to(taken.safe)
        if taken.copy_completed and self._copy is not None:
            position = self._copied_to or self.position
            if not position:
                raise ProtocolError("the copy ended without a position")
            if self._copy.finding is None:
                self._copy.cursor = replace(self._copy.cursor, position=position, last_pk=None)
            self.position = position
            self._copy = None

    def _move_to(self, vgtid: wire.ShardGtid) -> None:
        if self._copy is None:
            self.position = vgtid.gtid
            return
        copy = self._copy
        for entry in vgtid.table_p_ks:
            if entry.table_name == copy.name:
                if self._resumable and mismatch(entry.lastpk, copy.table) is None and copy.finding is None:
                    last_pk = entry.lastpk.SerializeToString(deterministic=True)
                    copy.cursor = replace(copy.cursor, position=vgtid.gtid, last_pk=last_pk)
                    self.position = vgtid.gtid
                return
        # A position without a last key is the snapshot's, before its first or after its last row: taken as
        # a cursor it would say that the copy is finished.
        self._copied_to = vgtid.gtid


# A GTID set has one for each server in it.
_SOURCE_SEPARATOR = ":"
# Looked up for every event of every row.
_ROW = wire.ROW
_TRANSACTION_ENDS = frozenset({wire.COMMIT, wire.DDL, wire.OTHER})
_TRANSACTION_BOUNDS = _TRANSACTION_ENDS | {wire.BEGIN}
_STATEMENTS = frozenset({wire.INSERT, wire.REPLACE, wire.UPDATE, wire.DELETE})
