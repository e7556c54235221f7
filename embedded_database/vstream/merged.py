"""vtgate's part of a VStream: checks a request, merges its shards, adds heartbeats and errors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from embedded_database import gtid
from embedded_database.errors import StreamError
from embedded_database.vstream.filters import TableFilter
from embedded_database.vstream.shard_stream import Ask, Group, ShardStream
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from embedded_database.storage import Shard, Storage

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
# With stop_on_reshard a stream outlives the journal by about this long.
STOP_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Limits:
    """Sizes and times of the server.

    Attributes:
        packet_bytes: A response is closed once its values have this many bytes (vttablet's default).
        unservable_seconds: How long vtgate looks for a tablet that can serve a position.
    """

    packet_bytes: int = 250_000
    unservable_seconds: float = 90.0


class MergedStream:
    """The stream of one request."""

    def __init__(
        self,
        storage: Storage,
        request: wire.VStreamRequest,
        limits: Limits,
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Prepares a stream; the request is checked when the first response is asked for."""
        self._storage = storage
        self._request = request
        self._limits = limits
        self._is_cancelled = is_cancelled
        self._positions: dict[tuple[str, str], wire.ShardGtid] = {}
        self._copying: set[tuple[str, str]] = set()
        self._copies_every_shard = False
        self.shards: list[Shard] = []

    def open(self) -> None:
        """Checks the request.

        Raises:
            StreamError: vtgate refuses it, with vtgate's code and text.
        """
        self._entries = list(self._resolved())
        self.shards = [self._shard_of(entry) for entry in self._entries]
        for entry in self._entries:
            self._positions[entry.keyspace, entry.shard] = wire.ShardGtid()
            self._positions[entry.keyspace, entry.shard].CopyFrom(entry)
        for entry, shard in zip(self._entries, self.shards, strict=True):
            self._check(entry, shard)

    def _resolved(self) -> Iterator[wire.ShardGtid]:
        """The request's entries with an empty shard spelled out as all shards."""
        entries = self._request.vgtid.shard_gtids
        if not entries:
            text = "vgtid must have at least one value with a starting position in ShardGtids"
            raise StreamError(_INVALID, f"failed to resolve vstream parameters: {text}")
        for entry in entries:
            if entry.shard:
                yield entry
                continue
            if entry.gtid not in ("", "current"):
                text = "if shards are unspecified, the Gtid value must be 'current' or empty"
                raise StreamError(_INVALID, f"failed to resolve vstream parameters: {text}; got: {entry}")
            yield from self._all_shards(entry)

    def _all_shards(self, entry: wire.ShardGtid) -> Iterator[wire.ShardGtid]:
        if entry.keyspace not in self._storage.shards:
            text = f"node doesn't exist: keyspaces/{entry.keyspace}/SrvKeyspace"
            raise StreamError(
                grpc.StatusCode.UNKNOWN,
                "failed to resolve vstream parameters: failed to get shards in keyspace "
                f"{entry.keyspace}: keyspace {entry.keyspace} fetch error: {text}",
            )
        for shard in self._storage.serving(entry.keyspace):
            yield wire.ShardGtid(keyspace=entry.keyspace, shard=shard.name, gtid=entry.gtid)

    def _shard_of(self, entry: wire.ShardGtid) -> Shard:
        shard = self._storage.shard(entry.keyspace, entry.shard)
        if shard is not None:
            return shard
        prefix = f"failed to determine if keyspace {entry.keyspace} has been resharded: "
        if entry.keyspace in self._storage.shards:
            code = grpc.StatusCode.FAILED_PRECONDITION
            text = f"shard provided in VGTID, {entry.shard}, not found in the {entry.keyspace} keyspace"
        else:
            code = grpc.StatusCode.UNKNOWN
            text = (
                f"FindAllShardsInKeyspace({entry.keyspace}): List: "
                f"node doesn't exist: keyspaces/{entry.keyspace}/shards"
            )
        raise StreamError(code, _wrapped(entry, prefix + text))

    def _check(self, entry: wire.ShardGtid, shard: Shard) -> None:
        """Refuses what the tablet would refuse."""
        tables = TableFilter(self._request.filter.rules)
        if shard.down:
            dial = "net.Dial(mysql.sock) to local server failed: connect: connection refused (errno 2002)"
            raise StreamError(grpc.StatusCode.UNKNOWN, tablet_error(shard, entry, f"{dial} (sqlstate HY000)"))
        if entry.gtid not in ("", "current"):
            self._check_position(entry, shard)
        if entry.gtid:
            return
        for name in tables.exact_names:
            if (entry.keyspace, name) not in self._storage.tables:
                text = f"table {name} is not present in the database"
                raise StreamError(grpc.StatusCode.UNKNOWN, tablet_error(shard, entry, text))

    def _check_position(self, entry: wire.ShardGtid, shard: Shard) -> None:
        flavor, separator, intervals = entry.gtid.partition("/")
        if not separator or flavor not in ("MySQL56", "MariaDB", "FilePos"):
            text = 'could not decode position: parse error: unknown GTIDSet flavor ""'
            raise StreamError(grpc.StatusCode.INTERNAL, tablet_error(shard, entry, text, "Internal"))
        if flavor != "MySQL56":
            return
        try:
            parsed = gtid.parse(intervals)
        except ValueError as error:
            text = f"could not decode position: {error}"
            raise StreamError(
                grpc.StatusCode.INTERNAL, tablet_error(shard, entry, text, "Internal")
            ) from None
        if not parsed:
            text = "stream needs a position or a table to copy"
            raise StreamError(grpc.StatusCode.UNKNOWN, tablet_error(shard, entry, text))

    def _is_servable(self, entry: wire.ShardGtid, shard: Shard) -> bool:
        """Whether the shard's log goes on from a position."""
        if entry.gtid in ("", "current"):
            return True
        if not entry.gtid.startswith(gtid.FLAVOR):
            return False
        position = entry.gtid[len(gtid.FLAVOR) :]
        return gtid.contains(shard.executed, position) and gtid.contains(position, shard.purged_gtids)

    def groups(self) -> Iterator[Group]:
        """The groups of all shards; None where there is nothing to send.

        Raises:
            StreamError: The stream ends with an error.
        """
        for entry, shard in zip(self._entries, self.shards, strict=True):
            if not self._is_servable(entry, shard):
                yield from self._search_in_vain(shard)
        streams = [
            self._stream(entry, shard) for entry, shard in zip(self._entries, self.shards, strict=True)
        ]
        self._copying = {(e.keyspace, e.shard) for e in self._entries if not e.gtid or e.table_p_ks}
        self._copies_every_shard = len(self._copying) == len(self._entries)
        running = [(stream, stream.groups()) for stream in streams]
        finished: list[ShardStream] = []
        while running:
            idle = True
            for item in list(running):
                stream, groups = item
                group = self._next(stream, groups)
                idle = idle and group is None
                if group:
                    yield self._with_completion(group)
                if stream.journal is not None and stream not in finished:
                    finished.append(stream)
                    running.remove(item)
                    running += self._after_journal(stream, finished, [s for s, _ in running])
            if idle and running:
                yield None
        yield from self._pause(STOP_PAUSE_SECONDS)

    def _next(self, stream: ShardStream, groups: Iterator[Group]) -> Group:
        entry = self._positions[stream.shard.keyspace, stream.shard.name]
        if stream.shard.down:
            text = "net.Dial(mysql.sock) to local server failed: connection refused (errno 2002)"
            raise StreamError(grpc.StatusCode.UNKNOWN, tablet_error(stream.shard, entry, text))
        try:
            group = next(groups)
        except StreamError as error:
            raise StreamError(error.code, tablet_error(stream.shard, entry, error.message)) from None
        return self._without_hidden_journal(group)

    def _without_hidden_journal(self, group: Group) -> Group:
        flags = self._request.flags
        if not group or flags.stop_on_reshard or flags.include_reshard_journal_events:
            return group
        return None if any(event.type == wire.JOURNAL for event in group) else group

    def _stream(self, entry: wire.ShardGtid, shard: Shard) -> ShardStream:
        tables = TableFilter(self._request.filter.rules)
        ask = Ask(tables, self._request.flags, self._limits.packet_bytes, self._vgtid)
        return ShardStream(self._storage, shard, entry, ask)

    def _vgtid(self, position: wire.ShardGtid) -> wire.VEvent:
        """The VGTID event of all shards after one of them moved."""
        self._positions[position.keyspace, position.shard].CopyFrom(position)
        event = wire.VEvent(type=wire.VGTID)
        event.vgtid.shard_gtids.extend(self._positions.values())
        return event

    def _with_completion(self, group: list[wire.VEvent]) -> list[wire.VEvent]:
        """Adds the unscoped COPY_COMPLETED once every shard of the request has ended its copy."""
        event = group[-1]
        if event.type != wire.COPY_COMPLETED:
            return group
        self._copying.discard((event.keyspace, event.shard))
        if self._copying or not self._copies_every_shard:
            return group
        return [*group, wire.VEvent(type=wire.COPY_COMPLETED)]

    def _after_journal(
        self, stream: ShardStream, finished: Sequence[ShardStream], running: Sequence[ShardStream]
    ) -> list[tuple[ShardStream, Iterator[Group]]]:
        """What follows a shard's journal: nothing when asked to stop, else the new shards.

        Raises:
            StreamError: The journal has participants that the stream does not hold.
        """
        journal = stream.journal
        if journal is None:
            return []
        held = {(s.shard.keyspace, s.shard.name) for s in (*finished, *running)}
        participants = {(p.keyspace, p.shard) for p in journal.participants}
        if not participants <= held:
            entry = self._positions[stream.shard.keyspace, stream.shard.name]
            text = (
                "error getting journal event: not all journaling participants are in the stream: "
                f"journal: {sorted(participants)}, stream: {sorted(held)}"
            )
            raise StreamError(grpc.StatusCode.INTERNAL, tablet_error(stream.shard, entry, text))
        done = {(s.shard.keyspace, s.shard.name) for s in finished}
        if self._request.flags.stop_on_reshard or not participants <= done:
            return []
        return self._migrated(journal)

    def _migrated(self, journal: wire.Journal) -> list[tuple[ShardStream, Iterator[Group]]]:
        """Streams of the new shards, in the place of the old ones."""
        for participant in journal.participants:
            self._positions.pop((participant.keyspace, participant.shard), None)
        streams = []
        for start in journal.shard_gtids:
            self._positions[start.keyspace, start.shard] = wire.ShardGtid()
            self._positions[start.keyspace, start.shard].CopyFrom(start)
            streams.append(self._stream(start, self._shard_of(start)))
        return [(stream, stream.groups()) for stream in streams]

    def _search_in_vain(self, shard: Shard) -> Iterator[Group]:
        """The silence of vtgate over a position that no tablet can serve, and its end."""
        yield from self._pause(self._limits.unservable_seconds)
        name = {wire.REPLICA: "REPLICA", wire.RDONLY: "RDONLY"}.get(self._request.tablet_type, "PRIMARY")
        text = (
            f"failed to find a {name} tablet for VStream in {shard.keyspace}/{shard.name} "
            "within the local cell(s): context has expired"
        )
        raise StreamError(grpc.StatusCode.CANCELLED, text)

    def _pause(self, seconds: float) -> Iterator[Group]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._is_cancelled():
            yield None


def _wrapped(entry: wire.ShardGtid, text: str) -> str:
    return f"error starting stream from shard GTID {entry}: {text}".replace("\n", " ")


def tablet_error(shard: Shard, entry: wire.ShardGtid, cause: str, code: str = "Unknown") -> str:
    """A tablet's error in vtgate's wrapping."""
    tablet = f"{shard.keyspace}/{shard.name} on tablet local-0000000001"
    trouble = (
        f"persistent error in vstream for {tablet}; giving up"
        if code == "Unknown"
        else f"error in vstream for {tablet}"
    )
    target = f"{shard.keyspace}.{shard.name}.primary"
    return _wrapped(entry, f"{trouble}: target: {target}: vttablet: rpc error: code = {code} desc = {cause}")
