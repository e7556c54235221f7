"""Tables as MySQL defines them, and what VStream's Field and information_schema say of a column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from source_planetscale.vstream.wire import vstream_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Mapping


class Charset(NamedTuple):
    """A character set: Python's codec, bytes of its widest character, collation ids as Vitess sends them."""

    codec: str
    width: int
    default_collation: str


CHARSETS: Mapping[str, Charset] = {
    "utf8mb4": Charset("utf-8", 4, "utf8mb4_0900_ai_ci"),
    "utf8mb3": Charset("utf-8", 3, "utf8mb3_general_ci"),
    "latin1": Charset("cp1252", 1, "latin1_swedish_ci"),
    "ascii": Charset("ascii", 1, "ascii_general_ci"),
    "utf16": Charset("utf-16-be", 4, "utf16_general_ci"),
    "sjis": Charset("cp932", 2, "sjis_japanese_ci"),
    "gbk": Charset("gbk", 2, "gbk_chinese_ci"),
}
# Vitess knows no gbk and sends 0 for it.
COLLATION_IDS: Mapping[str, int] = {
    "utf8mb4_0900_ai_ci": 255,
    "utf8mb4_general_ci": 45,
    "utf8mb4_bin": 46,
    "utf8mb3_general_ci": 33,
    "utf8mb3_bin": 83,
    "latin1_swedish_ci": 8,
    "latin1_bin": 47,
    "ascii_general_ci": 11,
    "ascii_bin": 65,
    "utf16_general_ci": 54,
    "sjis_japanese_ci": 13,
    "gbk_chinese_ci": 0,
}
BINARY_COLLATION = 63

INTEGERS: Mapping[str, tuple[int, int]] = {
    # name -> bits, display width when signed
    "tinyint": (8, 4),
    "smallint": (16, 6),
    "mediumint": (24, 9),
    "int": (32, 11),
    "bigint": (64, 20),
}
BLOB_SIZES: Mapping[str, int] = {
    "tiny": 255,
    "": 65535,
    "medium": 16777215,
    "long": 4294967295,
}
TEXTS = {f"{size}text": length for size, length in BLOB_SIZES.items()}
BLOBS = {f"{size}blob": length for size, length in BLOB_SIZES.items()}
GEOMETRIES = frozenset(
    [
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
    ]
)

NOT_NULL, PRI_KEY, UNIQUE_KEY, MULTIPLE_KEY, BLOB_FLAG, UNSIGNED, ZEROFILL, BINARY_FLAG = (
    1 << bit for bit in range(8)
)
ENUM_FLAG, AUTO_INCREMENT, TIMESTAMP_FLAG, SET_FLAG = (1 << bit for bit in range(8, 12))
NO_DEFAULT, ON_UPDATE_NOW, PART_KEY, NUM = (1 << bit for bit in range(12, 16))
# What MySQL reports as `decimals` of a float without a fixed scale.
FLOATING_DECIMALS = 31

