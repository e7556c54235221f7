"""Rows whose columns are encoded, as every layout of records takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from source_planetscale.columns import Form
    from source_planetscale.records.added import Added


class Cells(NamedTuple):
    """The values of one column.

    Attributes:
        values: A value per row; None for null.
        form: What the bytes of all values are.
        has_nulls: Whether there may be a null among them.
        sizes: Gives the number of bytes of each value, where the wire has told it.
    """

    values: Sequence[bytes | None]
    form: Form
    has_nulls: bool
    sizes: Callable[[], Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows of one shape, column by column.

    Attributes:
        names: The names of the columns.
        columns: The values of each column, in the order of the rows.
        nulled: By the number of a row: the numbers of its columns whose value had no right form.
        added: What the connector adds, in the order of the rows; empty if it adds nothing.
        count: The number of rows.
        emitted_at_ms: Milliseconds since the epoch.
    """

    names: tuple[str, ...]
    columns: Sequence[Cells]
    nulled: Mapping[int, Sequence[int]]
    added: Sequence[Added]
    count: int
    emitted_at_ms: int
