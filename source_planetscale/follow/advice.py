"""Sentences on what happened to a shard and what to do about it; none holds a key value or a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.vstream.images import IncompleteRow

if TYPE_CHECKING:
    from source_planetscale.endpoint import Endpoint, Keyspace
    from source_planetscale.vstream.errors import VStreamError
    from source_planetscale.vstream.reader import ShapeHazard
    from source_planetscale.vstream.wire import vstream_pb2 as wire


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
            "Check that such a tablet runs in the configured cells and is not behind."
        )
    if code == "UNIMPLEMENTED":
        return (
            f"{endpoint} is no vtgate with VStream (UNIMPLEMENTED: {error.detail}). Check host and gRPC port."
        )
    if code == "DEADLINE_EXCEEDED":
        return (
            f"vtgate at {endpoint} accepted the connection but did not answer in time. Check host and gRPC "
            "port."
        )
    if code == "UNAVAILABLE":
        return (
            f"there is no connection to vtgate's gRPC port at {endpoint} ({error.detail}). Check host, gRPC "
            "port and the TLS setting, and that the port can be reached from here."
        )
    return f"{code}: {error.detail}"


def about_lookup(error: VStreamError, endpoint: Endpoint, keyspace: Keyspace, shard: str) -> str:
    """Says that the current position of a shard could not be read; arguments as `explain`."""
    where = f"shard {shard} of keyspace {keyspace.name}"
    return f"The current position of {where} could not be read: {explain(error, endpoint, keyspace)}"


def about_finding(finding: ShapeHazard | IncompleteRow, where: str) -> str:
    """Says why changes cannot be read rightly; `where` names table and shard."""
    if isinstance(finding, IncompleteRow):
        return (
            f"The changes of {where} come without the whole row, because {finding} on the server. Set "
            "binlog_format=ROW, binlog_row_image=FULL and no binlog_row_value_options."
        )
    return f"Changes of {where} from before a change of the table cannot be read rightly: {finding}."


def about_copy_again(problem: str) -> str:
    """Says that a table has to be copied again because of `problem`, a whole sentence."""
    return (
        f"{problem} No row was emitted under a wrong column or skipped. Clear this stream's data to copy the "
        "table again, or set 'Invalid saved position behavior' to 'Re-sync data', which does so by itself."
    )


def about_giving_up(where: str, failures: int, reason: str) -> str:
    """Says that a shard's stream broke off too often; `reason` is a sentence on the last time."""
    return (
        f"Reading {where} stopped after {failures} attempts without progress: {reason} What was read is "
        "saved; the next sync goes on from there."
    )


def about_reshard(journal: wire.Journal, keyspace: str, shard: str, table: str) -> str:
    """Says that a shard was replaced."""
    new = ", ".join(entry.shard for entry in journal.shard_gtids)
    return (
        f"Keyspace {keyspace} was resharded: shard {shard} was replaced by {new}. Table {table} has been "
        "read up to the reshard. Clear this stream's data to copy it from the new shards."
    )


def about_removed_rows(statement: str, where: str) -> str:
    """Says that a statement such as TRUNCATE removed rows without a trace."""
    return (
        f"{statement} of {where}: the server sends no deletes for it, so rows that were read before stay in "
        "the destination. Refresh this stream and remove its records to bring both in line."
    )


def about_wait(where: str, seconds: float, timeout: float) -> str:
    """Says that a stream is quiet; vtgate hides that a tablet throttles it."""
    return (
        f"Waiting for {where}: nothing came for {seconds:.0f} s. The server may throttle VStream or be busy; "
        f"after {timeout:g} s the stream is opened anew."
    )
