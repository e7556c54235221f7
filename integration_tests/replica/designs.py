"""Random tables for the replica-equals-source test: keys of every type, values of many."""

from __future__ import annotations

import base64
import json
import re
import struct
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_DAY = date(2001, 1, 1)
_MOMENT = datetime(2001, 1, 1)
_LABELS = [f"{'zamqbf'[number % 6]}{number:02}" for number in range(60)]
_MEMBERS = [f"{'yxbca'[number % 5]}{number}" for number in range(10)]

MANY = 1_000_000


@dataclass(frozen=True)
class ColumnKind:
    """A type of column with its values.

    Attributes:
        name: For the log of a failure.
        ddl: The type as CREATE TABLE has it.
        literal: A number below `capacity` -> the SQL literal of a value of its own.
        capacity: How many different values there are.
    """

    name: str
    ddl: str
    literal: Callable[[int], str]
    capacity: int = MANY

    @property
    def base(self) -> str:
        """The name of the type."""
        return re.split(r"\W", self.ddl, maxsplit=1)[0]


def _text(number: int) -> str:
    return f"'{'mzab'[number % 4]}{number}'"


def _datetime(number: int) -> str:
    return f"'{_MOMENT + timedelta(seconds=number * 77, microseconds=number)}'"


def _members(number: int) -> str:
    chosen = [member for bit, member in enumerate(_MEMBERS) if number >> bit & 1]
    return f"'{','.join(chosen)}'"


def _quoted(values: list[str]) -> str:
    return ",".join(f"'{value}'" for value in values)


def _hex(number: int) -> str:
    return f"x'{number * 2654435761 % 2**32:08x}{number:08x}'"


KEY_KINDS = (
    ColumnKind("bigint", "bigint", lambda n: str(n * 3 - 1000)),
    ColumnKind("bigint_unsigned", "bigint unsigned", lambda n: str(2**64 - 1 - n)),
    ColumnKind("int", "int", lambda n: str(-n)),
    ColumnKind("mediumint", "mediumint unsigned", lambda n: str(n)),
    ColumnKind("smallint", "smallint", lambda n: str(n - 9000), 40_000),
    ColumnKind("tinyint", "tinyint", lambda n: str(n - 128), 256),
    ColumnKind("decimal", "decimal(20,2)", lambda n: f"{n - 700}.{n % 4 * 25:02}"),
    ColumnKind("double", "double", lambda n: str(n * 0.25 - 90)),
    ColumnKind("float", "float", lambda n: str(n * 0.5 - 90), 10_000),
    ColumnKind("bit", "bit(24)", str),
    ColumnKind("year", "year", lambda n: str(1901 + n), 250),
    ColumnKind("date", "date", lambda n: f"'{_DAY + timedelta(days=n)}'", 40_000),
    ColumnKind("datetime", "datetime(6)", _datetime),
    ColumnKind("timestamp", "timestamp(6)", _datetime),
    ColumnKind("time", "time", lambda n: f"'{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}'", 80_000),
    ColumnKind("char", "char(20)", _text),
    ColumnKind("varchar", "varchar(40)", _text),
    ColumnKind("varchar_bin", "varchar(40) collate utf8mb4_bin", _text),
    ColumnKind("varchar_latin1", "varchar(40) character set latin1", lambda n: f"'é{n}'"),
    ColumnKind("binary", "binary(8)", _hex),
    ColumnKind("varbinary", "varbinary(20)", _hex),
    ColumnKind("enum", f"enum({_quoted(_LABELS)})", lambda n: f"'{_LABELS[n]}'", len(_LABELS)),
    ColumnKind("set", f"set({_quoted(_MEMBERS)})", _members, 2 ** len(_MEMBERS)),
)
VALUE_KINDS = (
    *KEY_KINDS,
    ColumnKind("boolean", "tinyint(1)", lambda n: str(n % 2)),
    ColumnKind("json", "json", lambda n: f"""'{{"b": [{n}, null], "aa": "é{n}", "a": 0.5}}'"""),
    ColumnKind("text", "text", lambda n: f"'{'Grüße ' * (n % 40)}'"),
    ColumnKind("blob", "blob", lambda n: f"x'{'00ff' * (n % 300)}'"),
)


