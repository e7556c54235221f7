"""One column of records as fields of PROTOBUF messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.records.kept import Kept
from source_planetscale.records.varints import LENGTH_DELIMITED, VARINT, varint
from source_planetscale.records.wire import airbyte_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from source_planetscale.columns import Form

# The tag of a value in its record.
DATA = bytes([wire.AirbyteRecordMessageProtobuf.DATA_FIELD_NUMBER << 3 | LENGTH_DELIMITED])
# One number for the null of every form of the format, see airbyte.proto.
NULL = DATA + b"\x02" + bytes([wire.AirbyteValueProtobuf.NULL_FIELD_NUMBER << 3 | VARINT, 1])


class Values(NamedTuple):
    """Values of one column without a null among them.

    Attributes:
        texts: The values.
        form: What their bytes are.
        sizes: Gives the number of bytes of each, where it is known.
    """

    texts: Sequence[bytes]
    form: Form
    sizes: Callable[[], Sequence[int]] | None = None


class Kind(ABC):
    """One kind of value; works on whole columns."""

    @abstractmethod
    def encode(self, column: Values) -> Sequence[Sequence[bytes]]:
        """Lays out the values of a column as fields of their records.

        Args:
            column: At least one value.

        Returns:
            One list or several with a part per value; a field is its parts, one behind the other.

        Raises:
            ValueError: At least one of the values cannot be of this kind.
        """


class Prefixes(Kept):
    """What stands before the bytes of a value, by their number."""

    def __init__(self, number: int) -> None:
        """Takes the number of the value's field."""
        super().__init__()
        self._tag = bytes([number << 3 | LENGTH_DELIMITED])

    def _make(self, number: int) -> bytes:
        value = self._tag + varint(number)
        return DATA + varint(len(value) + number) + value
