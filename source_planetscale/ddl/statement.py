"""What a statement says about tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from source_planetscale.ddl.clauses import Clause
    from source_planetscale.ddl.reader import TableName


class Effect(Enum):
    """One thing that a statement does to a table."""

    SHAPE = "columns may come, go, move, or have another name or type"
    ADDED_VALUES = "a column of a new name has values in the rows that were there"
    VALUES_CHANGED = "values that were there may read differently"
    KEY_CHANGED = "the primary key comes, goes or changes"
    UNIQUE_KEYS = "unique keys may come or go, which matters where there is no primary key"
    CHARSET = "all text columns get another character set"
    CREATED = "a table of this name comes into being"
    MADE_ANEW = "there was no table of this name before"
    DROPPED = "the table goes"
    ROWS_REMOVED = "rows go without row events"
    ROWS_EXCHANGED = "the table has rows that no row event told"
    RENAMED_AWAY = "the table has another name from here on"
    CUTOVER = "a migration tool puts its copy of the table in place: the same rows, perhaps another shape"
    HARMLESS = "nothing that a reader of rows could see"
    UNKNOWN = "anything: this part of the statement could not be understood"


@dataclass(frozen=True)
class TableChange:
    """What a statement does to one table.

    Attributes:
        table: The table as the statement names it.
        effects: All that is done; HARMLESS only where there is nothing else.
        clauses: What happens to its columns, for `apply`; None if its shape afterwards does not follow
            from the one before.
    """

    table: TableName
    effects: frozenset[Effect]
    clauses: tuple[Clause, ...] | None = ()


@dataclass(frozen=True)
class Statement:
    """A statement, understood as far as possible.

    Attributes:
        text: The statement itself.
        understood: Whether all of it is known. If not, it may do anything to the tables that it may
            concern: see `may_concern`.
        changes: One for each table that it changes; tables that it only refers to have none.
    """

    text: str = field(repr=False)
    understood: bool = True
    changes: tuple[TableChange, ...] = ()

    @property
    def tables(self) -> frozenset[str]:
        """The bare names of the tables that it is known to change."""
        return frozenset(change.table.name for change in self.changes)

    def may_concern(self, table: str) -> bool:
        """Whether it may change a table.

        The case of letters is ignored, which is right on servers that ignore it and careful on others;
        so is the database in front of a name.

        Args:
            table: Its bare name.

        Returns:
            Whether it names the table as one that it changes, or, if it is not understood, whether the
            name stands in it anywhere as a whole word.
        """
        if any(_folded(name) == _folded(table) for name in self.tables):
            return True
        return not self.understood and _stands_in(table, self.text)

    def effects_on(self, table: str) -> frozenset[Effect]:
        """What it does to a table: nothing if it does not concern it.

        Args:
            table: Its bare name. If the statement names it in exactly these letters, others do not count.

        Returns:
            The effects; with UNKNOWN among them if the statement is not understood and may concern it.
        """
        found = {effect for change in self.changes_of(table) for effect in change.effects}
        if not self.understood and self.may_concern(table):
            found.add(Effect.UNKNOWN)
        return combined(found)

    def changes_of(self, table: str) -> tuple[TableChange, ...]:
        """Its changes of a table, those of a name in exactly these letters alone if there are any."""
        exact = tuple(change for change in self.changes if change.table.name == table)
        return exact or tuple(
            change for change in self.changes if _folded(change.table.name) == _folded(table)
        )


def touches(statement: Statement, tables: Iterable[str]) -> frozenset[str]:
    """Finds out which of a stream's tables a statement may concern.

    Args:
        statement: The statement.
        tables: The bare names of all tables of the stream. A name that differs from the statement's only
            in the case of letters counts unless another has exactly its letters.

    Returns:
        Those of the tables that it may concern.
    """
    tables = frozenset(tables)
    taken = {_folded(name) for name in statement.tables & tables}
    return frozenset(
        table
        for table in tables
        if table in statement.tables
        or (statement.may_concern(table) and _may_be_meant(statement, table, taken))
    )


def _may_be_meant(statement: Statement, table: str, taken: set[str]) -> bool:
    return _folded(table) not in taken or (not statement.understood and _stands_in(table, statement.text))


def combined(effects: Iterable[Effect]) -> frozenset[Effect]:
    """All of the effects; HARMLESS only where there is no other."""
    found = frozenset(effects)
    return found - {Effect.HARMLESS} or found


def _folded(name: str) -> str:
    return name.casefold()


def _stands_in(name: str, text: str) -> bool:
    folded = _folded(text)
    return any(
        re.search(rf"(?<![\w$]){re.escape(_folded(spelled))}(?![\w$])", folded)
        for spelled in {name, name.replace("`", "``"), name.replace('"', '""')}
    )
