"""The fields that say which keyspaces are read, and what of each: `keyspaces`, `shards`, `table_filters`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from source_planetscale.config.values import refused
from source_planetscale.mysql.keyspaces import KeyspaceChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.config.values import Values

FILTER_FIELDS: Final = ("database_name", "table_name_patterns")

_OF_KEYSPACE = re.compile(r"([^/:]+)[/:]")
_NOT_READ = "names a keyspace that this source does not read: add it to keyspaces, or take it out"


def keyspace_choice(values: Values, database: str) -> KeyspaceChoice:
    """Reads `keyspaces`: names and patterns, separated by commas or blanks.

    Args:
        values: The configuration.
        database: The first keyspace.

    Raises:
        ConfigError: The field has another form.
    """
    further = _entries(values.text("keyspaces"))
    if any(set(entry) & set("@:/") for entry in further):
        raise refused(
            "keyspaces",
            "must list bare names of keyspaces; choose shards and tablet type with the fields shards, "
            "use_replica and use_rdonly",
        )
    return KeyspaceChoice(database, tuple(entry for entry in further if entry != database))


def shard_entries(values: Values, choice: KeyspaceChoice) -> tuple[str, ...]:
    """Reads `shards`.

    Raises:
        ConfigError: It names a shard of a keyspace that is not chosen, where there are several.
    """
    entries = _entries(values.text("shards"))
    if choice.several and not all(choice.includes(_keyspace_of(entry, choice)) for entry in entries):
        raise refused("shards", _NOT_READ)
    return entries


def shards_of(entries: Sequence[str], keyspace: str, choice: KeyspaceChoice) -> tuple[str, ...]:
    """Gives the entries of `shards` that are for a keyspace; one that does not say so is for the database."""
    if not choice.several:
        return tuple(entries)
    return tuple(entry for entry in entries if _keyspace_of(entry, choice) == keyspace)


def table_patterns(values: Values, choice: KeyspaceChoice) -> dict[str, tuple[str, ...]]:
    """Reads `table_filters`: the patterns by keyspace.

    Raises:
        ConfigError: It has another form, or is for a keyspace that is not chosen.
    """
    form = f'{{"database_name": "{choice.database}", "table_name_patterns": ["order%"]}}'
    patterns: dict[str, tuple[str, ...]] = {}
    for entry in values.items("table_filters", form):
        name = entry.needed("database_name")
        if not choice.includes(name):
            only = f"must be {choice.database}, which is the database of this source"
            raise entry.refused("database_name", _NOT_READ if choice.several else only)
        own = entry.texts("table_name_patterns")
        if not own:
            raise entry.refused("table_name_patterns", "is missing: enter at least one pattern")
        patterns[name] = tuple(dict.fromkeys([*patterns.get(name, ()), *own]))
    return patterns


def _entries(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _keyspace_of(entry: str, choice: KeyspaceChoice) -> str:
    named = _OF_KEYSPACE.match(entry)
    return named[1] if named else choice.database
