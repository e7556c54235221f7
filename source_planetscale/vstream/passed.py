"""Transactions of other tables, which most of a busy log is: told from one look at many responses.

vtgate sends each of them as a response of three small events. Parsing and looking at every event costs more
than all else that is done for such a transaction; so the parser puts what matters of all of them into lists
(`PassedResponse` in vstream.proto), which are compared as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRANSACTION = [wire.BEGIN, wire.VGTID, wire.COMMIT]


@dataclass(frozen=True, slots=True)
class Passed:
    """Transactions of other tables, one after the other.

    Attributes:
        count: How many.
        entry: The position after the last of them.
        begun: When each was begun, in seconds since the epoch; empty if that is not known.
        newest: When the last of them was committed, likewise; 0 if that is not known.
        numbers: The number of each in its binlog file; empty if they have none.
        gtid: The GTID of the last of them; empty if they have no numbers.
    """

    count: int
    entry: wire.ShardGtid
    begun: Sequence[int]
    newest: int
    numbers: Sequence[int]
    gtid: str


def passed_by(raw: bytes, shard: str) -> Passed | None:
    """Reads transactions of other tables.

    Args:
        raw: A response of a stream that follows the binlog, serialized, or several one behind the other.
        shard: The shard of the stream.

    Returns:
        What they are; None if there is, or may be, anything else.
    """
    event = wire.PassedResponse.FromString(raw).events
    kinds = event.type[:]
    count = len(kinds) // len(_TRANSACTION)
    if not count or kinds != _TRANSACTION * count:
        return None
    numbers, timestamps = event.sequence_number[:], event.timestamp[:]
    begins = numbers[::2]
    # vtgate makes the VGTIDs, without a time and a number; other events have both, or none in old versions.
    if len(timestamps) not in (0, 2 * count) or len(numbers) not in (0, 2 * count) or begins != numbers[1::2]:
        return None
    entries = [entry for entry in wire.VGtid.FromString(event.vgtid).shard_gtids if entry.shard == shard]
    if not entries:
        return None
    newest = timestamps[-1] if timestamps else 0
    return Passed(count, entries[0], timestamps[::2], newest, begins, event.event_gtid.decode())
