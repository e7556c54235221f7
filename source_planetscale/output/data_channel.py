"""Which data channel the platform has chosen, as its environment variables say.

Source: the platform's ArchitectureConstants.kt, and DataChannelConstants.kt of Airbyte's own sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from source_planetscale.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIUM = "DATA_CHANNEL_MEDIUM"
FORMAT = "DATA_CHANNEL_FORMAT"
SOCKET_PATHS = "DATA_CHANNEL_SOCKET_PATHS"


class Medium(Enum):
    """What carries the records."""

    STDIO = "STDIO"
    SOCKET = "SOCKET"


class Serialization(Enum):
    """How messages are written."""

    JSONL = "JSONL"
    PROTOBUF = "PROTOBUF"


_Choice = TypeVar("_Choice", Medium, Serialization)


@dataclass(frozen=True)
class DataChannel:
    """A data channel.

    Attributes:
        medium: What carries the records.
        serialization: How messages are written.
        paths: The sockets, in the order in which the destination connects; none for stdout.
    """

    medium: Medium = Medium.STDIO
    serialization: Serialization = Serialization.JSONL
    paths: tuple[Path, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> DataChannel:
        """Reads the variables; without them it is stdout.

        Raises:
            ConfigError: A value is unknown, or the values do not fit each other.
        """
        medium = _choice(Medium, environment, MEDIUM, Medium.STDIO)
        serialization = _choice(Serialization, environment, FORMAT, Serialization.JSONL)
        if medium is Medium.STDIO:
            if serialization is not Serialization.JSONL:
                raise ConfigError(f"{FORMAT}={serialization.value} needs {MEDIUM}=SOCKET.")
            return cls()
        paths = tuple(Path(path) for path in environment.get(SOCKET_PATHS, "").split(",") if path.strip())
        if not paths:
            raise ConfigError(f"{MEDIUM}=SOCKET needs the paths of the sockets in {SOCKET_PATHS}.")
        if len(set(paths)) != len(paths):
            raise ConfigError(f"{SOCKET_PATHS} names a socket twice.")
        return cls(medium, serialization, paths)


def _choice(choices: type[_Choice], environment: Mapping[str, str], name: str, default: _Choice) -> _Choice:
    value = environment.get(name)
    if not value:
        return default
    try:
        return choices(value)
    except ValueError:
        known = " or ".join(choice.value for choice in choices)
        raise ConfigError(f"{name} is '{value}', where {known} is known.") from None
