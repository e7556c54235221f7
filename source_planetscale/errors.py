"""Errors that reach a person: one sentence on what happened, where, and what to do."""

from __future__ import annotations

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


def config_error(message: str, cause: BaseException | None = None) -> AirbyteTracedException:
    """Builds an error that the user can mend: configuration, permissions, catalog or saved state.

    Args:
        message: What happened, to which table and shard, and what to do. No secret, no row data.
        cause: The exception behind it, if there is one.

    Returns:
        The exception, to be raised by the caller.
    """
    return _traced(message, FailureType.config_error, cause)


def transient_error(message: str, cause: BaseException | None = None) -> AirbyteTracedException:
    """Builds an error that may pass by itself, such as a lost connection. Arguments as `config_error`."""
    return _traced(message, FailureType.transient_error, cause)


def system_error(message: str, cause: BaseException | None = None) -> AirbyteTracedException:
    """Builds an error of the connector or the server that only a developer can mend."""
    return _traced(message, FailureType.system_error, cause)


def _traced(
    message: str, failure_type: FailureType, cause: BaseException | None
) -> AirbyteTracedException:
    # The CDK's closing summary prints internal_message, the platform shows message: both say the same.
    return AirbyteTracedException(
        message=message, internal_message=message, failure_type=failure_type, exception=cause
    )
