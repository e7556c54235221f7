"""MySQL's character sets: which collation belongs to which, and how to decode each.

Whatever MySQL has a character for is the same here (`python -m tools.compare_charsets` compares all of it,
last with MySQL 9.7); where Python's codec of the same name differs, the difference stands here. Some bytes
that have no character on the server have one here, as in the vendor's own table.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from source_planetscale.columns import charmaps
from source_planetscale.columns.eucjp import decode_eucjpms, decode_ujis

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ASCII = bytes(range(128)).decode("ascii")


@dataclass(frozen=True)
class Charset:
    """One character set.

    Attributes:
        name: MySQL's name.
        decode: Turns bytes into text; raises UnicodeDecodeError for bytes that are no text.
        extends_ascii: Whether bytes below 0x80 always are ASCII characters if all bytes are.
        has_gaps: Whether a column can hold bytes that are no character.
        collations: The ids of its collations, which is what the wire carries.
    """

    name: str
    decode: Callable[[bytes], str] = field(repr=False, compare=False)
    collations: tuple[int, ...]
    extends_ascii: bool = True
    has_gaps: bool = False


def _codec(name: str, changes: Mapping[str, str] | None = None) -> Callable[[bytes], str]:
    """Decodes with a codec of Python and replaces the characters that MySQL maps to others."""
    if not changes:
        return lambda value: value.decode(name)
    table = str.maketrans(dict(changes))
    return lambda value: value.decode(name).translate(table)


def _charmap(characters: str) -> Callable[[bytes], str]:
    return lambda value: codecs.charmap_decode(value, "strict", characters)[0]


def _latin1() -> str:
    # MySQL's latin1 is Windows-1252, with the five bytes that have no character there as controls.
    return "".join(
        chr(byte) if byte in b"\x81\x8d\x8f\x90\x9d" else bytes([byte]).decode("cp1252")
        for byte in range(256)
    )


def _ids(*ranges: int | tuple[int, int]) -> tuple[int, ...]:
    ids: list[int] = []
    for part in ranges:
        first, last = part if isinstance(part, tuple) else (part, part)
        ids.extend(range(first, last + 1))
    return tuple(ids)


_SWE7 = _ASCII.translate(str.maketrans("@[\\]^`{|}~\x7f", "ÉÄÖÅÜéäöåü\ufffe"))
_BIG5 = dict(zip("‧﹑¯～⊕⊙∕﹨￥￠￡", "•､‾∼♁☉／＼¥¢£", strict=True))  # noqa: RUF001

UTF8 = Charset("utf8mb4", bytes.decode, _ids((45, 46), (224, 247), (255, 271), (273, 298), (300, 323)))

CHARSETS = (
    UTF8,
    Charset("armscii8", _charmap(_ASCII + charmaps.ARMSCII8), _ids(32, 64)),
    Charset("ascii", _codec("ascii"), _ids(11, 65)),
    Charset("big5", _codec("cp950", _BIG5), _ids(1, 84), has_gaps=True),
    Charset("cp1250", _codec("cp1250"), _ids(26, 34, 44, 66, 99), has_gaps=True),
    Charset("cp1251", _codec("cp1251"), _ids(14, 23, (50, 52)), has_gaps=True),
    Charset("cp1256", _codec("cp1256"), _ids(57, 67)),
    Charset("cp1257", _codec("cp1257"), _ids(29, 58, 59), has_gaps=True),
    Charset("cp850", _codec("cp850"), _ids(4, 80)),
    Charset("cp852", _codec("cp852"), _ids(40, 81)),
    Charset("cp866", _codec("cp866", {"№": "ⁿ", "¤": "²"}), _ids(36, 68)),
    Charset("cp932", _codec("cp932"), _ids(95, 96), has_gaps=True),
    Charset("dec8", _charmap(_ASCII + charmaps.DEC8), _ids(3, 69), has_gaps=True),
    Charset("eucjpms", decode_eucjpms, _ids(97, 98), has_gaps=True),
    Charset("euckr", _codec("cp949"), _ids(19, 85), has_gaps=True),
    Charset("gb18030", _codec("gb18030", {"\ue7c7": "ḿ", "ḿ": "\ue7c7"}), _ids((248, 250)), has_gaps=True),
    Charset("gb2312", _codec("gb2312"), _ids(24, 86), has_gaps=True),
    Charset("gbk", _codec("gbk"), _ids(28, 87), has_gaps=True),
    Charset("geostd8", _charmap(_ASCII + charmaps.GEOSTD8), _ids(92, 93), has_gaps=True),
    Charset("greek", _codec("iso8859_7", {"‘": "ʽ", "’": "ʼ"}), _ids(25, 70), has_gaps=True),  # noqa: RUF001
    Charset("hebrew", _codec("iso8859_8", {"¯": "‾"}), _ids(16, 71), has_gaps=True),
    Charset("hp8", _codec("hp_roman8"), _ids(6, 72), has_gaps=True),
    Charset("keybcs2", _charmap(_ASCII + charmaps.KEYBCS2), _ids(37, 73)),
    Charset("koi8r", _codec("koi8_r"), _ids(7, 74)),
    Charset("koi8u", _codec("koi8_u", {"∙": "•"}), _ids(22, 75)),
    Charset("latin1", _charmap(_latin1()), _ids(5, 8, 15, 31, (47, 49), 94)),
    Charset("latin2", _codec("iso8859_2"), _ids(2, 9, 21, 27, 77)),
    Charset("latin5", _codec("iso8859_9"), _ids(30, 78)),
    Charset("latin7", _codec("iso8859_13"), _ids(20, 41, 42, 79)),
    Charset("macce", _codec("mac_latin2"), _ids(38, 43)),
    Charset("macroman", _codec("mac_roman"), _ids(39, 53)),
    Charset("sjis", _codec("shift_jis", {"＼": "\\"}), _ids(13, 88), has_gaps=True),  # noqa: RUF001
    Charset("swe7", _charmap(_SWE7), _ids(10, 82), extends_ascii=False, has_gaps=True),
    Charset("tis620", _codec("tis_620"), _ids(18, 89), has_gaps=True),
    Charset("ucs2", _codec("utf_16_be"), _ids(35, 90, (128, 151), 159), extends_ascii=False, has_gaps=True),
    Charset("ujis", decode_ujis, _ids(12, 91), has_gaps=True),
    Charset("utf16", _codec("utf_16_be"), _ids(54, 55, (101, 124)), extends_ascii=False),
    Charset("utf16le", _codec("utf_16_le"), _ids(56, 62), extends_ascii=False),
    Charset("utf32", _codec("utf_32_be"), _ids(60, 61, (160, 183)), extends_ascii=False),
    Charset("utf8mb3", bytes.decode, _ids(33, 76, 83, (192, 215), 223)),
)
_BY_NAME = {charset.name: charset for charset in CHARSETS} | {"utf8": UTF8}
_BY_COLLATION = {number: charset.name for charset in CHARSETS for number in charset.collations}


def charset_named(name: str) -> Charset:
    """The character set of that name; UTF-8 for a name that is unknown or empty."""
    return _BY_NAME.get(name, UTF8)


def charset_of_collation(number: int) -> str:
    """The name of the character set that a collation id belongs to; empty if it is unknown."""
    return _BY_COLLATION.get(number, "")
