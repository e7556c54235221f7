"""Where a stream passes from one binlog file into the next."""

from __future__ import annotations

from dataclasses import dataclass
from operator import lt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.vstream.wire import vstream_pb2 as wire


@dataclass(slots=True)
class BinlogFile:
    """The binlog file that one stream reads.

    MySQL numbers the transactions of each file from 1 on, and begins a new file whenever it starts.

    Attributes:
        sequence_number: The number of the last transaction that was seen; 0 before the first.
        gtid: Its GTID.
    """

    sequence_number: int = 0
    gtid: str = ""

    def holds(self, event: wire.VEvent) -> bool:
        """Whether an event stands in this file as well; if so, its transaction becomes the last one.

        Args:
            event: An event of the stream, in order. Those of the copy phase, and all of a Vitess before
                23, have no number and always belong.
        """
        number = event.sequence_number
        if not number:
            return True
        if number > self.sequence_number:
            self.sequence_number, self.gtid = number, event.event_gtid
            return True
        # vtgate repeats a transaction that it begins anew.
        return number == self.sequence_number and event.event_gtid == self.gtid

    def holds_all(self, numbers: Sequence[int], gtid: str) -> bool:
        """Whether whole transactions surely stand in this file; if so, the last of them becomes the last one.

        Args:
            numbers: Their numbers, in order; none before Vitess 23.
            gtid: The GTID of the last of them.
        """
        if not numbers:
            return True
        if numbers[0] <= self.sequence_number or not all(map(lt, numbers, numbers[1:])):
            return False
        self.sequence_number, self.gtid = numbers[-1], gtid
        return True
