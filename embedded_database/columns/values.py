"""What a column keeps of a value, and the bytes that VStream sends of it.

A kept value is one that SQLite compares and orders as MySQL does: an integer, a float, text or bytes.
Integers beyond 63 bits are kept as text of 20 digits, which SQLite orders behind all integers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

from embedded_database.columns import numbers, temporal
from embedded_database.columns.schema import BLOBS, CHARSETS, GEOMETRIES, INTEGERS, TEXTS, Column
from embedded_database.errors import SqlError

Kept = int | float | str | bytes | None
ToWire = Callable[[Kept], bytes]

_INT64_LIMIT = 2**63
_DECIMALS = Context(prec=70, rounding=ROUND_HALF_UP)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def keep(column: Column, value: object) -> Kept:
    """What the column keeps of a value in strict mode.

    Args:
        column: Where the value goes.
        value: An integer, float, Decimal, text, bytes, boolean, date or None.

    Raises:
        SqlError: The column cannot hold the value.
    """
    if value is None:
        if not column.nullable:
            raise SqlError(1048, f"Column '{column.name}' cannot be null")
        return None
    if isinstance(value, bool):
        value = int(value)
    return _keeper(column)(column, value)


def _keeper(column: Column) -> Callable[[Column, object], Kept]:
    kind = column.data_type
    if kind in INTEGERS:
        return _keep_integer
    if kind in TEXTS or kind in ("char", "varchar"):
        return _keep_text
    if kind in BLOBS or kind in ("binary", "varbinary", "vector") or kind in GEOMETRIES:
        return _keep_bytes
    return {
        "bit": _keep_bit,
        "decimal": _keep_decimal,
        "float": _keep_float,
        "double": _keep_float,
        "enum": _keep_enum,
        "set": _keep_set,
        "json": _keep_json,
    }.get(kind, _keep_temporal)


def wide(number: int) -> int | str:
    """An integer as SQLite can hold and order it."""
    return f"{number:020d}" if number >= _INT64_LIMIT else number


def _out_of_range(column: Column) -> SqlError:
    return SqlError(1264, f"Out of range value for column '{column.name}' at row 1")


def _number(column: Column, value: object) -> Decimal:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise SqlError(1366, f"Incorrect value: '{value}' for column '{column.name}' at row 1")
        value = value.strip()
    return Decimal(str(value))


def _keep_integer(column: Column, value: object) -> Kept:
    number = value if isinstance(value, int) else int(
        _number(column, value).quantize(Decimal(1), context=_DECIMALS)
    )  # fmt: skip
    bits = INTEGERS[column.data_type][0]
    low, high = (0, 2**bits) if column.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if not low <= number < high:
        raise _out_of_range(column)
    return wide(number)


def _keep_bit(column: Column, value: object) -> Kept:
    number = int.from_bytes(value, "big") if isinstance(value, bytes) else int(str(value))
    if not 0 <= number < 1 << column.args[0]:
        raise SqlError(1406, f"Data too long for column '{column.name}' at row 1")
    return wide(number)


def _keep_decimal(column: Column, value: object) -> Kept:
    precision, scale = column.args
    try:
        number = _number(column, value).quantize(Decimal(1).scaleb(-scale), context=_DECIMALS)
    except InvalidOperation:
        raise _out_of_range(column) from None
    if abs(number) >= Decimal(10) ** (precision - scale) or (column.unsigned and number < 0):
        raise _out_of_range(column)
    return f"{number or abs(number):f}"


def _keep_float(column: Column, value: object) -> Kept:
    number = value if isinstance(value, float) else float(_number(column, value))
    if len(column.args) > 1:
        number = round(number, column.args[1])
    return numbers.to_float32(number) if column.data_type == "float" else number


def _text(column: Column, value: object) -> str:
    if isinstance(value, bytes):
        codec = CHARSETS[column.charset].codec if column.charset else "utf-8"
        return value.decode(codec, "replace")
    return str(value)


def _keep_text(column: Column, value: object) -> Kept:
    text = _text(column, value)
    if column.data_type == "char":
        text = text.rstrip(" ")
    if len(text) > column.character_length:
        raise SqlError(1406, f"Data too long for column '{column.name}' at row 1")
    return text


def _keep_bytes(column: Column, value: object) -> Kept:
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    if column.data_type in GEOMETRIES or column.data_type == "vector":
        return data
    if len(data) > column.character_length:
        raise SqlError(1406, f"Data too long for column '{column.name}' at row 1")
    return data.ljust(column.args[0], b"\0") if column.data_type == "binary" else data


def _keep_enum(column: Column, value: object) -> Kept:
    if isinstance(value, int):
        if 1 <= value <= len(column.labels):
            return column.labels[value - 1]
    else:
        text = _text(column, value).rstrip(" ").casefold()
        for label in column.labels:
            if label.casefold() == text:
                return label
    raise SqlError(1265, f"Data truncated for column '{column.name}' at row 1")


def _keep_set(column: Column, value: object) -> Kept:
    if isinstance(value, int):
        return set_labels(column, value)
    wanted = {item.casefold() for item in _text(column, value).split(",") if item}
    known = {label.casefold() for label in column.labels}
    if wanted - known:
        raise SqlError(1265, f"Data truncated for column '{column.name}' at row 1")
    return ",".join(label for label in column.labels if label.casefold() in wanted)


def _keep_json(column: Column, value: object) -> Kept:
    try:
        return numbers.json_in_copy(json.loads(_text(column, value)))
    except ValueError:
        raise SqlError(3140, f"Invalid JSON text for column '{column.name}'.") from None


def _keep_temporal(column: Column, value: object) -> Kept:
    if column.data_type == "year":
        return temporal.year(column.name, value)
    digits = column.args[0] if column.args else 0
    return temporal.TEXTS[column.data_type](column.name, str(value), digits)


def set_labels(column: Column, mask: int) -> str:
    """The labels of a SET's bits, joined as MySQL joins them."""
    return ",".join(label for bit, label in enumerate(column.labels) if mask >> bit & 1)


