"""Text in any character set, JSON, ENUM and SET."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from source_planetscale.columns.charsets import UTF8, Charset, charset_named
from source_planetscale.columns.encoder import Encoded, Encoder, Form, Spelling

if TYPE_CHECKING:
    from source_planetscale.columns.column_type import ColumnType


class Text(Encoder):
    """A JSON string."""

    def __init__(self, charset: Charset = UTF8) -> None:
        """Compiles the decoding.

        Args:
            charset: The character set that the bytes are in.
        """
        self._charset = charset

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        # The blank keeps a character that is cut at the end of a value from being made whole by the next.
        joined = b" ".join(values)
        if self._charset.decode is UTF8.decode:
            text = joined.decode()
        elif self._charset.extends_ascii and joined.isascii():
            text = joined.decode("ascii")
        else:
            decode = self._charset.decode
            return [decode(value).encode() for value in values], Form.TEXT
        # JSON escapes nothing where it is as long as the text; a quote, the most frequent, is found sooner.
        if b'"' in joined or len(orjson.dumps(text)) != len(joined) + len('""'):
            return values, Form.TEXT
        return values, Form.BARE


class Ordinals(Encoder):
    """ENUM and SET values that arrive as numbers and leave as labels."""

    def __init__(self, column_type: ColumnType) -> None:
        """Takes the labels in the order of the column's definition."""
        self._labels = column_type.labels
        self._is_set = column_type.base == "set"

    def encode(self, values: list[bytes]) -> Encoded:
        """Implements `Encoder.encode`."""
        label = self._set_text if self._is_set else self._enum_text
        return [label(int(value or b"0")).encode() for value in values], Form.TEXT

    def _enum_text(self, index: int) -> str:
        # MySQL stores 0 for a value that was not a label when it was written; it reads as ''.
        if not 0 <= index <= len(self._labels):
            raise ValueError("not the index of a label")
        return self._labels[index - 1] if index else ""

    def _set_text(self, mask: int) -> str:
        if not 0 <= mask < 1 << len(self._labels):
            raise ValueError("not a combination of the labels")
        return ",".join(label for bit, label in enumerate(self._labels) if mask >> bit & 1)


def text_encoder(charset_name: str) -> Encoder:
    """The encoder of a column in a character set; an unknown or empty name means UTF-8."""
    return Text(charset_named(charset_name))


def label_encoder(column_type: ColumnType, charset_name: str, spelling: Spelling) -> Encoder:
    """The encoder of an ENUM or SET column.

    The copy sends labels in the column's character set, catch-up in UTF-8 or as numbers.
    """
    if spelling.is_copy:
        return text_encoder(charset_name)
    return Text() if spelling.enum_labels else Ordinals(column_type)
