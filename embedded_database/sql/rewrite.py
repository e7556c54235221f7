"""Turns MySQL's expressions into SQLite's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlglot import expressions as exp
from sqlglot import parse_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BINARY_CHARSET = "_binary"
_MAX_SQLITE_INTEGER = 2**63
_NOW = (exp.CurrentTimestamp, exp.CurrentTimestampLTZ, exp.Localtimestamp)


def parse(sql: str) -> exp.Expression:
    """Reads one statement or expression of MySQL's."""
    return cast("exp.Expression", parse_one(sql, dialect="mysql"))


def literal(node: exp.Expression) -> tuple[bool, object]:
    """The value of a literal.

    Returns:
        Whether the node is one, and its value: text, an integer, bytes, None. A number with a point or an
        exponent is its text, so that no digit is lost.
    """
    if isinstance(node, exp.Null):
        return True, None
    if isinstance(node, exp.Boolean):
        return True, int(node.this)
    if isinstance(node, exp.Literal):
        return True, _literal_value(node)
    if isinstance(node, exp.HexString):
        return True, bytes.fromhex(node.name.rjust(len(node.name) + len(node.name) % 2, "0"))
    if isinstance(node, exp.BitString):
        return True, int(node.name, 2)
    if isinstance(node, exp.Introducer):
        value = literal(node.expression)[1]
        if isinstance(value, str) and node.name.lower() == _BINARY_CHARSET:
            return True, value.encode("utf-8", "surrogateescape")
        return True, value
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        value = _literal_value(node.this)
        return True, -value if isinstance(value, int) else f"-{value}"
    return False, None


def _literal_value(node: exp.Literal) -> int | str:
    text = str(node.this)
    return int(text) if not node.is_string and text.isdigit() else text


def is_default(node: exp.Expression) -> bool:
    """Whether the node is the word DEFAULT in place of a value."""
    return isinstance(node, (exp.Column, exp.Var)) and node.name.lower() == "default"


def _blob(data: bytes) -> exp.Expression:
    return exp.Anonymous(this="unhex", expressions=[exp.Literal.string(data.hex())])


def _call(name: str, *args: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=list(args))


def _node(node: exp.Expression) -> exp.Expression:
    if isinstance(node, (exp.HexString, exp.Introducer)):
        value = literal(node)[1]
        return _blob(value) if isinstance(value, bytes) else exp.Literal.string(str(value))
    if isinstance(node, exp.BitString):
        return exp.Literal.number(int(node.name, 2))
    if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit():
        number = int(node.name)
        return exp.Literal.string(f"{number:020d}") if number >= _MAX_SQLITE_INTEGER else node
    if isinstance(node, _NOW):
        return _call("now", *([node.this] if isinstance(node.this, exp.Literal) else []))
    if isinstance(node, (exp.Concat, exp.ConcatWs)):
        return _call("concat", *node.expressions)
    if isinstance(node, exp.Repeat):
        return _call("repeat", node.this, node.args["times"])
    if isinstance(node, exp.Rand):
        return _call("rand")
    if isinstance(node, (exp.MD5, exp.Unhex)):
        return _call("md5" if isinstance(node, exp.MD5) else "unhex", node.this)
    if isinstance(node, (exp.Left, exp.Right)):
        return _call(type(node).__name__.lower(), node.this, node.expression)
    return node


def walk(node: exp.Expression, change: Callable[[exp.Expression], exp.Expression]) -> exp.Expression:
    """Changes a tree from its leaves up; sqlglot's own `transform` leaves a changed node's children alone."""
    for child in list(node.iter_expressions()):
        changed = walk(child, change)
        if changed is not child:
            child.replace(changed)
    return change(node)


def to_sqlite(node: exp.Expression, values: Mapping[str, exp.Expression] | None = None) -> str:
    """An expression or query as SQLite's SQL.

    Args:
        node: What sqlglot read, which stays as it is.
        values: What `VALUES(column)` stands for in an ON DUPLICATE KEY UPDATE, by lower-case column name.
    """

    def change(part: exp.Expression) -> exp.Expression:
        if values and isinstance(part, exp.Anonymous) and part.name.lower() == "values":
            return values[part.expressions[0].name.lower()].copy()
        return _node(part)

    return walk(node.copy(), change).sql(dialect="sqlite")


def value_node(value: object) -> exp.Expression:
    """A kept value as a node of an expression."""
    if value is None:
        return exp.Null()
    if isinstance(value, bytes):
        return _blob(value)
    if isinstance(value, (int, float)):
        return exp.Literal.number(value)
    return exp.Literal.string(str(value))
