"""Which shards of a keyspace are read, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.endpoint import Keyspace


def selected_shards(keyspace: Keyspace, known: Sequence[str]) -> list[str]:
    """Decides which shards to read.

    Args:
        keyspace: What is configured; no shards mean all.
        known: The shards that serve the keyspace.

    Returns:
        The shards in the order of `known`.

    Raises:
        ConfigError: A configured shard does not exist.
    """
    unknown = [shard for shard in keyspace.shards if shard not in known]
    if unknown:
        raise ConfigError(
            f"The configuration lists shard(s) {', '.join(unknown)}, which keyspace {keyspace.name} does "
            f"not have. Its shards are {', '.join(known)}: correct the field 'shards' or leave it empty."
        )
    return [shard for shard in known if not keyspace.shards or shard in keyspace.shards]
