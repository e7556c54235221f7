"""Errors that reach a person: one sentence on what happened, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airbyte_cdk.models import StreamDescriptor


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


def _traced(message: str, failure_type: FailureType, cause: BaseException | None) -> AirbyteTracedException:
    # The CDK's closing summary prints internal_message, the platform shows message: both say the same.
    return AirbyteTracedException(
        message=message, internal_message=message, failure_type=failure_type, exception=cause
    )


def combined(errors: Mapping[str, Exception], stream: StreamDescriptor) -> AirbyteTracedException:
    """Joins the errors of a stream's shards into the one that the CDK reports.

    Args:
        errors: At least one error, by shard.
        stream: The stream they belong to.

    Returns:
        One error with every message in it; something to mend outweighs what may pass by itself.
    """
    messages = list(dict.fromkeys(str(error) for error in errors.values()))
    types = {getattr(error, "failure_type", FailureType.system_error) for error in errors.values()}
    failure_type = next(known for known in _BY_WEIGHT if known in types)
    message = " ".join(messages)
    return AirbyteTracedException(
        message=message, internal_message=message, failure_type=failure_type, stream_descriptor=stream
    )


_BY_WEIGHT = (FailureType.config_error, FailureType.system_error, FailureType.transient_error)
