"""What a person is told of statements that change a table without row events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from source_planetscale.ddl import Effect, holds

if TYPE_CHECKING:
    from source_planetscale.ddl import Altered, Statement
    from source_planetscale.shape import Shape

_LONGEST_TEXT = 120
# MySQL's lexical rules, as far as they tell what may hold data: strings in either quotation mark (a server in
# ANSI mode has names in one of them), numbers and comments. One that is never closed goes on to the end.
_SPELLED = re.compile(
    r"""
    (?P<kept> `(?:[^`]|``)*` | /\*! [0-9]* )
    | (?P<comment> /\* .*? (?:\*/|\Z) | --(?=\s|\Z)[^\n]* | \#[^\n]* )
    | [xbn]? (?P<quote>['"]) (?: \\. | (?P=quote){2} | (?!(?P=quote)). )* (?: (?P=quote) | \Z )
    | (?P<number> \d[\w.]* )
    | (?P<word> \w[\w$]* )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def statement_of(text: str) -> str:
    """A statement as errors show it: in one line, without literals and comments, which may hold data."""
    line = " ".join(_SPELLED.sub(_without_data, text).split())
    return f"`{line[:_LONGEST_TEXT]}{'…' if len(line) > _LONGEST_TEXT else ''}`"


def _without_data(found: re.Match[str]) -> str:
    if found["quote"]:
        return found["quote"] + "…" + found["quote"]
    if found["number"]:
        return "…"
    return " " if found["comment"] else found[0]


def about_statement(
    statement: Statement,
    table: str,
    where: str,
    altered: Altered | None = None,
    *,
    was_there: bool = False,
) -> list[str]:
    """Says what a statement did to a table that no row event tells.

    Args:
        statement: The statement.
        table: The table's bare name.
        where: Names table and shard.
        altered: What the statement made of the table, or None if it does not tell.
        was_there: Whether nothing before the statement has told that the table is gone.

    Returns:
        A sentence or two for each thing; none where a reader of rows misses nothing.
    """
    effects = statement.effects_on(table)
    shown = statement_of(statement.text)
    told = []
    # A stream does not tell that the whole database was dropped, only what is made after it.
    vanished = was_there and Effect.MADE_ANEW in effects
    if effects & {Effect.ROWS_REMOVED, Effect.DROPPED, Effect.RENAMED_AWAY} or vanished:
        truncated = Effect.DROPPED not in effects and re.search(r"\btruncate\b", shown, re.IGNORECASE)
        word = "TRUNCATE" if truncated else "RENAME" if Effect.RENAMED_AWAY in effects else "DROP"
        told.append(
            f"{word} of {where}, by {shown}: the server sends no deletes for it, so rows that were read "
            "before "
            "stay in the destination. Refresh this stream and remove its records to bring both in line."
        )
    if effects & {Effect.ADDED_VALUES, Effect.VALUES_CHANGED} and (
        altered is None or altered.filled or altered.converted or altered.required or altered.renamed
    ):
        told.append(
            f"Values of {where} were added or changed by {shown}: the server sends no changes for it, so "
            "rows "
            "that were not changed since lack them. Refresh this stream, or have Airbyte backfill new "
            "columns "
            "(the connection's setting 'Backfill new or renamed columns'), to bring both in line."
        )
    if Effect.KEY_CHANGED in effects:
        told.append(
            f"The primary key of {where} was changed by {shown}. Refresh the source's schema, so that the "
            "destination tells rows apart by the new key."
        )
    return told


def about_replaced_columns(statement: Statement, table: str, where: str, before: Shape, today: Shape) -> str:
    """Says what became of a table's values by a statement that does not tell it: the end of a migration.

    Args:
        statement: The statement.
        table: The table's bare name.
        where: Names table and shard.
        before: The shape before it.
        today: The shape of today.

    Returns:
        A sentence or two; empty where the statement tells it itself, and where a reader of rows misses
        nothing. A column that is new counts: whether it has values cannot be seen.
    """
    if not statement.effects_on(table) & {Effect.CUTOVER, Effect.UNKNOWN}:
        return ""
    former = {column.name: column for column in before}
    if all(column.name in former and holds(column, former[column.name]) for column in today):
        return ""
    return (
        f"Columns of {where} were added or changed by a schema change that ended with "
        f"{statement_of(statement.text)}: the server sends no changes for it, so rows that were not changed "
        "since may lack their values. Refresh this stream, or have Airbyte backfill new columns (the "
        "connection's setting 'Backfill new or renamed columns'), to bring both in line."
    )
