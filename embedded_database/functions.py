"""MySQL's functions and orders that SQLite lacks, registered on each connection."""

from __future__ import annotations

import hashlib
import random
import re
import struct
import time
import unicodedata
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from embedded_database import gtid
from embedded_database.columns import temporal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from embedded_database.columns.schema import Column

_COORDINATES = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WKB_TYPES = {"POINT": 1, "LINESTRING": 2}


def _fold(text: str) -> str:
    """Text as utf8mb4_0900_ai_ci compares it: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()


def _order(key: Callable[[str], Any]) -> Callable[[str, str], int]:
    def compare(left: str, right: str) -> int:
        a, b = key(left), key(right)
        return int(a > b) - int(a < b)

    return compare


def collation(column: Column) -> str:
    """The name of the SQLite collation that orders a column."""
    if column.data_type == "decimal":
        return "mysql_decimal"
    if column.data_type == "time":
        return "mysql_time"
    if column.labels:
        labels = "\x1f".join(column.labels)
        return f"{column.data_type}_{hashlib.sha1(labels.encode()).hexdigest()}"  # noqa: S324  # a name, no secret
    return "mysql_ci" if column.collation.endswith("_ci") else "BINARY"


def register_labels(connection: sqlite3.Connection, column: Column) -> None:
    """Makes the order of an ENUM or SET column known to a connection."""
    ranks = {label: at for at, label in enumerate(column.labels)}

    def rank(text: str) -> int:
        if column.data_type == "enum":
            return ranks.get(text, -1)
        return sum(1 << ranks[label] for label in text.split(",") if label in ranks)

    connection.create_collation(collation(column), _order(rank))


def now(digits: int = 0) -> str:
    """The time in UTC, which is the time zone of every session here."""
    moment = datetime.now(timezone.utc)
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{moment.microsecond:06d}"[: 20 + digits] if digits else text


def _geometry(text: str, srid: int = 0) -> bytes:
    name, _, rest = text.strip().upper().partition("(")
    points = [float(number) for number in _COORDINATES.findall(rest)]
    kind = _WKB_TYPES[name.strip()]
    count = b"" if kind == 1 else struct.pack("<I", len(points) // 2)
    return struct.pack("<IBI", srid, 1, kind) + count + struct.pack(f"<{len(points)}d", *points)


def _vector(text: str) -> bytes:
    items = [float(item) for item in text.strip("[] ").split(",")]
    return struct.pack(f"<{len(items)}f", *items)


def _concat(*parts: object) -> str | None:
    if any(part is None for part in parts):
        return None
    return "".join(p.decode("utf-8", "replace") if isinstance(p, bytes) else str(p) for p in parts)


def _sql_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with MySQL's rule that a NULL argument gives NULL."""
    return lambda *args: None if any(arg is None for arg in args) else function(*args)


_FUNCTIONS: list[tuple[str, int, Callable[..., Any]]] = [
    ("concat", -1, _concat),
    ("repeat", 2, _sql_text(lambda text, times: str(text) * max(times, 0))),
    ("left", 2, _sql_text(lambda text, size: str(text)[:size])),
    ("right", 2, _sql_text(lambda text, size: str(text)[-size:] if size else "")),
    ("lpad", 3, _sql_text(lambda text, size, pad: str(text).rjust(size, pad[:1])[:size])),
    ("rpad", 3, _sql_text(lambda text, size, pad: str(text).ljust(size, pad[:1])[:size])),
    ("reverse", 1, _sql_text(lambda text: str(text)[::-1])),
    ("md5", 1, _sql_text(lambda text: hashlib.md5(str(text).encode()).hexdigest())),  # noqa: S324  # MySQL's function
    ("unhex", 1, _sql_text(lambda text: bytes.fromhex(text))),
    ("uuid", 0, lambda: str(uuid.uuid4())),
    ("rand", -1, lambda *_: random.random()),  # noqa: S311  # no secret
    ("now", -1, now),
    ("utc_timestamp", -1, now),
    ("unix_timestamp", 0, lambda: int(time.time())),
    ("gtid_subset", 2, _sql_text(lambda part, whole: int(gtid.contains(whole, part)))),
    ("st_geomfromtext", -1, _sql_text(_geometry)),
    ("string_to_vector", 1, _sql_text(_vector)),
    ("to_vector", 1, _sql_text(_vector)),
]


def register(connection: sqlite3.Connection) -> None:
    """Makes all functions and orders known to a connection."""
    for name, arity, function in _FUNCTIONS:
        connection.create_function(name, arity, function)
    connection.create_collation("mysql_ci", _order(_fold))
    connection.create_collation("mysql_decimal", _order(Decimal))
    connection.create_collation("mysql_time", _order(temporal.time_seconds))
