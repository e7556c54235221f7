"""information_schema as vtgate answers from it: one shard's MySQL with its physical schema names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded_database.columns.schema import BLOBS, CHARSETS, INTEGERS, TEXTS, Column, Table
from embedded_database.sql import rewrite
from embedded_database.storage import physical

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from embedded_database.storage import Shard, Storage

# Digits that information_schema gives for integers; a signed bigint has one less than an unsigned one.
_INTEGER_PRECISION = {"tinyint": 3, "smallint": 5, "mediumint": 7, "int": 10, "bigint": 19}
_FLOAT_PRECISION = {"float": 12, "double": 22}

_COLUMNS = [
    "TABLE_CATALOG",
    "TABLE_SCHEMA",
    "TABLE_NAME",
    "COLUMN_NAME",
    "ORDINAL_POSITION",
    "COLUMN_DEFAULT",
    "IS_NULLABLE",
    "DATA_TYPE",
    "CHARACTER_MAXIMUM_LENGTH",
    "CHARACTER_OCTET_LENGTH",
    "NUMERIC_PRECISION",
    "NUMERIC_SCALE",
    "DATETIME_PRECISION",
    "CHARACTER_SET_NAME",
    "COLLATION_NAME",
    "COLUMN_TYPE",
    "COLUMN_KEY",
    "EXTRA",
    "PRIVILEGES",
    "COLUMN_COMMENT",
    "GENERATION_EXPRESSION",
    "SRS_ID",
]
_TABLES = [
    "TABLE_CATALOG",
    "TABLE_SCHEMA",
    "TABLE_NAME",
    "TABLE_TYPE",
    "ENGINE",
    "VERSION",
    "ROW_FORMAT",
    "TABLE_ROWS",
    "AVG_ROW_LENGTH",
    "DATA_LENGTH",
    "MAX_DATA_LENGTH",
    "INDEX_LENGTH",
    "DATA_FREE",
    "AUTO_INCREMENT",
    "CREATE_TIME",
    "UPDATE_TIME",
    "CHECK_TIME",
    "TABLE_COLLATION",
    "CHECKSUM",
    "CREATE_OPTIONS",
    "TABLE_COMMENT",
]
_STATISTICS = [
    "TABLE_CATALOG",
    "TABLE_SCHEMA",
    "TABLE_NAME",
    "NON_UNIQUE",
    "INDEX_SCHEMA",
    "INDEX_NAME",
    "SEQ_IN_INDEX",
    "COLUMN_NAME",
    "COLLATION",
    "CARDINALITY",
    "SUB_PART",
    "PACKED",
    "NULLABLE",
    "INDEX_TYPE",
    "COMMENT",
    "INDEX_COMMENT",
    "IS_VISIBLE",
    "EXPRESSION",
]

Row = tuple[object, ...]


def attach(connection: sqlite3.Connection, storage: Storage, shard: Shard) -> None:
    """Attaches `information_schema` as the MySQL of a shard would show it."""
    connection.execute("attach ':memory:' as information_schema")
    tables = [table for (keyspace, _), table in sorted(storage.tables.items()) if keyspace == shard.keyspace]
    for name, columns, rows in (
        ("tables", _TABLES, list(_tables(connection, shard, tables))),
        ("columns", _COLUMNS, _columns(shard, tables)),
        ("statistics", _STATISTICS, _statistics(shard, tables)),
    ):
        header = ", ".join(f'"{column}" collate nocase' for column in columns)
        connection.execute(f"create table information_schema.{name} ({header})")
        marks = ",".join("?" * len(columns))
        connection.executemany(f"insert into information_schema.{name} values ({marks})", rows)  # noqa: S608  # names from above


def _tables(connection: sqlite3.Connection, shard: Shard, tables: list[Table]) -> Iterator[Row]:
    for table in tables:
        # InnoDB estimates, this database counts.
        query = f"select count(*) from {physical(shard, table.name)}"  # noqa: S608  # the tests' own names
        ((count,),) = connection.execute(query).fetchall()
        yield (
            "def", shard.database, table.name, "BASE TABLE", "InnoDB", 10, "Dynamic", count, 0, 16384, 0, 0,
            0, None, None, None, None, "utf8mb4_0900_ai_ci", None, "", "",
        )  # fmt: skip


def _columns(shard: Shard, tables: list[Table]) -> Iterator[Row]:
    for table in tables:
        for position, column in enumerate(table.columns, 1):
            length, octets = _lengths(column)
            precision, scale, fraction = _precision(column)
            yield (
                "def", shard.database, table.name, column.name, position, _default(column),
                "YES" if column.nullable else "NO", column.data_type, length, octets, precision, scale,
                fraction, column.charset or None, column.collation or None, column.column_type,
                table.key_kind(column.name), _extra(column), "select,insert,update,references", "",
                _generation(column), None,
            )  # fmt: skip


def _statistics(shard: Shard, tables: list[Table]) -> Iterator[Row]:
    for table in tables:
        for index in sorted(table.indexes, key=lambda index: index.name.lower()):
            for position, name in enumerate(index.columns, 1):
                column = table.column(name)
                nullable = "YES" if column and column.nullable else ""
                yield (
                    "def", shard.database, table.name, int(not index.unique), shard.database, index.name,
                    position, name, "A", 0, None, None, nullable, "BTREE", "", "", "YES", None,
                )  # fmt: skip


def _lengths(column: Column) -> tuple[int | None, int | None]:
    """Length in characters and in bytes."""
    kind = column.data_type
    if kind in TEXTS:
        return TEXTS[kind], TEXTS[kind]
    if kind == "vector":
        return column.args[0] * 4, column.args[0] * 4
    if column.charset:
        length = column.character_length
        return length, length * CHARSETS[column.charset].width
    if kind in BLOBS or kind in ("binary", "varbinary"):
        return column.character_length, column.character_length
    return None, None


def _precision(column: Column) -> tuple[int | None, int | None, int | None]:
    """Numeric precision, numeric scale and digits of a second's fraction."""
    kind, args = column.data_type, column.args
    if kind in INTEGERS:
        return _INTEGER_PRECISION[kind] + (kind == "bigint" and column.unsigned), 0, None
    if kind == "decimal":
        return args[0], args[1], None
    if kind in _FLOAT_PRECISION:
        return (args[0], args[1], None) if args else (_FLOAT_PRECISION[kind], None, None)
    if kind == "bit":
        return args[0], None, None
    if kind in ("datetime", "timestamp", "time"):
        return None, None, args[0] if args else 0
    return None, None, None


def _default(column: Column) -> str | None:
    if column.default is None:
        return None
    text = column.default
    return text.upper() if _default_is_now(column) else text.strip("'\"")


def _default_is_now(column: Column) -> bool:
    return bool(column.default) and str(column.default).lower().startswith(("current_timestamp", "now"))


def _extra(column: Column) -> str:
    parts = ["DEFAULT_GENERATED"] * _default_is_now(column)
    parts += ["on update CURRENT_TIMESTAMP"] * column.on_update_now
    parts += ["auto_increment"] * column.auto_increment
    if column.generated:
        parts.append("STORED GENERATED" if column.stored else "VIRTUAL GENERATED")
    parts += ["INVISIBLE"] * column.invisible
    return " ".join(parts)


def _generation(column: Column) -> str:
    if not column.generated:
        return ""
    node = rewrite.parse(f"select {column.generated}").expressions[0]
    return f"({node.sql(dialect='mysql', identify=True)})"
