"""The reading of one stream: what its shards delivered so far, and what of it is checkpointed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airbyte_cdk.models import AirbyteMessage, Type

from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.follow.checkpoint import CheckpointPolicy
from source_planetscale.follow.member import Member
from source_planetscale.follow.positions import ShardGoneError, SilentShardError
from source_planetscale.records.message import FinishedBatch, RecordBatch
from source_planetscale.records.sequence import ChangeSequence
from source_planetscale.sync import reshards
from source_planetscale.sync.progress import ProgressLog
from source_planetscale.workers.messages import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from source_planetscale.follow.core import Core
    from source_planetscale.records.message import Batch
    from source_planetscale.state import Reshard, StreamState
    from source_planetscale.sync.context import Sync
    from source_planetscale.sync.delivery import Delivery
    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor


class Pause(AirbyteMessage):
    """Says that a stream has nothing at hand; the source takes it out and turns to another stream.

    It passes the CDK's loops like any message that is no record.
    """

    def __init__(self) -> None:
        """Makes the message."""
        super().__init__(type=Type.LOG)


PAUSE = Pause()


class Reading:
    """Reads one stream; everything here runs in the thread that emits.

    Attributes:
        stream: The stream's name.
        key: What tells it apart from its namesakes in other keyspaces.
        core: With what its shards are read.
        table: The table.
        namespace: The stream's namespace as it is configured.
        state: How far each shard has been read, as far as it was emitted.
        errors: What ended shards before their stop position.
        shards: The shards, in the order of their slices; new ones may join while others are read.
        uncovered: Records since the last state.
        covered_at: When the last state was made, in seconds of the monotonic clock.
        estimates: About how many rows the copies that begin with this sync bring, by shard.
    """

    def __init__(
        self,
        table: Table,
        state: StreamState,
        serving: Sequence[str],
        sync: Sync,
        core: Core,
        *,
        idle: Collection[str] = (),
        namespace: str | None = None,
        copy_starts_again: bool = True,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepares the reading.

        Args:
            table: The table.
            state: Where to start.
            serving: The shards that serve the keyspace and are to be read.
            sync: What the reads of this sync share.
            core: With what the shards of the keyspace are read.
            idle: The shards that are not to be read, whose cursors are kept.
            namespace: The stream's namespace as it is configured.
            copy_starts_again: Whether a copy that cannot go on in the middle may start again after rows of
                it are out.
            properties: The JSON schema of each column that records are to have; all of the table's for
                none.
        """
        # A schema without properties says nothing of them.
        self._wanted = frozenset(properties or ()) or None
        self.outlet = Outlet(table, namespace, self._wanted, properties or None)
        self.config = sync.config
        self.records = sync.records
        now = time.monotonic()
        self.namespace = namespace
        self._copy_starts_again = copy_starts_again
        self.stream = table.name
        self.key = table.key
        self.core = core
        self.table = table
        self.state = state
        self.errors: dict[str, Exception] = {}
        # A shard whose end is known has nothing more to tell.
        self.shards = [shard for shard in state.cursors if shard not in idle and shard not in state.reshards]
        self.uncovered = 0
        self.covered_at = now
        self._serving = list(serving)
        self._sync = sync
        self._waited = dict(state.reshards)
        self._open = set() if state.is_complete else set(self.shards)
        self._looked_for: set[str] = set()
        self._moved = False
        self._state_wanted = False
        self.changes = ChangeSequence(state.cdc_cursor, time.time_ns() // 1000)
        self._policy = CheckpointPolicy(sync.config.checkpoint_seconds, now)
        self.estimates = self._estimates()
        self._progress = ProgressLog(table.name, sync.logger, now, self.estimates, self._place)
        self._meet_overdue()
        self._remember()

    def _estimates(self) -> dict[str, int]:
        # One shard was asked for the table; rows are spread evenly in general.
        estimate = self.table.estimated_rows
        cursors = [self.state.cursors[shard] for shard in self.shards if shard in self._open]
        begun = [cursor.shard for cursor in cursors if cursor.copying and cursor.last_pk is None]
        return dict.fromkeys(begun, estimate) if estimate else {}

    def _place(self, shard: str) -> str:
        return self.core.client.keyspace.place(shard)

    def members(self) -> list[Member]:
        """The shards that are to be read, as members of their reading."""
        return [self.member(self.state.cursors[shard]) for shard in self.shards if shard in self._open]

    def member(self, cursor: Cursor) -> Member:
        """One shard as a member of its reading."""
        return Member(
            self.table,
            cursor,
            copy_starts_again=self._copy_starts_again,
            alone=self.core.client.keyspace.alone,
            wanted=self._wanted,
        )

    def want_state(self) -> None:
        """Has the next message be a state."""
        self._state_wanted = True

    def until_end_of(self, shard: str, make_state: Callable[[], AirbyteMessage]) -> Iterator[AirbyteMessage]:
        """Emits what is delivered by any shard until this one has ended; the state is then up to date.

        Args:
            shard: The shard.
            make_state: Makes a state message from `state_json`.
        """
        while shard in self._open:
            if self._state_wanted:
                yield self._checkpoint(make_state)
                yield PAUSE
                continue
            delivery = self._sync.deliveries.take(self.key)
            closes = delivery is not None and _closes(delivery)
            if delivery is not None:
                if closes and self.uncovered:
                    # What was laid out here is in a partition of its own, which needs a state as well.
                    yield self._checkpoint(make_state)
                yield from self._emit(delivery)
            # At the end of a slice the CDK makes a state.
            if shard in self._open:
                due = closes or self._policy.due(time.monotonic()) or self._reserve_runs_low
                if delivery is not None and due:
                    yield self._checkpoint(make_state)
                yield PAUSE
        self._meet_overdue()
        self._cover()

    def interrupt(self, error: SourceError) -> None:
        """Ends all shards; the error is told after the state of what was read."""
        if self._open:
            self.errors[""] = error
            self._open.clear()

    @property
    def ended(self) -> bool:
        """Whether all shards have ended."""
        return not self._open

    @property
    def moved(self) -> bool:
        """Whether something has been read that no state covers."""
        return self._moved

    def _checkpoint(self, make_state: Callable[[], AirbyteMessage]) -> AirbyteMessage:
        self._cover()
        return make_state()

    def _cover(self) -> None:
        self._remember()
        now = time.monotonic()
        self._policy.done(now)
        self.covered_at = now
        self.uncovered = 0
        self._moved = self._state_wanted = False

    def _emit(self, delivery: Delivery) -> Iterator[AirbyteMessage]:
        shard, now = delivery.shard, time.monotonic()
        if delivery.anew and shard in self.state.cursors:
            started = reshards.copied_anew(self.state, shard, self._serving)
            self._read_on(started, f"The log of shard {self._place(shard)} cannot be read for {self.stream}")
        if shard not in self.state.cursors:
            # It was given up with a lost log; its rows come with the copy in its place.
            self._open.difference_update({shard} if delivery.ended else ())
            if isinstance(delivery.batch, FinishedBatch):
                delivery.batch.drop()
                if delivery.batch.closes:
                    # Rows of the partition are out already.
                    yield delivery.batch
            return
        moved = delivery.cursor != self.state.cursors[shard]
        self._moved = self._moved or moved
        self.state.cursors[shard] = delivery.cursor
        if delivery.batch is not None:
            # Rows of a worker are covered when it closes their partition.
            own = 0 if isinstance(delivery.batch, FinishedBatch) else delivery.batch.count
            self.uncovered += own
            self._policy.observe(own, moved=moved)
            self._progress.rows(shard, delivery.batch.count, copying=delivery.cursor.copying, now=now)
            yield from self._records(delivery.batch)
        elif moved:
            self._policy.observe(0, moved=True)
        if delivery.ended:
            self._end(delivery, now)

    def _records(self, batch: Batch) -> Iterator[AirbyteMessage]:
        if isinstance(batch, RecordBatch) and not self._sync.batched:
            yield from batch.messages()
        else:
            yield batch

    def _end(self, delivery: Delivery, now: float) -> None:
        shard, error = delivery.shard, delivery.error
        self._open.discard(shard)
        if delivery.journal is not None:
            error = self._follow(shard, reshards.reshard_of(delivery.journal))
        elif isinstance(error, ShardGoneError):
            error = self._meet_lost_shard(shard, error)
        elif isinstance(error, TransientError) and shard not in self._serving:
            error = self._meet_unreadable_shard(shard, error)
        elif error is None and shard not in self._serving:
            error = TransientError(
                f"Shard {shard} of keyspace {self.table.keyspace} no longer serves, and where table "
                f"{self.stream} goes on from it is not known yet. Sync again once the reshard is done."
            )
        self._progress.ended(shard, error, now)
        if error is not None:
            self.errors[shard] = error
        if not self._open and not self.errors:
            self._look_for_ends()

    def _follow(self, shard: str, reshard: Reshard) -> SourceError | None:
        """Goes on where a journal says; gives an error if that is not known yet."""
        self.state.reshards[shard] = reshard
        if reshards.leads_to_copies(self.state, reshard) and self._serve(reshard.participants):
            reshards.copy_again(self.state, reshard)
            return TransientError(
                f"Shard {shard} of keyspace {self.table.keyspace} was resharded while table {self.stream} "
                "was being copied from it. Sync again: the next sync copies the shards that serve then."
            )
        new = reshards.go_on(self.state, self._serving)
        self._read_on(new, f"Shard {self._place(shard)} of {self.stream} was resharded")
        if shard in reshards.waiting_in_vain(self.state):
            return TransientError(
                f"{self._about_partners(shard)}, and not all of these are read. Sync again to copy the "
                "shards in their place."
            )
        return None

    def _look_for_ends(self) -> None:
        """Reads shards on, once, whose end others have told: a reshard that came while this sync began.

        It reaches the logs of its shards one after the other, so some may have been asked for their position
        before it, and others after.
        """
        read = set(self.shards) - self._looked_for
        shards = [shard for shard in reshards.untold(self.state) if shard in read]
        self._looked_for.update(shards)
        for shard in shards:
            self.core.positions.forget_stop(shard)
        waiting = ", ".join(self._place(shard) for shard in self.state.reshards)
        self._read_on(
            [self.state.cursors[shard] for shard in shards],
            f"Shard {waiting} of {self.stream} was resharded together with others, which have yet to tell it",
        )

    def _serve(self, shards: Sequence[str]) -> bool:
        """Whether shards that have ended serve all the same, as after ReverseTraffic, as far as is known."""
        try:
            serving = self.core.database.shards()
        except SourceError:
            return True
        return any(shard in serving for shard in shards)

    def _meet_lost_shard(self, shard: str, error: ShardGoneError) -> SourceError | None:
        if shard in self._serving:
            return TransientError(
                f"Shard {shard} of keyspace {self.table.keyspace}, from which table {self.stream} was read, "
                "was removed before its end was read. Sync again: the next sync meets the shards of then.",
                error,
            )
        serving = ", ".join(self._serving)
        problem = (
            f"The saved state of stream {self.stream} follows shard {shard}, which keyspace "
            f"{self.table.keyspace} no longer has: it was resharded to {serving}, and the old shard was "
            "removed before its end was read. Next time, sync between 'Reshard SwitchTraffic' and 'complete'."
        )
        if not self._sync.config.patience.copies_again:
            return ConfigError(
                f"{problem} Clear this stream's data to copy it from the new shards, or set 'Invalid saved "
                "position behavior' to 'Re-sync data', which does so by itself.",
                error,
            )
        if self._copies_instead(shard, problem):
            return None
        return TransientError(f"{problem} Sync again to copy the shards in its place.", error)

    def _meet_unreadable_shard(self, shard: str, error: TransientError) -> SourceError | None:
        """Deals with an old shard that is still there and cannot be read."""
        problem = f"{error} Shard {shard} of keyspace {self.table.keyspace} no longer serves"
        may_copy = isinstance(error, SilentShardError) and self._sync.config.patience.copies_again
        if may_copy and self._copies_instead(shard, f"{problem}."):
            return None
        return TransientError(
            f"{problem}: if its binary logs were purged before its end was read, nothing will come. Set "
            "'Invalid saved position behavior' to 'Re-sync data' then, or clear this stream's data, to copy "
            "the new shards.",
            error,
        )

    def _copies_instead(self, shard: str, problem: str) -> bool:
        """Begins to copy the shards in the place of one, if some are known."""
        started = reshards.copy_instead(self.state, shard, self._serving)
        if started:
            self._sync.logger.warning(f"{problem} As configured, the new shards are copied.")
            self._read_on(started, "")
        return bool(started)

    def _meet_overdue(self) -> None:
        """Tells once all shards have ended of those that still wait for others."""
        if self._open or self.errors or self.state.is_complete:
            return
        copies_again = self._sync.config.patience.copies_again
        waiting = {shard: self._about_partners(shard) for shard in self.state.reshards}
        for shard in reshards.meet_overdue(
            self.state, self._waited, self._serving, copies_again=copies_again
        ):
            remedy = (
                "Sync again. If that does not help after a sync or two, clear this stream's data, or set "
                "'Invalid saved position behavior' to 'Re-sync data'."
                if shard in self.state.reshards
                else "The next sync copies it again."
            )
            self._moved = True
            self.errors[shard] = TransientError(
                f"{waiting[shard]}, whose log has not told it: rows of {shard} since then are not read. "
                f"{remedy}"
            )

    def _about_partners(self, shard: str) -> str:
        others = (name for name in self.state.reshards[shard].participants if name != shard)
        return (
            f"Shard {shard} of keyspace {self.table.keyspace}, from which table {self.stream} was read, was "
            f"resharded together with {', '.join(others)}"
        )

    def _read_on(self, cursors: Sequence[Cursor], why: str) -> None:
        if not cursors:
            return
        new = [cursor.shard for cursor in cursors]
        if why:
            self._sync.logger.info(f"{why}: going on with {', '.join(new)}.")
        self.shards += new
        self._open.update(new)
        self._moved = True
        self._sync.tasks.join(self, cursors)

    @property
    def _reserve_runs_low(self) -> bool:
        return self._sync.config.include_cdc_columns and self.changes.runs_low(self.state.cdc_cursor)

    def _remember(self) -> None:
        if self._sync.config.include_cdc_columns:
            # A reserve with every sync would run ahead of the clock, which orders what a lost state does not.
            self.state.cdc_cursor = self.changes.reserved if self._open else self.changes.last
        if not self._open and not self.errors:
            self.state.full_refresh = False
        self.state_json: dict[str, Any] = self.state.to_json()


def _closes(delivery: Delivery) -> bool:
    return isinstance(delivery.batch, FinishedBatch) and delivery.batch.closes
