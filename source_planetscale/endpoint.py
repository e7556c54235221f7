"""Where and how to connect, and what of a keyspace to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from source_planetscale.errors import SourceError


class TabletType(Enum):
    """The kind of tablet that serves a read; the value is the name in `keyspace@type` targets."""

    PRIMARY = "primary"
    REPLICA = "replica"
    RDONLY = "rdonly"


class Verification(Enum):
    """What is asked of a server's certificate; the values are MySQL's names for it, and the form's."""

    IDENTITY = "verify_identity"
    """A trusted authority signed it for the name that was dialled."""
    AUTHORITY = "verify_ca"
    """A trusted authority signed it, for any name."""
    NONE = "required"
    """Nothing: the connection is encrypted, with whomever."""


@dataclass(frozen=True)
class ClientCertificate:
    """What a client shows to a server that asks who it is.

    Attributes:
        certificate: PEM text of the certificate, and of those between it and the authority.
        key: PEM text of its private key, not encrypted.
    """

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Tls:
    """How a connection is encrypted.

    Attributes:
        verification: What is asked of the server's certificate.
        authority: PEM text of the authorities to trust, or empty for the system's.
        client: The client's own certificate, or None.
        server_name: The name that the certificate must hold, or empty for the host's.
    """

    verification: Verification = Verification.IDENTITY
    authority: str = ""
    client: ClientCertificate | None = None
    server_name: str = ""


@dataclass(frozen=True)
class SshServer:
    """An SSH server through which ports are reached that cannot be reached directly, and the login for it.

    Attributes:
        host: A host name or an address.
        username: The user.
        port: The port.
        password: The user's password; empty with a key.
        key: The user's private key, as ssh-keygen writes it, not encrypted; empty with a password.
        host_keys: Fingerprints (`SHA256:...`) of the keys that the server may show; empty means any.
    """

    host: str
    username: str
    port: int = 22
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    host_keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The address as errors show it."""
        return f"{self.host}:{self.port}"


class Detour(Protocol):
    """The way to a port that cannot be reached directly.

    Attributes:
        address: Where to connect instead.
    """

    address: tuple[str, int]

    def trouble(self) -> SourceError | None:
        """Why the last connection did not come through; None if it did."""


@dataclass(frozen=True)
class Endpoint:
    """One of vtgate's two ports, and the login for it.

    Attributes:
        host: A host name or an address.
        port: The port.
        username: The user.
        password: The user's password.
        tls: How the connection is encrypted; None means that it is not.
        detour: The way there, if it is not the direct one.
    """

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = field(default_factory=Tls)
    detour: Detour | None = None

    @property
    def server_name(self) -> str:
        """The name that the server's certificate must hold."""
        return (self.tls.server_name if self.tls else "") or self.host

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect."""
        return self.detour.address if self.detour else (self.host, self.port)

    def trouble(self) -> SourceError | None:
        """What stands in the way to the port, where that is known; it explains any failure to connect."""
        return self.detour.trouble() if self.detour else None

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
        table_patterns: SQL LIKE patterns, of which a table that is listed has to match one; empty means all.
        alone: Whether the source reads no other one.
    """

    name: str
    tablet_type: TabletType = TabletType.PRIMARY
    shards: tuple[str, ...] = ()
    cells: str = ""
    table_patterns: tuple[str, ...] = ()
    alone: bool = True

    def place(self, shard: str) -> str:
        """A shard as a person is told of it: other keyspaces may have shards of the same name."""
        return shard if self.alone else f"{self.name}/{shard}"

    @property
    def option(self) -> str:
        """The option that names it, for errors."""
        return "database" if self.alone else "database and keyspaces"
