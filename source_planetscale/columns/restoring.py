"""Values of the binary log that the server decoded as another type than they were written with.

A row event holds no signs, labels or paddings; a tablet takes them from the schema of the moment, or goes
without them where that does not fit the event: then it knows no type text and takes integers as signed
(seen on Vitess 24).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_planetscale.columns.column_type import ColumnType
    from source_planetscale.columns.encoder import Rewrite, Spelling

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


def restored_sign(written: ColumnType, decoded: ColumnType, _spelling: Spelling) -> Rewrite | None:
    """Integers: the same bits, read with the sign that they were written with."""
    # A YEAR has no sign, though its type does not say so.
    if written.unsigned == (decoded.unsigned or decoded.base == "year"):
        return None
    full = 1 << _BITS[written.base]
    half = full >> 1
    if written.unsigned:
        return lambda values: [
            value if value[:1] != b"-" else b"%d" % (int(value) + full) for value in values
        ]
    return lambda values: [
        value if (number := int(value)) < half else b"%d" % (number - full) for value in values
    ]


def restored_label(written: ColumnType, decoded: ColumnType, spelling: Spelling) -> Rewrite | None:
    """ENUM and SET: the labels that had the numbers of those that were sent."""
    if not spelling.enum_labels or decoded.labels[: len(written.labels)] == written.labels:
        return None
    old = dict(zip(decoded.labels, written.labels, strict=False))
    # A value that was none of the labels has the number 0, in every list.
    by_text = {label.encode(): old[label].encode() for label in old} | {b"": old.get("", "").encode()}
    if written.base == "set":
        return lambda values: [
            b",".join([_looked_up(by_text, label) for label in value.split(b",")]) for value in values
        ]
    return lambda values: [_looked_up(by_text, value) for value in values]


def _looked_up(by_text: dict[bytes, bytes], label: bytes) -> bytes:
    try:
        return by_text[label]
    except KeyError as error:
        raise ValueError("not a label of the type that the server knows") from error


def restored_padding(written: ColumnType, decoded: ColumnType, _spelling: Spelling) -> Rewrite | None:
    """BINARY and CHAR, which the binary log holds without their padding.

    The server puts it back where its own type is a BINARY.
    """
    if written.base == "binary" and decoded.base != "binary":
        length = written.arguments[0] if written.arguments else 1
        return lambda values: [value.ljust(length, b"\0") for value in values]
    if written.base == "char" and decoded.base == "binary":
        return lambda values: [value.rstrip(b"\0") for value in values]
    return None
