"""What vtgate's MySQL protocol tells about a database: tables, shards and replication positions."""

from __future__ import annotations

import ssl
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from source_planetscale.errors import ConfigError
from source_planetscale.mysql.errors import diagnose, is_answer, is_refusal, is_shard_failure, what_was_told
from source_planetscale.mysql.keyspaces import only_keyspaces
from source_planetscale.mysql.schema import ColumnRow, KeyRow, assemble
from source_planetscale.mysql.shards import key_range_order, selected_shards
from source_planetscale.tls import client_context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from pymysql.connections import Connection

    from source_planetscale.endpoint import Endpoint, Keyspace, TabletType
    from source_planetscale.table import Table

_CONNECT_TIMEOUT_SECONDS = 10
_ANSWER_TIMEOUT_SECONDS = 120
_QUICK_ANSWER_SECONDS = 5
# How the throttler names a stream's parts, the catch-up and the copy, and every app
# (go/vt/vttablet/tabletserver/throttle/throttlerapp/app.go).
_STREAMERS = {"vstreamer", "rowstreamer", "all"}
# CR_SERVER_LOST of MySQL's client error reference.
_LOST = 2013

# vtgate rewrites a plain comparison with database() to the physical schema of the shard that answers;
# the schema's name in the results is the physical one and differs from shard to shard.
_BASE_TABLES = """
    select table_name, table_rows from information_schema.tables
    where table_schema = database() and table_type = 'BASE TABLE'"""
_COLUMNS = """
    select table_name, ordinal_position, column_name, column_type, character_set_name, is_nullable,
        column_key
    from information_schema.columns where table_schema = database()"""
_UNIQUE_KEYS = """
    select table_name, index_name, seq_in_index, column_name
    from information_schema.statistics where table_schema = database() and non_unique = 0"""
_BINLOG_STATUS = "select @@global.gtid_executed, @@global.gtid_purged, @@global.binlog_row_image"
# Not `select 1`: vtgate answers that by itself, without any tablet.
_PROBE = "select 1 from information_schema.tables limit 1"


class BinlogStatus(NamedTuple):
    """What the binary log of a tablet holds.

    Attributes:
        executed: MySQL's `gtid_executed`, without flavor prefix.
        purged: MySQL's `gtid_purged`, without flavor prefix.
        full_images: Whether row events hold all columns, which is `binlog_row_image=FULL`.
    """

    executed: str
    purged: str
    full_images: bool


