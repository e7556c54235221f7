"""EUC-JP as MySQL reads it: Python's codec, and the rows of characters that it lacks.

Taken from MySQL 9.7: `CONVERT(CONVERT(x USING eucjpms) USING utf8mb4)` of every pair and triple of bytes.
"""

# ruff: noqa: RUF001 - full width forms are characters of these rows

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FIRST_CELL = 0xA1
_CELLS = 94
_THREE_BYTES = 0x8F
_NO_CHARACTER = "\ufffe"

# Rows of cells 0xa1 to 0xfe by the bytes before the cell. NEC's row 13, and IBM's extensions.
_ROW_13 = (
    "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ"
    + "\ufffe" * 1
    + "㍉㌔㌢㍍㌘㌧㌃㌶㍑㍗㌍㌦㌣㌫㍊㌻㎜㎝㎞㎎㎏㏄㎡"
    + "\ufffe" * 8
    + "㍻〝〟№㏍℡㊤㊥㊦㊧㊨㈱㈲㈹㍾㍽㍼≒≡∫∮∑√⊥∠∟⊿∵∩∪"
    + "\ufffe" * 2
)
_ROW_83 = "\ufffe" * 82 + "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡ"
_ROW_84 = (
    "ⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪甁"
    "皂皞益礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑"
)


def _user_defined(lead: bytes, first: int) -> dict[bytes, str]:
    """The ten rows that users may define; the server maps them to Unicode's private use area."""
    return {
        lead + bytes([0xF5 + row]): "".join(chr(first + row * _CELLS + cell) for cell in range(_CELLS))
        for row in range(10)
    }


_UJIS = _user_defined(b"", 0xE000) | _user_defined(b"\x8f", 0xE3AC)
_EUCJPMS = _UJIS | {b"\xad": _ROW_13, b"\x8f\xf3": _ROW_83, b"\x8f\xf4": _ROW_84}


def _lookup(rows: Mapping[bytes, str]) -> Callable[[UnicodeError], tuple[str, int]]:
    """An error handler that finds in the rows what the codec does not know."""

    def found(error: UnicodeError) -> tuple[str, int]:
        if isinstance(error, UnicodeDecodeError):
            start = error.start
            end = start + (3 if error.object[start] == _THREE_BYTES else 2)
            *row, cell = error.object[start:end]
            cells = rows.get(bytes(row), "")
            if cells and _FIRST_CELL <= cell < _FIRST_CELL + _CELLS:
                character = cells[cell - _FIRST_CELL]
                if character != _NO_CHARACTER:
                    return character, end
        raise error

    return found


codecs.register_error("source_planetscale.ujis", _lookup(_UJIS))
codecs.register_error("source_planetscale.eucjpms", _lookup(_EUCJPMS))


def decode_ujis(value: bytes) -> str:
    """Decodes MySQL's `ujis`; raises UnicodeDecodeError for bytes that are no text."""
    # MySQL has one backslash, where the standard has a full width one as well.
    return value.decode("euc_jp", "source_planetscale.ujis").replace("＼", "\\")


# Windows-31J's mapping of the characters that the Japanese standards disagree on.
_WINDOWS = str.maketrans("〜‖−¢£¬¦", "～∥－￠￡￢￤")


def decode_eucjpms(value: bytes) -> str:
    """Decodes MySQL's `eucjpms`; raises UnicodeDecodeError for bytes that are no text."""
    # The tilde of JIS X 0212 is the full width one of JIS X 0208.
    value = value.replace(b"\x8f\xa2\xb7", b"\xa1\xc1")
    return value.decode("euc_jp", "source_planetscale.eucjpms").translate(_WINDOWS)
