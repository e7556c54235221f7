"""How far one shard of one table has been read, in the form of PlanetScale's connectors."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from source_planetscale.vstream.position import Position, PositionError
from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from source_planetscale.shape import Shape


@dataclass(frozen=True)
class Cursor:
    """How far one shard of one table has been read.

    Attributes:
        keyspace: The keyspace.
        shard: The shard's name, trimmed.
        position: The position with its flavor prefix; empty if the copy has not begun.
        last_pk: Serialized `wire.QueryResult` of the last key copied; None outside a copy.
        shape: The table's shape that row events after `position` may have; None if unknown.
    """

    keyspace: str
    shard: str
    position: str = ""
    last_pk: bytes | None = None
    shape: Shape | None = None

    @property
    def copying(self) -> bool:
        """Whether the copy of this shard has not been finished."""
        return not self.position or self.last_pk is not None

    def restarted(self) -> Cursor:
        """The cursor of the same shard before its copy."""
        return Cursor(self.keyspace, self.shard)

    def encode(self) -> str:
        """The cursor in its saved form, padded standard base64 of a `TableCursor`."""
        message = wire.TableCursor(shard=self.shard, keyspace=self.keyspace, position=self.position)
        if self.last_pk is not None:
            message.last_known_pk.ParseFromString(self.last_pk)
        return base64.b64encode(message.SerializeToString(deterministic=True)).decode()

    @classmethod
    def decode(cls, text: str, *, keyspace: str, shard: str) -> Cursor:
        """Reads a saved cursor.

        Args:
            text: What `encode` gave, or the Go connector; empty means before the copy.
            keyspace: The keyspace for a cursor that does not name one.
            shard: The shard under which it was saved.

        Returns:
            The cursor, its shard's name trimmed.

        Raises:
            ValueError: It is no cursor, or one of another keyspace or shard.
        """
        try:
            message = wire.TableCursor.FromString(base64.b64decode(text, validate=True))
        except (binascii.Error, DecodeError, ValueError):
            raise ValueError("it is not a cursor of this connector") from None
        if message.keyspace and message.keyspace != keyspace:
            raise ValueError(f"it belongs to keyspace {message.keyspace!r}, not to {keyspace!r}")
        # The Go connector kept the blank of a shard list written as "-80, 80-".
        if message.shard and message.shard.strip() != shard.strip():
            raise ValueError(f"it belongs to shard {message.shard!r}")
        if message.position:
            try:
                Position.parse(message.position)
            except PositionError as error:
                raise ValueError(f"its position cannot be read: {error}") from None
        last_pk = message.last_known_pk.SerializeToString() if message.HasField("last_known_pk") else None
        return cls(keyspace, shard.strip(), message.position, last_pk)
