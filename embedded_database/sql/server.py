"""The MySQL port: mysql-mimic speaks the protocol, a `Session` of ours runs the statements."""

from __future__ import annotations

import asyncio
import logging
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mysql_mimic import ResultColumn, ResultSet
from mysql_mimic.auth import IdentityProvider, NativePasswordAuthPlugin, User
from mysql_mimic.charset import CharacterSet
from mysql_mimic.connection import Connection
from mysql_mimic.errors import ErrorCode
from mysql_mimic.server import MysqlServer
from mysql_mimic.session import BaseSession
from mysql_mimic.stream import ConnectionClosed, MysqlStream
from mysql_mimic.types import ColumnType
from mysql_mimic.variables import GlobalVariables, SessionVariables

from embedded_database.columns.schema import BLOBS, GEOMETRIES
from embedded_database.columns.values import copy_form
from embedded_database.errors import SqlError
from embedded_database.sql.query import VERSION
from embedded_database.sql.session import Engine, Session

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from embedded_database.certificates import Certificates
    from embedded_database.columns.schema import Column
    from embedded_database.columns.values import Kept
    from embedded_database.sql.query import Result

_MAX_SESSIONS = 64
_UNKNOWN_DATABASE = 1049
_SQL_STATES = {1045: b"28000", 1049: b"42000", 1062: b"23000", 1064: b"42000", 1146: b"42S02"}
_COLUMN_TYPES = {
    "tinyint": ColumnType.TINY,
    "smallint": ColumnType.SHORT,
    "mediumint": ColumnType.INT24,
    "int": ColumnType.LONG,
    "bigint": ColumnType.LONGLONG,
    "decimal": ColumnType.NEWDECIMAL,
    "float": ColumnType.FLOAT,
    "double": ColumnType.DOUBLE,
    "year": ColumnType.YEAR,
    "date": ColumnType.DATE,
    "datetime": ColumnType.DATETIME,
    "timestamp": ColumnType.TIMESTAMP,
    "time": ColumnType.TIME,
    "bit": ColumnType.BIT,
    "json": ColumnType.JSON,
}


_BYTE_TYPES = (ColumnType.BLOB, ColumnType.BIT)


class _Users(IdentityProvider):
    """Checks passwords; without any users everyone is let in."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users

    async def get_user(self, username: str) -> User | None:
        password = self._users.get(username)
        secret = NativePasswordAuthPlugin.create_auth_string(password) if password else None
        if self._users and password is None:
            # No password hashes to this: the client learns no more than from a wrong password.
            secret = "0" * 40
        return User(username, auth_string=secret, auth_plugin="mysql_native_password")

    def get_plugins(self) -> list[NativePasswordAuthPlugin]:
        return [NativePasswordAuthPlugin() if self._users else _AnyPassword()]


class _AnyPassword(NativePasswordAuthPlugin):
    """Takes every password, as a vtgate without authentication does."""

    def password_matches(self, user: User, scramble: bytes, nonce: bytes) -> bool:  # noqa: ARG002  # the plugin's signature
        return True


class _MysqlSession(BaseSession):
    """Hands statements to a `Session`, off the event loop."""

    def __init__(self, engine: Engine, executor: ThreadPoolExecutor) -> None:
        variables = GlobalVariables()
        variables.set("version", VERSION, force=True)
        self.variables = SessionVariables(variables)
        self.username = None
        self._executor = executor
        self._session = Session(engine)
        self.refusal: SqlError | None = None

    @property
    def database(self) -> str | None:
        """The target; setting an unknown one is remembered and refused with the login."""
        return self._session.target or None

    @database.setter
    def database(self, target: str | None) -> None:
        try:
            self._session.use(target or "")
        except SqlError as error:
            self.refusal = error

    async def use(self, database: str) -> None:
        self._session.use(database)

    async def close(self) -> None:
        self._session.close()

    async def run(self, sql: str) -> Result:
        """Runs one statement."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._session.execute, sql)