_WIRE_TYPES = {
    "float": wire.FLOAT32,
    "double": wire.FLOAT64,
    "decimal": wire.DECIMAL,
    "year": wire.YEAR,
    "date": wire.DATE,
    "datetime": wire.DATETIME,
    "timestamp": wire.TIMESTAMP,
    "time": wire.TIME,
    "bit": wire.BIT,
    "enum": wire.ENUM,
    "set": wire.SET_TYPE,
    "json": wire.JSON,
    "vector": wire.VECTOR,
    "binary": wire.BINARY,
    "varbinary": wire.VARBINARY,
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        data_type: The type's bare name (`int`, `varchar`, `enum`).
        args: Numbers in the type's brackets: width, length, precision and scale, or fraction digits.
        labels: The labels of an ENUM or SET, in the order of definition.
        default: The default as SQL text, None where there is none.
        generated: The expression of a generated column as SQL text.
    """

    name: str
    data_type: str
    args: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    unsigned: bool = False
    zerofill: bool = False
    charset: str = ""
    collation: str = ""
    nullable: bool = True
    default: str | None = None
    auto_increment: bool = False
    on_update_now: bool = False
    generated: str | None = None
    stored: bool = False
    invisible: bool = False

    @cached_property
    def column_type(self) -> str:
        """The full type text as information_schema and VStream spell it."""
        if self.labels:
            inner = ",".join("'" + label.replace("'", "''") + "'" for label in self.labels)
        else:
            inner = ",".join(map(str, self.args))
        text = f"{self.data_type}({inner})" if inner else self.data_type
        return text + " unsigned" * self.unsigned + " zerofill" * self.zerofill

    @cached_property
    def binary_collation(self) -> bool:
        """Whether this is text that Vitess reports with a binary type."""
        return self.collation.endswith("_bin")

    @cached_property
    def wire_type(self) -> int:
        """The number of VStream's Field.type."""
        if self.data_type in INTEGERS:
            bits = INTEGERS[self.data_type][0]
            return int(getattr(wire, f"{'U' * self.unsigned}INT{bits}"))
        if self.data_type in TEXTS:
            return wire.BLOB if self.binary_collation else wire.TEXT
        if self.data_type == "char":
            return wire.BINARY if self.binary_collation else wire.CHAR
        if self.data_type == "varchar":
            return wire.VARBINARY if self.binary_collation else wire.VARCHAR
        if self.data_type in BLOBS:
            return wire.BLOB
        if self.data_type in GEOMETRIES:
            return wire.GEOMETRY
        return _WIRE_TYPES[self.data_type]

    @cached_property
    def wire_charset(self) -> int:
        """The number of VStream's Field.charset."""
        return COLLATION_IDS.get(self.collation, 0) if self.collation else BINARY_COLLATION

    @cached_property
    def decimals(self) -> int:
        """Digits after the point, as Field.decimals has them."""
        if self.data_type in ("float", "double"):
            return self.args[1] if len(self.args) > 1 else FLOATING_DECIMALS
        if self.data_type == "vector":
            return FLOATING_DECIMALS
        if self.data_type == "decimal":
            return self.args[1]
        if self.data_type in ("datetime", "timestamp", "time") and self.args:
            return self.args[0]
        return 0

    @cached_property
    def wire_length(self) -> int:
        """Field.column_length: the display width in a utf8mb4 session."""
        kind = self.data_type
        if kind in INTEGERS:
            # An unsigned bigint is as wide as a signed one; the others have no sign to show.
            width = INTEGERS[kind][1] - (self.unsigned and kind != "bigint")
            return self.args[0] if self.args else width
        if kind in ("char", "varchar"):
            return self.args[0] * 4
        if kind in TEXTS:
            return min(TEXTS[kind] * 4, BLOB_SIZES["long"])
        if kind in BLOBS:
            return BLOBS[kind]
        if self.labels:
            return self.character_length * 4
        return _fixed_length(self)

    @cached_property
    def character_length(self) -> int:
        """The longest value in characters, of text, ENUM and SET columns."""
        if self.data_type == "enum":
            return max(map(len, self.labels))
        if self.data_type == "set":
            return sum(map(len, self.labels)) + len(self.labels) - 1
        return self.args[0] if self.args else (TEXTS | BLOBS)[self.data_type]

    @cached_property
    def type_flags(self) -> int:
        """The part of Field.flags that does not depend on keys."""
        kind = self.data_type
        flags = NOT_NULL * (not self.nullable) | AUTO_INCREMENT * self.auto_increment
        if kind in INTEGERS or kind in ("decimal", "float", "double", "year"):
            flags |= NUM
        flags |= (UNSIGNED | ZEROFILL) if kind == "year" else 0
        flags |= UNSIGNED * (self.unsigned or kind == "bit") | ZEROFILL * self.zerofill
        flags |= {"enum": ENUM_FLAG, "set": SET_FLAG}.get(kind, 0)
        if kind in TEXTS or kind in BLOBS or kind in GEOMETRIES or kind in ("json", "vector"):
            flags |= BLOB_FLAG
        flags |= BINARY_FLAG * self._is_binary()
        flags |= TIMESTAMP_FLAG * (kind == "timestamp" and self.default is not None)
        flags |= ON_UPDATE_NOW * self.on_update_now
        has_default = self.default is not None or self.generated or self.auto_increment
        return flags | NO_DEFAULT * (not self.nullable and not has_default)

    def _is_binary(self) -> bool:
        numeric = self.data_type in INTEGERS or self.data_type in (
            "decimal", "float", "double", "bit", "year",
        )  # fmt: skip
        if self.data_type == "year" or self.binary_collation:
            return self.data_type != "year"
        return not numeric and not self.collation


def _fixed_length(column: Column) -> int:
    kind, args = column.data_type, column.args
    if kind == "decimal":
        precision, scale = args
        return precision + (scale > 0) + (not column.unsigned)
    if kind in ("float", "double"):
        return args[0] if args else {"float": 12, "double": 22}[kind]
    if kind in ("datetime", "timestamp", "time"):
        fraction = args[0] + 1 if args else 0
        return (10 if kind == "time" else 19) + fraction
    if kind in ("json", "geometry") or kind in GEOMETRIES:
        return BLOB_SIZES["long"]
    if kind == "vector":
        return args[0] * 4
    return {"year": 4, "date": 10}.get(kind) or args[0]


@dataclass(frozen=True)
class Index:
    """A key over columns; the primary key is named PRIMARY."""

    name: str
    columns: tuple[str, ...]
    unique: bool


@dataclass(frozen=True)
class Table:
    """One base table of a keyspace."""

    keyspace: str
    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    vindex_column: str = ""

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Lower-case column name -> position."""
        return {column.name.lower(): at for at, column in enumerate(self.columns)}

    def column(self, name: str) -> Column | None:
        """The column of that name in any case, None if there is none."""
        at = self.by_name.get(name.lower())
        return None if at is None else self.columns[at]

    @cached_property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key in the key's order, empty without one."""
        return next((index.columns for index in self.indexes if index.name == "PRIMARY"), ())

    @cached_property
    def copy_key(self) -> tuple[str, ...]:
        """The columns that order a copy: a key without NULLs, else all columns, as Vitess does it."""
        if self.primary_key:
            return self.primary_key
        for index in sorted(self.indexes, key=lambda index: len(index.columns)):
            if index.unique and not any(self._nullable(name) for name in index.columns):
                return index.columns
        return tuple(column.name for column in self.columns)

    def _nullable(self, name: str) -> bool:
        column = self.column(name)
        return column is not None and column.nullable

    def key_kind(self, name: str) -> str:
        """information_schema's COLUMN_KEY of a column: PRI, UNI, MUL or nothing."""
        if name in self.primary_key:
            return "PRI"
        if not self.primary_key and len(self.copy_key) < len(self.columns) and name in self.copy_key:
            return "PRI"
        leading = [index for index in self.indexes if index.columns[0] == name]
        if any(index.unique and len(index.columns) == 1 for index in leading):
            return "UNI"
        return "MUL" if leading else ""

    def fields(self, database: str) -> list[wire.Field]:
        """The columns as VStream's FIELD event has them; `database` is the shard's MySQL schema."""
        return [
            wire.Field(
                name=column.name,
                type=column.wire_type,  # type: ignore[arg-type]  # protobuf enums are plain integers
                table=self.name,
                org_table=self.name,
                database=database,
                org_name=column.name,
                column_length=column.wire_length,
                charset=column.wire_charset,
                decimals=column.decimals,
                flags=self.field_flags(column),
                column_type=column.column_type,
            )
            for column in self.columns
        ]

    def field_flags(self, column: Column) -> int:
        """Field.flags of a column, keys included."""
        kind = self.key_kind(column.name)
        part = any(column.name in index.columns for index in self.indexes)
        key_flags = {"PRI": PRI_KEY, "UNI": UNIQUE_KEY, "MUL": MULTIPLE_KEY}.get(kind, 0)
        return column.type_flags | key_flags | PART_KEY * part
