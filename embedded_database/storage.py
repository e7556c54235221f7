"""Rows and log of all shards in one SQLite file: atomic commits across shards, snapshots that cost nothing.

Each shard of each table is a SQLite table of its own; the log holds a shard's transactions in parts. A
reader's snapshot (SQLite's WAL) holds rows and position of the same moment, as VStream's copy needs it.
"""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from embedded_database import functions, gtid
from embedded_database.columns.values import Kept, ToWire, binlog_form, copy_form
from embedded_database.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from embedded_database.columns.schema import Column, Table

Cells = tuple[bytes | None, ...]
Change = tuple[Cells | None, Cells | None]

# Changes go to the log in parts of about this many bytes, as MySQL cuts its row events.
PART_BYTES = 8192
LOCK_WAIT_SECONDS = 30.0

_SYSTEM_TABLES = """
create table positions(uuid text primary key, last integer);
create table log(uuid text, number integer, part integer, kind text, name text, time integer, payload blob,
    primary key(uuid, number, part));
"""


@dataclass
class Shard:
    """One shard.

    Attributes:
        last: The number of the last committed transaction.
        purged: Transactions up to this number are gone from the log.
        serving: False once a reshard has moved its rows away.
        down: True while the shard answers nothing, a fault made on purpose.
    """

    keyspace: str
    name: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    last: int = 0
    purged: int = 0
    serving: bool = True
    down: bool = False

    @property
    def database(self) -> str:
        """The name of the shard's MySQL schema."""
        return f"vt_{self.keyspace}_{self.name}"

    @property
    def executed(self) -> str:
        """The GTID set of all transactions, without flavor."""
        return gtid.text(self.uuid, self.last)

    @property
    def purged_gtids(self) -> str:
        """The GTID set that the log no longer holds, without flavor."""
        return gtid.text(self.uuid, self.purged)

    def holds(self, key: bytes) -> bool:
        """Whether a row whose sharding value has these bytes belongs here."""
        low, _, high = self.name.partition("-")
        if "-" not in self.name:
            return True
        digest = hashlib.blake2b(key, digest_size=8).digest()
        above = digest >= bytes.fromhex(low)
        return above and (not high or digest < bytes.fromhex(high))


class LogPart(NamedTuple):
    """A piece of a transaction.

    Attributes:
        number: The transaction's number on its shard.
        kind: `rows`, `ddl`, `journal` or `end`; each transaction's last part is an `end`.
        name: The bare name of the table that the part is about.
        time: Seconds since the epoch.
        payload: Rows: marshalled (wire types, changes); DDL: the statement; journal: the message.
    """

    number: int
    kind: str
    name: str
    time: int
    payload: bytes


def quoted(name: str) -> str:
    """A name as SQLite quotes it."""
    return '"' + name.replace('"', '""') + '"'


def physical(shard: Shard, table: str) -> str:
    """The quoted name of the SQLite table that holds a table's rows of one shard."""
    return quoted(f"{shard.keyspace}/{shard.name}/{table}")


class Projection:
    """Selects a table's rows as wire cells."""

    def __init__(self, columns: Sequence[Column], *, binlog: bool) -> None:
        """Chooses SQLite's own cast where the bytes are the kept value's text."""
        forms: list[ToWire | None] = [(binlog_form if binlog else copy_form)(c) for c in columns]
        self.sql = ", ".join(
            quoted(column.name) if form else f"cast({quoted(column.name)} as blob)"
            for column, form in zip(columns, forms, strict=True)
        )
        self._forms = [(at, form) for at, form in enumerate(forms) if form]

    def cells(self, row: Sequence[Kept]) -> Cells:
        """The wire cells of one selected row."""
        cells = list(row)
        for at, form in self._forms:
            if cells[at] is not None:
                cells[at] = form(cells[at])
        return tuple(cells)  # type: ignore[arg-type]  # casts and forms have made bytes of all


