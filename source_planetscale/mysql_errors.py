"""What an error on vtgate's MySQL port means to a person: one sentence, and what kind of failure."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

from source_planetscale.errors import config_error, system_error, transient_error

if TYPE_CHECKING:
    from airbyte_cdk.utils.traced_exception import AirbyteTracedException

    from source_planetscale.config import Config

# Numbers of MySQL's server error and client error references; vtgate answers with the same.
_ACCESS_DENIED = 1045
_UNKNOWN_DATABASE = 1049
_FORBIDDEN = frozenset({1044, 1142, 1143, 1227})
_TLS_NOT_OFFERED = 2026
_FIRST_CLIENT_ERROR = 2000
_LAST_CLIENT_ERROR = 2999

_NO_TABLET = ("no healthy tablet", "no valid tablet", "is not serving")
_UNAVAILABLE = ("code = unavailable", "code = deadlineexceeded", "context deadline exceeded")
_PERMISSION = ("code = permissiondenied", "code = unauthenticated", "command denied")
_PLAINTEXT_REFUSED = ("insecure connections", "require_secure_transport")


def explain(error: Exception, config: Config) -> str:
    """Says what happened and what to do.

    Args:
        error: What PyMySQL, the socket or the TLS layer raised.
        config: The configuration that was used.

    Returns:
        One or two sentences, without the password.
    """
    return diagnose(error, config).message or ""


def diagnose(error: Exception, config: Config) -> AirbyteTracedException:
    """Turns an error of the MySQL port into the connector's own. Arguments as `explain`.

    Returns:
        The exception, to be raised by the caller: a config error where the configuration or a
        permission is to blame, a transient one for the network and for missing tablets.
    """
    return (
        _tls_failure(error, config)
        or _network_failure(error, config)
        or _server_failure(error, config)
        or _unknown_failure(error, config)
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


def _tls_failure(error: Exception, config: Config) -> AirbyteTracedException | None:
    where, cause = _where(config), _origin(error)
    if _code(error) == _TLS_NOT_OFFERED:
        return config_error(
            f"The server at {where} does not offer TLS. Check host and mysql_port; turn mysql_tls off "
            "only for a server of your own inside a network you trust.",
            error,
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        return config_error(
            f"The certificate of the server at {where} is not trusted ({cause.verify_message}). Check "
            "the host name; enter your own certificate authority in tls_ca_certificate.",
            error,
        )
    if isinstance(cause, ssl.SSLError):
        return config_error(
            f"The server at {where} broke off the TLS handshake ({cause.strerror}). Check mysql_port "
            "and mysql_tls.",
            error,
        )
    if _mentions(error, *_PLAINTEXT_REFUSED):
        return config_error(
            f"The server at {where} refuses connections without TLS. Turn mysql_tls on.", error
        )
    return None


def _network_failure(error: Exception, config: Config) -> AirbyteTracedException | None:
    where, cause = _where(config), _origin(error)
    if isinstance(cause, socket.gaierror):
        return transient_error(
            f"The host name {config.host} is not known (DNS). Check the spelling of host.", error
        )
    if isinstance(cause, ConnectionRefusedError):
        return transient_error(
            f"The server at {where} refused the connection. Check host and mysql_port, and that "
            "vtgate is running.",
            error,
        )
    if isinstance(cause, TimeoutError) or _mentions(error, "timed out"):
        return transient_error(
            f"The server at {where} did not answer in time. Check host, mysql_port and the firewalls "
            "in between.",
            error,
        )
    code = _code(error)
    if isinstance(cause, OSError) or (code is not None and _is_client_error(code)):
        return transient_error(
            f"The connection to the server at {where} failed or was lost. Check that host and "
            "mysql_port are those of vtgate's MySQL protocol; try again if they are.",
            error,
        )
    return None


def _server_failure(error: Exception, config: Config) -> AirbyteTracedException | None:
    where, code = _where(config), _code(error)
    if code == _ACCESS_DENIED:
        return config_error(
            f"The server at {where} denied access to user {config.username!r}. Check username and password.",
            error,
        )
    if code == _UNKNOWN_DATABASE:
        return config_error(
            f"The database {config.database!r} does not exist at {where}. Check the spelling of "
            "database, and that the password belongs to it.",
            error,
        )
    if _mentions(error, *_NO_TABLET):
        return transient_error(
            f"No healthy {config.tablet_type.value} tablet serves database {config.database!r} "
            f"({_told(error, config)}). Check that the database has tablets of this type (fields "
            "use_replica and use_rdonly) and the names in shards; otherwise try again.",
            error,
        )
    if code in _FORBIDDEN or _mentions(error, *_PERMISSION):
        return config_error(
            f"User {config.username!r} may not read database {config.database!r} "
            f"({_told(error, config)}). Give the user read access.",
            error,
        )
    if _mentions(error, *_UNAVAILABLE):
        return transient_error(
            f"Database {config.database!r} at {where} is not available ({_told(error, config)}). Try again.",
            error,
        )
    return None


def _unknown_failure(error: Exception, config: Config) -> AirbyteTracedException:
    if _code(error) is None:
        # PyMySQL raises bare errors when what it reads is not MySQL's protocol.
        return config_error(
            f"What answers at {_where(config)} does not speak MySQL's protocol. Check that mysql_port is "
            "vtgate's MySQL port and not its gRPC port, and that mysql_tls is right.",
            error,
        )
    return system_error(
        f"Database {config.database!r} at {_where(config)} answered with an error: {_told(error, config)}",
        error,
    )


def _where(config: Config) -> str:
    return f"{config.host}:{config.mysql_port}"


def _origin(error: Exception) -> BaseException:
    origin = getattr(error, "original_exception", None)
    return origin if isinstance(origin, BaseException) else error


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


def _told(error: Exception, config: Config) -> str:
    # vtgate quotes the statement behind its message; that part helps nobody who configures.
    text = str(error.args[-1]).partition(" (CallerID:")[0]
    if not config.password:
        return text
    # As a whole word: a password such as "a" must not tear up every sentence.
    return re.sub(rf"(?<!\w){re.escape(config.password)}(?!\w)", "***", text)
