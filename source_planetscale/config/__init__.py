"""The connector's configuration, parsed once into one typed object."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from source_planetscale.config.encryption import FIELDS as SSL_MODE_FIELDS
from source_planetscale.config.encryption import Encryption, encryption
from source_planetscale.config.keyspaces import (
    FILTER_FIELDS,
    keyspace_choice,
    shard_entries,
    shards_of,
    table_patterns,
)
from source_planetscale.config.ssh import FIELDS as TUNNEL_FIELDS
from source_planetscale.config.ssh import ssh_server
from source_planetscale.config.values import Values, canonical, refused
from source_planetscale.endpoint import Detour, Endpoint, Keyspace, SshServer, TabletType, Tls
from source_planetscale.errors import ConfigError
from source_planetscale.follow.patience import Patience
from source_planetscale.mysql.keyspaces import KeyspaceChoice
from source_planetscale.vstream.position import Position, PositionError

FIELDS = (
    "host",
    "database",
    "username",
    "password",
    "use_replica",
    "use_rdonly",
    "shards",
    "include_metadata",
    "starting_gtids",
    "max_retries",
    "timeout_seconds",
    "use_gtid_with_table_pks",
    "options",
    "include_cdc_columns",
    "invalid_cdc_cursor_position_behavior",
    "checkpoint_target_interval_seconds",
    "mysql_port",
    "grpc_port",
    "cells",
    "mysql_tls",
    "grpc_tls",
    "tls_ca_certificate",
    "ssl_mode",
    "tunnel_method",
    "table_filters",
    "keyspaces",
)
"""The names that the spec gives to the fields, in the order of the form."""

_TINYINT_OPTION = "do_not_treat_tiny_int_as_boolean"


class InvalidPositionPolicy(Enum):
    """What to do when a saved position can no longer be followed; the values stand in the spec."""

    FAIL = "Fail sync"
    RESYNC = "Re-sync data"


@dataclass(frozen=True)
class Config:
    """One parsed configuration; the field texts are in `spec.json`.

    Attributes:
        shards: The shards to read as they are written, and ranges of shards; empty means all.
        starting_gtids: keyspace -> shard -> position with its flavor prefix.
        max_retries: Attempts without progress that follow a failed one.
        timeout_seconds: How long a shard may go without progress.
        cells: Names of Vitess cells separated by commas; empty means vtgate's own.
        checkpoint_seconds: Longest time between two checkpoints of a stream that makes progress.
        encryption: How each of the two ports is encrypted.
        ssh_server: Through whom the ports are reached; None means directly.
        detours: Port -> the way there, within `reached`.
        table_patterns: Keyspace -> SQL LIKE patterns of its tables that are discovered; all of one that is
            not there.
        further_keyspaces: Keyspaces besides the database; see `KeyspaceChoice`.
    """

    host: str
    database: str
    username: str
    password: str = field(repr=False)
    tablet_type: TabletType = TabletType.PRIMARY
    shards: tuple[str, ...] = ()
    include_metadata: bool = False
    include_cdc_columns: bool = False
    starting_gtids: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    max_retries: int = 3
    timeout_seconds: float = 300.0
    tinyint1_as_boolean: bool = True
    mysql_port: int = 3306
    grpc_port: int = 443
    encryption: Encryption = field(default_factory=Encryption)
    ssh_server: SshServer | None = None
    detours: Mapping[int, Detour] = field(default_factory=dict)
    table_patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    further_keyspaces: tuple[str, ...] = ()
    cells: str = ""
    invalid_position_policy: InvalidPositionPolicy = InvalidPositionPolicy.FAIL
    checkpoint_seconds: float = 60.0

    @property
    def mysql(self) -> Endpoint:
        """Vtgate's MySQL port."""
        return self._endpoint(self.mysql_port, self.encryption.mysql)

    @property
    def grpc(self) -> Endpoint:
        """Vtgate's gRPC port."""
        return self._endpoint(self.grpc_port, self.encryption.grpc)

    @property
    def keyspaces(self) -> KeyspaceChoice:
        """The keyspaces that are read."""
        return KeyspaceChoice(self.database, self.further_keyspaces)

    @property
    def keyspace(self) -> Keyspace:
        """The first of them, which is the database."""
        return self.keyspace_named(self.database)

    def keyspace_named(self, name: str) -> Keyspace:
        """One of them, as it is read."""
        return Keyspace(
            name,
            self.tablet_type,
            shards_of(self.shards, name, self.keyspaces),
            self.cells,
            self.table_patterns.get(name, ()),
            alone=not self.keyspaces.several,
        )

    @property
    def patience(self) -> Patience:
        """How failures are met."""
        resync = self.invalid_position_policy is InvalidPositionPolicy.RESYNC
        return Patience(self.max_retries, self.timeout_seconds, copies_again=resync)

    @contextmanager
    def reached(self) -> Iterator[Config]:
        """Gives the configuration with ports that can be reached from here, to the end of the block.

        With an SSH server both go through one connection to it, which is made when it is first needed.
        """
        if self.ssh_server is None:
            yield self
            return
        from source_planetscale.tunnel import Tunnel

        with Tunnel(self.ssh_server) as tunnel:
            detours = {port: tunnel.to(self.host, port) for port in {self.mysql_port, self.grpc_port}}
            yield replace(self, detours=detours)

    def _endpoint(self, port: int, tls: Tls | None) -> Endpoint:
        return Endpoint(self.host, port, self.username, self.password, tls, self.detours.get(port))

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Config:
        """Parses the configuration object.

        Args:
            raw: The configuration as the platform saved it. Keys match in any case, null means unset,
                unknown keys are ignored, as the connector before this one had it.

        Returns:
            The configuration, with every default filled in.

        Raises:
            ConfigError: A config error that names the field and what to do.
        """
        values = Values(normalise(raw))
        # A resume always sends position and last primary key together: nothing is left to decide.
        values.flag("use_gtid_with_table_pks", False)
        mysql_port = values.port("mysql_port", cls.mysql_port)
        grpc_port = values.port("grpc_port", cls.grpc_port)
        # In the order of the form, so that what is missing first is told first.
        host = _host(values.text("host"), mysql_port, grpc_port)
        database = _database(values.text("database"))
        choice = keyspace_choice(values, database)
        return cls(
            host=host,
            database=database,
            username=values.text("username"),
            password=values.text("password"),
            tablet_type=_tablet_type(values),
            shards=shard_entries(values, choice),
            include_metadata=values.flag("include_metadata", cls.include_metadata),
            include_cdc_columns=values.flag("include_cdc_columns", cls.include_cdc_columns),
            starting_gtids=_starting_gtids(values.text("starting_gtids")),
            max_retries=values.whole("max_retries", cls.max_retries, least=0),
            timeout_seconds=float(values.whole("timeout_seconds", int(cls.timeout_seconds), least=1)),
            tinyint1_as_boolean=not _options(values).flag(_TINYINT_OPTION, default=False),
            mysql_port=mysql_port,
            grpc_port=grpc_port,
            encryption=encryption(values),
            ssh_server=ssh_server(values),
            table_patterns=table_patterns(values, choice),
            further_keyspaces=choice.further,
            cells=values.text("cells").strip() or _own_cells(host),
            invalid_position_policy=_policy(
                values.text("invalid_cdc_cursor_position_behavior", InvalidPositionPolicy.FAIL.value)
            ),
            checkpoint_seconds=float(
                values.whole("checkpoint_target_interval_seconds", int(cls.checkpoint_seconds), least=1)
            ),
        )


