"""The tables that a source can read, keyspace by keyspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.mysql.database import Database
from source_planetscale.mysql.internal_tables import why_not_streamed
from source_planetscale.mysql.keyspaces import answered, ask_each

if TYPE_CHECKING:
    import logging

    from source_planetscale.config import Config
    from source_planetscale.table import Table


def discover(config: Config, logger: logging.Logger) -> list[Table]:
    """Describes the base tables of the chosen keyspaces, in the order of their names within each.

    Args:
        config: The configuration, with ports that can be reached.
        logger: Is told what is left out.

    Raises:
        SourceError: A keyspace cannot be read; see `answered`.
    """
    choice = config.keyspaces
    names = chosen_keyspaces(config)
    described = ask_each(names, lambda name: Database(config.mysql, config.keyspace_named(name)).tables())
    found: list[Table] = []
    for name, tables in answered(described, choice, logger).items():
        for table in tables:
            reason = why_not_streamed(table.name)
            where = f"{table.name} of keyspace {name}" if choice.several else table.name
            if reason is None:
                found.append(table)
            else:
                logger.warning(f"Table {where} is left out of the catalog: {reason}.")
    return found


def chosen_keyspaces(config: Config) -> list[str]:
    """Names the keyspaces to read; vtgate is asked for them only where there are patterns.

    Raises:
        SourceError: They cannot be listed, or a pattern matches none.
    """
    choice = config.keyspaces
    visible = Database(config.mysql, config.keyspace).keyspaces() if choice.patterns else []
    return choice.among(visible)
