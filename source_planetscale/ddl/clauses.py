"""What statements do to the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_planetscale.ddl.statement import Effect

if TYPE_CHECKING:
    from source_planetscale.ddl.types import ColumnType


@dataclass(frozen=True)
class ColumnDefinition:
    """A column as a statement defines it.

    Attributes:
        name: Its name.
        type: Its type.
        not_null: Whether it is declared as taking no NULL.
        has_default: Whether it has a default value other than NULL.
        is_generated: Whether it is computed from other columns.
        is_auto_increment: Whether the server numbers it.
        is_primary_key: Whether it is declared to be the primary key.
        is_unique: Whether it is declared to be unique.
    """

    name: str
    type: ColumnType
    not_null: bool = False
    has_default: bool = False
    is_generated: bool = False
    is_auto_increment: bool = False
    is_primary_key: bool = False
    is_unique: bool = False

    @property
    def fills_rows(self) -> bool:
        """Whether rows that were there get a value other than NULL when the column is added."""
        return (
            self.not_null
            or self.has_default
            or self.is_generated
            or self.is_auto_increment
            or self.is_primary_key
        )

    @property
    def key_effects(self) -> frozenset[Effect]:
        """What it does to the keys of its table."""
        keys = ((self.is_primary_key, Effect.KEY_CHANGED), (self.is_unique, Effect.UNIQUE_KEYS))
        return frozenset(effect for is_key, effect in keys if is_key)


@dataclass(frozen=True)
class Position:
    """Where a column goes: behind another one, or in front of all."""

    after: str | None


@dataclass(frozen=True)
class AddColumn:
    """A new column; at the end if it has no position."""

    definition: ColumnDefinition
    position: Position | None = None
    if_not_exists: bool = False

    @property
    def effects(self) -> frozenset[Effect]:
        """What it does to the table."""
        filled = {Effect.ADDED_VALUES} if self.definition.fills_rows else set()
        return frozenset({Effect.SHAPE} | filled) | self.definition.key_effects


@dataclass(frozen=True)
class ChangeColumn:
    """A column with another definition, perhaps another name, and another place if there is a position."""

    column: str
    definition: ColumnDefinition
    position: Position | None = None
    if_exists: bool = False

    @property
    def effects(self) -> frozenset[Effect]:
        """What it does to the table."""
        return frozenset({Effect.SHAPE, Effect.VALUES_CHANGED}) | self.definition.key_effects


@dataclass(frozen=True)
class RenameColumn:
    """A column with another name."""

    column: str
    name: str

    @property
    def effects(self) -> frozenset[Effect]:
        """What it does to the table."""
        return frozenset({Effect.SHAPE, Effect.ADDED_VALUES})


@dataclass(frozen=True)
class DropColumn:
    """A column that goes."""

    column: str
    if_exists: bool = False

    @property
    def effects(self) -> frozenset[Effect]:
        """What it does to the table."""
        return frozenset({Effect.SHAPE})


@dataclass(frozen=True)
class DefaultCharset:
    """The character set of columns that name none themselves; None for the database's own default."""

    charset: str | None

    @property
    def effects(self) -> frozenset[Effect]:
        """What it does to the table."""
        return frozenset({Effect.HARMLESS})


@dataclass(frozen=True)
class ConvertCharset:
    """Another character set for every text column; None for the database's own default."""

    charset: str | None

    @property
    def effects(self) -> frozenset[Effect]:
        """What it does to the table."""
        return frozenset({Effect.SHAPE, Effect.CHARSET, Effect.VALUES_CHANGED})


@dataclass(frozen=True)
class CreateTable:
    """A table that comes into being; its columns are added by the clauses that follow."""

    if_not_exists: bool = False

    @property
    def effects(self) -> frozenset[Effect]:
        """What it does to the table."""
        return frozenset({Effect.CREATED})


Clause = AddColumn | ChangeColumn | RenameColumn | DropColumn | DefaultCharset | ConvertCharset | CreateTable
