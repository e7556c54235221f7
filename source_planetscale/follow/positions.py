"""What a sync knows of the shards' positions: asked once per shard, shared by all tables."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from source_planetscale.endpoint import TabletType
from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.follow.advice import about_lookup, about_replicas
from source_planetscale.follow.patience import backoff_seconds
from source_planetscale.follow.resume import ServedPositions
from source_planetscale.mysql import replicas
from source_planetscale.mysql.uptime import started_at
from source_planetscale.vstream.errors import VStreamError
from source_planetscale.vstream.position import Position, PositionError

if TYPE_CHECKING:
    from source_planetscale.follow.core import Schema, VtgateStreams
    from source_planetscale.follow.patience import Patience

_SHORTEST_SECONDS = 1.0


class ShardGoneError(ConfigError):
    """A shard is not in the keyspace any more, as after a completed reshard."""


class SilentShardError(TransientError):
    """A shard tells its position, and its stream brings nothing, however often it is opened."""


class ShardPositions:
    """The positions of the shards in one sync; safe to use from several threads."""

    def __init__(
        self, patience: Patience, client: VtgateStreams, database: Schema, interrupted: threading.Event
    ) -> None:
        """Asks nothing yet; waits between attempts end when `interrupted` is set."""
        self._patience = patience
        self._keyspace = client.keyspace
        self._client = client
        self._database = database
        self._interrupted = interrupted
        self._locks: dict[str, threading.Lock] = {}
        self._stops: dict[str, Position | SourceError] = {}
        self._served: dict[str, ServedPositions | None] = {}
        self._lock = threading.Lock()

    def stop(self, shard: str, table: str) -> Position:
        """Where the reading of a shard ends: its position when it was first asked for in this sync.

        Args:
            shard: The shard.
            table: A table of the keyspace, which the request needs.

        Raises:
            SourceError: The position could not be had; also for every later call.
        """
        with self._lock_of(shard):
            stop = self._stops.get(shard)
            if stop is None:
                stop = self._stops[shard] = self._ask_current(shard, table)
        if isinstance(stop, Position):
            return stop
        raise stop

    def keep_stop(self, shard: str, stop: Position) -> None:
        """Takes a stop position that was asked for elsewhere in this sync."""
        self._stops[shard] = stop

    def forget_stop(self, shard: str) -> None:
        """Has the next call of `stop` ask again, for a shard that is to be read on in the same sync."""
        # Without its lock: a question that is being asked must not hold up the caller, which emits.
        self._stops.pop(shard, None)

    def renewed_stop(self, shard: str, table: str) -> Position | None:
        """Replaces a stop position that the shard has lost, as a failover can make it do.

        Args:
            shard: The shard.
            table: A table of the keyspace, which the request needs.

        Returns:
            The new position; None if the one that there is can still be reached, or that cannot be known.

        Raises:
            SourceError: The position is lost, and there is no other one to be had.
        """
        self.forget_served(shard)
        served = self.served(shard)
        stop = self._stops.get(shard)
        if served is None or not isinstance(stop, Position) or served.executed.contains(stop):
            return None
        with self._lock_of(shard):
            if self._stops.get(shard) is stop:
                self._stops[shard] = self._ask_current(shard, table)
        return self.stop(shard, table)

    def served(self, shard: str) -> ServedPositions | None:
        """Which positions the shard can serve; None where the server does not let itself be asked."""
        with self._lock_of(shard):
            if shard not in self._served:
                self._served[shard] = self._ask_served(shard)
            return self._served[shard]

    def forget_served(self, shard: str) -> None:
        """Has the next call of `served` ask again, since binlogs may have been purged meanwhile."""
        with self._lock_of(shard):
            self._served.pop(shard, None)

    def started(self, shard: str) -> int | None:
        """When MySQL of a shard was started, in seconds since the epoch; None if it does not tell."""
        try:
            return started_at(self._database, shard)
        except SourceError:
            return None

    def trouble_of_replicas(self, shard: str) -> str:
        """Says in a sentence that every replica is too far behind to be read, if that is known."""
        if self._keyspace.tablet_type is TabletType.PRIMARY:
            return ""
        try:
            lags = replicas.lags(self._database, self._keyspace, shard)
        except SourceError:
            return ""
        return about_replicas(self._keyspace, shard, lags)

    def _lock_of(self, shard: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(shard, threading.Lock())

    def _ask_current(self, shard: str, table: str) -> Position | SourceError:
        patience, keyspace = self._patience, self._keyspace
        failures, since = 0, time.monotonic()
        while True:
            # A shard that is down is given up after one timeout, whatever the number of attempts.
            left = max(patience.timeout_seconds - (time.monotonic() - since), _SHORTEST_SECONDS)
            try:
                return Position.parse(self._client.current_position(table, shard, left))
            except PositionError as error:
                return ConfigError(
                    f"The position of shard {shard} of keyspace {keyspace.name} cannot be read: {error}. "
                    "Use a MySQL server with GTIDs."
                )
            except VStreamError as error:
                self._client.reconnect(shard)
                failures += 1
                if error.shard_is_unknown:
                    return ShardGoneError(about_lookup(error, self._client.endpoint, keyspace, shard))
                if error.permanent:
                    return ConfigError(about_lookup(error, self._client.endpoint, keyspace, shard))
                seconds = time.monotonic() - since
                over = patience.is_over(failures, seconds) or seconds >= patience.timeout_seconds
                if over or self._interrupted.wait(backoff_seconds(failures)):
                    trouble = self.trouble_of_replicas(shard)
                    return TransientError(
                        about_lookup(error, self._client.endpoint, keyspace, shard, trouble)
                    )

    def _ask_served(self, shard: str) -> ServedPositions | None:
        try:
            here = self._database.binlog_status(shard, self._keyspace.tablet_type)
            primary, purged = here, list[str]()
            if self._keyspace.tablet_type is not TabletType.PRIMARY:
                primary = self._database.binlog_status(shard, TabletType.PRIMARY)
                purged = replicas.purged_sets(self._database, self._keyspace, shard)
        except SourceError:
            # The stream itself will tell what is wrong.
            return None
        if here is None or primary is None:
            return None
        try:
            return ServedPositions(
                Position.from_gtid_set(primary.executed),
                Position.from_gtid_set(here.purged),
                # A replica logs again what its primary logged, reduced further by its own setting.
                full_images=primary.full_images and here.full_images,
                elsewhere=tuple(Position.from_gtid_set(gone) for gone in purged),
            )
        except PositionError:
            return None
