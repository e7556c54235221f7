"""The documentation of the types, written from the table that drives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.columns import families

if TYPE_CHECKING:
    from source_planetscale.columns.family import Family

_HEADER = """\
<!-- Generated: python -m source_planetscale.columns > docs/types.md -->

Every type of MySQL 8.4 and 9, in the first copy and in changes alike. A nullable column has the type
`["null", T]`. A value that JSON cannot hold (a zero date, text that is not valid in its character set)
becomes null, and the record says so in `meta.changes`; no row is left out.

| MySQL type | JSON schema | Example | Note |
| :--- | :--- | :--- | :--- |
"""

_CHANGES = """

What differs from the connector that this one succeeds:

| MySQL type | Existing connector | This connector |
| :--- | :--- | :--- |
"""

_CHARSETS = """

Text is decoded from the character set of its column: all 41 of MySQL's are known, the characters that
the server itself maps differently from the Unicode tables included. Characters of the user-defined rows
of `ujis` and `eucjpms` have no agreed meaning; a value that holds one becomes null.
"""


def types_page() -> str:
    """The page, in Markdown."""
    types = "\n".join(_type_row(family) for family in (*families.FAMILIES, families.UNKNOWN))
    changes = "\n".join(_change_row(family) for family in families.FAMILIES if family.existing)
    return f"{_HEADER}{types}{_CHANGES}{changes}{_CHARSETS}"


def _type_row(family: Family) -> str:
    example = f"`{family.example.json}`".replace("|", "\\|")
    return _row(_names(family), _schema(family), example, family.note)


def _change_row(family: Family) -> str:
    replacement = ". ".join(filter(None, [_schema(family), family.note]))
    return _row(_names(family), family.existing, replacement)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _names(family: Family) -> str:
    return ", ".join(f"`{name}`" for name in family.names) or "any other"


def _schema(family: Family) -> str:
    schema = dict(family.schema)
    words = [str(schema.pop("type"))]
    if "items" in schema:
        words.append(f"of {schema.pop('items')['type']}s")
    details = [f"`{key}: {value}`" for key, value in schema.items()]
    return ", ".join([" ".join(words), *details])
