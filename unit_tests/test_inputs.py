"""The files that a command is given, as shells and editors write them."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_planetscale.errors import ConfigError
from source_planetscale.inputs import read_json, read_text

if TYPE_CHECKING:
    from pathlib import Path

MARKED = [
    ("utf-8", codecs.BOM_UTF8),
    ("utf-16-le", codecs.BOM_UTF16_LE),
    ("utf-16-be", codecs.BOM_UTF16_BE),
    ("utf-32-le", codecs.BOM_UTF32_LE),
    ("utf-32-be", codecs.BOM_UTF32_BE),
]
VALUE = {"host": "db.example.com", "password": "pässwörd-日本"}


@pytest.mark.parametrize(("encoding", "mark"), [*MARKED, *((encoding, b"") for encoding, _ in MARKED)])
def test_a_file_is_read_in_any_unicode_encoding_with_and_without_its_mark(
    tmp_path: Path, encoding: str, mark: bytes
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(mark + json.dumps(VALUE, ensure_ascii=False).encode(encoding))
    assert read_json(str(path), "configuration") == VALUE


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.none()), st.sampled_from(MARKED))
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object], form: tuple[str, bytes]
) -> None:
    encoding, mark = form
    path = tmp_path_factory.getbasetemp() / "input.json"
    path.write_bytes(mark + json.dumps(value).encode(encoding))
    assert read_json(str(path), "state") == value


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", b""), *MARKED])
def test_an_empty_file_holds_an_empty_text(tmp_path: Path, encoding: str, mark: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(mark + " \n".encode(encoding))
    assert read_text(str(path), "state").strip() == ""


@pytest.mark.parametrize("content", [b"no json", b"", b"\xff\xfe\x00", b"\x80\x81", b"{" * 100_000])
def test_a_file_that_holds_no_json_is_told_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"catalog file .*catalog\.json is not JSON"):
        read_json(str(path), "catalog")


def test_a_file_that_cannot_be_read_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_json(str(tmp_path), "state")
