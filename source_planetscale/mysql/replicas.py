"""What the replicas of a shard tell of themselves, of which vtgate has any one answer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from source_planetscale.mysql.readiness import TABLETS_QUERY, Tablet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from source_planetscale.endpoint import Keyspace, TabletType

_PURGED = "select @@global.server_uuid, @@global.gtid_purged"
# vtgate draws a tablet for each statement: so many draws miss one of two in 1 of 256 cases.
_DRAWS_FOR_EACH = 8
# Its rows: keyspace, shard, tablet type, alias, host, source, health, lag in seconds and more.
_REPLICATION = "show vitess_replication_status"
_LAG = 7


class Asked(Protocol):
    """A database that can be asked; `Database` asks a real one."""

    def session(
        self, shard: str | None = None, tablet_type: TabletType | None = None, *, anywhere: bool = False
    ) -> AbstractContextManager[Callable[[str], Sequence[tuple[Any, ...]] | str]]:
        """Opens a connection; see `Database.session`."""
        ...


def purged_sets(database: Asked, keyspace: Keyspace, shard: str) -> list[str]:
    """Tells what is gone from the binary logs of each of the tablets that may stream a shard.

    Args:
        database: Whom to ask.
        keyspace: What is read.
        shard: The shard.

    Returns:
        GTID sets, without flavor prefix; an empty one for a tablet that there is and that did not answer.

    Raises:
        SourceError: There was no answer.
    """
    purged: dict[str, str] = {}
    # A shard that is addressed passes statements on to its tablet.
    with database.session() as ask:
        listed = ask(TABLETS_QUERY)
    tablets = [] if isinstance(listed, str) else [Tablet(*row[: len(Tablet._fields)]) for row in listed]
    wanted = (keyspace.name, shard, keyspace.tablet_type.value, "SERVING")
    cells = Counter(
        cell for cell, name, place, kind, state in tablets if (name, place, kind.lower(), state) == wanted
    )
    # vtgate reads from its own cell, whichever that is.
    count = max(cells.values(), default=1)
    with database.session(shard) as ask:
        for _ in range(_DRAWS_FOR_EACH * count):
            rows = ask(_PURGED)
            if isinstance(rows, str):
                break
            ((server, gone),) = rows
            purged[server] = str(gone).replace("\n", "")
            if len(purged) == count:
                break
    return [*purged.values(), *[""] * (count - len(purged))]


def lags(database: Asked, keyspace: Keyspace, shard: str) -> list[int | None]:
    """Tells how far the tablets that may stream a shard are behind its primary.

    Args:
        database: Whom to ask.
        keyspace: What is read.
        shard: The shard.

    Returns:
        Seconds for each tablet, None for one that does not replicate; nothing where that is not told.

    Raises:
        SourceError: There was no answer.
    """
    with database.session() as ask:
        listed = ask(_REPLICATION)
    if isinstance(listed, str):
        return []
    wanted = (keyspace.name, shard, keyspace.tablet_type.value)
    told = [str(row[_LAG]) for row in listed if (row[0], row[1], str(row[2]).lower()) == wanted]
    return [int(lag) if lag.isdecimal() else None for lag in told]
