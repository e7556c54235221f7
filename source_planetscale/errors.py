"""Errors that reach a person: one sentence on what happened, where, and what to do.

    SourceError
    ├── ConfigError      the user can mend it: configuration, permissions, catalog or saved state
    ├── TransientError   it may pass by itself: a lost connection, a missing tablet
    └── InternalError    only a developer can mend it: the connector or the server

At the edge (`airbyte_errors`) they become the CDK's own.
"""

from __future__ import annotations


class SourceError(Exception):
    """An error with a message for the user, without secrets and without row data.

    Attributes:
        message: What happened, to which table and shard, and what to do.
        cause: The exception behind it, or None.
    """

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        """Takes the message and the exception behind it, if there is one."""
        super().__init__(message)
        self.message = message
        self.cause = cause

    def __reduce__(self) -> tuple[type[SourceError], tuple[str]]:
        """Goes to other processes without its cause, which may be of a kind that does not."""
        return type(self), (self.message,)


class ConfigError(SourceError):
    """Something that the user can mend: configuration, permissions, catalog or saved state."""


class TransientError(SourceError):
    """Something that may pass by itself, such as a lost connection."""


class InternalError(SourceError):
    """Something in the connector or the server that only a developer can mend."""
