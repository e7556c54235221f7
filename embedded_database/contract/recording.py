"""Records a VStream in a form that compares: one line per response, without positions, times and noise.

A line such as `{BEGIN FIELD t ROW t (1,a)>(1,z) V COMMIT}` has an event per word; `V` is a VGTID, `V(t:3)`
one with a last primary key. Cells stand without quotes, `-` is NULL, `.` a missing image.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Iterable

METHOD = "/vtgateservice.Vitess/VStream"
# A stream that gives nothing for so long has failed the test.
SECONDS = 30.0

Responses = list[list[wire.VEvent]]
Until = Callable[[Responses], bool]


@dataclass
class Request:
    """A stream to record.

    Attributes:
        gtids: Shard -> position.
        last_pks: Unfinished copies, given to each shard.
        tables: Table -> filter; an empty filter means all columns.
        flags: Flags by name.
    """

    keyspace: str
    gtids: dict[str, str]
    tables: dict[str, str]
    last_pks: Sequence[wire.TableLastPK] = ()
    flags: dict[str, object] = field(default_factory=dict)

    def message(self) -> wire.VStreamRequest:
        """The request as it is sent."""
        request = wire.VStreamRequest(tablet_type=wire.PRIMARY)
        for shard, gtid in self.gtids.items():
            entry = request.vgtid.shard_gtids.add(keyspace=self.keyspace, shard=shard, gtid=gtid)
            entry.table_p_ks.extend(self.last_pks)
        for table, select in self.tables.items():
            request.filter.rules.add(match=table, filter=select)
        for name, value in self.flags.items():
            setattr(request.flags, name, value)
        return request


@dataclass
class Recording:
    """What a stream sent.

    Attributes:
        responses: The events of each response.
        code: The status that ended it, empty if the recorder hung up.
        details: The status text.
    """

    responses: Responses
    code: str = ""
    details: str = ""

    @property
    def lines(self) -> list[str]:
        """The stream, without the empty transactions that other work on the server makes."""
        return [line for group in self.responses if not is_noise(group) for line in [spelled(group)]]

    def events(self, kind: wire.VEventType.ValueType) -> list[wire.VEvent]:
        """All events of a type."""
        return [event for group in self.responses for event in group if event.type == kind]

    @property
    def fields(self) -> list[wire.Field]:
        """The columns of the last FIELD event."""
        return list(self.events(wire.FIELD)[-1].field_event.fields)

    @property
    def rows(self) -> list[list[bytes | None]]:
        """The after-images of all rows."""
        return [
            cells_of(change.after)
            for event in self.events(wire.ROW)
            for change in event.row_event.row_changes
            if change.HasField("after")
        ]


def record(port: int, request: Request, until: Until, started: Callable[[], None] | None = None) -> Recording:
    """Reads a stream until a condition holds or it ends.

    Args:
        port: The server's port on this host.
        request: What to stream.
        until: Asked after each response.
        started: Called once the first response is there.
    """
    # A pool of its own keeps the pause after a cut connection away from the next stream.
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
    responses: Responses = []
    with channel:
        call = channel.unary_stream(
            METHOD,
            request_serializer=wire.VStreamRequest.SerializeToString,
            response_deserializer=wire.VStreamResponse.FromString,
        )(request.message(), timeout=SECONDS)
        try:
            for response in call:
                responses.append(list(response.events))
                if started and len(responses) == 1:
                    started()
                if until(responses):
                    call.cancel()  # type: ignore[no-untyped-call]  # the stubs leave it out
                    return Recording(responses)
        except grpc.RpcError as error:
            return Recording(responses, error.code().name, error.details() or "")
    return Recording(responses, "OK")


def copied(responses: Responses) -> bool:
    """Whether every shard's copy has ended."""
    return any(event.type == wire.COPY_COMPLETED and not event.shard for event in responses[-1])


def seen(cell: bytes) -> Until:
    """A condition: a row with that first cell came, and its transaction has ended."""

    def until(responses: Responses) -> bool:
        return responses[-1][-1].type == wire.COMMIT and any(
            change.HasField("after") and cells_of(change.after)[0] == cell
            for event in itertools.chain(*responses)
            for change in event.row_event.row_changes
        )

    return until


def responses_at_least(count: int) -> Until:
    """A condition: so many responses came."""
    return lambda responses: len(responses) >= count


def is_noise(group: Sequence[wire.VEvent]) -> bool:
    """Whether a response tells no more than a new position of the catch-up phase."""
    kinds = [event.type for event in group]
    is_empty = kinds in ([wire.BEGIN, wire.VGTID, wire.COMMIT], [wire.VGTID, wire.OTHER])
    return is_empty and group[-1].timestamp > 0


def cells_of(row: wire.Row) -> list[bytes | None]:
    """A row's cells."""
    cells: list[bytes | None] = []
    at = 0
    for length in row.lengths:
        cells.append(None if length < 0 else row.values[at : at + length])
        at += max(length, 0)
    return cells


def spelled(group: Iterable[wire.VEvent]) -> str:
    """One response as a line."""
    return "{" + " ".join(_event(event) for event in group) + "}"


def _event(event: wire.VEvent) -> str:
    kind = wire.VEventType.Name(event.type)
    if event.type == wire.VGTID:
        return "V" + "".join(_last_pk(entry) for entry in event.vgtid.shard_gtids)
    if event.type == wire.FIELD:
        return f"FIELD {_bare(event.field_event.table_name)}"
    if event.type == wire.ROW:
        changes = " ".join(_change(change) for change in event.row_event.row_changes)
        return f"ROW {_bare(event.row_event.table_name)} {changes}"
    if event.type == wire.DDL:
        return f"DDL {event.statement.lower()}"
    if event.type == wire.COPY_COMPLETED:
        return f"{kind} {event.shard}".strip()
    return kind


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _last_pk(entry: wire.ShardGtid) -> str:
    parts = [
        f"{last.table_name}:{','.join(_cell(cell) for cell in cells_of(last.lastpk.rows[0]))}"
        for last in entry.table_p_ks
    ]
    return f"({' '.join(parts)})" if parts else ""


def _change(change: wire.RowChange) -> str:
    before = _image(change.before) if change.HasField("before") else "."
    after = _image(change.after) if change.HasField("after") else "."
    return f"{before}>{after}"


def _image(row: wire.Row) -> str:
    return f"({','.join(_cell(cell) for cell in cells_of(row))})"


def _cell(cell: bytes | None) -> str:
    return "-" if cell is None else cell.decode("utf-8", "backslashreplace")
