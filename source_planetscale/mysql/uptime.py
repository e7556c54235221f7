"""When the MySQL server of a shard was started."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_planetscale.mysql.replicas import Asked

# One statement, so that nothing passes between its parts. `show global status` reads the same table, which is
# there without the performance schema as well.
_START = """
    select unix_timestamp() - variable_value from performance_schema.global_status
    where variable_name = 'Uptime'"""


def started_at(database: Asked, shard: str) -> int | None:
    """Tells when the MySQL server behind a tablet that may stream a shard was started last.

    Args:
        database: Whom to ask.
        shard: The shard.

    Returns:
        Seconds since the epoch, give or take one, by the clock with which it stamps its binary log; None
        where the server does not answer such questions.

    Raises:
        SourceError: There was no answer.
    """
    with database.session(shard) as ask:
        rows = ask(_START)
    if isinstance(rows, str) or not rows or rows[0][0] is None:
        return None
    return int(float(rows[0][0]))
