"""Where tables live now that were moved to another keyspace (MoveTables)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from source_planetscale.endpoint import TabletType
from source_planetscale.mysql.database import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from source_planetscale.mysql.replicas import Asked

    Ask = Callable[[str], Sequence[tuple[Any, ...]] | str]

_TABLES_AT_ONCE = 100
# In a transaction vtgate does not keep a query waiting for the end of a move, which takes it 20 s.
_BEGIN = ("begin", "select 1 from information_schema.tables limit 1")
# What vttablet says of a table that it serves no more (vttablet/tabletserver/tabletserver.go).
_DENIED = "denied tables"
# What writes to this shard what is written elsewhere: a move that was switched and is not completed.
_FOLLOWED = "select source from _vt.vreplication where state not in ('Stopped', 'Error')"
_KEYSPACE = re.compile(r'"Keyspace":\s*\{\s*"Name":\s*"([^"]*)"')
# Traffic is switched within seconds; meanwhile a table is served nowhere.
_SWITCH_SECONDS = 10.0
_LOOK_SECONDS = 1.0


def moved_away(
    database: Asked, keyspace: str, shard: str, tables: Sequence[str], seconds: float = _SWITCH_SECONDS
) -> dict[str, str | None]:
    """Finds tables that are still there and get no changes any more, since they were moved away for good.

    Args:
        database: Whom to ask.
        keyspace: The keyspace.
        shard: One of its shards.
        tables: The tables.
        seconds: How long a switch of traffic may take.

    Returns:
        Table -> the keyspace where it lives now, or None if that is not told.

    Raises:
        SourceError: There was no answer.
    """
    end = time.monotonic() + seconds
    while True:
        with database.session(shard, TabletType.PRIMARY) as ask:
            tables = _denied(ask, tables)
            tables = _not_followed(ask, tables) if tables else []
        homes = {table: home_of(database, table) for table in tables}
        # Before the new keyspace serves a table, the name leads to the old one.
        settled = all(home not in (None, keyspace) for home in homes.values())
        if settled or time.monotonic() >= end:
            return {table: None if home == keyspace else home for table, home in homes.items()}
        time.sleep(_LOOK_SECONDS)


def home_of(database: Asked, table: str) -> str | None:
    """Tells which keyspace vtgate takes a table from that is asked for by its bare name; None if unknown."""
    with database.session(anywhere=True) as ask:
        plan = ask(f"vexplain plan select 1 from {quoted(table)} limit 1")  # noqa: S608 - quoted
    found = None if isinstance(plan, str) else _KEYSPACE.search(str(plan[0][0]))
    return found[1] if found else None


def _denied(ask: Ask, tables: Sequence[str]) -> list[str]:
    for statement in _BEGIN:
        ask(statement)
    groups = [tables[first : first + _TABLES_AT_ONCE] for first in range(0, len(tables), _TABLES_AT_ONCE)]
    denied: list[str] = []
    while groups:
        group = groups.pop()
        parts = ", ".join(f"(select 1 from {quoted(table)} limit 1)" for table in group)  # noqa: S608 - quoted
        told = ask(f"select {parts}")
        if not isinstance(told, str) or _DENIED not in told:
            continue
        if len(group) == 1:
            denied += group
        else:
            middle = len(group) // 2
            groups += [group[:middle], group[middle:]]
    ask("rollback")
    return denied


def _not_followed(ask: Ask, tables: Sequence[str]) -> list[str]:
    rows = ask(_FOLLOWED)
    if isinstance(rows, str):
        return []
    sources = [row[0].decode() if isinstance(row[0], bytes) else str(row[0]) for row in rows]
    return [table for table in tables if not any(f'match:"{table}"' in source for source in sources)]
