"""Which tables Vitess keeps for itself or cannot stream, and why a table that was asked for is not there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_planetscale.mysql.keyspaces import KeyspaceChoice

# The names that VStream itself takes for internal and never sends changes of, character classes included:
# go/vt/schema/name.go and online_ddl.go of Vitess 24; the words in capitals are those of Vitess 19 and older
# (go/vt/schema/tablegc.go).
_INTERNAL_TABLE = re.compile(
    r"_vt_[a-zA-Z0-9]{3}_[0-f]{32}_[0-9]{14}_"
    r"|_vt_(?:HOLD|PURGE|EVAC|DROP)_[0-f]{32}_[0-9]{14}"
    r"|_[0-f]{8}(?:_[0-f]{4}){3}_[0-f]{12}_[0-9]{14}_(?:gho|ghc|del|new|vrepl)"
    r"|_.*_old",
    re.DOTALL,
)


def is_internal_table(name: str) -> bool:
    """Tells whether Vitess takes a table of this name for one of its own and streams no changes of it.

    Besides the tables of online schema changes and of the table lifecycle that is every name of the
    form `_*_old`, which pt-online-schema-change leaves behind.
    """
    return _INTERNAL_TABLE.fullmatch(name) is not None


def why_not_streamed(name: str) -> str | None:
    """Says why Vitess ends every stream of a table of this name with an error; None for most names.

    Seen on Vitess 24: vttablet puts a name in back-quotes as it is and refuses its own statement then
    (`UnescapeID err`), and leaves `dual` out of its tables to copy.
    """
    if "`" in name:
        return "it has a back-quote in its name, and Vitess cannot stream such a table"
    if name == "dual":
        return "Vitess takes its name for that of MySQL's table without columns, and does not stream it"
    return None


def about_missing_table(table: str, keyspace: str, choice: KeyspaceChoice, home: str | None = None) -> str:
    """Says why a table that the catalog names cannot be read.

    Args:
        table: The name of the stream.
        keyspace: The namespace of the stream.
        choice: The keyspaces that are configured.
        home: The keyspace from which vtgate takes a table of this name, if that is known.
    """
    where = f"Table {table} of keyspace {keyspace}"
    if not choice.includes(keyspace):
        read = f"keyspaces {choice}" if choice.several else f"database {choice}"
        or_else = f"add {keyspace} to keyspaces" if choice.several else f"make a source for {keyspace}"
        return (
            f"{where} cannot be read, since this source reads {read}. Take the stream out of the connection, "
            f"or {or_else}."
        )
    if is_internal_table(table):
        return (
            f"{where} cannot be read: by its name it is one of the tables that Vitess keeps for itself or "
            "that an online schema change has left behind, and VStream sends no changes of them. Rename "
            "the table if it is yours, or take the stream out of the connection."
        )
    reason = why_not_streamed(table)
    if reason is not None:
        return f"{where} cannot be read: {reason}. Rename it, or take the stream out of the connection."
    if home and home != keyspace:
        read = "take that stream instead" if choice.includes(home) else f"read it by a source for {home}"
        return (
            f"{where} was not found; a table of this name is in keyspace {home} now. If it was moved there "
            f"(MoveTables), take the stream out of this connection and {read}."
        )
    return (
        f"{where} was not found. It was dropped or renamed, is a view, or the user may not read it: refresh "
        "the source's schema and take the stream out of the connection."
    )
