"""Which tables and columns a VStream request asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import grpc
import sqlglot.errors
from sqlglot import expressions as exp

from embedded_database.errors import StreamError
from embedded_database.sql import rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source_planetscale.vstream.wire import vstream_pb2 as wire


class TableFilter:
    """The rules of a request."""

    def __init__(self, rules: Sequence[wire.Rule]) -> None:
        """Reads the rules.

        Raises:
            StreamError: A rule's filter is no SELECT of plain columns.
        """
        self._rules = [(rule.match, _columns(rule.filter)) for rule in rules]
        self._unfiltered = {rule.match for rule in rules if not rule.filter}

    @property
    def exact_names(self) -> list[str]:
        """Tables that rules name without a pattern."""
        return [match for match, _ in self._rules if not match.startswith("/")]

    def matches(self, name: str) -> bool:
        """Whether a rule asks for the table."""
        return self._rule(name) is not None

    def check_binlog(self, name: str) -> None:
        """Refuses a binlog event of a table whose rule names it without a filter, which a copy takes.

        Raises:
            StreamError: The table has such a rule.
        """
        if name in self._unfiltered:
            text = (
                "stream (at source tablet) error: Code: INVALID_ARGUMENT Query was empty "
                f"failed to build table replication plan for table {name}"
            )
            raise StreamError(grpc.StatusCode.UNKNOWN, text)

    def columns(self, table: str, names: Sequence[str], *, in_copy: bool) -> list[int]:
        """The places among `names` of the columns asked for, in the order asked.

        Raises:
            StreamError: A column is not there, or nobody knows the columns by name.
        """
        rule = self._rule(table)
        wanted = rule[1] if rule else None
        if wanted is None:
            return list(range(len(names)))
        places = {name.lower(): at for at, name in enumerate(names)}
        missing = [name for name in wanted if name.lower() not in places]
        if missing:
            text = f"column {missing[0]} not found in table {table}"
            if names[0] == "@1":
                text = (
                    "cannot use column names in vstream filter as the current table schema for table "
                    f"{table} is not compatible with the current event for this table in the stream"
                )
            if in_copy:
                raise StreamError(grpc.StatusCode.FAILED_PRECONDITION, text)
            text = (
                f"stream (at source tablet) error: Code: FAILED_PRECONDITION\n{text}\n\n"
                f"failed to build table replication plan for table {table}"
            )
            raise StreamError(grpc.StatusCode.UNKNOWN, text)
        return [places[name.lower()] for name in wanted]

    def _rule(self, name: str) -> tuple[str, list[str] | None] | None:
        for rule in self._rules:
            match = rule[0]
            if match == name or (match.startswith("/") and re.search(match[1:], name)):
                return rule
        return None


def _columns(select: str) -> list[str] | None:
    """The columns of a rule's SELECT, None for all of them."""
    if not select:
        return None
    try:
        node = rewrite.parse(select)
    except sqlglot.errors.SqlglotError as error:
        raise StreamError(grpc.StatusCode.INVALID_ARGUMENT, f"syntax error: {error}") from None
    if not isinstance(node, exp.Select) or node.args.get("where"):
        raise StreamError(grpc.StatusCode.INVALID_ARGUMENT, f"syntax error at position 6 near '{select}'")
    if node.is_star:
        return None
    unplain = [item for item in node.expressions if not isinstance(item.unalias(), exp.Column)]
    if unplain:
        text = f"unsupported function: {unplain[0].sql()}"
        raise StreamError(grpc.StatusCode.UNKNOWN, text)
    return [item.unalias().name for item in node.expressions]