class Storage:
    """The file, its one writer and its readers."""

    def __init__(self, folder: Path) -> None:
        """Creates an empty file in the folder."""
        self._path = folder / "embedded.sqlite"
        self.writer = self._connect()
        self.writer.executescript("pragma journal_mode=wal; pragma synchronous=off;" + _SYSTEM_TABLES)
        self.shards: dict[str, list[Shard]] = {}
        self.tables: dict[tuple[str, str], Table] = {}
        self.committed = threading.Condition()
        self._writing = threading.Lock()
        self._label_columns: list[Column] = []

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("pragma case_sensitive_like=off")
        functions.register(connection)
        return connection

    def know_labels(self, column: Column) -> None:
        """Makes the order of an ENUM or SET column known to the writer and to later readers."""
        functions.register_labels(self.writer, column)
        self._label_columns.append(column)

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, for a snapshot or a query."""
        connection = self._connect()
        for column in self._label_columns:
            functions.register_labels(connection, column)
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """Ends the writer; readers end with their users."""
        with self.committed:
            self.committed.notify_all()
        self.writer.close()

    def add_shard(self, shard: Shard) -> None:
        """Takes a shard into its keyspace."""
        self.shards.setdefault(shard.keyspace, []).append(shard)
        self.writer.execute("insert into positions values (?,?)", (shard.uuid, shard.last))

    def shard(self, keyspace: str, name: str) -> Shard | None:
        """The shard of that name; the serving one where a name came back."""
        found = [shard for shard in self.shards.get(keyspace, ()) if shard.name == name]
        return max(found, key=lambda shard: shard.serving, default=None)

    def serving(self, keyspace: str) -> list[Shard]:
        """The shards that hold a keyspace's rows."""
        return [shard for shard in self.shards.get(keyspace, ()) if shard.serving]

    def lock(self) -> None:
        """Takes the right to write, for a whole transaction; any thread may give it back.

        Raises:
            SqlError: Another session kept it for too long.
        """
        if not self._writing.acquire(timeout=LOCK_WAIT_SECONDS):
            raise SqlError(1205, "Lock wait timeout exceeded; try restarting transaction")

    def unlock(self) -> None:
        """Gives the right to write back."""
        self._writing.release()

    def log(self, shard: Shard, after: int, up_to: int, reader: sqlite3.Connection) -> Iterator[LogPart]:
        """The parts of a shard's transactions with numbers above one and up to another."""
        rows = reader.execute(
            "select number, kind, name, time, payload from log"
            " where uuid = ? and number > ? and number <= ? order by number, part",
            (shard.uuid, after, up_to),
        )
        return (LogPart(*row) for row in rows)

    def purge(self, shard: Shard, up_to: int) -> None:
        """Forgets a shard's transactions up to a number."""
        self.lock()
        try:
            self.writer.execute("delete from log where uuid = ? and number <= ?", (shard.uuid, up_to))
            shard.purged = max(shard.purged, min(up_to, shard.last))
        finally:
            self.unlock()


class Transaction:
    """Changes of one session until its commit; holds the right to write."""

    def __init__(self, storage: Storage) -> None:
        """Waits for the right to write and begins."""
        storage.lock()
        self._storage = storage
        self._pending: dict[str, _PendingRows] = {}
        self._parts: dict[str, int] = {}
        self._touched: dict[str, Shard] = {}
        storage.writer.execute("begin")

    def record(self, shard: Shard, table: Table, change: Change) -> None:
        """Adds a row's change to the shard's log; changes of one table gather into one part."""
        pending = self._pending.get(shard.uuid)
        if pending is None or pending.table is not table or pending.size > PART_BYTES:
            self.flush(shard)
            pending = self._pending[shard.uuid] = _PendingRows(table)
            self._touched[shard.uuid] = shard
        pending.add(change)

    def flush(self, shard: Shard | None = None) -> None:
        """Writes gathered changes, of one shard or of all; the end of a statement is the end of a part."""
        for key in [shard.uuid] if shard else list(self._pending):
            pending = self._pending.pop(key, None)
            if pending:
                self._write(self._touched[key], "rows", pending.table.name, pending.payload())

    def entry(self, shard: Shard, kind: str, name: str, payload: bytes) -> None:
        """Adds a part that is not about rows."""
        self.flush(shard)
        self._touched[shard.uuid] = shard
        self._write(shard, kind, name, payload)

    def _write(self, shard: Shard, kind: str, name: str, payload: bytes) -> None:
        part = self._parts[shard.uuid] = self._parts.get(shard.uuid, 0) + 1
        self._storage.writer.execute(
            "insert into log values (?,?,?,?,?,?,?)",
            (shard.uuid, shard.last + 1, part, kind, name, int(time.time()), payload),
        )

    def savepoint(self, name: str) -> None:
        """Marks a place to go back to."""
        self.flush()
        self._storage.writer.execute(f"savepoint {quoted(name)}")

    def rollback_to(self, name: str) -> None:
        """Undoes what came after the mark, in rows and log."""
        self._pending.clear()
        self._storage.writer.execute(f"rollback to {quoted(name)}")

    def release(self, name: str) -> None:
        """Forgets a mark."""
        self.flush()
        self._storage.writer.execute(f"release {quoted(name)}")

    def commit(self) -> None:
        """Makes the changes one transaction on each shard that they touched."""
        writer = self._storage.writer
        try:
            self.flush()
            for shard in self._touched.values():
                # A savepoint may have undone all that the shard had.
                query = "select 1 from log where uuid = ? and number = ?"
                if writer.execute(query, (shard.uuid, shard.last + 1)).fetchone():
                    self._write(shard, "end", "", b"")
                    writer.execute(
                        "update positions set last = ? where uuid = ?", (shard.last + 1, shard.uuid)
                    )
                else:
                    self._parts.pop(shard.uuid, None)
            writer.execute("commit")
            with self._storage.committed:
                for key in self._parts:
                    self._touched[key].last += 1
                self._storage.committed.notify_all()
        finally:
            self._storage.unlock()

    def rollback(self) -> None:
        """Undoes everything."""
        self._storage.writer.execute("rollback")
        self._storage.unlock()


class _PendingRows:
    """Changes of one table on one shard that wait to become a part."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.size = 0
        self._changes: list[Change] = []

    def add(self, change: Change) -> None:
        self._changes.append(change)
        self.size += sum(len(cell) for image in change if image for cell in image if cell)

    def payload(self) -> bytes:
        return marshal.dumps(([column.wire_type for column in self.table.columns], self._changes))
