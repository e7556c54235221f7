"""MySQL's spellings of numbers and JSON, one for the copy phase and one for the binlog."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from typing import Any

# Beyond these powers of ten MySQL writes a double with an exponent.
_FIXED_FROM, _FIXED_TO = -15, 15
_UINT64_MAX = 2**64 - 1
_FLOAT32_MAX_DIGITS = 9


def _digits(text: str) -> tuple[str, str, int]:
    """Splits a `%e`-like text into sign, digits without trailing zeros, and power of ten."""
    mantissa, exponent = text.lower().split("e")
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.lstrip("-").replace(".", "").rstrip("0") or "0"
    return sign, digits, int(exponent)


def _shortest(value: float) -> str:
    """The shortest text in scientific form that reads back as the same double."""
    return f"{Decimal(repr(value)):e}" if value else f"{value:.0e}"


def to_float32(value: float) -> float:
    """The double that a FLOAT column keeps of a value."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _shortest_float32(value: float) -> str:
    for precision in range(1, _FLOAT32_MAX_DIGITS):
        text = f"{value:.{precision - 1}e}"
        if to_float32(float(text)) == value:
            return text
    return f"{value:.{_FLOAT32_MAX_DIGITS - 1}e}"


def _mysql_text(scientific: str) -> str:
    sign, digits, exponent = _digits(scientific)
    if not _FIXED_FROM <= exponent < _FIXED_TO:
        point = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{point}e{exponent}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{sign}{whole}{'.' + fraction if fraction else ''}"


def double_in_copy(value: float) -> str:
    """A DOUBLE as a SELECT gives it: `0.1`, `1e300`, `1.2345678901234568e17`."""
    return _mysql_text(_shortest(value))


def float_in_copy(value: float) -> str:
    """A FLOAT as a SELECT gives it: six digits, `1234570`."""
    return _mysql_text(f"{value:.5e}")


def _exponent_text(scientific: str) -> str:
    sign, digits, exponent = _digits(scientific)
    point = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}E{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def double_in_binlog(value: float) -> str:
    """A DOUBLE as a binlog event gives it: `1E-01`, `1E+300`."""
    return _exponent_text(_shortest(value))


def float_in_binlog(value: float) -> str:
    """A FLOAT as a binlog event gives it: exact, `1.2345678E+06`."""
    return _exponent_text(_shortest_float32(value))


def json_in_copy(document: Any) -> str:
    """A JSON document as a SELECT spells it: keys by length, then by bytes."""
    return _json_text(document, by_length=True)


def json_in_binlog(text: str) -> str:
    """The same document as the binlog's decoder spells it: keys by bytes."""
    return _json_text(json.loads(text), by_length=False)


def _json_text(value: Any, *, by_length: bool) -> str:
    if isinstance(value, dict):
        encoded = {key.encode(): item for key, item in value.items()}
        keys = sorted(encoded, key=lambda key: (len(key) if by_length else 0, key))
        items = (
            f"{_json_text(key.decode(), by_length=by_length)}: "
            f"{_json_text(encoded[key], by_length=by_length)}"
            for key in keys
        )
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_json_text(item, by_length=by_length) for item in value) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _UINT64_MAX:
        value = float(value)
    if isinstance(value, float):
        text = double_in_copy(value)
        return text if "." in text or "e" in text else text + ".0"
    return json.dumps(value, ensure_ascii=False)
