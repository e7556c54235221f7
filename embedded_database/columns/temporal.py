"""Dates and times as MySQL keeps them: canonical text, fractions rounded to the column's digits."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from embedded_database.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?)?")
_TIME = re.compile(r"(-?)(\d+):(\d{2})(?::(\d{2})(\.\d+)?)?")
_LONGEST_TIME = 838 * 3600 + 59 * 60 + 59


def _refuse(kind: str, column: str, text: str) -> SqlError:
    message = f"Incorrect {kind} value: '{text}' for column '{column}' at row 1"
    return SqlError(1292, message)


def _fraction(text: str | None, digits: int) -> int:
    """The fraction in units of the column's last digit, rounded; may be one whole second."""
    value = float("0" + (text or ".0"))
    return int(value * 10**digits + 0.5)


def _suffix(fraction: int, digits: int) -> str:
    return f".{fraction:0{digits}d}" if digits else ""


def date_text(column: str, text: str, _digits: int) -> str:
    """`YYYY-MM-DD`; zero months and days pass, as without NO_ZERO_IN_DATE."""
    found = _DATE.match(text.strip())
    if not found or int(found[2]) > 12 or int(found[3]) > 31:
        raise _refuse("date", column, text)
    return f"{found[1]}-{int(found[2]):02d}-{int(found[3]):02d}"


def datetime_text(column: str, text: str, digits: int) -> str:
    """`YYYY-MM-DD HH:MM:SS` and the fraction that the column has."""
    found = _DATE.match(text.strip())
    if not found or int(found[2]) > 12 or int(found[3]) > 31 or int(found[4] or 0) > 23:
        raise _refuse("datetime", column, text)
    day = date_text(column, text, 0)
    clock = f"{int(found[4] or 0):02d}:{found[5] or '00'}:{found[6] or '00'}"
    fraction = _fraction(found[7], digits)
    if fraction >= 10**digits and found[7]:
        later = datetime.fromisoformat(f"{day} {clock}") + timedelta(seconds=1)
        return later.strftime("%Y-%m-%d %H:%M:%S") + _suffix(0, digits)
    return f"{day} {clock}{_suffix(fraction, digits)}"


def time_text(column: str, text: str, digits: int) -> str:
    """`[-]HH:MM:SS` and the fraction; hours reach 838."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise _refuse("time", column, text)
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4] or 0)
    units = seconds * 10**digits + _fraction(found[5], digits)
    seconds, fraction = divmod(units, 10**digits)
    if seconds > _LONGEST_TIME:
        raise _refuse("time", column, text)
    sign = found[1] if units else ""
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{sign}{clock}{_suffix(fraction, digits)}"


def year(column: str, value: object) -> int:
    """A year from 1901 to 2155 or 0; two digits mean 1970 to 2069."""
    text = str(value).strip()
    if not text.isdigit():
        raise SqlError(1366, f"Incorrect integer value: '{text}' for column '{column}' at row 1")
    number = int(text)
    if 0 < number < 100 or (text in ("0", "00") and isinstance(value, str)):
        number += 2000 if number < 70 else 1900
    if number and not 1901 <= number <= 2155:
        raise SqlError(1264, f"Out of range value for column '{column}' at row 1")
    return number


def time_seconds(text: str) -> float:
    """A TIME's text as seconds, the order of TIME columns."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        return 0.0
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4] or 0)
    return (seconds + float("0" + (found[5] or ".0"))) * (-1 if found[1] else 1)


TEXTS: Mapping[str, Callable[[str, str, int], str]] = {
    "date": date_text,
    "datetime": datetime_text,
    "timestamp": datetime_text,
    "time": time_text,
}
