"""The connector's configuration, parsed once into one typed object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class TabletType(Enum):
    """The kind of tablet that serves a stream; the value is the name in `keyspace@type` targets."""

    PRIMARY = "primary"
    REPLICA = "replica"
    RDONLY = "rdonly"


class InvalidPositionPolicy(Enum):
    """What to do when a saved position can no longer be followed; the values stand in the spec."""

    FAIL = "Fail sync"
    RESYNC = "Re-sync data"


@dataclass(frozen=True)
class Config:
    """One parsed configuration; the field texts are in `spec.json`.

    Attributes:
        shards: The shards to read, trimmed, without duplicates; empty means all.
        starting_gtids: keyspace -> shard -> position with its flavor prefix.
        max_retries: Attempts without progress that follow a failed one.
        timeout_seconds: How long a shard may go without progress.
        checkpoint_seconds: Longest time between two checkpoints of a stream that makes progress.
        tls_ca_certificate: PEM text of a private certificate authority, or empty for the system's.
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
    use_gtid_with_table_pks: bool = False
    tinyint1_as_boolean: bool = True
    mysql_port: int = 3306
    grpc_port: int = 443
    mysql_tls: bool = True
    grpc_tls: bool = True
    tls_ca_certificate: str = ""
    cells: str = "planetscale_operator_default"
    invalid_position_policy: InvalidPositionPolicy = InvalidPositionPolicy.FAIL
    checkpoint_seconds: float = 60.0

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Config:
        """Parses the configuration object."""
        raise NotImplementedError
