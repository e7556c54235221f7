"""Sentences on what happened to a shard and what to do about it; none holds a key value or a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from source_planetscale.follow.statements import statement_of
from source_planetscale.vstream.images import IncompleteRow
from source_planetscale.vstream.table_reader import RowsExchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.endpoint import Endpoint, Keyspace
    from source_planetscale.vstream.errors import VStreamError

_NAMES_SHOWN = 5
_NAMES_LISTED = 100
_POSITION_SHOWN = 200
_BEHIND_SECONDS = 5


def explain(error: VStreamError, endpoint: Endpoint, keyspace: Keyspace) -> str:
    """Turns a broken stream into words that say what to do.

    Args:
        error: The error.
        endpoint: vtgate's gRPC port.
        keyspace: What was to be read.

    Returns:
        A sentence or two without secrets and without key values.
    """
    code = error.code.name
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return (
            f"vtgate at {endpoint} refused the stream ({code}: {error.detail}). Check username and password, "
            "and that this user may read the database."
        )
    if error.shard_is_unknown:
        return (
            f"the shard does not exist (vtgate says: {error.detail}). Check the list of shards; after a "
            "reshard, clear the stream's data to copy it from the new shards."
        )
    if error.position_is_unreachable:
        return (
            f"no {keyspace.tablet_type.value} tablet could serve the stream (vtgate says: {error.detail}). "
            "Check that such a tablet runs in the configured cells, is not behind, and still has the binary "
            "logs."
        )
    if code == "UNIMPLEMENTED":
        return (
            f"{endpoint} is no vtgate with VStream (UNIMPLEMENTED: {error.detail}). Check host and gRPC port."
        )
    if code == "DEADLINE_EXCEEDED":
        return (
            f"vtgate at {endpoint} accepted the connection but did not answer in time, as it does while it "
            f"finds no {keyspace.tablet_type.value} tablet to stream from. Check that such tablets run and "
            "are not behind, and host and gRPC port."
        )
    if code == "UNAVAILABLE":
        trouble = endpoint.trouble()
        if trouble is not None:
            return trouble.message
        return (
            f"there is no connection to vtgate's gRPC port at {endpoint} ({error.detail}). Check host, gRPC "
            "port and the TLS setting, and that the port can be reached from here."
        )
    return f"{code}: {error.detail}"


def about_lookup(
    error: VStreamError, endpoint: Endpoint, keyspace: Keyspace, shard: str, trouble: str = ""
) -> str:
    """Says that the current position of a shard could not be read; arguments as `explain`.

    Args:
        error: As there.
        endpoint: As there.
        keyspace: As there.
        shard: The shard.
        trouble: What else is known of the reason; takes the place of the error's explanation.
    """
    where = f"shard {shard} of keyspace {keyspace.name}"
    why = trouble or explain(error, endpoint, keyspace)
    return f"The current position of {where} could not be read: {why}"


def about_replicas(keyspace: Keyspace, shard: str, lags: Sequence[int | None]) -> str:
    """Says that no replica is near enough to its primary to be read; nothing if one may be.

    Args:
        keyspace: What is read.
        shard: The shard.
        lags: Seconds for each tablet, None for one that does not replicate.
    """
    if not lags or any(lag is not None and lag < _BEHIND_SECONDS for lag in lags):
        return ""
    behind = ", ".join("does not replicate" if lag is None else f"{lag} s behind" for lag in lags)
    return (
        f"vtgate streams from no {keyspace.tablet_type.value} tablet that is more than 30 s behind its "
        f"primary (--discovery-low-replication-lag), and of shard {shard} there is none nearer ({behind}), "
        "though 'show vitess_tablets' may say SERVING. The next sync goes on once one has caught up; check "
        "their replication, or read from the primary."
    )


def about_moved_table(where: str, keyspace: str, home: str | None) -> str:
    """Says that a table was moved to another keyspace, and gets no changes where it is read.

    Args:
        where: Names table and shard.
        keyspace: The keyspace that is read.
        home: Where it lives now, or None if that is not told.
    """
    there = f"keyspace {home}" if home else "another keyspace (vtgate's routing does not tell which)"
    return (
        f"The rows of {where}, are old: the table was moved from keyspace {keyspace} to {there} "
        "(MoveTables), and what was left behind gets no changes. What was written before is read. Take the "
        f"stream out of this connection, and read it by a source for {home or 'that keyspace'}."
    )


def about_finding(finding: Exception, where: str) -> str:
    """Says why changes cannot be read rightly; `where` names table and shard."""
    if isinstance(finding, IncompleteRow):
        return (
            f"The changes of {where} come without the whole row, because {finding} on the server. Set "
            "binlog_format=ROW, binlog_row_image=FULL and no binlog_row_value_options."
        )
    if isinstance(finding, RowsExchanged):
        return (
            f"{statement_of(str(finding))} gave {where} rows that no row event tells: they have not "
            f"been read."
        )
    return (
        f"Changes of {where} from before a change of its columns cannot be read rightly: {finding}. Sync "
        "before "
        "and after such a change to keep this from happening."
    )


def about_broken_copy(finding: Exception, where: str, *, has_an_order: bool) -> str:
    """Says that a copy cannot go on where it broke off.

    Args:
        finding: Why.
        where: Names table and shard.
        has_an_order: Whether the table's key lets a copy go on in the middle otherwise.
    """
    if has_an_order:
        return f"the copy of {where} was interrupted, and cannot go on after its last key: {finding}"
    return (
        f"the copy of {where} was interrupted ({finding}), and its key does not let it go on in the "
        "middle. A "
        "table without a key that orders its rows (ENUM, SET, FLOAT, or none) has to be copied in one "
        "run: if "
        "that takes longer than vttablet's --vreplication-copy-phase-duration (an hour), raise that flag, or "
        "give the table a primary key of another type."
    )


def about_copy_that_waits(where: str, reason: str) -> str:
    """Says that a copy has to begin anew, and that another attempt does so without doubling rows."""
    return (
        f"The copy of {where} cannot go on in the middle, because {reason}, and rows of it are out "
        "already. The "
        "next attempt copies the table from its start."
    )


def about_unknown_table(where: str) -> str:
    """Says that a table is there, but its tablet does not know it."""
    return (
        f"The tablet does not know {where} yet: it learns of a table that was made past Vitess, or before it "
        "became the primary, at its next schema reload (within 30 minutes, or at once with 'vtctldclient "
        "ReloadSchemaKeyspace'). The next sync reads it then."
    )


def about_unreadable_statement(where: str) -> str:
    """Says that the log holds a statement that no stream passes."""
    return (
        f"The saved position of {where} cannot be followed: Vitess cannot read a statement that stands "
        "behind it "
        "in the binary log, such as an XA transaction, or DDL behind a comment with `#`, made on the "
        "MySQL server itself."
    )


def about_unreadable_rows(where: str, words: str) -> str:
    """Says that the server cannot decode rows from before a change of columns; `words` are its own."""
    if re.search(r"\b(?:enum|set) (?:or|and|column)\b", words, re.IGNORECASE):
        return (
            f"Changes of {where} that are not read yet were made before its columns changed, and Vitess "
            "cannot "
            "decode such rows of a table that has an ENUM or SET column. Sync before such a change."
        )
    return f"Changes of {where} from before a change of its columns cannot be decoded by the server: {words}."


def about_misfit(where: str) -> str:
    """Says that rows fit neither the columns that a table had nor those of today."""
    return (
        f"Rows of {where} come with columns that are neither those that the table had when they were written "
        "nor those of today. Its columns were changed by statements that no stream tells, such as one in a "
        "comment (/*! ... */) or from a session of another database."
    )


def about_refused_list(where: str) -> str:
    """Says that columns that nobody wants are read as well."""
    return (
        f"Vitess cannot be asked for the selected columns of {where} alone, because its columns have "
        "changed: it is read on with all of them, and the others are left out here."
    )


def about_retry(
    where: str, reason: str, failures: int, retries: int, seconds: float, *, resumes: bool
) -> str:
    """Says that a stream broke off and is opened anew."""
    what = "to go on from the last position" if resumes else "to copy the table in one run"
    return (
        f"The stream of {where} broke off ({reason}); attempt {failures} of {max(retries, failures)} "
        f"{what} in "
        f"{seconds:.1f} s."
    )


def several(tables: Sequence[str], shard: str, *, all_names: bool = False) -> str:
    """Names tables of a shard for a person, the first few or almost all."""
    count = _NAMES_LISTED if all_names else _NAMES_SHOWN
    shown = ", ".join(tables[:count])
    more = f" and {len(tables) - count} more" if len(tables) > count else ""
    return f"table{'s' if len(tables) > 1 else ''} {shown}{more}, shard {shard}"


def shortened(position: str) -> str:
    """A position for the log: one of a server with a long history has a range for each of its primaries."""
    return position if len(position) <= _POSITION_SHOWN else f"{position[:_POSITION_SHOWN]}..."


def about_copy_again(problem: str) -> str:
    """Says that a table has to be copied again because of `problem`, a whole sentence."""
    return (
        f"{problem} No row was emitted under a wrong column or skipped. Clear this stream's data to copy the "
        "table again, or set 'Invalid saved position behavior' to 'Re-sync data', which does so by itself."
    )


def about_giving_up(where: str, failures: int, reason: str) -> str:
    """Says that a shard's stream broke off too often; `reason` says how the last time."""
    return (
        f"Reading {where} stopped after {failures} attempts without progress: {reason.removesuffix('.')}. "
        "What was read is saved; the next sync goes on from there."
    )


def about_wait(where: str, seconds: float, timeout: float, *, throttled: bool) -> str:
    """Says that a stream is quiet, and whether the server has said that it throttles streams."""
    why = "Vitess throttles VStream" if throttled else "The server may throttle VStream or be busy"
    return (
        f"Waiting for {where}: nothing came for {seconds:.0f} s. {why}; after {timeout:g} s the stream is "
        "opened anew."
    )