class Database:
    """The configured database (a keyspace) behind vtgate's MySQL port.

    Every method opens a connection of its own and closes it, so one object may serve several threads.
    Every method raises `SourceError` with a sentence for the user: a config error where
    configuration or permissions are to blame, a transient error for the network and missing tablets.
    """

    def __init__(self, endpoint: Endpoint, keyspace: Keyspace) -> None:
        """Opens nothing yet.

        Args:
            endpoint: vtgate's MySQL port.
            keyspace: What is read.
        """
        self._endpoint = endpoint
        self._keyspace = keyspace

    def ping(self) -> None:
        """Logs in and has a tablet of the configured type answer."""
        with self._explained():
            self._rows_at(self._target(), _PROBE)

    def keyspaces(self) -> list[str]:
        """Lists the keyspaces that vtgate shows, whether this one is among them or not."""
        with self._explained():
            return only_keyspaces(str(row[0]) for row in self._rows_at("", "show keyspaces"))

    def tables(self, names: Collection[str] | None = None, shard: str | None = None) -> list[Table]:
        """Describes the base tables of the keyspace, in the order of their names.

        Views and the tables that Vitess keeps for itself are left out: VStream sends no changes of
        either. The whole answer comes from one shard, so that columns and keys belong together. It takes
        the same few queries, however many tables there are.

        Args:
            names: Only these tables, if given, whatever the patterns of the keyspace are; unknown names are
                ignored.
            shard: The shard to ask, if it matters: shards change their tables one after the other.
        """
        if names is not None and not names:
            return []
        if shard is not None:
            with self._explained():
                return self._tables_at(self._target(shard), names)
        for target in self._schema_targets():
            try:
                return self._tables_at(target, names)
            except _error_types() as error:
                if not is_answer(error):
                    raise diagnose(error, self._endpoint, self._keyspace) from None
                if not is_shard_failure(error):
                    break
        with self._explained():
            # Where single shards cannot be addressed, the keyspace as a whole can.
            return self._tables_at(self._target(), names)

    def shards(self) -> list[str]:
        """Lists the serving shards of the keyspace in the order of their key ranges."""
        with self._explained(), self._connect(self._target()) as connection:
            shards = self._listed_shards(connection)
        if not shards:
            raise ConfigError(
                f"Database {self._keyspace.name!r} has no serving shards. Check the spelling of "
                f"{self._keyspace.option}."
            )
        return shards

    def binlog_status(self, shard: str, tablet_type: TabletType) -> BinlogStatus | None:
        """Reads which transactions a shard has executed, which it can no longer send, and its row images.

        Every tablet purges its binary logs by itself: ask for the type that the stream uses.

        Args:
            shard: The shard's name.
            tablet_type: The kind of tablet to ask.

        Returns:
            The status, or None where the server does not answer such questions.
        """
        rows = self.ask(_BINLOG_STATUS, shard, tablet_type)
        executed, purged, row_image = rows[0] if rows else (None, None, None)
        if executed is None or purged is None:
            return None
        return BinlogStatus(_one_line(executed), _one_line(purged), row_image in ("FULL", None))

    def throttles_streams(self, shard: str) -> bool:
        """Tells whether the throttler of the tablets that serve a shard holds streams back.

        Raises:
            SourceError: There was no answer within a few seconds.
        """
        with self._explained(), self._connect(self._target(shard), _QUICK_ANSWER_SECONDS) as connection:
            try:
                rows = _rows(connection, "show vitess_throttled_apps")
            except _error_types() as error:
                if is_refusal(error):
                    return False
                raise
        # Its rows: app, when that ends, ratio.
        return any(_STREAMERS & set(str(app).split(":")) and float(ratio) > 0 for app, _, ratio, *_ in rows)

    def ask(
        self, sql: str, shard: str | None = None, tablet_type: TabletType | None = None
    ) -> Sequence[tuple[Any, ...]] | None:
        """Runs a statement that a server may decline.

        Args:
            sql: The statement.
            shard: The shard to ask; vtgate's choice if None.
            tablet_type: The kind of tablet to ask; the configured one if None.

        Returns:
            The rows, or None where the server does not answer such questions.
        """
        try:
            return self._rows_at(self._target(shard, tablet_type), sql)
        except _error_types() as error:
            if is_refusal(error):
                return None
            raise diagnose(error, self._endpoint, self._keyspace) from None

    @contextmanager
    def session(
        self, shard: str | None = None, tablet_type: TabletType | None = None, *, anywhere: bool = False
    ) -> Iterator[Callable[[str], Sequence[tuple[Any, ...]] | str]]:
        """Opens a connection for several statements that a server may decline.

        Args:
            shard: The shard to ask; vtgate's choice if None.
            tablet_type: The kind of tablet to ask; the configured one if None.
            anywhere: Choose no keyspace: vtgate finds tables by their bare names then.

        Returns:
            What takes a statement, and gives its rows, or the words in which it was declined.
        """

        def ask(sql: str) -> Sequence[tuple[Any, ...]] | str:
            try:
                return _rows(connection, sql)
            except _error_types() as error:
                if is_refusal(error):
                    return what_was_told(error, self._endpoint)
                raise

        target = "" if anywhere else self._target(shard, tablet_type)
        with self._explained(), self._connect(target) as connection:
            yield ask

    def try_tables(self, names: Sequence[str], shard: str, seconds: float) -> dict[str, str | None]:
        """Asks each table for one row.

        Args:
            names: The tables.
            shard: The shard to ask.
            seconds: When to stop asking.

        Returns:
            Table -> what the server said, or None if it gave its rows; without the tables that there was no
            time for.
        """
        told: dict[str, str | None] = {}
        end = time.monotonic() + seconds
        with self._explained(), self._connect(self._target(shard)) as connection:
            for name in names:
                if time.monotonic() > end:
                    break
                try:
                    _rows(connection, f"select 1 from {quoted(name)} limit 1")  # noqa: S608 - quoted
                    told[name] = None
                except _error_types() as error:
                    if not is_refusal(error):
                        raise
                    told[name] = what_was_told(error, self._endpoint)
        return told

    def _schema_targets(self) -> list[str]:
        known = self.shards()
        return [self._target(shard) for shard in selected_shards(self._keyspace, known)]

    def _tables_at(self, target: str, names: Collection[str] | None) -> list[Table]:
        condition, arguments = "", list(names or ())
        if arguments:
            condition = f" and table_name in ({', '.join(['%s'] * len(arguments))})"
        elif self._keyspace.table_patterns:
            arguments = list(self._keyspace.table_patterns)
            condition = f" and ({' or '.join(['table_name like %s'] * len(arguments))})"
        with self._connect(target) as connection:
            # Vitess refuses long results, such as the columns of thousands of tables, in its
            # default workload.
            _rows(connection, "set workload = 'olap'")
            base = _rows(connection, _BASE_TABLES + condition, arguments)
            columns = _rows(connection, _COLUMNS + condition, arguments)
            keys = _rows(connection, _UNIQUE_KEYS + condition, arguments)
        # MySQL compares these names without regard to case.
        wanted = {name: rows for name, rows in base if names is None or name in names}
        return assemble(
            self._keyspace.name,
            wanted,
            [ColumnRow(*row) for row in columns],
            [KeyRow(*row) for row in keys],
        )

    def _listed_shards(self, connection: Connection[Any]) -> list[str]:
        try:
            rows = _rows(connection, "show vitess_shards")
            pairs = (str(row[0]).partition("/") for row in rows)
            found = {shard for keyspace, _, shard in pairs if keyspace == self._keyspace.name}
        except _error_types() as error:
            if not is_refusal(error):
                raise
            # Its rows: cell, keyspace, shard, tablet type, state and more.
            rows = _rows(connection, "show vitess_tablets")
            found = {
                row[2]
                for row in rows
                if (row[1], row[3], row[4]) == (self._keyspace.name, "PRIMARY", "SERVING")
            }
        return sorted(found, key=key_range_order)

    def _target(self, shard: str | None = None, tablet_type: TabletType | None = None) -> str:
        kind = (tablet_type or self._keyspace.tablet_type).value
        where = "" if shard is None else f":{shard}"
        return f"{self._keyspace.name}{where}@{kind}"

    def _rows_at(self, target: str, sql: str) -> Sequence[tuple[Any, ...]]:
        with self._connect(target) as connection:
            return _rows(connection, sql)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _error_types() as error:
            raise diagnose(error, self._endpoint, self._keyspace) from None

    @contextmanager
    def _connect(self, target: str, seconds: float = _ANSWER_TIMEOUT_SECONDS) -> Iterator[Connection[Any]]:
        with closing(_open(self._endpoint, target, seconds)) as connection:
            yield connection


