"""What every column type answers: how its wire values become JSON, a whole column at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime


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


class Form(IntEnum):
    """What the bytes of an encoded column are."""

    # JSON as it stands.
    JSON = 0
    # Strings in UTF-8 that JSON takes as they are: only the quotes are missing.
    BARE = 1
    # Strings in UTF-8, to be escaped in JSON.
    TEXT = 2


# A column of values, one after the other, and their form. A bare tuple, for it is made for every column of
# every batch.
Encoded: TypeAlias = "tuple[Sequence[bytes], Form]"


class Moments(Sequence[bytes]):
    """The texts of a column of dates and times, with what they mean; made when they are asked for.

    Attributes:
        moments: A moment per text; one without a zone is UTC or of no zone, as the column has it.
        whole: None of them has a fraction of a second.
    """

    def __init__(self, texts: Callable[[], list[bytes]], moments: Sequence[datetime], *, whole: bool) -> None:
        """Takes what belongs together.

        Args:
            texts: Makes the texts.
            moments: A moment per text.
            whole: Whether none of them has a fraction of a second, as far as their type tells.
        """
        self.moments = moments
        self.whole = whole
        self._make = texts

    @cached_property
    def _texts(self) -> list[bytes]:
        return self._make()

    def __len__(self) -> int:
        """Returns their number."""
        return len(self.moments)

    def __iter__(self) -> Iterator[bytes]:
        """Returns the texts, one after the other."""
        return iter(self._texts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Returns one text or some."""
        return self._texts[index]


class Encoder(ABC):
    """Turns the wire values of one column into those of records.

    Working on whole columns keeps the cost per value near that of one call into C.
    """

    @abstractmethod
    def encode(self, values: list[bytes]) -> Encoded:
        """Encodes values that are not NULL.

        Args:
            values: At least one value, as on the wire.

        Returns:
            A value for each, and the form of all.

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


def encode_each(encoder: Encoder, values: list[bytes]) -> tuple[list[bytes | None], Form]:
    """Encodes a column in which some values have no right form; those become None.

    Bad values are mostly few, or many of the same (zero dates), so distinct values are halved until
    the bad ones stand alone.
    """
    distinct = list(dict.fromkeys(values))
    encoded, form = _halve(encoder, distinct)
    known = dict(zip(distinct, encoded, strict=True))
    return [known[value] for value in values], form


def _halve(encoder: Encoder, values: list[bytes]) -> tuple[list[bytes | None], Form]:
    try:
        encoded, form = encoder.encode(values)
        return list(encoded), form
    except ValueError:
        if len(values) == 1:
            # An encoder gives either JSON or strings; whatever it gives for the others goes before this.
            return [None], Form.JSON
        middle = len(values) // 2
        (first, one), (second, other) = _halve(encoder, values[:middle]), _halve(encoder, values[middle:])
        return first + second, max(one, other)
