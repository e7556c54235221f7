"""What the connector and its workers say to each other about one task."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from source_planetscale.config import Config
    from source_planetscale.errors import SourceError
    from source_planetscale.follow.member import Member
    from source_planetscale.records.layout import Format
    from source_planetscale.table import Table
    from source_planetscale.vstream.cursor import Cursor
    from source_planetscale.vstream.position import Position
    from source_planetscale.vstream.wire import vstream_pb2 as wire


# What is for the connector alone, which ends its workers.
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Outlet:
    """The records of one table.

    Attributes:
        table: The table.
        namespace: The namespace of the records; they have none if None.
        wanted: The names of the table's columns that records are to have; None for all.
        properties: The JSON schema of each property that records may have; None for every column.
    """

    table: Table
    namespace: str | None = None
    wanted: frozenset[str] | None = None
    properties: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Order:
    """A task: tables of one shard that are to be read.

    Attributes:
        name: What sets its partitions apart from those of all other tasks.
        config: The configuration, without detours.
        detours: Port -> where to connect instead.
        members: The tables.
        outlets: Their records, by table.
        stop: Where the reading of the shard ends.
        form: The format of the records.
        streams: Among how many streams the memory for what is under way is divided.
    """

    name: str
    config: Config
    detours: Mapping[int, tuple[str, int]]
    members: list[Member]
    outlets: Mapping[str, Outlet]
    stop: Position
    form: Format
    streams: int


@dataclass(frozen=True)
class Told:
    """What the reading brought one table; its rows stand beside the message, laid out.

    Attributes:
        table: The table's name.
        cursor: Where the table stands, as far as it may be saved: all its rows so far are in partitions that
            have been closed.
        count: The number of rows.
        copied: Whether all rows come from the copy.
        partition: The partition of the rows; empty if there are none.
        closes: Whether the partition ends here, so that a state has to name it.
        ended: There is nothing more of this table.
        error: Why it ended before the stop position, or None.
        journal: The reshard at which it ended, or None.
        anew: The table had been copied, and its copy begins again.
    """

    table: str
    cursor: Cursor
    count: int = 0
    copied: bool = False
    partition: str = ""
    closes: bool = False
    ended: bool = False
    error: SourceError | None = None
    journal: wire.Journal | None = None
    anew: bool = False


@dataclass(frozen=True)
class NumbersAsked:
    """The worker needs numbers that order records.

    Attributes:
        table: The table whose changes they order; empty for those of the metadata.
        count: How many.
    """

    table: str
    count: int


@dataclass(frozen=True)
class TroubleAsked:
    """The worker wants to know what stands in the way to a port."""

    port: int


@dataclass(frozen=True)
class Answer:
    """What was asked for."""

    value: Any


@dataclass(frozen=True)
class Said:
    """A line for the log.

    Attributes:
        level: One of `logging`'s.
        text: The line.
    """

    level: int
    text: str


@dataclass(frozen=True)
class HeldBack:
    """Whether Vitess throttles the stream; sent when that changes."""

    value: bool


@dataclass(frozen=True)
class Failed:
    """A defect ended the task; `words` tell of it."""

    words: str


@dataclass(frozen=True)
class Finished:
    """The task is over.

    Attributes:
        opened: The number of VStreams that it opened.
        whole: Whether all its tables have ended; otherwise it was told to stop before.
    """

    opened: int
    whole: bool = True


@dataclass(frozen=True)
class Freed:
    """A slot of the memory that both share may be written again."""

    slot: int
