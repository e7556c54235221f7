"""What every column type answers: how its wire values become JSON, a whole column at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable


class Phase(Enum):
    """Which half of a stream a row came in; the wire spells some values differently in each."""

    COPY = "copy"
    CATCH_UP = "catch-up"


@dataclass(frozen=True)
class Spelling:
    """How the server spells the values of one FIELD event.

    Attributes:
        phase: The copy reads rows with SQL, catch-up decodes them from the binary log.
        enum_labels: False if catch-up carries ENUM indexes and SET bitmasks in place of labels, as
            Vitess did before FIELD events had `enum_set_string_values`.
    """

    phase: Phase
    enum_labels: bool = True

    @property
    def is_copy(self) -> bool:
        """Whether the values are MySQL's own texts."""
        return self.phase is Phase.COPY


# A column of JSON texts in UTF-8, one per value and in order, and whether each still needs a pair of
# quotes around it, which a row template adds at no cost. A bare tuple, for it is made for every column
# of every batch.
Encoded: TypeAlias = "tuple[list[bytes], bool]"


def complete(encoded: Encoded) -> list[bytes]:
    """The texts of an encoded column with their quotes."""
    texts, quoted = encoded
    return [b'"%b"' % text for text in texts] if quoted else texts


class Encoder(ABC):
    """Turns the wire values of one column into JSON.

    Working on whole columns keeps the cost per value near that of one call into C.
    """

    @abstractmethod
    def encode(self, values: list[bytes]) -> Encoded:
        """Encodes values that are not NULL.

        Args:
            values: At least one value, as on the wire.

        Returns:
            A text per value, and whether quotes are still to be put around each.

        Raises:
            ValueError: At least one of the values has no right form in JSON.
        """


# Takes the wire values of a column that are not NULL; raises ValueError if one of them makes no sense.
Rewrite: TypeAlias = "Callable[[list[bytes]], list[bytes]]"


class Rewritten(Encoder):
    """Another encoder, over values that are rewritten first."""

    def __init__(self, rewrite: Rewrite, encoder: Encoder) -> None:
        """Takes what rewrites the values, and the encoder of those."""
        self._rewrite = rewrite
        self._encoder = encoder

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        return self._encoder.encode(self._rewrite(values))


class Formless(Encoder):
    """No value has a right form."""

    def encode(self, values: list[bytes]) -> Encoded:  # noqa: ARG002 - whatever they are
        """Implements `Encoder.encode`."""
        raise ValueError("the type of the column has become one that cannot take its former values")


def encode_each(encoder: Encoder, values: list[bytes]) -> list[bytes | None]:
    """Encodes a column in which some values have no right form; those become None.

    Bad values are mostly few, or many of the same (zero dates), so distinct values are halved until
    the bad ones stand alone.
    """
    distinct = list(dict.fromkeys(values))
    known = dict(zip(distinct, _halve(encoder, distinct), strict=True))
    return [known[value] for value in values]


def _halve(encoder: Encoder, values: list[bytes]) -> list[bytes | None]:
    try:
        return list(complete(encoder.encode(values)))
    except ValueError:
        if len(values) == 1:
            return [None]
        middle = len(values) // 2
        return _halve(encoder, values[:middle]) + _halve(encoder, values[middle:])
