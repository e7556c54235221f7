"""What an error on vtgate's MySQL port means to a person: one sentence, and what kind of failure."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

from source_planetscale import tls
from source_planetscale.errors import ConfigError, InternalError, TransientError

if TYPE_CHECKING:
    from source_planetscale.endpoint import Endpoint, Keyspace
    from source_planetscale.errors import SourceError

# Numbers of MySQL's server error and client error references; vtgate answers with the same.
_ACCESS_DENIED = 1045
_UNKNOWN_DATABASE = 1049
_FORBIDDEN = frozenset({1044, 1142, 1143, 1227})
_TLS_NOT_OFFERED = 2026
_FIRST_CLIENT_ERROR = 2000
_LAST_CLIENT_ERROR = 2999

_NO_TABLET = ("no healthy tablet", "no valid tablet", "is not serving")
_UNAVAILABLE = (
    # While traffic is switched to other tablets.
    "operation not allowed in state",
    "code = code(17)",
    "is being resharded",
    "reparent operation in progress",
    "code = unavailable",
    "code = deadlineexceeded",
    "context deadline exceeded",
)
_PERMISSION = ("code = permissiondenied", "code = unauthenticated", "command denied")
_PLAINTEXT_REFUSED = ("insecure connections", "require_secure_transport")


def diagnose(error: Exception, endpoint: Endpoint, keyspace: Keyspace) -> SourceError:
    """Turns an error of the MySQL port into the connector's own, without the password.

    Args:
        error: What PyMySQL, the socket or the TLS layer raised.
        endpoint: The port.
        keyspace: What was to be read.

    Returns:
        The exception, to be raised by the caller: a config error where the configuration or a
        permission is to blame, a transient one for the network and for missing tablets.
    """
    trouble = None if is_answer(error) else endpoint.trouble()
    return (
        trouble
        or _tls_failure(error, endpoint)
        or _network_failure(error, endpoint)
        or _server_failure(error, endpoint, keyspace)
        or _unknown_failure(error, endpoint, keyspace)
    )


def is_answer(error: Exception) -> bool:
    """Tells whether the server itself answered with this error, rather than the way to it failing."""
    code = _code(error)
    return code is not None and not _is_client_error(code)


def is_refusal(error: Exception) -> bool:
    """Tells whether a server that works, with a login that works, declined this one statement."""
    if not is_answer(error) or _code(error) in {_ACCESS_DENIED, _UNKNOWN_DATABASE}:
        return False
    return not _mentions(error, *_NO_TABLET, *_UNAVAILABLE)


def is_shard_failure(error: Exception) -> bool:
    """Tells whether another shard may answer what this one could not."""
    return _mentions(error, *_NO_TABLET, *_UNAVAILABLE)


def _tls_failure(error: Exception, endpoint: Endpoint) -> SourceError | None:
    where, cause = str(endpoint), _origin(error)
    if _code(error) == _TLS_NOT_OFFERED:
        return ConfigError(
            f"The server at {where} does not offer TLS. Check host and mysql_port; turn TLS off, with "
            "mysql_tls or ssl_mode, only for a server of your own inside a network you trust.",
            error,
        )
    if isinstance(cause, ssl.SSLError):
        return tls.explain(cause, endpoint, "mysql_port")
    if _mentions(error, *_PLAINTEXT_REFUSED):
        return ConfigError(
            f"The server at {where} refuses connections without TLS. Turn mysql_tls on, and choose "
            "another ssl_mode than plaintext.",
            error,
        )
    return None


def _network_failure(error: Exception, endpoint: Endpoint) -> SourceError | None:
    where, cause = str(endpoint), _origin(error)
    if isinstance(cause, socket.gaierror):
        return TransientError(
            f"The host name {endpoint.host} is not known (DNS). Check the spelling of host.", error
        )
    if isinstance(cause, ConnectionRefusedError):
        return TransientError(
            f"The server at {where} refused the connection. Check host and mysql_port, and that "
            "vtgate is running.",
            error,
        )
    if isinstance(cause, TimeoutError) or _mentions(error, "timed out"):
        return TransientError(
            f"The server at {where} did not answer in time. Check host, mysql_port and the firewalls "
            "in between.",
            error,
        )
    code = _code(error)
    if isinstance(cause, OSError) or (code is not None and _is_client_error(code)):
        return TransientError(
            f"The connection to the server at {where} failed or was lost. Check that host and "
            "mysql_port are those of vtgate's MySQL protocol; try again if they are.",
            error,
        )
    return None


def _server_failure(error: Exception, endpoint: Endpoint, keyspace: Keyspace) -> SourceError | None:
    where, code = str(endpoint), _code(error)
    if code == _ACCESS_DENIED:
        return ConfigError(
            f"The server at {where} denied access to user {endpoint.username!r}. Check username and "
            "password.",
            error,
        )
    if code == _UNKNOWN_DATABASE:
        return ConfigError(
            f"The database {keyspace.name!r} does not exist at {where}. Check the spelling of "
            f"{keyspace.option}, and that the password belongs to it.",
            error,
        )
    if _mentions(error, *_NO_TABLET):
        return TransientError(
            f"No healthy {keyspace.tablet_type.value} tablet serves database {keyspace.name!r} "
            f"({what_was_told(error, endpoint)}). Check that the database has tablets of this type (fields "
            "use_replica and use_rdonly) and the names in shards; otherwise try again.",
            error,
        )
    if code in _FORBIDDEN or _mentions(error, *_PERMISSION):
        return ConfigError(
            f"User {endpoint.username!r} may not read database {keyspace.name!r} "
            f"({what_was_told(error, endpoint)}). Give the user read access.",
            error,
        )
    if _mentions(error, *_UNAVAILABLE):
        return TransientError(
            f"Database {keyspace.name!r} at {where} is not available ({what_was_told(error, endpoint)}). "
            "Try again.",
            error,
        )
    return None


def _unknown_failure(error: Exception, endpoint: Endpoint, keyspace: Keyspace) -> SourceError:
    if _code(error) is None:
        # PyMySQL raises bare errors when what it reads is not MySQL's protocol.
        return ConfigError(
            f"What answers at {endpoint} does not speak MySQL's protocol. Check that mysql_port is "
            "vtgate's MySQL port and not its gRPC port, and that mysql_tls and ssl_mode are right.",
            error,
        )
    return InternalError(
        f"Database {keyspace.name!r} at {endpoint} answered with an error: {what_was_told(error, endpoint)}",
        error,
    )


def _origin(error: Exception) -> BaseException:
    origin = getattr(error, "original_exception", None)
    if isinstance(origin, BaseException):
        return origin
    # What breaks a connection after the handshake, as a server of TLS 1.3 turns a client down, is all that
    # PyMySQL keeps of it.
    return error.__context__ if isinstance(error.__context__, ssl.SSLError) else error


def _code(error: Exception) -> int | None:
    code = error.args[0] if error.args else None
    # An OSError carries the system's error number in the same place.
    return code if isinstance(code, int) and not isinstance(error, OSError) else None


def _is_client_error(code: int) -> bool:
    # PyMySQL reports a connection that ended under it as number 0.
    return code == 0 or _FIRST_CLIENT_ERROR <= code <= _LAST_CLIENT_ERROR


def _mentions(error: Exception, *texts: str) -> bool:
    told = str(error).casefold()
    return any(text in told for text in texts)


def what_was_told(error: Exception, endpoint: Endpoint) -> str:
    """The server's own words, without the password and the statement."""
    # vtgate quotes the statement behind its message; that part helps nobody who configures.
    text = str(error.args[-1]).partition(" (CallerID:")[0]
    if not endpoint.password:
        return text
    # As a whole word: a password such as "a" must not tear up every sentence.
    return re.sub(rf"(?<!\w){re.escape(endpoint.password)}(?!\w)", "***", text)
