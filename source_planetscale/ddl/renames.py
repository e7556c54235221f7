"""Which table stands under which name after a series of renames, and whether a migration tool did it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from source_planetscale.ddl.statement import Effect, TableChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.ddl.reader import TableName

# Online DDL's copy of a table: its names since Vitess 19 and before, character classes as in Vitess.
_VITESS_COPY = re.compile(
    r"_vt_vrp_[0-f]{32}_[0-9]{14}_|_[0-f]{8}(?:_[0-f]{4}){3}_[0-f]{12}_[0-9]{14}_(?:vrepl|gho|new)"
)
_LONGEST_NAME = 64


def renamed(pairs: Sequence[tuple[TableName, TableName]]) -> tuple[TableChange, ...]:
    """Says what renames, done one after the other, mean for every name in them.

    Args:
        pairs: The name before and the name after of each.

    Returns:
        A change for each name under which another table stands now, or none. A table that has its own
        name back is unchanged.
    """
    # Name -> the name at the beginning of what stands there now; None where nothing does.
    now: dict[TableName, TableName | None] = {}
    for before, after in pairs:
        moved = now.get(before, before)
        now[before] = None
        now[after] = moved
    changes = []
    for name, origin in now.items():
        if origin is None:
            changes.append(TableChange(name, frozenset({Effect.RENAMED_AWAY}), None))
        elif origin != name:
            kind = Effect.CUTOVER if _is_cutover(name, origin, now) else Effect.ROWS_EXCHANGED
            changes.append(TableChange(name, frozenset({kind, Effect.SHAPE}), None))
        else:
            changes.append(TableChange(name, frozenset({Effect.HARMLESS})))
    return tuple(changes)


def _is_cutover(name: TableName, origin: TableName, now: dict[TableName, TableName | None]) -> bool:
    if name.qualifier and origin.qualifier and name.qualifier != origin.qualifier:
        return False
    if _VITESS_COPY.fullmatch(origin.name) or origin.name in _copies(name.name, "gho"):
        return True
    # Names that a person might choose as well count only where the old table makes way.
    olds = {other.name for other, stands in now.items() if stands == name}
    return any(_is_pair(name.name, origin.name, old) for old in olds)


def _is_pair(table: str, copy: str, old: str) -> bool:
    """Whether names of a copy and of an old table are those of pt-osc, Spirit, LHM or Facebook's OSC."""
    stem = _stem(table, "_old")
    return (
        (copy.lstrip("_") in (f"{table}_new", f"{stem}_new") and old.startswith("_") and "_old" in old)
        or (copy == f"lhmn_{table}"[:_LONGEST_NAME] and old.startswith("lhma_"))
        or (copy == f"__osc_new_{table}" and old == f"__osc_old_{table}")
    )


def _copies(table: str, suffix: str) -> tuple[str, ...]:
    return f"_{table}_{suffix}", f"_{_stem(table, '_' + suffix)}_{suffix}"


def _stem(table: str, suffix: str) -> str:
    """As much of a name as fits between an underscore and a suffix."""
    return table[: _LONGEST_NAME - len(suffix) - 1]