@dataclass(frozen=True)
class TableDesign:
    """One random table.

    Attributes:
        name: The table's name.
        keys: The kinds of the key's columns `k0`, `k1`, ... in the order of the key; empty for no key.
        values: The kinds of the columns `v0`, `v1`, ...
        unique_only: The key is a UNIQUE over NOT NULL columns instead of a PRIMARY KEY.
        key_last: The key's columns stand behind the others, in reverse.
    """

    name: str
    keys: tuple[ColumnKind, ...]
    values: tuple[ColumnKind, ...]
    unique_only: bool = False
    key_last: bool = False

    @property
    def key_columns(self) -> list[str]:
        """The names of the key's columns in the order of the key."""
        return [f"k{index}" for index in range(len(self.keys))]

    @property
    def capacity(self) -> int:
        """How many rows the table may hold."""
        return min((kind.capacity for kind in self.keys), default=MANY)

    @property
    def resumable(self) -> bool:
        """Whether a cut copy of this table goes on in the middle."""
        return bool(self.keys) and not {kind.name for kind in self.keys} & {"enum", "set", "float"}

    @property
    def ddl(self) -> str:
        """The CREATE TABLE statement. `rev` is another number with every write."""
        keys = [
            f"k{index} {kind.ddl.replace(' collate', ' not null collate') if 'collate' in kind.ddl else kind.ddl + ' not null'}"  # noqa: E501
            for index, kind in enumerate(self.keys)
        ]
        values = [f"v{index} {kind.ddl} null" for index, kind in enumerate(self.values)]
        others = ["rev bigint not null", *values, "filler varchar(3000)"]
        columns = [*others, *reversed(keys)] if self.key_last else [*keys, *others]
        if self.keys:
            kind = "unique key the_key" if self.unique_only else "primary key"
            columns.append(f"{kind} ({', '.join(self.key_columns)})")
        return f"create table {self.name} ({', '.join(columns)})"

    def key_literals(self, number: int) -> list[str]:
        """The key of the row with this number; different numbers have different keys."""
        # Composite keys share their first values among many rows.
        return [
            kind.literal(number if index == len(self.keys) - 1 else number % 7)
            for index, kind in enumerate(self.keys)
        ]

    def key_is(self, number: int) -> str:
        """The condition that holds for the row with this number."""
        pairs = zip(self.key_columns, self.key_literals(number), strict=True)
        return " and ".join(f"{column} = {literal}" for column, literal in pairs)

    def __str__(self) -> str:
        """What matters of the table, in one line."""
        key = "+".join(kind.name for kind in self.keys) or "none"
        return f"{self.name} (key {key}{', unique' if self.unique_only else ''})"


def random_design(name: str, chance: random.Random) -> TableDesign:
    """Makes up a table."""
    form = chance.random()
    count = 0 if form < 0.08 else 2 if form < 0.3 else 3 if form < 0.35 else 1
    keys = tuple(chance.choice(KEY_KINDS) for _ in range(count))
    values = tuple(chance.choice(VALUE_KINDS) for _ in range(chance.randint(1, 5)))
    return TableDesign(name, keys, values, chance.random() < 0.15, chance.random() < 0.3)


def as_emitted(value: Any, kind: ColumnKind | None) -> object:
    """The form in which a value from PyMySQL stands in a record, JSON documents parsed."""
    if kind is not None and value is not None:
        if kind.base == "json":
            return json.loads(value)
        if kind.ddl == "tinyint(1)":
            return bool(value)
        if kind.ddl == "bit(1)":
            return value != b"\0"
        if kind.base in {"date", "datetime", "timestamp"} and isinstance(value, str):
            # PyMySQL leaves a zero date as it is; it has no form in a record.
            return None
        if kind.base == "timestamp" and isinstance(value, datetime):
            return f"{value.isoformat(timespec='microseconds')}+00:00"
        if kind.base == "point":
            # MySQL puts the number of the reference system in front.
            return base64.b64encode(value[4:]).decode()
        if kind.base == "vector":
            return [number for (number,) in struct.iter_unpack("<f", value)]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, timedelta):
        return _clock(value, kind)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value


def _clock(value: timedelta, kind: ColumnKind | None) -> str:
    digits = re.search(r"\d", kind.ddl) if kind else None
    whole = str(value).partition(".")[0].rjust(8, "0")
    return whole if digits is None else f"{whole}.{value.microseconds:06}"[: 9 + int(digits[0])]
