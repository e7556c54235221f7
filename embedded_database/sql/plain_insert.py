"""The way of `INSERT INTO t VALUES ...` of literals past the SQL parser, which takes far longer for them."""

from __future__ import annotations

import re
from typing import NamedTuple

_HEAD = re.compile(r"insert\s+into\s+`?([^\s`(.]+)`?\s*(?:\(([^()]*)\))?\s*values\s*(?=\()", re.IGNORECASE)
_ROW_STARTS = re.compile(r"\s*\(")
_ROW_ENDS = re.compile(r"\s*\)\s*(,|$)")
_COMMA = re.compile(r"\s*,")
_VALUE = re.compile(
    r"""\s*(?:
        (?P<number>-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?=[\s,)])
        | (?P<null>null)(?=[\s,)])
        | (?:_binary\s*)?[xX]'(?P<hex>(?:[0-9a-fA-F]{2})*)'
        | (?P<binary>_binary\s*)?'(?P<text>[^'\\]*(?:(?:\\.|'')[^'\\]*)*)'(?!\s*')
    )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}


class PlainInsert(NamedTuple):
    """An INSERT of literals alone.

    Attributes:
        columns: The columns it names, empty for all of the table.
        rows: Values in the forms that `rewrite.literal` gives.
    """

    table: str
    columns: list[str]
    rows: list[list[object]]


def scan(sql: str) -> PlainInsert | None:
    """Reads the statement if it holds nothing but literals, else gives None."""
    head = _HEAD.match(sql)
    if not head:
        return None
    names = [name.strip().strip("`") for name in (head[2] or "").split(",")]
    rows = []
    at = head.end()
    while at < len(sql):
        found = _scan_row(sql, at)
        if found is None:
            return None
        row, at = found
        rows.append(row)
    return PlainInsert(head[1], names if head[2] else [], rows)


def _scan_row(sql: str, at: int) -> tuple[list[object], int] | None:
    """One row and the place behind it and its comma."""
    start = _ROW_STARTS.match(sql, at)
    if not start:
        return None
    at = start.end()
    row: list[object] = []
    while True:
        value = _VALUE.match(sql, at)
        if not value:
            return None
        row.append(_value(value))
        comma = _COMMA.match(sql, value.end())
        if comma:
            at = comma.end()
            continue
        end = _ROW_ENDS.match(sql, value.end())
        return (row, end.end()) if end else None


def _value(found: re.Match[str]) -> object:
    kind = found.lastgroup
    if kind == "number":
        text = found["number"]
        return int(text) if text.lstrip("-").isdigit() else text
    if kind == "null":
        return None
    if kind == "hex":
        return bytes.fromhex(found["hex"])
    text = _ESCAPE.sub(_unescaped, found["text"])
    return text.encode("utf-8", "surrogateescape") if found["binary"] else text


def _unescaped(found: re.Match[str]) -> str:
    letter = found[1]
    return "'" if letter is None else _ESCAPED.get(letter, letter)
