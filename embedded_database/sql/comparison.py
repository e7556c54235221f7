"""Comparisons of a column with a literal, which becomes what the column would keep of it, as in MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from embedded_database.columns.schema import BLOBS
from embedded_database.columns.values import keep
from embedded_database.errors import SqlError
from embedded_database.sql import rewrite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from embedded_database.columns.schema import Column

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ)
# Numbers are left alone: SQLite compares them by value, and a literal may be finer than the column.
_BY_FORM = ("date", "datetime", "timestamp", "time", "bit", "binary", "varbinary", "enum", "set", *BLOBS)


def with_kept_literals(tree: exp.Expression, columns: Mapping[str, Column]) -> exp.Expression:
    """A tree whose comparisons have literals in the columns' own form; `columns` is by lower-case name."""
    for node in list(tree.find_all(*_COMPARISONS, exp.In, exp.Between)):
        sides = list(_sides(node))
        named = [columns.get(side.name.lower()) for side in sides if isinstance(side, exp.Column)]
        if len(named) == 1 and named[0] is not None and named[0].data_type in _BY_FORM:
            for side in sides:
                _keep_literal(side, named[0])
    return tree


def _sides(node: exp.Expression | exp.Condition) -> Iterator[exp.Expression]:
    for name in ("this", "expression", "expressions", "low", "high"):
        part = node.args.get(name)
        if isinstance(part, list):
            yield from part
        elif isinstance(part, exp.Expression):
            yield part


def _keep_literal(side: exp.Expression, column: Column) -> None:
    is_literal, value = rewrite.literal(side)
    if not is_literal or value is None:
        return
    try:
        side.replace(rewrite.value_node(keep(column, value)))
    except SqlError:
        # What the column cannot hold equals nothing in it.
        return
