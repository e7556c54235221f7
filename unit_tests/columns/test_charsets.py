# ruff: noqa: RUF001 - look-alikes of Latin letters are what these alphabets are made of

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.columns.charsets import charset_named, charset_of_collation
from source_planetscale.columns.text import text_encoder
from source_planetscale.table import Column
from source_planetscale.vstream.fields import columns_of
from source_planetscale.vstream.wire import vstream_pb2 as wire
from unit_tests.support.columns import complete, encode_each

if TYPE_CHECKING:
    from source_planetscale.columns import Encoder

# Bytes and text as MySQL converts them.
CONVERSIONS = [
    ("latin1", b"caf\xe9 \x80 \x81", "café € \x81"),
    ("utf8mb4", "é 😀".encode(), "é 😀"),
    ("utf8mb3", "é".encode(), "é"),
    ("utf8", "é".encode(), "é"),
    ("ascii", b"a\\b", "a\\b"),
    ("utf16", b"\x00a\xd8\x3d\xde\x00", "a😀"),
    ("utf16le", b"a\x00", "a"),
    ("utf32", b"\x00\x01\xf6\x00", "😀"),
    ("ucs2", b"\x00a\x20\xac", "a€"),
    ("sjis", b"\x83\x5c \x5c \x81\x5f", "ソ \\ \\"),
    ("cp932", b"\x83\x5c\x87\x40", "ソ①"),
    ("ujis", b"\xa5\xbd", "ソ"),
    ("ujis", b"\xf5\xa1\x8f\xfe\xfe\x8f\xa2\xb7", "\ue000\ue757~"),
    ("eucjpms", b"\xa1\xc1\xa1\xdd", "～－"),
    ("eucjpms", b"\xad\xa1\x8f\xf3\xf3\x8f\xf4\xfb\xad\xea", "①ⅰ髙㈱"),
    ("eucjpms", b"\x8f\xa2\xc3\x8f\xa2\xb7~\xf5\xa1", "￤～~\ue000"),
    ("gbk", b"\xd6\xd0", "中"),
    ("gb2312", b"\xd6\xd0", "中"),
    ("gb18030", b"\xd6\xd0\x94\x39\xfc\x36\xa8\xbc\x81\x35\xf4\x37", "中😀ḿ\ue7c7"),
    ("big5", b"\xa4\xa4\xa1\x45", "中•"),
    ("euckr", b"\xc7\xd1\x81\x41", "한갂"),
    ("tis620", b"\xa1", "ก"),
    ("koi8r", b"\xc1", "а"),
    ("koi8u", b"\x95", "•"),
    ("cp1250", b"\x9a", "š"),
    ("cp1251", b"\xe0", "а"),
    ("cp1256", b"\xc7", "ا"),
    ("cp1257", b"\xe0", "ą"),
    ("cp850", b"\x81", "ü"),
    ("cp852", b"\x85", "ů"),
    ("cp866", b"\xa0\xfc\xfd", "аⁿ²"),
    ("latin2", b"\xb9", "š"),
    ("latin5", b"\xfd", "ı"),
    ("latin7", b"\xe0", "ą"),
    ("greek", b"\xe1\xa1", "αʽ"),
    ("hebrew", b"\xe0\xaf", "א‾"),
    ("macce", b"\x81", "Ā"),
    ("macroman", b"\x8a", "ä"),
    ("hp8", b"\xcc", "ä"),
    ("dec8", b"\xa8\xd7\xe4", "¤Œä"),
    ("armscii8", b"\xb2", "Ա"),
    ("geostd8", b"\xc0", "ა"),
    ("keybcs2", b"\x80\xb3", "Č│"),
    ("swe7", b"\x5b\x5c\x5d a", "ÄÖÅ a"),
]


@pytest.mark.parametrize(("name", "value", "text"), CONVERSIONS)
def test_text_is_decoded_as_mysql_converts_it(name: str, value: bytes, text: str) -> None:
    assert charset_named(name).decode(value) == text
    assert complete(text_encoder(name).encode([value])) == [orjson.dumps(text)]


def test_an_unknown_character_set_is_read_as_utf8() -> None:
    assert charset_named("klingon").decode("é".encode()) == "é"
    assert charset_named("").decode("é".encode()) == "é"


@pytest.mark.parametrize("name", ["utf8mb4", "ascii", "utf16", "utf32", "sjis", "gbk", "dec8", "geostd8"])
def test_bytes_that_are_no_text_have_no_form(name: str) -> None:
    assert encode_each(text_encoder(name), [b"\xff"]) == [None]


@pytest.mark.parametrize(
    "value", [b"\xad", b"\xad\xff", b"\xad\xbf", b"\x8f\xf3", b"\x8f\xf3\xa1", b"\xff\xa1", b"\xad\xa1\x8f"]
)
def test_a_cell_without_character_and_a_cut_one_have_no_form(value: bytes) -> None:
    assert encode_each(text_encoder("eucjpms"), [value]) == [None]


@pytest.mark.parametrize(
    ("collation", "name"),
    [
        (255, "utf8mb4"),
        (45, "utf8mb4"),
        (46, "utf8mb4"),
        (323, "utf8mb4"),
        (33, "utf8mb3"),
        (8, "latin1"),
        (47, "latin1"),
        (11, "ascii"),
        (54, "utf16"),
        (13, "sjis"),
        (28, "gbk"),
        (63, ""),
        (0, ""),
        (9999, ""),
    ],
)
def test_a_collation_names_its_character_set(collation: int, name: str) -> None:
    assert charset_of_collation(collation) == name


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=6), st.sampled_from([c[0] for c in CONVERSIONS]))
def test_a_column_encodes_as_its_values_one_by_one(values: list[bytes], name: str) -> None:
    encoder = text_encoder(name)
    together = encode_each(encoder, values)
    assert together == [_alone(encoder, value) for value in values]
    for text in together:
        assert text is None or isinstance(orjson.loads(text), str)


def _alone(encoder: Encoder, value: bytes) -> bytes | None:
    try:
        return complete(encoder.encode([value]))[0]
    except ValueError:
        return None


def test_a_character_cut_between_two_values_is_not_made_whole() -> None:
    assert encode_each(text_encoder("utf8mb4"), [b"\xc3", b"\xa9", b"x"]) == [None, None, b'"x"']


def _field(name: str, column_type: str, charset: int, flags: int = 0) -> wire.Field:
    return wire.Field(name=name, column_type=column_type, charset=charset, flags=flags)


def test_fields_become_the_columns_that_discovery_finds() -> None:
    fields = [
        _field("id", "bigint unsigned", 63, 53251),
        _field("latin", "varchar(20)", 8),
        _field("bin", "varchar(20)", 46, 128),
        _field("raw", "varbinary(20)", 63, 128),
        _field("doc", "json", 63, 144),
        _field("kind", "enum('a')", 255, 256),
    ]
    assert columns_of(fields, ()) == (
        Column("id", "bigint unsigned", "", nullable=False),
        Column("latin", "varchar(20)", "latin1"),
        Column("bin", "varchar(20)", "utf8mb4"),
        Column("raw", "varbinary(20)", ""),
        Column("doc", "json", ""),
        Column("kind", "enum('a')", "utf8mb4"),
    )


def test_a_collation_that_vitess_does_not_know_is_taken_from_discovery() -> None:
    known = [Column("v", "varchar(10)", "gbk")]
    assert columns_of([_field("v", "varchar(10)", 0)], known) == (Column("v", "varchar(10)", "gbk"),)
    assert columns_of([_field("w", "varchar(10)", 0)], known) == (Column("w", "varchar(10)", ""),)