class _Stream:
    """mysql-mimic's stream, with a change to TLS that keeps what the client sent ahead.

    A client may send its first TLS bytes together with its wish for TLS; both are then in the reader's
    buffer, where the library forgets the former.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._stream = MysqlStream(reader, writer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        transport = self._writer.transport
        # What comes from here on is for TLS, and must not come before what the client sent ahead.
        transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads too
        # Without this asyncio warns at the end of each connection.
        transport.get_protocol()._over_ssl = True  # type: ignore[attr-defined]  # no public way to it
        buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]  # no public way to it
        early = bytes(buffer)
        buffer.clear()
        upgrade = asyncio.ensure_future(
            loop.start_tls(transport, transport.get_protocol(), context, server_side=True)
        )
        # One step puts the TLS protocol into the transport, the next one begins it.
        await asyncio.sleep(0)
        loop.call_soon(_feed, transport.get_protocol(), early)
        secured = await upgrade
        self._writer._transport = secured  # type: ignore[attr-defined]  # as the library does
        self._reader._transport = secured  # type: ignore[attr-defined]  # as the library does


def _feed(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    """Gives a protocol bytes as if they came just now."""
    if isinstance(protocol, asyncio.Protocol):
        protocol.data_received(data)
    elif isinstance(protocol, asyncio.BufferedProtocol):
        while data:
            room = protocol.get_buffer(len(data))
            count = min(len(room), len(data))  # type: ignore[arg-type]  # any buffer has a length
            memoryview(room)[:count] = data[:count]
            protocol.buffer_updated(count)
            data = data[count:]


class _Connection(Connection):
    """mysql-mimic's connection with vtgate's error numbers, for any bytes within SQL text."""

    session: _MysqlSession

    def ok(self, **kwargs: Any) -> bytes:
        """The OK packet; in place of the login's one, the refusal of an unknown keyspace."""
        refusal, self.session.refusal = self.session.refusal, None
        return self.error(msg=refusal) if refusal else super().ok(**kwargs)

    def error(self, **kwargs: Any) -> bytes:
        """An error packet with MySQL's number and state, of which the library knows but a few."""
        error = kwargs.get("msg")
        code = error.code if isinstance(error, SqlError) else int(kwargs.get("code", ErrorCode.UNKNOWN_ERROR))
        text = error.message if isinstance(error, SqlError) else str(error)
        state = _SQL_STATES.get(code, b"HY000")
        return b"\xff" + struct.pack("<H", code) + b"#" + state + text.encode("utf-8", "replace")

    async def handle_query(self, data: bytes) -> None:
        """Runs one statement; binary literals travel as raw bytes within its text."""
        result = await self.session.run(data.decode("utf-8", "surrogateescape"))
        if result.names:
            await self.write_text_resultset(_result_set(result))
        else:
            await self.stream.write(self.ok(affected_rows=result.affected))


class _Server(MysqlServer):
    """mysql-mimic's server over connections of ours."""

    def __init__(self, make_session: Callable[[], _MysqlSession], **options: Any) -> None:
        super().__init__(**options)
        self._make_session = make_session

    async def _client_connected_cb(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = self._make_session()
        connection = _Connection(
            stream=_Stream(reader, writer),  # type: ignore[arg-type]  # stands in for a final class
            session=session,
            control=self.control,
            server_capabilities=self.capabilities,
            identity_provider=self.identity_provider,
            ssl=self.ssl,
        )
        connection.connection_id = await self.control.add(connection)
        try:
            await connection.start()
        except (ConnectionClosed, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # A client that goes away, or the server's own end.
            pass
        finally:
            writer.close()
            await self.control.remove(connection.connection_id)


def _result_set(result: Result) -> ResultSet:
    kinds = [
        _column_type(column, next((row[at] for row in result.rows if row[at] is not None), None))
        for at, column in enumerate(result.columns)
    ]
    columns = [
        ResultColumn(
            name,
            kind,
            character_set=CharacterSet.binary if kind in _BYTE_TYPES else CharacterSet.utf8mb4,
            text_encoder=_plain_bytes,  # type: ignore[arg-type]  # called with the column first
        )
        for name, kind in zip(result.names, kinds, strict=True)
    ]
    forms = [_text_form(column) for column in result.columns]
    rows = [
        tuple(None if value is None else form(value) for form, value in zip(forms, row, strict=True))
        for row in result.rows
    ]
    return ResultSet(rows, columns)


def _plain_bytes(_column: ResultColumn, value: bytes) -> bytes:
    return value


def _text_form(column: Column | None) -> Callable[[Kept], bytes]:
    form = copy_form(column) if column and not column.charset else None
    return form or (lambda value: value if isinstance(value, bytes) else str(value).encode())


def _column_type(column: Column | None, sample: Kept) -> ColumnType:
    """The protocol's type of a table's column, or of an expression by one of its values."""
    if column is not None:
        is_bytes = column.data_type in (*BLOBS, *GEOMETRIES, "binary", "varbinary", "vector")
        return ColumnType.BLOB if is_bytes else _COLUMN_TYPES.get(column.data_type, ColumnType.VAR_STRING)
    kinds = {int: ColumnType.LONGLONG, float: ColumnType.DOUBLE, bytes: ColumnType.BLOB}
    return kinds.get(type(sample), ColumnType.VAR_STRING)


class MysqlPort:
    """Serves the MySQL protocol on a port of this host, on a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        users: Mapping[str, str],
        *,
        port: int = 0,
        certificates: Certificates | None = None,
    ) -> None:
        """Starts serving."""
        # The library logs each refused statement with its text.
        logging.getLogger("mysql_mimic").setLevel(logging.CRITICAL)
        self._executor = ThreadPoolExecutor(_MAX_SESSIONS, thread_name_prefix="mysql")
        self._server = _Server(
            lambda: _MysqlSession(engine, self._executor),
            identity_provider=_Users(users),
            ssl=certificates.server_context() if certificates else None,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mysql", daemon=True)
        self._thread.start()
        self._call(self._server.start_server(host="127.0.0.1", port=port))
        self.port = int(self._server.sockets()[0].getsockname()[1])

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """Ends all sessions and waits for their threads."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._executor.shutdown()

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
