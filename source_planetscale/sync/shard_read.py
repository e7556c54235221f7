"""The reading of one shard of one table in a thread: attempts, their retries, and what ends them."""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from source_planetscale.endpoint import TabletType
from source_planetscale.errors import ConfigError, InternalError, SourceError, TransientError
from source_planetscale.follow import advice
from source_planetscale.follow.patience import backoff_seconds
from source_planetscale.follow.resume import Verdict, judge
from source_planetscale.follow.stall import StallClock
from source_planetscale.shape import shape_of
from source_planetscale.sync.delivery import Delivery
from source_planetscale.vstream.bundle import Bundle
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.images import IncompleteRow
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.reader import ProtocolError, ShapeHazard, ShardReader
from source_planetscale.vstream.rows import block_of
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source_planetscale.follow.resume import ServedPositions
    from source_planetscale.records.batches import BatchMaker
    from source_planetscale.sync.context import Sync
    from source_planetscale.sync.delivery import DeliveryQueue
    from source_planetscale.table import Table
    from source_planetscale.vstream.client import VStreamCall
    from source_planetscale.vstream.cursor import Cursor

_JOIN_SECONDS = 5.0


class ShardRead:
    """Reads one shard of one table from its cursor to its stop position and delivers into a queue."""

    def __init__(
        self,
        sync: Sync,
        table: Table,
        cursor: Cursor,
        batches: BatchMaker,
        queue: DeliveryQueue,
        stall: StallClock | None = None,
    ) -> None:
        """Prepares the read; `start` begins it.

        Args:
            sync: What the reads of this sync share.
            table: The table.
            cursor: Where the shard stands.
            batches: Makes the records.
            queue: Where they go; the last delivery has `ended` set.
            stall: Measures how long the server is silent; a new clock if None.
        """
        self.shard = cursor.shard
        self._sync = sync
        self._table = table
        self._cursor = cursor
        self._batches = batches
        self._queue = queue
        self._stall = stall or StallClock()
        self._call: VStreamCall | None = None
        self._closing = threading.Event()
        self._stalled = False
        self._copied_again = False
        self._thread = threading.Thread(target=self._run, name=f"{table.name}/{self.shard}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def look_after(self) -> None:
        """Ends the running stream if it stalls for the configured time, and tells of long waits before."""
        idle, timeout = self._stall.idle_seconds, self._sync.config.timeout_seconds
        if idle > timeout:
            self._stalled = True
            self._cancel_call()
        elif self._stall.report_due():
            self._sync.logger.info(advice.about_wait(self._where, idle, timeout))

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
            self._complete_shape()
        except SourceError as failure:
            error = failure
        except Exception as failure:
            error = InternalError(f"Reading {self._where} failed unexpectedly: {_kind_and_place(failure)}.")
        self._queue.put(Delivery(self.shard, self._cursor, ended=True, error=error))

    def _read(self) -> None:
        stop = self._sync.positions.stop(self.shard, self._table.name)
        self._settle_cursor(stop)
        self._log_start()
        reader = self._new_reader(stop)
        failures = 0
        while not reader.done and not self._closing.is_set():
            started_at = _place(reader)
            started_with = reader.cursor
            try:
                failure = self._attempt(reader)
            except (ShapeHazard, IncompleteRow) as finding:
                self._copy_again(advice.about_finding(finding, self._where))
                reader = self._new_reader(stop)
                continue
            if failure is None or self._closing.is_set():
                return
            if reader.at_next_file and reader.cursor != started_with:
                reader = self._new_reader(stop)
                continue
            # A copy that cannot go on in the middle begins anew: it has come no further.
            failures = failures + 1 if _place(reader) == started_at else 1
            self._wait_before_retry(failures, failure)
            self._sync.positions.forget_served(self.shard)
            self._settle_cursor(stop, moved=True)
            reader = self._new_reader(stop)
        self._cursor = reader.cursor

    def _complete_shape(self) -> None:
        """Looks the table's shape up if a schema change was the last thing read."""
        if self._cursor.shape is None and not self._cursor.copying:
            for table in self._sync.database.tables([self._table.name]):
                self._cursor = replace(self._cursor, shape=shape_of(table.columns))

    def _settle_cursor(self, stop: Position, *, moved: bool = False) -> None:
        """Leaves a cursor that can be followed, or raises, as the policy has it.

        Args:
            stop: The shard's position when the sync began.
            moved: Whether this sync has moved the cursor, which may stand beyond `stop` then.
        """
        judgement = judge(
            self._cursor,
            self._table,
            stop=None if moved else stop,
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

    def _new_reader(self, stop: Position) -> ShardReader:
        config, served = self._sync.config, self._served(stop)
        return ShardReader(
            self._table,
            self._cursor,
            stop,
            track_changes=config.include_cdc_columns or config.include_metadata,
            full_images=served is None or served.full_images,
        )

    def _attempt(self, reader: ShardReader) -> str | None:
        """Follows one stream to its end; gives None if it is done, otherwise why it broke off."""
        try:
            self._follow(reader)
        except ProtocolError as error:
            return str(error)
        except VStreamError as error:
            self._sync.client.reconnect(self.shard)
            return self._why_to_retry(error)
        return None if reader.done else "the stream ended early"

    def _follow(self, reader: ShardReader) -> None:
        call = self._call = self._sync.client.open(self._table.name, reader.cursor)
        self._stalled = False
        self._stall.start()
        try:
            if self._closing.is_set():
                # `close` came before there was a call to cancel.
                return
            for raw in _bundled(call, Bundle(reader.goal)):
                with self._turn():
                    delivery = self._take(reader, raw)
                    # While it waits for the queue, a thread holds nothing but its finished text.
                    del raw
                    if delivery is not None:
                        self._deliver(delivery)
                        del delivery
                if reader.journal is not None:
                    keyspace, table = self._table.keyspace, self._table.name
                    raise ConfigError(advice.about_reshard(reader.journal, keyspace, self.shard, table))
                if reader.done or reader.at_next_file or self._closing.is_set():
                    return
        finally:
            call.cancel()
            self._stall.stop()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Another shard may wait for the reader of stdout, which is no stall of this one's server.
        with self._stall.held():
            self._sync.turn.acquire()
        try:
            yield
        finally:
            self._sync.turn.release()

    def _take(self, reader: ShardReader, raw: bytes) -> Delivery | None:
        progress, cursor = reader.progress, reader.cursor
        response = wire.VStreamResponse.FromString(raw)
        runs = reader.feed(response, block_of(response, raw, one_by_one=reader.track_changes))
        if reader.progress != progress:
            self._stall.start()
        while reader.rows_removed:
            self._sync.logger.warning(advice.about_removed_rows(reader.rows_removed.pop(0), self._where))
        if not runs and reader.cursor is cursor:
            return None
        return Delivery(self.shard, reader.cursor, self._batches.batch(runs), len(raw))

    def _deliver(self, delivery: Delivery) -> None:
        with self._stall.held():
            self._queue.put(delivery)
        self._cursor = delivery.cursor

    def _restart_copy(self, reason: str) -> None:
        self._sync.logger.warning(
            f"The unfinished copy of {self._where} starts again, because {reason}; rows that were already "
            "copied come once more."
        )
        self._cursor = self._cursor.restarted()

    def _copy_again(self, problem: str) -> None:
        if not self._sync.config.patience.copies_again or self._copied_again:
            raise ConfigError(advice.about_copy_again(problem))
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
        words = advice.explain(error, self._sync.client.endpoint, self._sync.client.keyspace)
        if error.permanent:
            raise ConfigError(f"Reading {self._where} failed: {words}")
        return words

    def _wait_before_retry(self, failures: int, reason: str) -> None:
        retries = self._sync.config.max_retries
        if failures > retries:
            raise TransientError(advice.about_giving_up(self._where, failures, reason))
        seconds = backoff_seconds(failures)
        self._sync.logger.warning(
            f"The stream of {self._where} broke off ({reason}); attempt {failures} of {retries} to go on "
            f"from the last position in {seconds:.1f} s."
        )
        self._closing.wait(seconds)

    def _log_start(self) -> None:
        cursor = self._cursor
        if cursor.last_pk is not None:
            what = "going on with the copy after its last key"
        elif cursor.copying:
            what = "copying from the start"
        else:
            what = "catching up from the saved position"
        self._sync.logger.info(f"Reading {self._where}: {what}.")


def _bundled(call: VStreamCall, bundle: Bundle) -> Iterator[bytes]:
    """Gives the responses of a stream, those in quick succession as one; raises what the stream does."""
    broken: VStreamError | None = None
    try:
        for raw in call:
            bundle.add(raw)
            del raw
            if bundle.due(time.monotonic()):
                yield bundle.take(time.monotonic())
    except VStreamError as error:
        broken = error
    if bundle.size:
        yield bundle.take(time.monotonic())
    if broken is not None:
        raise broken


def _kind_and_place(failure: Exception) -> str:
    # The text of an exception may hold what was read; where it was raised does not.
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{type(failure).__name__} in {Path(frame.filename).name}, line {frame.lineno}"


def _place(reader: ShardReader) -> tuple[str, bytes | None]:
    return "" if reader.awaits_copy else reader.cursor.position, reader.cursor.last_pk
