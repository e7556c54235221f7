"""Reads the shards of one table side by side: a thread per shard with retries, and one consumer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.config import InvalidPositionPolicy, TabletType
from source_planetscale.delivery import Delivery, DeliveryQueue, Gathered
from source_planetscale.errors import config_error, system_error, transient_error
from source_planetscale.positions import ShardPositions, backoff_seconds, explain
from source_planetscale.resume import Verdict, judge
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import IncompleteRow, ProtocolError, ShapeHazard, ShardReader
from source_planetscale.vstream.rows import block_of
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Sequence

    from source_planetscale.batches import BatchMaker
    from source_planetscale.config import Config
    from source_planetscale.resume import ServedPositions
    from source_planetscale.sequence import ChangeSequence
    from source_planetscale.state import Cursor
    from source_planetscale.table import Table
    from source_planetscale.vstream.client import VStreamCall, VStreamClient

# Enough to keep the emitting thread busy, and little beside the memory of the process.
_QUEUE_BYTES = 8 << 20
_SHARDS_AT_ONCE = 16
_POLL_SECONDS = 0.5
_SECONDS_BETWEEN_WAITS_TOLD = 30.0
_JOIN_SECONDS = 5.0


@dataclass(frozen=True)
class Sync:
    """What all reads of one sync share.

    Attributes:
        config: The configuration.
        client: Opens streams.
        positions: What is known of the shards' positions.
        records: Numbers the records of the whole sync.
        logger: Where a person follows the sync.
        interrupted: Set when the process is told to stop.
        batched: Whether records leave in batches of finished lines or one by one.
    """

    config: Config
    client: VStreamClient
    positions: ShardPositions
    records: ChangeSequence
    logger: logging.Logger
    interrupted: threading.Event
    batched: bool


class ShardRead:
    """The reading of one shard of one table, in a thread of its own."""

    def __init__(
        self, sync: Sync, table: Table, cursor: Cursor, batches: BatchMaker, queue: DeliveryQueue
    ) -> None:
        """Prepares the read; `start` begins it."""
        self.shard = cursor.shard
        self._sync = sync
        self._table = table
        self._cursor = cursor
        self._batches = batches
        self._queue = queue
        self._call: VStreamCall | None = None
        self._closing = threading.Event()
        self._stalled = False
        self._idle_since: float | None = None
        self._wait_told = 0.0
        self._copied_again = False
        self._thread = threading.Thread(target=self._run, name=f"{table.name}/{self.shard}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def look_after(self) -> None:
        """Ends the running stream if it stalls for the configured time, and tells of long waits before."""
        idle_since, timeout = self._idle_since, self._sync.config.timeout_seconds
        if idle_since is None:
            return
        now = time.monotonic()
        if now - idle_since > timeout:
            self._stalled = True
            self._cancel_call()
        elif now - max(idle_since, self._wait_told) >= _SECONDS_BETWEEN_WAITS_TOLD:
            self._wait_told = now
            # vtgate hides that a tablet throttles a stream.
            self._sync.logger.info(
                f"Waiting for {self._where}: nothing came for {now - idle_since:.0f} s. The server may throttle "
                f"VStream or be busy; after {timeout:g} s the stream is opened anew."
            )

    def close(self) -> None:
        """Ends the thread, wherever it is."""
        self._closing.set()
        self._cancel_call()

    def join(self) -> None:
        """Waits for the thread's end after `close`."""
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    @property
    def _where(self) -> str:
        return f"table {self._table.name}, shard {self.shard}"

    def _cancel_call(self) -> None:
        call = self._call
        if call is not None:
            call.cancel()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._read()
        except AirbyteTracedException as failure:
            error = failure
        except Exception as failure:
            error = system_error(f"Reading {self._where} failed unexpectedly: {failure!r}", failure)
        self._queue.put(Delivery(self.shard, self._cursor, ended=True, error=error))

    def _read(self) -> None:
        stop = self._sync.positions.stop(self.shard, self._table.name)
        self._note_cut_copy()
        self._read_up_to(stop)
        if self._cursor.replay is not None and not self._closing.is_set() and self._rewind():
            self._read_up_to(stop)

    def _read_up_to(self, stop: Position) -> None:
        self._settle_cursor(stop)
        reader = self._new_reader(stop)
        failures = 0
        while not reader.done and not self._closing.is_set():
            started_at = reader.cursor
            try:
                failure = self._follow_once(reader)
            except (ShapeHazard, IncompleteRow) as finding:
                self._copy_again(_finding_sentence(finding, self._where))
                reader = self._new_reader(stop)
                continue
            if failure is None or self._closing.is_set():
                return
            # A copy that cannot go on in the middle begins anew: it has come no further.
            failures = failures + 1 if reader.cursor == started_at else 1
            self._wait_before_retry(failures, failure)
            self._sync.positions.forget_served(self.shard)
            self._note_cut_copy()
            self._settle_cursor(stop, read_on=True)
            reader = self._new_reader(stop)
        self._cursor = reader.cursor

    def _note_cut_copy(self) -> None:
        cursor = self._cursor
        cut = cursor.last_pk is not None and cursor.position
        if cut and cursor.replay is None and self._sync.config.include_cdc_columns:
            self._cursor = replace(cursor, replay=replace(cursor, last_pk=None))

    def _rewind(self) -> bool:
        """Goes back to where the copy was first cut, for the deletes since; False if that is gone."""
        replay = self._cursor.replay or self._cursor
        self._cursor = replace(self._cursor, replay=None)
        served = self._sync.positions.served(self.shard)
        refusal = served.refusal(Position.parse(replay.position)) if served else None
        if refusal:
            self._sync.logger.warning(
                f"The copy of {self._where} was cut, and {refusal}: a row that had been emitted and was "
                "deleted before the copy went on stays in the destination. Refresh this stream to be sure."
            )
            return False
        self._sync.logger.info(f"Reading the changes of {self._where} since its copy was cut.")
        self._cursor = replay
        return True

    def _settle_cursor(self, stop: Position, *, read_on: bool = False) -> None:
        """Leaves a cursor that can be followed, or raises, as the policy has it.

        Args:
            stop: The shard's position when the sync began.
            read_on: Whether this sync has moved the cursor, which may stand beyond `stop` then.
        """
        judgement = judge(
            self._cursor,
            self._table,
            stop=None if read_on else stop,
            served=self._served(stop),
            on_primary=self._sync.config.tablet_type is TabletType.PRIMARY,
        )
        if judgement.verdict is Verdict.RESTART_COPY:
            self._restart_copy(judgement.reason)
        elif judgement.verdict is Verdict.REFUSE:
            self._copy_again(f"The saved position of {self._where} cannot be followed: {judgement.reason}.")

    def _served(self, stop: Position) -> ServedPositions | None:
        # Where there is nothing to read the question is saved.
        at_stop = self._cursor.position and Position.parse(self._cursor.position) == stop
        return None if at_stop else self._sync.positions.served(self.shard)

    def _follow_once(self, reader: ShardReader) -> str | None:
        """Follows one stream to its end; gives None if it is done, otherwise why it broke off."""
        try:
            self._follow(reader)
        except ProtocolError as error:
            return str(error)
        except VStreamError as error:
            self._sync.client.reconnect(self.shard)
            return self._why_to_retry(error)
        return None if reader.done else "the stream ended early"

    def _new_reader(self, stop: Position) -> ShardReader:
        config = self._sync.config
        self._log_start()
        served = self._served(stop)
        return ShardReader(
            self._table,
            self._cursor,
            stop,
            track_changes=config.include_cdc_columns or config.include_metadata,
            full_images=served is None or served.full_images,
        )

    def _follow(self, reader: ShardReader) -> None:
        call = self._call = self._sync.client.open(self._table.name, reader.cursor)
        self._stalled = False
        self._idle_since = time.monotonic()
        gathered = Gathered()
        try:
            if self._closing.is_set():
                # `close` came before there was a call to cancel.
                return
            for raw in call:
                progress, cursor = reader.progress, reader.cursor
                response = wire.VStreamResponse.FromString(raw)
                runs = reader.feed(response, block_of(response, raw))
                if reader.progress != progress:
                    self._idle_since = time.monotonic()
                self._report_removed_rows(reader)
                moved = runs or reader.cursor is not cursor
                if moved:
                    gathered.add(runs, len(raw))
                # A response without news tells that no more is to be had at the moment.
                if not moved or gathered.due(time.monotonic()):
                    self._deliver(gathered, reader.cursor)
                if reader.journal is not None:
                    raise self._resharded(reader.journal)
                if reader.done or self._closing.is_set():
                    return
        finally:
            call.cancel()
            self._deliver(gathered, reader.cursor)
            self._idle_since = None

    def _deliver(self, gathered: Gathered, cursor: Cursor) -> None:
        if not gathered.size:
            return
        size, runs = gathered.take(time.monotonic())
        delivery = Delivery(self.shard, cursor, self._batches.batch(runs), size)
        # Waiting for the reader of stdout is not a stall of the server, and no progress either.
        idle_since, self._idle_since = self._idle_since or time.monotonic(), None
        waiting_since = time.monotonic()
        self._queue.put(delivery)
        self._cursor = delivery.cursor
        self._idle_since = idle_since + time.monotonic() - waiting_since

    def _restart_copy(self, reason: str) -> None:
        self._sync.logger.warning(
            f"The unfinished copy of {self._where} starts again, because {reason}; rows that were already "
            "copied come once more."
        )
        self._cursor = self._cursor.restarted()

    def _copy_again(self, problem: str) -> None:
        config = self._sync.config
        if config.invalid_position_policy is InvalidPositionPolicy.FAIL or self._copied_again:
            raise config_error(
                f"{problem} No row was emitted under a wrong column or skipped. Clear this stream's data to "
                "copy the table again, or set 'Invalid CDC position behavior' to 'Re-sync data', which does "
                "so by itself."
            )
        self._sync.logger.warning(f"{problem} As configured, this shard's copy of the table starts again.")
        self._copied_again = True
        self._cursor = self._cursor.restarted()
        self._queue.put(Delivery(self.shard, self._cursor))

    def _why_to_retry(self, error: VStreamError) -> str | None:
        """Gives None for a stream that was closed on purpose; raises where trying again cannot help."""
        config = self._sync.config
        if self._closing.is_set():
            return None
        if self._stalled:
            return f"nothing came for {config.timeout_seconds:g} seconds"
        if error.shape_is_unreadable:
            raise ShapeHazard(f"the server says: {error.detail}") from None
        if error.permanent:
            raise config_error(f"Reading {self._where} failed: {explain(error, config)}")
        return explain(error, config)

    def _wait_before_retry(self, failures: int, reason: str) -> None:
        config = self._sync.config
        if failures > config.max_retries:
            raise transient_error(
                f"Reading {self._where} stopped after {failures} attempts without progress: {reason} "
                "What was read is saved; the next sync goes on from there."
            )
        seconds = backoff_seconds(failures)
        self._sync.logger.warning(
            f"The stream of {self._where} broke off ({reason}); attempt {failures} of {config.max_retries} "
            f"to go on from the last position in {seconds:.1f} s."
        )
        self._closing.wait(seconds)

    def _resharded(self, journal: wire.Journal) -> AirbyteTracedException:
        new = ", ".join(entry.shard for entry in journal.shard_gtids)
        return config_error(
            f"Keyspace {self._table.keyspace} was resharded: shard {self.shard} was replaced by {new}. "
            f"Table {self._table.name} has been read up to the reshard. Clear this stream's data to copy it "
            "from the new shards."
        )

    def _report_removed_rows(self, reader: ShardReader) -> None:
        while reader.rows_removed:
            statement = reader.rows_removed.pop(0)
            self._sync.logger.warning(
                f"{statement} of {self._where}: the server sends no deletes for it, so rows that were read "
                "before stay in the destination. Refresh this stream and remove its records to bring both in "
                "line."
            )

    def _log_start(self) -> None:
        cursor = self._cursor
        if cursor.last_pk is not None:
            what = "going on with the copy after its last key"
        elif cursor.copying:
            what = "copying from the start"
        else:
            what = "catching up from the saved position"
        self._sync.logger.info(f"Reading {self._where}: {what}.")


