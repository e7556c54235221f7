"""What of a server's settings, tablets and tables will trouble a sync: pure judgement over what SQL says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.endpoint import TabletType
from source_planetscale.vstream.position import Position, PositionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from source_planetscale.endpoint import Keyspace
    from source_planetscale.table import Table

VARIABLES_QUERY = """
    show global variables where variable_name in (
        'log_bin', 'gtid_mode', 'binlog_format', 'binlog_row_image', 'binlog_row_value_options',
        'binlog_expire_logs_seconds', 'log_replica_updates', 'log_slave_updates')"""
"""Names that a server does not know are left out of the answer."""
EXECUTED_QUERY = "select @@global.gtid_executed"
TABLETS_QUERY = "show vitess_tablets"
"""Its rows: cell, keyspace, shard, tablet type, state and more."""

_DAY_SECONDS = 24 * 3600
_LISTED = 5
# Setting -> what it has to be, what happens otherwise, and the values that no incremental sync survives.
_WANTED = {
    "log_bin": ("ON", "the server writes no binary log", {"OFF"}),
    "gtid_mode": ("ON", "transactions have no GTIDs", {"OFF"}),
    "binlog_format": ("ROW", "changes come as statements, without rows", {"STATEMENT"}),
    "binlog_row_image": ("FULL", "changes come without the whole row", {"MINIMAL"}),
    "binlog_row_value_options": (
        "",
        "changes of JSON come in parts, which ends a sync, or is passed over by Vitess 21",
        set(),
    ),
}


@dataclass(frozen=True)
class Finding:
    """Something that a sync will meet.

    Attributes:
        sentence: What it is, where, and what to do.
        fatal: Whether syncs fail because of it.
    """

    sentence: str
    fatal: bool = False


class Tablet(NamedTuple):
    """A row of `TABLETS_QUERY`, as far as it counts."""

    cell: str
    keyspace: str
    shard: str
    tablet_type: str
    state: str


def about_settings(where: str, tablet_type: TabletType, variables: Mapping[str, str]) -> Iterator[Finding]:
    """Judges the settings of the MySQL server of a tablet.

    Args:
        where: The tablet, such as "shard -80 (primary)".
        tablet_type: Its kind.
        variables: Name -> value; those that are unknown may be left out.
    """
    for name, (wanted, consequence, hopeless) in _WANTED.items():
        value = variables.get(name)
        if value is not None and value.upper() != wanted:
            advice = f"Set it to {wanted}." if wanted else "Set it to nothing."
            yield Finding(f"MySQL of {where} has {name}={value}: {consequence}. {advice}", value in hopeless)
    logged = variables.get("log_replica_updates", variables.get("log_slave_updates", "ON"))
    if tablet_type is not TabletType.PRIMARY and logged.upper() != "ON":
        yield Finding(
            f"MySQL of {where} has log_replica_updates={logged}: a replica without it has no changes to "
            "send. Set it to ON, or read from the primary.",
            True,
        )
    kept = variables.get("binlog_expire_logs_seconds", "0")
    if kept.isdecimal() and 0 < int(kept) < _DAY_SECONDS:
        yield Finding(
            f"MySQL of {where} keeps binary logs for {int(kept) / 3600:.1f} hours "
            f"(binlog_expire_logs_seconds={kept}). A sync that starts later than that after the one before "
            "finds its position purged: keep them for a day or more, or sync more often."
        )


def about_positions(where: str, executed: str) -> Iterator[Finding]:
    """Judges what a server has executed.

    Args:
        where: As `about_settings`.
        executed: Its `gtid_executed`.
    """
    try:
        sources = Position.from_gtid_set(executed).members
    except PositionError:
        return
    tagged = [source for source in sources if ":" in source]
    if tagged:
        yield Finding(
            f"MySQL of {where} has executed transactions with tagged GTIDs ({tagged[0]}), which Vitess "
            "cannot read: it opens no new stream from there. Do not set a tag in gtid_next; a server that "
            "has some has to be replaced by one without them.",
            True,
        )


def about_missing_tablets(
    keyspace: Keyspace, shards: Sequence[str], tablets: Iterable[Tablet]
) -> Iterator[Finding]:
    """Says which shards have no tablet that serves, once one of them did not answer.

    Args:
        keyspace: What is configured.
        shards: The shards that are read.
        tablets: The tablets that vtgate watches; those of other cells may not be among them.
    """
    serving = _cells_that_serve(keyspace, shards, tablets)
    without = [shard for shard in shards if not serving[shard]]
    if without:
        yield Finding(
            f"No {keyspace.tablet_type.value} tablet serves shard(s) {_some(without)} of keyspace "
            f"{keyspace.name}. Start one there, or choose another kind of tablet with use_replica and "
            "use_rdonly.",
            True,
        )


def about_cells(keyspace: Keyspace, shards: Sequence[str], tablets: Iterable[Tablet]) -> Iterator[Finding]:
    """Judges whether the tablets are in the cells that are configured; arguments as before."""
    cells = {cell.strip() for cell in keyspace.cells.split(",") if cell.strip()}
    serving = _cells_that_serve(keyspace, shards, tablets)
    elsewhere = [shard for shard in shards if cells and serving[shard] and not serving[shard] & cells]
    if elsewhere:
        others = sorted(set().union(*(serving[shard] for shard in elsewhere)))
        yield Finding(
            f"The {keyspace.tablet_type.value} tablets of shard(s) {_some(elsewhere)} of keyspace "
            f"{keyspace.name} are in cell(s) {_some(others)}, not in {', '.join(sorted(cells))}. Correct "
            "cells or leave it empty, unless what it lists are aliases of cells."
        )


def about_tables(keyspace: Keyspace, tables: Sequence[Table]) -> Iterator[Finding]:
    """Judges the tables that discovery lists."""
    if not tables and keyspace.table_patterns:
        yield Finding(
            f"No table of keyspace {keyspace.name} matches {_some(keyspace.table_patterns)}. Correct "
            "table_filters or leave it empty.",
            True,
        )
    elif not tables:
        yield Finding(f"Keyspace {keyspace.name} has no tables, or the user may read none of them.")
    keyless = [table.name for table in tables if not table.primary_key]
    if keyless:
        yield Finding(
            f"{len(keyless)} table(s) of keyspace {keyspace.name} have no primary key ({_some(keyless)}): "
            "they can be appended, not deduplicated, and an interrupted copy of them begins again."
        )


def about_rights(keyspace: Keyspace, told: Mapping[str, str | None]) -> Iterator[Finding]:
    """Judges whether the user may read the tables.

    Args:
        keyspace: What is configured.
        told: Table -> what the server said when a row was asked for; None if it gave one.
    """
    refused = {table: text for table, text in told.items() if text is not None}
    if not refused:
        return
    name, text = next(iter(refused.items()))
    yield Finding(
        f"{len(refused)} of {len(told)} tables of keyspace {keyspace.name} that were tried cannot be read "
        f"({_some(list(refused))}); of {name} the server says: {text}. Give the user read access, or leave "
        "these streams out.",
        fatal=len(refused) == len(told),
    )


def about_starting_positions(
    keyspace: Keyspace, known: Sequence[str], starting: Mapping[str, Mapping[str, str]]
) -> Iterator[Finding]:
    """Judges whether `starting_gtids` names what there is.

    Args:
        keyspace: What is configured.
        known: The shards of the keyspace.
        starting: keyspace -> shard -> position.
    """
    unknown = [f"{name}" for name in starting if name != keyspace.name]
    unknown += [f"{keyspace.name}/{shard}" for shard in starting.get(keyspace.name, ()) if shard not in known]
    if unknown:
        yield Finding(
            f"starting_gtids names {_some(unknown)}, which this source does not read; that part of it does "
            f"nothing. The keyspace is {keyspace.name}, its shards are {', '.join(known)}."
        )


def _cells_that_serve(
    keyspace: Keyspace, shards: Sequence[str], tablets: Iterable[Tablet]
) -> dict[str, set[str]]:
    serving: dict[str, set[str]] = {shard: set() for shard in shards}
    for tablet in tablets:
        of_this_kind = tablet.tablet_type.lower() == keyspace.tablet_type.value
        here = tablet.keyspace == keyspace.name and tablet.shard in serving
        if here and of_this_kind and tablet.state == "SERVING":
            serving[tablet.shard].add(tablet.cell)
    return serving


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