def _own_cells(host: str) -> str:
    # The cells that the Go connector asks for; without them PlanetScale's edge finds no replicas.
    return "planetscale_operator_default" if host.endswith(".psdb.cloud") else ""


def normalise(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Brings a saved configuration into the shape that the spec describes.

    Args:
        raw: The configuration as the platform saved it.

    Returns:
        The same values under the spec's own spelling of the keys, without nulls, with `options` as an
        object or left out. A configuration that `Config.parse` accepts is valid against the spec
        in this form.

    Raises:
        ConfigError: A config error if `raw` is no object.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError("The configuration must be a JSON object; check the file or the form.")
    values = {"username": "", "password": "", **canonical(raw, FIELDS)}
    if "options" in values:
        options = _normalised_options(values.pop("options"))
        if options is not None:
            values["options"] = options
    for name, fields in {"ssl_mode": SSL_MODE_FIELDS, "tunnel_method": TUNNEL_FIELDS}.items():
        if isinstance(values.get(name), Mapping):
            values[name] = canonical(values[name], fields)
    if isinstance(values.get("table_filters"), list):
        values["table_filters"] = [
            canonical(entry, FILTER_FIELDS) if isinstance(entry, Mapping) else entry
            for entry in values["table_filters"]
        ]
    return values


def _normalised_options(options: Any) -> Any:
    # The form of the connector before this one offered a text as the default of this object.
    if isinstance(options, str):
        return None
    if not isinstance(options, Mapping):
        return options
    values = canonical(options, (_TINYINT_OPTION,))
    return {_TINYINT_OPTION: values.get(_TINYINT_OPTION, False)}


def _options(values: Values) -> Values:
    return values.inner("options", f'{{"{_TINYINT_OPTION}": false}}') or Values({})


def _host(text: str, mysql_port: int, grpc_port: int) -> str:
    text = text.strip()
    if not text:
        raise refused("host", "is missing: enter the host name, such as aws.connect.psdb.cloud")
    if _is_address(text):
        return text
    not_bare = refused(
        "host",
        "must be a bare host name such as aws.connect.psdb.cloud, without user, path or query",
    )
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        raise not_bare from None
    if not name or any(c.isspace() for c in name) or "@" in parts.netloc:
        raise not_bare
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise not_bare
    if port is not None and port not in {mysql_port, grpc_port}:
        raise refused("host", f"names port {port}: enter ports in mysql_port and grpc_port instead")
    return name


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _database(text: str) -> str:
    name = text.strip()
    if not name:
        raise refused("database", "is missing: enter the name of the database (the keyspace)")
    if set(name) & set("@:/"):
        raise refused(
            "database",
            "must be the bare name of the database (the keyspace); choose shards and tablet type "
            "with the fields shards, use_replica and use_rdonly",
        )
    return name


def _tablet_type(values: Values) -> TabletType:
    replica, rdonly = values.flag("use_replica", False), values.flag("use_rdonly", False)
    if rdonly:
        return TabletType.RDONLY
    return TabletType.REPLICA if replica else TabletType.PRIMARY


def _starting_gtids(text: str) -> Mapping[str, Mapping[str, str]]:
    if not text.strip():
        return {}
    wrong = refused(
        "starting_gtids",
        'must be a JSON text of the form {"keyspace": {"shard": "MySQL56/..."}}, or empty',
    )
    try:
        # Deep nesting overflows the parser's stack.
        positions = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if positions is None:
        return {}
    if not isinstance(positions, dict):
        raise wrong
    return {keyspace: _shard_positions(shards, wrong) for keyspace, shards in positions.items()}


def _shard_positions(shards: Any, wrong: ConfigError) -> Mapping[str, str]:
    if not isinstance(shards, dict):
        raise wrong
    for position in shards.values():
        try:
            Position.parse(position.strip())
        except (AttributeError, PositionError):
            raise wrong from None
    return {shard.strip(): position.strip() for shard, position in shards.items()}


def _policy(text: str) -> InvalidPositionPolicy:
    try:
        return InvalidPositionPolicy(text)
    except ValueError:
        choices = " or ".join(f'"{policy.value}"' for policy in InvalidPositionPolicy)
        raise refused("invalid_cdc_cursor_position_behavior", f"must be {choices}") from None