def _open(endpoint: Endpoint, target: str, seconds: float) -> Connection[Any]:
    # Only commands that reach the server pay for this import.
    import pymysql

    host, port = endpoint.address
    context = client_context(endpoint.tls, endpoint.server_name) if endpoint.tls else None
    try:
        return pymysql.connect(
            host=host,
            port=port,
            user=endpoint.username,
            # PyMySQL would take a text for Latin-1, MySQL's own clients send UTF-8.
            password=endpoint.password.encode(),
            database=target,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=min(seconds, _CONNECT_TIMEOUT_SECONDS),
            read_timeout=seconds,
            write_timeout=seconds,
            ssl=context,
            ssl_disabled=context is None,
        )
    except pymysql.MySQLError as error:
        if context is not None and context.agreed and error.args[:1] == (_LOST,) and not error.__context__:
            # Servers of TLS 1.3 turn a client down after it took the handshake for done.
            raise ssl.SSLEOFError(*error.args) from None
        raise
    except Exception as error:
        # PyMySQL lets any error through when the peer does not speak MySQL's protocol.
        raise pymysql.InternalError(type(error).__name__) from error


def quoted(name: str) -> str:
    """Writes a name as MySQL quotes names."""
    return "`" + name.replace("`", "``") + "`"


def _rows(connection: Connection[Any], sql: str, arguments: Sequence[str] = ()) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments or None)
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _error_types() -> tuple[type[Exception], ...]:
    import pymysql

    # A connection that breaks later shows as the socket's or the TLS layer's own error.
    return (pymysql.MySQLError, OSError)


def _one_line(gtid_set: str) -> str:
    # MySQL breaks the line after every server's ranges.
    return gtid_set.replace("\n", "").strip()
