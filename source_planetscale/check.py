"""Whether a configuration works: both ports are tried as a sync would use them."""

from __future__ import annotations

import itertools
import ssl
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from source_planetscale.discover import chosen_keyspaces
from source_planetscale.endpoint import TabletType
from source_planetscale.errors import ConfigError, SourceError
from source_planetscale.follow.positions import ShardPositions
from source_planetscale.mysql.database import Database
from source_planetscale.mysql.keyspaces import answered, ask_each
from source_planetscale.mysql.readiness import (
    EXECUTED_QUERY,
    TABLETS_QUERY,
    VARIABLES_QUERY,
    Tablet,
    about_cells,
    about_missing_tablets,
    about_positions,
    about_rights,
    about_settings,
    about_starting_positions,
    about_tables,
)
from source_planetscale.mysql.shards import selected_shards
from source_planetscale.tls import explain, try_http2
from source_planetscale.vstream.client import VStreamClient

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence

    from source_planetscale.config import Config
    from source_planetscale.endpoint import Endpoint, Keyspace
    from source_planetscale.mysql.readiness import Finding
    from source_planetscale.table import Table

# A person waits for the answer.
_SECONDS = 20.0
_TRY_SECONDS = 3.0


def check(config: Config, logger: logging.Logger) -> None:
    """Logs in over MySQL, looks ahead at what syncs will meet, and opens a VStream on the first shard.

    Args:
        config: The configuration.
        logger: Takes what will trouble syncs without making them fail.

    Raises:
        SourceError: The first thing that does not work, and what to do about it.
    """
    with config.reached() as reached:
        _check(reached, logger)


def _check(config: Config, logger: logging.Logger) -> None:
    choice = config.keyspaces
    looked = ask_each(chosen_keyspaces(config), lambda name: _Subject.of(config, config.keyspace_named(name)))
    subjects = {name: found for name, found in looked.items() if not isinstance(found, SourceError)}
    unread = {name: error for name, error in looked.items() if isinstance(error, SourceError)}
    tried = ask_each(list(subjects), lambda name: _try(config, subjects[name], logger))
    # One that discovery lists is no longer left out, whatever chose it.
    listed = replace(choice, further=(*choice.further, *tried))
    answered({**unread, **tried}, listed, logger)


@dataclass(frozen=True)
class _Subject:
    """A keyspace that is checked, its shards, those of them that are read, and its tables."""

    keyspace: Keyspace
    database: Database
    known: Sequence[str]
    shards: Sequence[str]
    tables: Sequence[Table]

    @classmethod
    def of(cls, config: Config, keyspace: Keyspace) -> _Subject:
        database = Database(config.mysql, keyspace)
        database.ping()
        known = database.shards()
        return cls(keyspace, database, known, selected_shards(keyspace, known), database.tables())


def _try(config: Config, subject: _Subject, logger: logging.Logger) -> None:
    database, shards, tables = subject.database, subject.shards, subject.tables
    findings = list(dict.fromkeys(_findings(config, subject)))
    for finding in findings:
        if not finding.fatal:
            logger.warning(finding.sentence)
    fatal = [finding.sentence for finding in findings if finding.fatal]
    if fatal:
        raise ConfigError(" ".join(fatal))
    _try_grpc(config.grpc)
    client = VStreamClient(config.grpc, subject.keyspace)
    try:
        quick = replace(config.patience, max_retries=0, timeout_seconds=min(config.timeout_seconds, _SECONDS))
        # The table only stands in the request's filter: a keyspace without tables can be checked as well.
        table = tables[0].name if tables else "none"
        ShardPositions(quick, client, database, threading.Event()).stop(shards[0], table)
    finally:
        client.close()


def _findings(config: Config, subject: _Subject) -> Iterator[Finding]:
    keyspace, database, shards, tables = subject.keyspace, subject.database, subject.shards, subject.tables
    tablets = [Tablet(*row[: len(Tablet._fields)]) for row in database.ask(TABLETS_QUERY) or ()]
    kinds = dict.fromkeys([TabletType.PRIMARY, keyspace.tablet_type])
    for shard, kind in itertools.product(shards, kinds):
        try:
            yield from _findings_on_server(database, shard, kind, keyspace.name)
        except SourceError:
            if kind is not keyspace.tablet_type:
                # A replica can be read while its primary is away.
                continue
            missing = list(about_missing_tablets(keyspace, shards, tablets))
            if not missing:
                raise
            yield from missing
            return
    yield from about_cells(keyspace, shards, tablets)
    yield from about_tables(keyspace, tables)
    names = [table.name for table in tables]
    yield from about_rights(keyspace, database.try_tables(names, shards[0], _TRY_SECONDS))
    first = keyspace.name == config.database
    starting = {
        name: positions
        for name, positions in config.starting_gtids.items()
        # What is for no keyspace at all is told once.
        if name == keyspace.name or (first and not config.keyspaces.includes(name))
    }
    yield from about_starting_positions(keyspace, subject.known, starting)


def _findings_on_server(database: Database, shard: str, kind: TabletType, keyspace: str) -> Iterator[Finding]:
    where = f"shard {shard} ({kind.value}) of keyspace {keyspace}"
    settings = database.ask(VARIABLES_QUERY, shard, kind) or ()
    yield from about_settings(where, kind, {str(name): str(value) for name, value in settings})
    executed = database.ask(EXECUTED_QUERY, shard, kind)
    yield from about_positions(where, str(executed[0][0]) if executed else "")


def _try_grpc(endpoint: Endpoint) -> None:
    # gRPC tells of a failed handshake in words of its library's, and of some failures nothing.
    if endpoint.tls is None:
        return
    try:
        try_http2(endpoint, endpoint.tls)
    except ssl.SSLError as error:
        raise explain(error, endpoint, "grpc_port") from None
    except OSError:
        # The stream itself says it as well as this could.
        return
