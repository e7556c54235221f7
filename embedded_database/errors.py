"""The two ways in which the embedded database refuses: over SQL and over VStream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc


class SqlError(Exception):
    """A refusal over the MySQL protocol.

    Attributes:
        code: MySQL's error number, such as 1049.
        message: The text as vtgate or MySQL words it.
    """

    def __init__(self, code: int, message: str) -> None:
        """Keeps the number apart from the text."""
        super().__init__(f"({code}) {message}")
        self.code = code
        self.message = message


class StreamError(Exception):
    """The end of a VStream with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        """Keeps the gRPC status apart from the text."""
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
