"""The shape of a table after a statement, from the shape before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.columns.column_type import ColumnType
from source_planetscale.columns.families import widens
from source_planetscale.ddl.clauses import (
    AddColumn,
    ChangeColumn,
    ConvertCharset,
    CreateTable,
    DefaultCharset,
    DropColumn,
    RenameColumn,
)
from source_planetscale.ddl.types import BINARY, converted
from source_planetscale.shape import ShapeColumn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from source_planetscale.ddl.clauses import Clause, ColumnDefinition, Position
    from source_planetscale.ddl.statement import Statement
    from source_planetscale.shape import Shape

# `int(11)`: servers before MySQL 8.0.19 write a width that no statement names.
_OLD_WIDTH = re.compile(r"(?!tinyint\(1\))(?:tiny|small|medium|big)?int\(\d+\)(?: unsigned)?|year\(4\)")

_OF_THEIR_OWN = ("binary(", "tinyint(1)")
_WHOLE_UNICODE = frozenset({"utf8mb4", "utf16", "utf16le", "utf32", "gb18030"})
# All that the other sets of MySQL have is in the first plane.
_BASIC_PLANE = frozenset({"utf8mb3", "ucs2"})


@dataclass(frozen=True)
class Altered:
    """A table after a statement.

    Attributes:
        shape: Its columns.
        origins: For each of them the name that it had before; None for a column that is new.
        default_charset: The character set of later columns that name none; None if it is not known.
        filled: The new columns that have a value other than NULL in the rows that were there.
        converted: The old columns whose values in the rows that were there may read differently now: of a
            type or character set that does not hold all that the old one held, or computed by another
            expression.
        required: The old columns that the statement declares NOT NULL. A NULL in them became a zero or an
            empty text, if the column took NULL before and the server was not in strict mode.
    """

    shape: Shape
    origins: tuple[str | None, ...]
    default_charset: str | None
    filled: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def renamed(self) -> bool:
        """Whether an old column has another name."""
        names = [column.name for column in self.shape]
        return any(origin not in (None, name) for origin, name in zip(self.origins, names, strict=True))


class UnknownShapeError(ValueError):
    """The shape afterwards does not follow from what is known."""


def apply(
    statement: Statement, table: str, before: Shape, default_charset: str | None = None
) -> Altered | None:
    """Works out the shape of a table after a statement.

    Args:
        statement: The statement.
        table: The table's bare name.
        before: Its shape before; empty for a table that the statement creates.
        default_charset: The character set of columns that name none: the table's default, or the
            database's for a table that is created. None if it is not known.

    Returns:
        The table afterwards, or None where that cannot be known: the statement is not understood, puts
        another table under this name or none, does not fit the shape, or depends on a default character
        set that is not given.
    """
    if not statement.understood and statement.may_concern(table):
        return None
    clauses: list[Clause] = []
    for change in statement.changes_of(table):
        if change.clauses is None:
            return None
        clauses += change.clauses
    try:
        return _Table(before, default_charset).altered(clauses)
    except UnknownShapeError:
        return None


class _Entry(NamedTuple):
    column: ShapeColumn
    origin: str | None


class _Table:
    """The columns of a table while a statement is applied, part after part as MySQL does it."""

    def __init__(self, before: Shape, default_charset: str | None) -> None:
        self._before = before
        self._entries = [_Entry(column, column.name) for column in before]
        self._default_charset = default_charset
        self._shows_widths = any(_OLD_WIDTH.fullmatch(column.column_type) for column in before)
        self._converts = False

    def altered(self, clauses: Sequence[Clause]) -> Altered:
        """Applies all clauses of one statement."""
        if self._entries and CreateTable(if_not_exists=True) in clauses:
            clauses = ()
        clauses = [clause for clause in clauses if not self._is_idle(clause)]
        for clause in clauses:
            if isinstance(clause, CreateTable):
                self._entries.clear()
            elif isinstance(clause, (DefaultCharset, ConvertCharset)):
                # Counts for all columns of the statement, those in front of it as well.
                self._default_charset = clause.charset
                self._converts = self._converts or isinstance(clause, ConvertCharset)
        self._change_in_place(clauses)
        for clause in clauses:
            if isinstance(clause, AddColumn):
                self._insert(_Entry(self._defined(clause.definition), None), clause.position)
            elif isinstance(clause, ChangeColumn) and clause.position is not None:
                self._insert(self._entries.pop(self._place(clause.definition.name)), clause.position)
        shape = tuple(entry.column for entry in self._entries)
        if not shape or len({column.name.casefold() for column in shape}) < len(shape):
            raise UnknownShapeError
        added = [clause.definition for clause in clauses if isinstance(clause, AddColumn)]
        changed = [clause.definition for clause in clauses if isinstance(clause, ChangeColumn)]
        return Altered(
            shape,
            tuple(entry.origin for entry in self._entries),
            self._default_charset,
            filled=tuple(column.name for column in added if column.fills_rows),
            converted=tuple(self._converted_names(changed)),
            required=tuple(column.name for column in changed if column.not_null or column.is_primary_key),
        )

    def _converted_names(self, definitions: Iterable[ColumnDefinition]) -> Iterator[str]:
        before = {column.name: column for column in self._before}
        computed = {definition.name.casefold() for definition in definitions if definition.is_generated}
        for column, origin in self._entries:
            if origin is not None and (
                column.name.casefold() in computed or not holds(column, before[origin])
            ):
                yield column.name

    def _is_idle(self, clause: Clause) -> bool:
        """Whether a clause does nothing because of its IF EXISTS or IF NOT EXISTS."""
        match clause:
            case AddColumn(definition, _, True):
                return self._has(definition.name)
            case ChangeColumn(column, _, _, True) | DropColumn(column, True):
                return not self._has(column)
        return False

    def _change_in_place(self, clauses: Sequence[Clause]) -> None:
        """Drops and changes columns, which these clauses all call by their names from before."""
        changes: dict[int, Clause] = {}
        for clause in clauses:
            if isinstance(clause, (ChangeColumn, RenameColumn, DropColumn)):
                place = self._place(clause.column)
                if place in changes:
                    raise UnknownShapeError
                changes[place] = clause
        changed = [self._changed(entry, changes.get(place)) for place, entry in enumerate(self._entries)]
        self._entries = [entry for entry in changed if entry is not None]

    def _changed(self, entry: _Entry, clause: Clause | None) -> _Entry | None:
        if isinstance(clause, DropColumn):
            return None
        if isinstance(clause, ChangeColumn):
            return entry._replace(column=self._defined(clause.definition))
        column = self._converted(entry.column) if self._converts else entry.column
        if isinstance(clause, RenameColumn):
            column = column._replace(name=clause.name)
        return entry._replace(column=column)

    def _converted(self, column: ShapeColumn) -> ShapeColumn:
        if not column.charset:
            return column
        after = self._known_default()
        column_type = converted(column.column_type, column.charset, after)
        return column._replace(column_type=column_type, charset=_shown(after))

    def _defined(self, definition: ColumnDefinition) -> ShapeColumn:
        found = definition.type
        charset = ""
        if found.has_charset:
            named = found.charset
            overruled = self._converts and named != BINARY
            charset = self._known_default() if named is None or overruled else named
        column_type = found.spelled(charset)
        if self._shows_widths and (found.is_integer or found.name == "year"):
            raise UnknownShapeError
        return ShapeColumn(definition.name, column_type, _shown(charset))

    def _known_default(self) -> str:
        if self._default_charset is None:
            raise UnknownShapeError
        return self._default_charset

    def _insert(self, entry: _Entry, position: Position | None) -> None:
        if position is None:
            self._entries.append(entry)
        elif position.after is None:
            self._entries.insert(0, entry)
        else:
            self._entries.insert(self._place(position.after) + 1, entry)

    def _has(self, name: str) -> bool:
        return any(entry.column.name.casefold() == name.casefold() for entry in self._entries)

    def _place(self, name: str) -> int:
        """Finds a column by its name, in any case of letters."""
        folded = name.casefold()
        for place, entry in enumerate(self._entries):
            if entry.column.name.casefold() == folded:
                return place
        raise UnknownShapeError


def holds(new: ShapeColumn, old: ShapeColumn) -> bool:
    """Whether every value of a column reads the same in another type and character set."""
    if new.charset and old.charset and not _has_every_character(new.charset, old.charset):
        return False
    if new.column_type.startswith(("enum(", "set(")) and old.column_type[:4] == new.column_type[:4]:
        return set(ColumnType.parse(old.column_type).labels) <= set(ColumnType.parse(new.column_type).labels)
    # Bytes are filled up to the new length, and numbers take the place of true and false.
    if old.column_type != new.column_type and old.column_type.startswith(_OF_THEIR_OWN):
        return False
    return widens(old.column_type, new.column_type)


def _has_every_character(new: str, old: str) -> bool:
    """Whether a character set has every character of another one; if not, a conversion writes `?`."""
    if new == old or new in _WHOLE_UNICODE:
        return True
    return old == "ascii" or (new in _BASIC_PLANE and old not in _WHOLE_UNICODE)


def _shown(charset: str) -> str:
    return "" if charset == BINARY else charset
