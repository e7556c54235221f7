"""Values of a type that a column had before, in the JSON of the type that it has today.

What a changed type loses nothing of is taken over as MySQL's own ALTER TABLE converts it; what it would
round, cut or have to guess (the time zone between DATETIME and TIMESTAMP) has no form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from source_planetscale.columns.binary import Binary
from source_planetscale.columns.column_type import ColumnType
from source_planetscale.columns.encoder import Encoder, Formless, Rewritten
from source_planetscale.columns.numeric import BitFlag, Boolean, Integer
from source_planetscale.columns.temporal import Date, DateTime
from source_planetscale.columns.text import Text, text_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from source_planetscale.columns.family import Family
    from source_planetscale.table import Column, WireColumn

# From the encoder of the type as it was and the column of today to an encoder of the same wire values.
Conversion: TypeAlias = "Callable[[Encoder, Column], Encoder]"

_DATE_LENGTH = len("2024-01-02")
# Doubles hold every whole number up to here.
_EXACT = 1 << 53


def converted(encoder: Encoder, written: Family, target: Family, column: WireColumn) -> Encoder:
    """The encoder of a column whose type has changed.

    Args:
        encoder: The encoder of the values in the type that they were written with.
        written: The family of that type.
        target: The family of the type of today.
        column: The column; it has a target.

    Returns:
        `encoder` if both types have the same JSON, an encoder into the JSON of today, or one that refuses
        every value.
    """
    conversion = _CONVERSIONS.get((_kind(written), _kind(target)))
    if conversion is not None and column.target is not None:
        return conversion(encoder, column.target)
    return encoder if written.schema == target.schema else Formless()


def _kind(family: Family) -> str:
    return family.names[0] if family.names else ""


def _as(encoder: Encoder) -> Conversion:
    """The wire values are those of the other type."""
    return lambda _encoder, _target: encoder


def _by(rewrite: Callable[[bytes], bytes], encoder: Encoder) -> Conversion:
    """The wire values become those of the other type."""
    return lambda _encoder, _target: Rewritten(lambda values: list(map(rewrite, values)), encoder)


def _quoted(encoder: Encoder, _target: Column) -> Encoder:
    """The JSON as text: numbers, and times with their offset."""
    return Rewritten(lambda values: list(encoder.encode(values)[0]), Text())


def _float_as_text(encoder: Encoder, _target: Column) -> Encoder:
    return Rewritten(lambda values: [text.removesuffix(b".0") for text in encoder.encode(values)[0]], Text())


def _whole(value: bytes) -> bytes:
    whole, _, fraction = value.partition(b".")
    if fraction.strip(b"0"):
        raise ValueError("not a whole number")
    return whole


def _whole_float(value: bytes) -> bytes:
    number = float(value)
    if not number.is_integer() or abs(number) > _EXACT:
        raise ValueError("not a whole number")
    return b"%d" % number


def _bits_as_number(value: bytes) -> bytes:
    return b"%d" % int.from_bytes(value, "big")


def _number_as_bit(value: bytes) -> bytes:
    return bytes([int(value)])


def _resized_bits(_encoder: Encoder, target: Column) -> Encoder:
    arguments = ColumnType.parse(target.column_type).arguments
    width = (arguments[0] + 7) // 8 if arguments else 1
    return Rewritten(lambda values: [value.lstrip(b"\0").rjust(width, b"\0") for value in values], Binary())


def _last_bit(value: bytes) -> bytes:
    return value.lstrip(b"\0") or b"\0"


def _day_of(value: bytes) -> bytes:
    if value[_DATE_LENGTH:].strip(b" 0:."):
        raise ValueError("not midnight")
    return value[:_DATE_LENGTH]


def _midnight_of(value: bytes) -> bytes:
    return value + b" 00:00:00"


def _decoded(_encoder: Encoder, target: Column) -> Encoder:
    """Bytes that are read in the character set of the column of today, as MySQL does."""
    return text_encoder(target.charset)


# By the first names of both families.
_CONVERSIONS: dict[tuple[str, str], Conversion] = {
    ("tinyint", "tinyint(1)"): _as(Boolean()),
    ("tinyint", "bit(1)"): _by(_number_as_bit, BitFlag()),
    ("tinyint", "decimal"): _as(Integer()),
    ("tinyint", "float"): _as(Integer()),
    ("tinyint", "char"): _as(Text()),
    ("tinyint", "json"): _as(Text()),
    ("tinyint(1)", "tinyint"): _as(Integer()),
    ("tinyint(1)", "decimal"): _as(Integer()),
    ("tinyint(1)", "float"): _as(Integer()),
    ("tinyint(1)", "char"): _as(Text()),
    ("tinyint(1)", "json"): _as(Text()),
    ("year", "decimal"): _as(Integer()),
    ("year", "float"): _as(Integer()),
    ("year", "char"): _as(Text()),
    ("decimal", "tinyint"): _by(_whole, Integer()),
    ("decimal", "char"): _quoted,
    ("decimal", "json"): _quoted,
    ("float", "tinyint"): _by(_whole_float, Integer()),
    ("float", "char"): _float_as_text,
    ("float", "json"): _float_as_text,
    ("bit(1)", "tinyint"): _by(_bits_as_number, Integer()),
    ("bit(1)", "bit"): _resized_bits,
    ("bit", "tinyint"): _by(_bits_as_number, Integer()),
    ("bit", "bit(1)"): _by(_last_bit, BitFlag()),
    ("bit", "bit"): _resized_bits,
    ("date", "datetime"): _by(_midnight_of, DateTime(ColumnType("datetime"))),
    ("date", "char"): _as(Text()),
    ("datetime", "date"): _by(_day_of, Date()),
    ("datetime", "char"): _as(Text()),
    ("timestamp", "char"): _quoted,
    ("time", "char"): _as(Text()),
    ("char", "binary"): _as(Binary()),
    ("binary", "char"): _decoded,
}
