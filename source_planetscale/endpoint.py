"""Where and how to connect, and what of a keyspace to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class TabletType(Enum):
    """The kind of tablet that serves a read; the value is the name in `keyspace@type` targets."""

    PRIMARY = "primary"
    REPLICA = "replica"
    RDONLY = "rdonly"


@dataclass(frozen=True)
class Endpoint:
    """One of vtgate's two ports, and the login for it.

    Attributes:
        host: A host name or an address.
        port: The port.
        username: The user.
        password: The user's password.
        tls: Whether the connection is encrypted and the server's certificate verified.
        ca_certificate: PEM text of a private certificate authority, or empty for the system's.
    """

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = True
    ca_certificate: str = ""

    def __str__(self) -> str:
        """The address as errors show it."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Keyspace:
    """A keyspace, and from which of its tablets it is read.

    Attributes:
        name: The keyspace, which the configuration calls the database.
        tablet_type: The kind of tablet that serves.
        shards: The shards to read; empty means all.
        cells: Names of Vitess cells separated by commas; empty means vtgate's own.
    """

    name: str
    tablet_type: TabletType = TabletType.PRIMARY
    shards: tuple[str, ...] = ()
    cells: str = ""
