"""What a row of the table of types says, and the rules that rows share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from source_planetscale.columns.column_type import ColumnType
    from source_planetscale.columns.encoder import Encoder, Rewrite, Spelling
    from source_planetscale.table import Column

EncoderFactory: TypeAlias = "Callable[[Column, Spelling], Encoder]"


@dataclass(frozen=True)
class Example:
    """A value on its way: what MySQL sends in each phase, and what the record has."""

    column_type: str
    copy: bytes
    catch_up: bytes
    json: str


def never(_old: ColumnType, _new: ColumnType) -> bool:
    """Widens into no other type."""
    return False


def by_order(*names: str) -> Callable[[ColumnType, ColumnType], bool]:
    """Widens along types that are stored alike, given from narrow to wide; the sign has to stay."""

    def widens(old: ColumnType, new: ColumnType) -> bool:
        return (
            old.base in names
            and new.base in names
            and names.index(old.base) <= names.index(new.base)
            and old.unsigned == new.unsigned
        )

    return widens


def by_size(old: ColumnType, new: ColumnType) -> bool:
    """Widens into the same type with numbers in parentheses that are not smaller; no number counts as 0."""
    before, now = old.arguments or (0,), new.arguments or (0,)
    return (
        (old.base, old.unsigned, len(before)) == (new.base, new.unsigned, len(now))
        and all(a <= b for a, b in zip(before, now, strict=True))
    )  # fmt: skip


def by_labels(old: ColumnType, new: ColumnType) -> bool:
    """Widens into the same type with further labels at the end."""
    return old.base == new.base and new.labels[: len(old.labels)] == old.labels


def as_decoded(_written: ColumnType, _decoded: ColumnType, _spelling: Spelling) -> Rewrite | None:
    """The bytes are the same whatever the server took the type for."""
    return None


def always(_column: Column) -> bool:
    """Any column of the type can hold values without a form."""
    return True


def nowhere(_column: Column) -> bool:
    """No column of the type can hold values without a form."""
    return False


@dataclass(frozen=True, eq=False)
class Family:
    """Types that share a schema and an encoder.

    Attributes:
        names: Base names (`int`), or whole column types where the width decides (`bit(1)`).
        schema: JSON schema of a value, NULL aside.
        encoder: Builds the encoder of one column.
        example: One value of the first name.
        existing: What the connector that this one succeeds declares or emits where that differs.
        note: What a reader of the documentation should know.
        has_charset: Whether columns have a character set.
        key_types: For each base name under which a copy in the order of such a key can be resumed after
            its last key: what the wire may call the type of that key (names of `query.Type`). A type that
            is left out can be a key, but a copy in its order cannot go on in the middle.
        widens: Whether a type holds everything that another one of this family held and is stored alike,
            so that row events of the old one read right under the new one.
        restore: How to put values of catch-up right that the server decoded as another type than the one
            that they were written with; None if their bytes are the same.
        lacks_form: Whether a column can hold values that have no right form in JSON, and become null.
        key_text: The text that stands for such a value in a primary key, where null would make one row of
            many; None if no key holds one.
        key_schema: JSON schema in a primary key, where it has to take those texts.
    """

    names: tuple[str, ...]
    schema: Mapping[str, Any]
    encoder: EncoderFactory
    example: Example
    existing: str = ""
    note: str = ""
    has_charset: bool = False
    key_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    widens: Callable[[ColumnType, ColumnType], bool] = never
    restore: Callable[[ColumnType, ColumnType, Spelling], Rewrite | None] = as_decoded
    lacks_form: Callable[[Column], bool] = nowhere
    key_text: Callable[[Column, bytes], str] | None = None
    key_schema: Mapping[str, Any] | None = None