def _finding_sentence(finding: ShapeHazard | IncompleteRow, where: str) -> str:
    if isinstance(finding, IncompleteRow):
        return (
            f"The changes of {where} come without the whole row, because {finding} on the server. Set "
            "binlog_format=ROW, binlog_row_image=FULL and no binlog_row_value_options."
        )
    return f"Changes of {where} from before a change of the table cannot be read rightly: {finding}."


class TableRead:
    """The reading of all shards of one table.

    Args of the constructor: the reads in the order in which they may start, and the queue they share.
    """

    def __init__(
        self, sync: Sync, cursors: Sequence[Cursor], make: Callable[[Cursor, DeliveryQueue], ShardRead]
    ) -> None:
        """Prepares one read per cursor."""
        self._sync = sync
        self._queue = DeliveryQueue(_QUEUE_BYTES)
        self._reads = [make(cursor, self._queue) for cursor in cursors]
        self._started = 0
        self._checked = time.monotonic()

    def start(self) -> None:
        """Starts as many reads as may run side by side, unless the sync was interrupted before."""
        while not self._sync.interrupted.is_set() and self._started < min(_SHARDS_AT_ONCE, len(self._reads)):
            self._start_next()

    def deliveries(self) -> Iterator[Delivery]:
        """Gives what the shards deliver, in order per shard, until each has ended.

        Raises:
            AirbyteTracedException: The sync was interrupted.
        """
        open_shards = {read.shard for read in self._reads}
        while open_shards:
            self._look_after_reads()
            delivery = self._queue.get(_POLL_SECONDS)
            if delivery is None:
                continue
            if delivery.ended:
                open_shards.discard(delivery.shard)
                self._start_next()
            yield delivery

    def close(self) -> None:
        """Ends all threads."""
        self._queue.close()
        for read in self._reads:
            read.close()
        for read in self._reads:
            read.join()

    def _start_next(self) -> None:
        if self._started < len(self._reads):
            self._reads[self._started].start()
            self._started += 1

    def _look_after_reads(self) -> None:
        if self._sync.interrupted.is_set():
            # Ends every wait for the server at once.
            self._sync.client.close()
            raise transient_error(
                "The sync was told to stop before it was done. What was read is saved; the next sync goes on "
                "from there."
            )
        now = time.monotonic()
        if now - self._checked >= _POLL_SECONDS:
            self._checked = now
            for read in self._reads:
                read.look_after()