def _plain(value: Kept) -> bytes:
    return str(value).lstrip("0").encode() if isinstance(value, str) else str(value).encode()


def _in_charset(column: Column) -> ToWire:
    codec = CHARSETS[column.charset].codec
    return lambda value: str(value).encode(codec, "replace")


def _fixed_point(column: Column) -> ToWire:
    digits = column.args[1]
    return lambda value: f"{float(value or 0):.{digits}f}".encode()


def _bits(column: Column) -> ToWire:
    size = (column.args[0] + 7) // 8
    return lambda value: int(value or 0).to_bytes(size, "big")


def copy_form(column: Column) -> ToWire | None:
    """Makes the bytes of the copy phase from a kept value; None where SQLite's cast to a BLOB does."""
    kind = column.data_type
    if kind in ("float", "double") and len(column.args) > 1:
        return _fixed_point(column)
    if kind == "float":
        return lambda value: numbers.float_in_copy(float(value or 0)).encode()
    if kind == "double":
        return lambda value: numbers.double_in_copy(float(value or 0)).encode()
    if column.zerofill and column.args:
        width = column.args[0]
        return lambda value: _plain(value).rjust(width, b"0")
    if kind == "year":
        return lambda value: f"{int(value or 0):04d}".encode()
    if column.charset and CHARSETS[column.charset].codec != "utf-8":
        return _in_charset(column)
    return _same_form(column)


def binlog_form(column: Column) -> ToWire | None:
    """Makes the bytes that the log keeps: the binlog's, but an ENUM's ordinal and a SET's bits."""
    kind = column.data_type
    if kind == "float":
        return lambda value: numbers.float_in_binlog(float(value or 0)).encode()
    if kind == "double":
        return lambda value: numbers.double_in_binlog(float(value or 0)).encode()
    if kind == "year":
        return lambda value: f"{int(value or 0):04d}".encode()
    if kind == "json":
        return lambda value: numbers.json_in_binlog(str(value)).encode()
    if kind == "enum":
        ordinals = {label: str(at).encode() for at, label in enumerate(column.labels, 1)}
        return lambda value: ordinals[str(value)]
    if kind == "set":
        masks = {label: 1 << bit for bit, label in enumerate(column.labels)}
        return lambda value: str(sum(masks[label] for label in str(value).split(",") if label)).encode()
    if column.charset and CHARSETS[column.charset].codec != "utf-8":
        return _in_charset(column)
    return _same_form(column)


def _same_form(column: Column) -> ToWire | None:
    if column.data_type == "bit":
        return _bits(column)
    if column.data_type == "bigint" and column.unsigned:
        return _plain
    return None


def from_binlog(column: Column, cell: bytes) -> bytes:
    """The bytes that VStream sends of a log's ENUM or SET cell, by the labels that the column has today."""
    number = int(cell)
    if column.data_type == "set":
        return set_labels(column, number).encode()
    return column.labels[number - 1].encode() if number <= len(column.labels) else b""
