"""What tests of following a shard share: a core on fakes, and a view of what came."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from source_planetscale.follow.core import Core
from source_planetscale.follow.patience import Patience
from source_planetscale.follow.positions import ShardPositions
from source_planetscale.follow.shard import ShardFollower
from unit_tests.support.events import SHARD
from unit_tests.support.fakes import FakeDatabase, FakeVtgate
from unit_tests.support.readers import images

if TYPE_CHECKING:
    from source_planetscale.errors import SourceError
    from source_planetscale.follow.member import Member, Step
    from source_planetscale.vstream.cursor import Cursor
    from unit_tests.support.fakes import Script


@dataclass
class Followed:
    """What following a shard gave.

    Attributes:
        values: The values of each table's rows.
        targets: The names of today of the columns of each table's last rows.
        rows: The rows of all tables by the names of their columns.
        cursors: The cursors of all steps.
        ended: The last step of each table.
    """

    values: dict[str, list[tuple[bytes | None, ...]]] = field(default_factory=dict)
    targets: dict[str, list[str | None]] = field(default_factory=dict)
    rows: list[dict[str, bytes | None]] = field(default_factory=list)
    cursors: list[Cursor] = field(default_factory=list)
    ended: dict[str, Step] = field(default_factory=dict)

    @property
    def ids(self) -> dict[str, list[int]]:
        return {name: [int(value[0] or b"") for value in rows] for name, rows in self.values.items()}

    @property
    def errors(self) -> dict[str, SourceError]:
        return {name: step.error for name, step in self.ended.items() if step.error is not None}

    @property
    def positions(self) -> dict[str, str]:
        return {name: step.cursor.position for name, step in self.ended.items()}


def core_of(vtgate: FakeVtgate, database: FakeDatabase, **more: Any) -> Core:
    """With what a shard is read; `more` are `resync` and `track_changes`."""
    patience = Patience(
        max_retries=2, timeout_seconds=60, least_seconds=0, copies_again=more.get("resync", False)
    )
    positions = ShardPositions(patience, vtgate, database, threading.Event())
    return Core(
        vtgate,
        database,
        positions,
        patience,
        logging.getLogger("test"),
        track_changes=more.get("track_changes", False),
    )


def followed(
    vtgate: FakeVtgate, *members: Member, database: FakeDatabase | None = None, **more: Any
) -> Followed:
    """Follows tables of a shard to its stop position."""
    database = database or FakeDatabase(found=[member.table for member in members])
    follower = ShardFollower(core_of(vtgate, database, **more), members, threading.Event())
    result = Followed()
    for step in follower.steps():
        for run in step.runs:
            assert run.table == step.table
            rows = images([run])
            targets = [column.target.name if column.target else None for column in run.fields.columns]
            result.values.setdefault(step.table, []).extend(map(tuple, rows))
            result.targets[step.table] = targets
            result.rows += [dict(zip([name or "" for name in targets], row, strict=True)) for row in rows]
        result.cursors.append(step.cursor)
        if step.ended:
            assert step.table not in result.ended
            result.ended[step.table] = step
    return result


def scripted(*scripts: Script) -> FakeVtgate:
    """A server that gives these scripts, one after the other."""
    return FakeVtgate({SHARD: list(scripts)})
