"""What vtgate's errors mean for a reader of its streams."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterable


class VStreamError(Exception):
    """A stream that broke off.

    Attributes:
        code: The gRPC status.
        detail: The server's words without the cursor that it echoes, since that holds key values.
    """

    def __init__(self, code: grpc.StatusCode, detail: str) -> None:
        """Takes the status and the server's full text."""
        self.code = code
        self.detail = _without_cursor(detail)
        super().__init__(f"{code.name}: {self.detail}")

    @property
    def permanent(self) -> bool:
        """Whether trying again cannot help.

        Codes alone do not tell: vtgate flattens most tablet errors to UNKNOWN.
        """
        if self.code in _PERMANENT_CODES:
            return True
        return any(text in self.detail for text in _PERMANENT_TEXTS)

    @property
    def shard_is_unknown(self) -> bool:
        """Whether the shard is not in the keyspace, as after a completed reshard."""
        return "shard provided in VGTID" in self.detail

    @property
    def position_is_unreachable(self) -> bool:
        """Whether no tablet was found, which is also how a position that none can serve comes out."""
        return "failed to find a" in self.detail and "tablet" in self.detail

    @property
    def shape_is_unreadable(self) -> bool:
        """Whether the server cannot decode earlier changes with the table's shape of today."""
        return any(text in self.detail for text in _SHAPE_TEXTS)

    @property
    def table_is_unknown(self) -> bool:
        """Whether the tablet does not know a table, which it may learn of at its next schema reload."""
        return any(text in self.detail for text in _UNKNOWN_TABLE_TEXTS)

    @property
    def statement_is_unreadable(self) -> bool:
        """Whether the log holds a statement that Vitess cannot parse, which no stream ever passes."""
        return _UNREADABLE_STATEMENT in self.detail

    @property
    def is_about_everything(self) -> bool:
        """Whether it is no fault of a single table: connection, permission, shard."""
        return (
            self.code in _CONNECTION_CODES
            or self.code in _PERMANENT_CODES
            or self.shard_is_unknown
            or self.position_is_unreachable
        )

    def names(self, tables: Iterable[str]) -> str | None:
        """The one of the tables that the server names as the cause, or None."""
        found = [
            table
            for table in tables
            if any(
                re.search(pattern.format(rf"(?:\w+\.)?[`']?{re.escape(table)}[`']?(?![\w.])"), self.detail)
                for pattern in _TABLE_PATTERNS
            )
        ]
        return found[0] if len(found) == 1 else None


_CONNECTION_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ABORTED,
    }
)
_TABLE_PATTERNS = (
    r"for table {}",
    r"unknown table {}",
    r"table {} is not present",
    r"table {} not found",
    r"in table {}",
    r"columns for {}",
)
_UNKNOWN_TABLE_TEXTS = ("is not present in the database", "unknown table")
_UNREADABLE_STATEMENT = "unexpected statement type UNKNOWN in row-based replication"
_PERMANENT_CODES = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)
_SHAPE_TEXTS = (
    "cannot determine table columns",
    "cannot use column names in vstream filter",
    "failed to build ENUM and SET column",
    "failed to perform ENUM column",
    "failed to perform SET column",
    "does not have valid string values",
)
_PERMANENT_TEXTS = (
    "not found in the",
    "could not decode position",
    "stream needs a position or a table to copy",
    "node doesn't exist: keyspaces",
    "not all journaling participants are in the stream",
    _UNREADABLE_STATEMENT,
    *_SHAPE_TEXTS,
)

_ECHO_START = "error starting stream from shard GTID"
_KEYS = "table_p_ks"
# The echo is proto text: what stands in its quotes is skipped, since a key may look like the echo's end.
_ECHO = re.compile(
    _ECHO_START + r' (?:[^"]|"(?:[^"\\]|\\.)*")*?: (?=error in vstream|persistent error|target:)',
    re.DOTALL,
)


def _without_cursor(detail: str) -> str:
    text = _ECHO.sub("", detail)
    if _KEYS not in text:
        return text
    return re.split(f"{_ECHO_START}|{_KEYS}", text, maxsplit=1)[0] + "…"
