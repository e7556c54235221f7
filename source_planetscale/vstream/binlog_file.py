"""Where a stream passes from one binlog file into the next."""

from __future__ import annotations

from dataclasses import dataclass
from operator import lt
from typing import TYPE_CHECKING

from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The time of a start is the difference of two whole seconds.
_SECONDS_AROUND_A_START = 2


def start_is_unknown() -> None:
    """Tells nothing of when MySQL was started."""


@dataclass(slots=True)
class BinlogFile:
    """The binlog file that one stream reads.

    MySQL numbers the transactions of each file from 1 on, and begins a new file whenever it starts. Vitess
    before 23 does not send the numbers. There, what was begun before MySQL's last start is told from what was
    begun after it by the time: the stream is parted at every second around the start.

    Attributes:
        started: Tells when MySQL was started, in seconds since the epoch, or None if that is not known. It is
            asked once, and only where there are no numbers.
        sequence_number: The number of the last transaction that was seen; 0 before the first.
        gtid: Its GTID.
        seconds: Where there are no numbers, the seconds in which the next file may begin, in order; None
            before the first transaction.
    """

    started: Callable[[], int | None] = start_is_unknown
    sequence_number: int = 0
    gtid: str = ""
    seconds: tuple[int, ...] | None = None

    def holds(self, event: wire.VEvent) -> bool:
        """Whether an event stands in this file as well; if so, its transaction becomes the last one.

        Args:
            event: An event of the stream, in order. Those of the copy phase have no number and no time, and
                always belong.
        """
        number = event.sequence_number
        if not number:
            # A transaction may end seconds after it began.
            return event.type == wire.COMMIT or not event.timestamp or self._holds_times([event.timestamp])
        if number > self.sequence_number:
            self.sequence_number, self.gtid = number, event.event_gtid
            return True
        # vtgate repeats a transaction that it begins anew.
        return number == self.sequence_number and event.event_gtid == self.gtid

    def holds_all(self, numbers: Sequence[int], gtid: str, times: Sequence[int]) -> bool:
        """Whether whole transactions surely stand in this file; if so, the last of them becomes the last one.

        Args:
            numbers: Their numbers, in order; none before Vitess 23.
            gtid: The GTID of the last of them.
            times: When each was begun, in seconds since the epoch; none if that is not known.
        """
        if not numbers:
            return not times or self._holds_times(times)
        if numbers[0] <= self.sequence_number or not all(map(lt, numbers, numbers[1:])):
            return False
        self.sequence_number, self.gtid = numbers[-1], gtid
        return True

    def _holds_times(self, times: Sequence[int]) -> bool:
        if self.seconds is None:
            start = self.started()
            around = _SECONDS_AROUND_A_START
            around_start = () if start is None else range(start - around, start + around + 1)
            # The stream knows nothing of a file before that of its first transaction.
            self.seconds = tuple(second for second in around_start if second > times[0])
        return not self.seconds or max(times) < self.seconds[0]
