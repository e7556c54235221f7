"""What all reads of one sync share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from source_planetscale.sync.delivery import Deliveries
from source_planetscale.sync.tasks import Tasks

if TYPE_CHECKING:
    import logging
    import threading

    from source_planetscale.config import Config
    from source_planetscale.records.sequence import ChangeSequence
    from source_planetscale.workers.crew import Crew

# Enough to keep the emitting thread busy, and little beside the memory of the process.
_BUFFERED_BYTES = 2 << 20


@dataclass
class Sync:
    """The connections, numbers and switches of one sync.

    Attributes:
        config: The configuration.
        records: Numbers the records of the whole sync.
        logger: Where a person follows the sync.
        interrupted: Set when the process is told to stop.
        batched: Whether records leave in batches or one by one.
        heartbeat: Whether states are the only sign of life that the platform sees.
        crew: The processes that help to read; None if there are none.
        deliveries: What was read and waits to be emitted.
        tasks: The threads that read.
    """

    config: Config
    records: ChangeSequence
    logger: logging.Logger
    interrupted: threading.Event
    batched: bool
    heartbeat: bool = False
    crew: Crew | None = None
    deliveries: Deliveries = field(default_factory=lambda: Deliveries(_BUFFERED_BYTES))
    tasks: Tasks = field(init=False)

    def __post_init__(self) -> None:
        """Makes the threads' owner, which needs some of the rest."""
        self.tasks = Tasks(self.deliveries, self.interrupted, self.crew)
