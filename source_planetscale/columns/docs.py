"""The documentation of the types, written from the table that drives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.columns import families
from source_planetscale.columns.charsets import CHARSETS

if TYPE_CHECKING:
    from source_planetscale.columns.family import Family

_HEADER = """\
<!-- Generated: python -m source_planetscale.columns > docs/types.md -->

Every type of MySQL 8.4 and 9, in the first copy and in changes alike. A nullable column has the type
`["null", T]`. A value that JSON cannot hold (a zero date, text that is not valid in its character set)
becomes null, and the record says so in `meta.changes`; no row is left out. Therefore a column that can hold
such values has the type `["null", T]` even if it is `NOT NULL`.

| MySQL type | JSON schema | Example | Note |
| :--- | :--- | :--- | :--- |
"""

_CHANGES = """
What differs from the connector that this one succeeds:

| MySQL type | Existing connector | This connector |
| :--- | :--- | :--- |
"""

_KEYS = """

In a primary key null would make one row of many, as would a boolean whose number is neither 0 nor 1. So a
`tinyint(1)` is an integer there, and for a value that JSON cannot hold its text stands in, in the copy, in
changes and in deletes alike:

| In a key | Text |
| :--- | :--- |
| `date`, `datetime`, `timestamp` | As MySQL shows it: `0000-00-00`, `2024-00-00 00:00:00` |
| `time` | As MySQL shows it: `-01:00:00`, `100:00:00.500`. The column is declared as a plain string |
| text, `enum`, `set`, any other | The bytes as a literal of MySQL: `_gbk 0x6180` |

A destination with a type for dates does not take a zero date and may store null: where such dates stand in
keys, change those rows or the type of the column in MySQL. Keys of type `float` that differ only behind the 6
digits that MySQL shows cannot be told apart.

The two phases differ in one type, `json`, because Vitess decodes it anew for changes (seen on Vitess 24):

| In a document | In the copy | In a change |
| :--- | :--- | :--- |
| The order of keys | By length: `{"a": 2, "bb": 1, "aaa": 3}` | By bytes: `{"a": 2, "aaa": 3, "bb": 1}` |
| A negative TIME | `"-00:00:01.000000"` | Empty, `""`, or another time |
| A TIME of 32 hours and more | `"100:00:00.000000"` | Less multiples of 32 hours: `"04:00:00.000000"` |
| A zero date, a day that does not exist | `"0000-00-00"`, `"2024-00-10"` | `"-0001-11-30"`, `"2024-01-10"` |

Compare documents as JSON, not as text. Times and dates are meant here that SQL put into the document as such
(`json_array(cast('100:00:00' as time))`); what was written as text is text in both.
"""

_CHARSETS = """
Text is decoded from the character set of its column: all 41 of MySQL's are known, and each character is the
one that the server itself gives for it, the user-defined rows of `ujis` and `eucjpms` included. Columns of
these sets can hold bytes that are no character, so their text can become null:
{gaps}.
"""


def types_page() -> str:
    """The page, in Markdown."""
    types = "\n".join(_type_row(family) for family in (*families.FAMILIES, families.UNKNOWN))
    changes = "\n".join(_change_row(family) for family in families.FAMILIES if family.existing)
    gaps = ", ".join(f"`{charset.name}`" for charset in CHARSETS if charset.has_gaps)
    return f"{_HEADER}{types}{_KEYS}{_CHARSETS.format(gaps=gaps)}{_CHANGES}{changes}\n"


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
