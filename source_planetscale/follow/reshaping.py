"""What the statements of a shard's log make of a table's columns: their shape, and the names of today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale import ddl
from source_planetscale.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from source_planetscale.ddl import Statement
    from source_planetscale.shape import Shape, ShapeColumn
    from source_planetscale.table import Table
    from source_planetscale.vstream.table_reader import Reshaping


def settled(reshaping: Reshaping, today: Table | None, following: Sequence[Statement] = ()) -> Shape | None:
    """Finds the shape after a statement.

    Args:
        reshaping: The statement, with what follows from it.
        today: The table as it is now, or None if there is none.
        following: The statements between it and today.

    Returns:
        The shape; None if the statements do not tell it.
    """
    if reshaping.after is not None:
        return reshaping.after.shape
    if today is None or reshaping.before is None:
        return None
    # A statement that leaves the character set of a column to the table's default: what the statements make
    # of it has to be the table of today, and with no other one, unless the column is gone.
    known = (*shape_of(today.columns), *reshaping.before)
    charsets = [column.charset for column in known if column.charset]
    found = {}
    for charset in dict.fromkeys((*charsets, *_CHARSETS_TO_TELL_APART)):
        after = ddl.apply(reshaping.statement, today.name, reshaping.before, charset)
        kept = None if after is None else _kept(after, today, following)
        if after is not None and kept is not None:
            found[kept] = after.shape
    return next(iter(found.values())) if len(found) == 1 else None


# Any two will do.
_CHARSETS_TO_TELL_APART = ("utf8mb4", "latin1")


def _kept(after: ddl.Altered, today: Table, following: Iterable[Statement]) -> frozenset[ShapeColumn] | None:
    """Applies statements; gives those columns of before that are left, or None if today is another table."""
    shape, charset = after.shape, after.default_charset
    names = {column.name: column.name for column in shape}
    for statement in following:
        altered = ddl.apply(statement, today.name, shape, charset)
        if altered is None:
            return None
        names = _moved(names, altered)
        shape, charset = altered.shape, altered.default_charset
    if shape != shape_of(today.columns):
        return None
    return frozenset(column for column in after.shape if column.name in names)


def _moved(names: dict[str, str], altered: ddl.Altered) -> dict[str, str]:
    """Carries names of columns on over a statement; those of columns that it drops are left out."""
    moved = {
        origin: column.name for column, origin in zip(altered.shape, altered.origins, strict=True) if origin
    }
    return {old: moved[new] for old, new in names.items() if new in moved}


def renames(written: Shape, today: Table, statements: Iterable[Statement]) -> dict[str, str | None]:
    """Finds the columns of today that columns have become where their names do not say so.

    Args:
        written: The shape before the statements.
        today: The table after them.
        statements: The statements, in order.

    Returns:
        Written name -> name of today; None for a column that is gone and whose name another one has. Columns
        that keep their name are left out, and all of them where the statements do not tell.
    """
    shape, names = written, {column.name: column.name for column in written}
    for statement in statements:
        altered = ddl.apply(statement, today.name, shape) or _by_any_charset(statement, today, shape)
        if altered is None:
            return {}
        names = _moved(names, altered)
        shape = altered.shape
    known = {column.name for column in today.columns}
    gone: dict[str, str | None] = {name: None for name, *_ in written if name not in names and name in known}
    return gone | {old: new for old, new in names.items() if old != new}


def _by_any_charset(statement: Statement, today: Table, shape: Shape) -> ddl.Altered | None:
    # Names alone are wanted here: which character set a column got does not matter.
    return ddl.apply(statement, today.name, shape, "utf8mb4")


def may_hold_renames(written: Shape, today: Table) -> bool:
    """Tells whether a column may stand under another name today.

    Args:
        written: The shape before.
        today: The table now.

    Returns:
        Whether some names are gone, or others stand at their places.
    """
    old, new = [column.name for column in written], [column.name for column in today.columns]
    return new[: len(old)] != old
