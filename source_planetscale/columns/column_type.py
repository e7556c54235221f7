"""The one parser of a column type's text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_BASE = re.compile(r"\w+")
_ARGUMENTS = re.compile(r"\((\d+(?:\s*,\s*\d+)*)\)")
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_LABEL_ESCAPE = re.compile(r"''|\\(.)")
# information_schema escapes these characters inside labels, and no others.
_LABEL_ESCAPES = {"0": "\0", "n": "\n", "r": "\r"}


@dataclass(frozen=True)
class ColumnType:
    """A column's type, such as `int unsigned`, `varchar(20)` or `enum('a','it''s')`.

    Attributes:
        base: Its name in lower case, without arguments: `varchar`.
        arguments: The numbers in parentheses: width, length, precision and scale.
        labels: The labels of an ENUM or SET, in the order of their numbers.
        unsigned: Whether it is declared UNSIGNED; ZEROFILL always is.
    """

    base: str
    arguments: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    unsigned: bool = False

    @staticmethod
    @lru_cache(maxsize=4096)
    def parse(text: str) -> ColumnType:
        """Reads a type as information_schema and VStream's fields write it.

        Args:
            text: Such as `decimal(10,2) unsigned`; anything else, an empty text too, is a base alone.
        """
        base = _BASE.match(text)
        name = base[0].lower() if base else ""
        rest = text[len(name) :]
        if rest.startswith("('"):
            return ColumnType(name, labels=tuple(map(_unescaped_label, _LABEL.findall(rest))))
        numbers = _ARGUMENTS.match(rest)
        return ColumnType(
            name,
            arguments=tuple(map(int, numbers[1].split(","))) if numbers else (),
            unsigned="unsigned" in rest.lower().split(),
        )


def _unescaped_label(label: str) -> str:
    return _LABEL_ESCAPE.sub(lambda found: _character(found[1]), label)


def _character(escaped: str | None) -> str:
    return "'" if escaped is None else _LABEL_ESCAPES.get(escaped, escaped)
