"""The connector's errors in the CDK's form."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_planetscale.errors import ConfigError, SourceError, TransientError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airbyte_cdk.models import StreamDescriptor

# Something to mend outweighs what may pass by itself.
_BY_WEIGHT = (FailureType.config_error, FailureType.system_error, FailureType.transient_error)


@contextmanager
def traced_errors() -> Iterator[None]:
    """Raises the connector's errors as the CDK's."""
    try:
        yield
    except SourceError as error:
        raise traced([error]) from error.cause


def traced(errors: Collection[Exception], stream: StreamDescriptor | None = None) -> AirbyteTracedException:
    """Joins errors into one of the CDK's.

    Args:
        errors: At least one error.
        stream: The stream they belong to, or None.

    Returns:
        One error with every message in it; something to mend outweighs what may pass by itself.
    """
    message = " ".join(dict.fromkeys(str(error) for error in errors))
    failures = {failure_type(error) for error in errors}
    # The CDK's closing summary prints internal_message, the platform shows message: both say the same.
    return AirbyteTracedException(
        message=message,
        internal_message=message,
        failure_type=next(failure for failure in _BY_WEIGHT if failure in failures),
        exception=next((error.cause for error in errors if isinstance(error, SourceError)), None),
        stream_descriptor=stream,
    )


def failure_type(error: Exception) -> FailureType:
    """Gives what the platform is told of an error: whether trying again can help."""
    if isinstance(error, ConfigError):
        return FailureType.config_error
    return FailureType.transient_error if isinstance(error, TransientError) else FailureType.system_error
