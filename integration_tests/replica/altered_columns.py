"""The columns of tables that statements change: all types, with many of a kind to change into each other."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import TYPE_CHECKING, Any

from integration_tests.replica.designs import VALUE_KINDS, ColumnKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_LABELED = frozenset({"enum", "set"})
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00:00(\.0+)?")


def _signed(bits: int) -> Callable[[int], str]:
    """Every third number is one that the unsigned type does not hold."""
    return lambda n: str(-1 - n % 100 if n % 3 == 0 else n % 2 ** (bits - 1))


def _unsigned(bits: int) -> Callable[[int], str]:
    """Every third number is one that the signed type does not hold."""
    return lambda n: str(2**bits - 1 - n % 100 if n % 3 == 0 else n % 2 ** (bits - 1))


def _integers() -> Iterator[ColumnKind]:
    for base, bits in _BITS.items():
        yield ColumnKind(f"{base}_signed", base, _signed(bits))
        yield ColumnKind(f"{base}_unsigned", f"{base} unsigned", _unsigned(bits))


def _moments() -> Iterator[ColumnKind]:
    literals = {kind.name: kind.literal for kind in VALUE_KINDS}
    for base in ("datetime", "timestamp"):
        for digits in (0, 2, 3):
            yield ColumnKind(f"{base}_{digits}", f"{base}({digits})", literals["datetime"])
    for digits in (1, 3, 6):
        yield ColumnKind(
            f"time_{digits}", f"time({digits})", lambda n: f"'{_clock(n)}.{n * 7919 % 10**6:06}'"
        )


def _clock(number: int) -> str:
    return f"{number % 24:02}:{number // 24 % 60:02}:{number % 60:02}"


def _charset(name: str, letter: str) -> ColumnKind:
    return ColumnKind(f"text_{name}", f"varchar(60) character set {name}", lambda n: f"'{letter}{n}'")


def _labels(base: str, *labels: str) -> ColumnKind:
    spelled = ",".join(f"'{label}'" for label in labels)
    return ColumnKind(
        f"{base}_{'_'.join(labels)}",
        f"{base}({spelled})",
        lambda n: f"'{labels[n % len(labels)]}'",
    )


# What fits into a TINYTEXT: a lenient ALTER cuts others in the middle of a character.
def _letters(letter: str, most: int) -> Callable[[int], str]:
    return lambda n: f"'{letter * (n % most)}'"


KINDS: tuple[ColumnKind, ...] = (
    *VALUE_KINDS,
    *_integers(),
    *_moments(),
    ColumnKind("decimal_wide", "decimal(24,4)", lambda n: f"{n - 300}.{n % 4 * 25:02}"),
    ColumnKind("decimal_whole", "decimal(12)", lambda n: str(n - 300)),
    ColumnKind("decimal_unsigned", "decimal(10,2) unsigned", lambda n: f"{n}.{n % 4 * 25:02}"),
    ColumnKind("float_unsigned", "float unsigned", lambda n: str(n * 0.5)),
    ColumnKind("bit_1", "bit(1)", lambda n: str(n % 2)),
    ColumnKind("bit_64", "bit(64)", lambda n: str(2**64 - 1 - n)),
    ColumnKind("char_bin", "char(8) character set binary", lambda n: f"x'{n:08x}'"),
    ColumnKind("char_short", "char(6) character set latin1", lambda n: f"'é{n}'"),
    ColumnKind("binary_16", "binary(16)", lambda n: f"x'{n:08x}00'"),
    ColumnKind("varchar_long", "varchar(500)", _letters("ü", 120)),
    ColumnKind("tinytext", "tinytext", _letters("é", 100)),
    ColumnKind("mediumtext", "mediumtext", _letters("é", 120)),
    ColumnKind("longtext_ucs2", "longtext character set ucs2", _letters("漢", 80)),
    ColumnKind("tinyblob", "tinyblob", lambda n: f"x'{'ff' * (n % 200)}'"),
    ColumnKind("longblob", "longblob", lambda n: f"x'{'80' * (n % 300)}'"),
    _charset("utf8mb3", "漢"),
    _charset("utf16", "😀"),
    _charset("gbk", "中"),
    _charset("cp1251", "Ж"),
    _charset("ascii", "a"),
    _labels("enum", "a", "b", "c"),
    _labels("enum", "z", "a", "b", "c"),
    _labels("enum", "c", "a", "b"),
    _labels("enum", "b", "c"),
    _labels("set", "a", "b", "c"),
    _labels("set", "z", "a", "b", "c"),
    _labels("set", "c", "b", "a"),
    ColumnKind("point", "point", lambda n: f"point({n}, {n * 0.5})"),
    ColumnKind("vector", "vector(2)", lambda n: f"to_vector('[{n}, {n * 0.5}]')"),
)


def has_labels(kind: ColumnKind) -> bool:
    """Whether the type is ENUM or SET."""
    return kind.base in _LABELED


def takes_default_charset(kind: ColumnKind) -> bool:
    """Whether the type leaves the character set of its values to the table's default."""
    has_charset = kind.base in _TEXTS or kind.base in _LABELED
    return has_charset and not re.search("character set|collate", kind.ddl)


def family(kind: ColumnKind) -> str:
    """A name for types whose values read the same under each other, as far as they hold them."""
    if kind.ddl in ("tinyint(1)", "bit(1)"):
        return kind.ddl
    if kind.base in _BITS:
        return "integers"
    if kind.base in _TEXTS and "character set binary" not in kind.ddl:
        return "texts"
    if kind.base in _BYTES or kind.base == "char":
        return "bytes"
    return "floats" if kind.base in ("float", "double") else kind.base


RELATED: dict[str, list[ColumnKind]] = {
    name: list(kinds) for name, kinds in groupby(sorted(KINDS, key=family), family)
}
"""Family -> its types."""


def are_alike(one: object, other: object) -> bool:
    """Whether two values of a record can be the same value under two types, such as 5 and "5"."""
    return one == other or bool(_forms(one) & _forms(other))


def _forms(value: Any) -> set[str]:
    if value is None:
        return {"null"}
    if isinstance(value, (dict, list)):
        return {json.dumps(value, sort_keys=True)}
    if isinstance(value, timedelta):
        return {str(value)}
    forms = {_number(value if isinstance(value, str) else str(Decimal(value)))}
    if isinstance(value, str):
        forms.add(_MIDNIGHT.sub(r"\1", value).rstrip())
        forms.add(value.encode().rstrip(b"\0 ").hex())
        try:
            raw = base64.b64decode(value, validate=True)
            forms |= {raw.rstrip(b"\0 ").hex(), str(int.from_bytes(raw, "big"))}
        except ValueError:
            pass
        try:
            parsed = json.loads(value)
        except ValueError:
            return forms
        if isinstance(parsed, (dict, list)):
            forms.add(json.dumps(parsed, sort_keys=True))
    return forms


def _number(text: str) -> str:
    try:
        return f"{Decimal(text).normalize():f}"
    except InvalidOperation:
        return text
